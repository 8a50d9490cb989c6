"""What there is: the recipes that come along, and one line on each component; nothing heavy is imported."""

from __future__ import annotations

import ast
import importlib.util
from pathlib import Path

from augsynth import registry
from augsynth.core.errors import RecipeError
from augsynth.recipe.wording import meant

__all__ = ["find", "first_line", "read_text", "shipped", "shipped_headers"]

_MAX_BYTES = 1_000_000


def shipped() -> dict[str, Path]:
    """Return the recipes that come with the package: name -> file.

    They lie beside the package in a source checkout and inside it once installed.
    """
    package = Path(__file__).resolve().parents[1]
    for folder in (package / "recipes", package.parent / "recipes"):
        if folder.is_dir():
            return {path.stem: path for path in sorted(folder.glob("*.yaml"))}
    return {}


def find(name: str | Path) -> Path:
    """Return the file of a recipe that is named, or given by its path.

    Raises
    ------
    RecipeError
        If there is neither a recipe nor a file of that name.
    """
    known = shipped()
    if str(name) in known:
        return known[str(name)]
    path = Path(name)
    if path.is_file():
        return path
    if path.suffix in (".yaml", ".yml") and path.stem in known and len(path.parts) == 1:
        return known[path.stem]
    near, all_of = meant(path.stem, known), ", ".join(known) or "none"
    raise RecipeError([f"{name}: neither a recipe of this name nor such a file{near}. Known: {all_of}."])


def read_text(path: Path) -> str:
    """Return the text of a recipe's file.

    Raises
    ------
    RecipeError
        If it is too large for a recipe, cannot be read, or is no text.
    """
    try:
        if path.stat().st_size > _MAX_BYTES:
            raise RecipeError([f"{path}: a recipe must be smaller than {_MAX_BYTES:,} bytes"])
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise RecipeError([f"{path}: cannot be read ({error})"]) from None


def shipped_headers() -> dict[str, str]:
    """Return the first header line of each recipe that comes along."""
    found = {}
    for name, path in shipped().items():
        first = path.read_text(encoding="utf-8").partition("\n")[0]
        found[name] = first.lstrip("# ").rstrip()
    return found


def first_line(role: str, kind: str) -> str:
    """Return the first line of a component's docstring, read off its file without importing it."""
    target = registry.target(role, kind)
    module, _, name = target.partition(":")
    try:
        tree = ast.parse(_file_of(module).read_text(encoding="utf-8"))
    except (ImportError, OSError, SyntaxError):
        return "(its file cannot be read)"
    for node in ast.walk(tree):
        if isinstance(node, (ast.ClassDef, ast.FunctionDef)) and node.name == name:
            return (ast.get_docstring(node) or "").partition("\n")[0]
    return ""


def _file_of(module: str) -> Path:
    own = Path(__file__).resolve().parents[1]
    if module.startswith(f"{own.name}."):  # importlib would import the package above it
        return own.joinpath(*module.split(".")[1:]).with_suffix(".py")
    spec = importlib.util.find_spec(module)
    if spec is None or spec.origin is None:
        raise ImportError(module)
    return Path(spec.origin)

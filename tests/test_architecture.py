"""The laws of the house, read from the source."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[1] / "augsynth"
FILES = sorted(PACKAGE.rglob("*.py"))
FLOORS = {
    "core": 0,
    "registry": 0,
    "encode": 1,
    "nn": 2,
    "perturb": 2,
    "generate": 3,
    "resample": 4,
    "impute": 4,
    "bayes": 5,
    "compose": 5,
    "remedies": 5,
    "check": 6,
    "datasets": 6,
    "testing": 6,
    "recipe": 7,
    "cli": 8,
}
DEEP = {"nn", "datasets"}  # packages whose modules import torch at the top
DEEP_GENERATORS = {
    "autoregressive",
    "autoregressive_image",
    "autoregressive_objective",
    "deep",
    "denoising",
    "diffusion",
    "flow",
    "flow_objective",
    "gan",
    "gan_objective",
    "masked_diffusion",
    "vae",
    "vae_completion",
    "vae_latent",
    "vae_objective",
    "vae_pictures",
}
MAX_FILE_LINES, MAX_FUNCTION_LINES, MAX_PARAMETERS = 400, 60, 8


def floor_of(path):
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def tree_of(path):
    return ast.parse(path.read_text(encoding="utf-8"))


def imports(tree, *, top_only=False):
    """Yield (module, line) of every import; type-only ones are not real."""
    nodes = tree.body if top_only else ast.walk(tree)
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            yield node.module, node.lineno
            if node.module == "augsynth":
                yield from ((f"augsynth.{alias.name}", node.lineno) for alias in node.names)


def rel(path):
    return str(path.relative_to(PACKAGE.parent))


@pytest.mark.parametrize("path", FILES, ids=rel)
def test_imports_only_lower_floors(path):
    own = floor_of(path)
    if own == "__init__":
        return
    for module, line in imports(tree_of(path)):
        parts = module.split(".")
        if parts[0] != "augsynth" or len(parts) == 1 or parts[1] in (own, "__version__"):
            continue
        assert parts[1] in FLOORS, f"{rel(path)}:{line} imports {module}, which has no floor"
        same = FLOORS[parts[1]] == FLOORS[own] == 0  # core and registry stand on one floor
        assert same or FLOORS[parts[1]] < FLOORS[own], f"{rel(path)}:{line} imports {module}"


@pytest.mark.parametrize("path", FILES, ids=rel)
def test_consumers_import_no_concrete_generator(path):
    if floor_of(path) in ("generate", "__init__", "registry"):
        return
    found = [
        f"{rel(path)}:{line} imports {module}"
        for module, line in imports(tree_of(path))
        if module.startswith("augsynth.generate.") and module != "augsynth.generate.base"
    ]
    assert not found


@pytest.mark.parametrize("path", FILES, ids=rel)
def test_torch_only_where_it_belongs(path):
    own = floor_of(path)
    if own in DEEP or (own == "generate" and path.stem in DEEP_GENERATORS):
        return
    heavy = ("torch", "torchvision", "lightning_fabric", "albumentations", "cv2", "matplotlib", "typer")
    allowed = {"typer"} if own == "cli" else set()
    found = [
        f"{rel(path)}:{line} imports {module} at the top"
        for module, line in imports(tree_of(path), top_only=True)
        if module.split(".")[0] in heavy and module.split(".")[0] not in allowed
    ]
    assert not found


def test_generators_run_on_a_bare_gpu_machine():
    barred = ("imblearn", "fairlearn", "albumentations", "typer")
    found = [
        f"{rel(path)}:{line} imports {module}"
        for path in FILES
        if floor_of(path) in ("core", "registry", "encode", "nn", "generate")
        for module, line in imports(tree_of(path))
        if module.split(".")[0] in barred
    ]
    assert not found


@pytest.mark.parametrize("path", FILES, ids=rel)
def test_sizes(path):
    lines = path.read_text(encoding="utf-8").count("\n")
    assert lines <= MAX_FILE_LINES, f"{rel(path)} has {lines} lines"
    for node in ast.walk(tree_of(path)):
        if not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            continue
        doc = ast.get_docstring(node, clean=False) or ""
        length = node.end_lineno - node.lineno + 1 - doc.count("\n")
        assert length <= MAX_FUNCTION_LINES, f"{rel(path)}:{node.lineno} {node.name} has {length} lines"
        if node.name == "__init__":
            count = len(node.args.args) - 1 + len(node.args.kwonlyargs)
            assert count <= MAX_PARAMETERS, f"{rel(path)}:{node.lineno} has {count} constructor parameters"


@pytest.mark.parametrize("path", FILES, ids=rel)
def test_no_global_randomness_pickle_assert_or_print(path):
    banned_calls = {
        "np.random": {
            "default_rng",
            "SeedSequence",
            "Generator",
            "RandomState",
            "get_state",
            "set_state",
            "get_bit_generator",
            "set_bit_generator",
            "MT19937",
            "Philox",
            "PCG64",
        },
        "numpy.random": {"default_rng", "SeedSequence", "Generator"},
    }
    for node in ast.walk(tree_of(path)):
        where = f"{rel(path)}:{getattr(node, 'lineno', 0)}"
        assert not isinstance(node, ast.Assert), f"{where} asserts"
        if isinstance(node, ast.Call):
            name = ast.unparse(node.func)
            prefix, _, last = name.rpartition(".")
            if prefix in banned_calls:
                assert last in banned_calls[prefix], f"{where} draws from a global generator: {name}"
            assert name not in ("torch.manual_seed", "torch.seed", "random.seed", "seed_everything"), where
            assert name not in ("torch.load", "pickle.load", "pickle.loads", "yaml.load", "eval", "exec"), (
                where
            )
            assert name != "print" or floor_of(path) == "cli", f"{where} prints"
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("sklearn."):
            private = [part for part in node.module.split(".") if part.startswith("_")]
            assert not private, f"{where} imports the private {node.module}"


def test_init_files_only_reexport():
    for path in FILES:
        if path.name == "__init__.py" and path.parent != PACKAGE:
            kinds = (ast.Expr, ast.Import, ast.ImportFrom, ast.Assign, ast.AnnAssign)
            lazy = {"__getattr__", "__dir__"}
            odd = [
                node
                for node in tree_of(path).body
                if not isinstance(node, kinds) and getattr(node, "name", "") not in lazy
            ]
            assert not odd, f"{rel(path)}:{odd[0].lineno} does more than re-export"


def test_import_is_light_and_quick():
    code = (
        "import sys, time; t = time.perf_counter(); import augsynth; t = time.perf_counter() - t;"
        "bad = {'torch', 'cv2', 'albumentations', 'torchvision'} & set(sys.modules);"
        "assert not bad, bad; assert t < 0.3, t"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_every_public_name_exists():
    import augsynth

    for name in augsynth.__all__:
        assert getattr(augsynth, name) is not None
    assert set(dir(augsynth)) >= set(augsynth.__all__)

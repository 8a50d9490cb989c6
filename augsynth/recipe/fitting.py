"""Training a generator from the command line: what is read, how it is trained, what is written."""

from __future__ import annotations

import inspect
import json
import time
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from augsynth import registry
from augsynth.core.errors import DataError, ParameterError, RecipeError, offenders, sentence
from augsynth.recipe.images import DIGITS, holds_images, read_images
from augsynth.recipe.overrides import override
from augsynth.recipe.problems import component_problems
from augsynth.recipe.tables import SKLEARN, Destination, read_dates, read_source
from augsynth.recipe.wording import duration, meant, warned

__all__ = ["Fitting", "resume_words"]


_READING = ("dates", "missing", "modality", "separator")


class Fitting:
    """One training of one generator.

    Parameters
    ----------
    source : str
        A table, a folder of class folders, an .npz file, or a set of scikit-learn's.
    kind : str
        The kind of the generator in the registry.
    target : str, optional
        The column of the labels; images bring their own.
    groups : sequence of str
        Columns of groups to condition on; they stay in the table.
    settings : sequence of str
        Parameters such as ``trainer.batch_size=64``, the value read as YAML; and how a text
        table is read, in the words of a recipe: ``data.separator=;``, ``data.dates=[visit]``,
        ``data.modality=images`` (for ``sklearn:digits``).
    seed : int

    Raises
    ------
    RecipeError
        With every problem of the generator's parameters.
    """

    def __init__(
        self,
        source: str,
        kind: str,
        *,
        target: str | None = None,
        groups: Sequence[str] = (),
        settings: Sequence[str] = (),
        seed: int = 0,
    ):
        self.source, self.target, self.groups = source, target, list(groups)
        raw: dict[str, Any] = {"generator": {"kind": kind}, "data": {}}
        said = [text if text.startswith("data.") else f"generator.{text}" for text in settings]
        problems = override(raw, said)[1]
        self.spec, self.reading = raw["generator"], raw["data"]
        problems += [
            f"data.{key}: unknown key{meant(key, _READING)}; known: {', '.join(_READING)}"
            for key in self.reading
            if key not in _READING
        ]
        problems += component_problems("generator", self.spec, "generator")
        if problems:
            raise RecipeError([text.replace("generator.", "--set ", 1) for text in problems])
        self._known = inspect.signature(registry.resolve("generator", self.spec["kind"])).parameters
        if "random_state" in self._known:
            self.spec.setdefault("random_state", seed)
        self.generator: Any = None
        self._told: dict[str, Any] = {}

    def set_trainer(self, *, pictures: str | None = None, **parameters: Any) -> None:
        """Set parameters of the trainer, None for those that are left alone."""
        given = {name: value for name, value in parameters.items() if value is not None}
        if "trainer" not in self._known:
            asked = [*given, *(["pictures"] if pictures else [])]
            if asked:
                must = f"the generator {self.spec['kind']!r} is not trained in steps"
                raise ParameterError(sentence("fit", must, "--" + ", --".join(asked), "Leave them out."))
            return
        trainer = dict(self.spec.get("trainer") or {})
        options = {"progress": True, **(trainer.get("options") or {})}
        if pictures:
            options["pictures"] = pictures
        self._told = {"options": trainer.get("options")}
        self.spec["trainer"] = {**trainer, **given, "options": options}

    def check_output(self, model: str, *, force: bool) -> None:
        """Refuse, before any work, to overwrite an input or (without force) an existing file."""
        path = Path(model)
        trainer = self.spec.get("trainer") or {}
        inputs = [] if self.source.startswith(SKLEARN) else [self.source]
        kept = [trainer["checkpoint"]] if trainer.get("checkpoint") else []
        Destination(path.parent, force=force).check([path.name], inputs=[*inputs, *kept])

    def run(self, tell: Callable[[str], None]) -> None:
        """Read the data and train; what is warned of is told at the end."""
        self.generator = registry.build("generator", self.spec)
        X, y, groups = self._read(tell)
        checkpoint = (self.spec.get("trainer") or {}).get("checkpoint")
        if checkpoint and Path(checkpoint).exists():
            tell(f"{_at_step(checkpoint)}: going on from there.")
        started = time.perf_counter()
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            self.generator.fit(X, y, sensitive_features=groups)
        self._seconds = time.perf_counter() - started
        for line in warned(caught):
            tell(f"note: {line}")

    def _read(self, tell: Callable[[str], None]) -> tuple[Any, Any, Any]:
        reading = dict(self.reading)
        modality = reading.pop("modality", None)
        images = holds_images(self.source) or (self.source == DIGITS and modality == "images")
        if modality not in (None, "images" if images else "table"):
            must = "data.modality must be what the source is, table or images"
            raise ParameterError(sentence("fit", must, repr(modality), "Leave it out."))
        if images:
            if self.target or self.groups:
                raise ParameterError(
                    "fit: images bring their labels; given --target or --group. Leave it out."
                )
            X, y = read_images(self.source)
            shape = " x ".join(map(str, X.shape[1:]))
            tell(f"data: {len(X):,} images of {shape}{_classes(y)}")
            return X, y, None
        dates = reading.pop("dates", [])
        frame = read_dates(read_source(self.source, **reading), [dates] if isinstance(dates, str) else dates)
        target = self.target or ("target" if self.source.startswith(SKLEARN) else None)
        wanted = [*([target] if target else []), *self.groups]
        if unknown := [name for name in wanted if name not in frame.columns]:
            near = meant(unknown[0], frame.columns).removeprefix("; ")
            hint = near[:1].upper() + near[1:] or f"There are: {offenders(list(frame.columns), 12)}."
            raise DataError(sentence("fit", "the columns must be in the table", offenders(unknown), hint))
        y = frame.pop(target) if target else None
        groups = frame[self.groups] if self.groups else None
        tell(f"data: {len(frame):,} rows x {frame.shape[1]} columns{_classes(y)}")
        return frame, y, groups

    def write(self, model: str) -> str:
        """Save the generator, drop the checkpoint that is no longer needed, and say what was done."""
        path, generator = Path(model), self.generator
        path.parent.mkdir(parents=True, exist_ok=True)
        if self._told:  # where it was trained from is no part of a model, which others may get
            generator.set_params(trainer__checkpoint=None, trainer__options=self._told["options"] or None)
        generator.save(path)
        checkpoint = (self.spec.get("trainer") or {}).get("checkpoint")
        if checkpoint:
            Path(checkpoint).unlink(missing_ok=True)
        said = f"{path} ({path.stat().st_size / 1e6:.1f} MB): {self.spec['kind']}"
        history = getattr(generator, "history_", None)
        if history is None:
            return f"{said}, fitted in {duration(self._seconds)}"
        steps = f"{history.steps:,} steps in {duration(history.seconds)} on {history.device}"
        resumed = f", taken up at step {history.resumed_from:,}" if history.resumed_from else ""
        return f"{said}, {steps}{resumed}"


def _classes(y: Any) -> str:
    if y is None:
        return ", no labels"
    counts = pd.Series(np.asarray(y)).value_counts()
    if len(counts) > 12:
        return f", {len(counts):,} different labels"
    return ", " + ", ".join(f"{label}: {n:,}" for label, n in counts.items())


def _at_step(checkpoint: str) -> str:
    """Say how far the run of a checkpoint had come."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(checkpoint, framework="numpy") as opened:
            facts = json.loads((opened.metadata() or {})["facts"])
        return f"{checkpoint} holds step {facts['step']:,} of {facts['planned']:,}"
    except (OSError, SafetensorError, KeyError, ValueError):
        return f"{checkpoint} is there"


def resume_words(checkpoint: str | None) -> str:
    """Say how a training that was stopped can go on."""
    if checkpoint is None:
        return "With --checkpoint FILE the same command could go on from there."
    if not Path(checkpoint).exists():
        return f"{checkpoint} was not written yet, so the same command starts anew."
    return f"{_at_step(checkpoint)}; the same command goes on from there."

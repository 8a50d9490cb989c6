"""The files of a run: enlarged table, provenance, held-out rows, model, report and pictures; all or none."""

from __future__ import annotations

import importlib.metadata
import inspect
import json
import math
import platform
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from augsynth import registry
from augsynth.recipe.clips import write_clips
from augsynth.recipe.copies import plot_clips, write_samples
from augsynth.recipe.filling import row_counts
from augsynth.recipe.pictures import plot_counts, plot_marginals, plot_samples
from augsynth.recipe.problems import takes_generator
from augsynth.recipe.reporting import makes_report
from augsynth.recipe.schema import Recipe
from augsynth.recipe.tables import Destination, write_table

if TYPE_CHECKING:
    from augsynth.recipe.run import Run

__all__ = ["output_names", "plain", "report_of", "versions", "write_outputs"]

_SAMPLES = {"table": "marginals.png", "images": "samples.png", "audio": "samples.png", "text": "samples.txt"}
_PACKAGES = ("augsynth", "numpy", "pandas", "scikit-learn", "imbalanced-learn", "torch")


def output_names(recipe: Recipe) -> list[str]:
    """Name the files that a run of the recipe may write; known before the run."""
    modality, style = recipe.data.modality, recipe.output.format
    ending = {"images": ".npz", "audio": ""}.get(modality, f".{style}")  # clips: a folder of wav files
    rows = [f"enlarged{ending}", f"held_out{ending}", f"provenance.{style}"]
    names = [*rows, "report.json", "recipe.yaml", "counts.png"]
    if makes_report(recipe):
        names.append("report.html")
    if recipe.compare is not None:
        names.append("comparison.png")
    if takes_generator(recipe.resampler.kind):
        names += ["model.safetensors", _SAMPLES[modality]]
    if recipe.generator is not None and _is_trained(recipe.generator.kind):
        names.append("losses.png")
    return names


def _is_trained(kind: str) -> bool:
    return "trainer" in inspect.signature(registry.resolve("generator", kind)).parameters


def write_outputs(run: Run, destination: Destination) -> list[Path]:
    """Write every file into a staged folder, and let them appear together."""
    recipe, parts, style = run.recipe, run.parts, run.recipe.output.format
    with destination.staged() as folder:
        files = _write_rows(run, folder)
        if hasattr(run.resampler, "provenance_"):
            passport = _flat(run.resampler.provenance_)
            if files is not None:
                passport.insert(0, "file", files)
            if parts.holed is not None:
                passport["imputed_cells"] = row_counts(parts.holed, len(passport))
            write_table(passport, folder / f"provenance.{style}")
        if hasattr(run.resampler, "generator_"):
            generator = run.resampler.generator_
            generator.save(folder / "model.safetensors")
            if getattr(generator, "history_", None) is not None:
                from augsynth.nn.pictures import loss_curves

                loss_curves(generator.history_, folder / "losses.png")
        title = f"{recipe.name}: training {parts.noun} before and after"
        plot_counts(run.counts, folder / "counts.png", title=title, noun=parts.noun)
        _show_new_rows(run, folder / _SAMPLES[parts.modality])
        if run.comparison is not None:
            run.comparison.plot(folder / "comparison.png")
        if run.report is not None:
            run.report.to_html(folder / "report.html")
        (folder / "recipe.yaml").write_text(recipe.to_yaml(), encoding="utf-8")
        written = sorted(path.name for path in folder.iterdir())
        text = json.dumps(
            report_of(run, [*written, "report.json"]), indent=2, ensure_ascii=False, allow_nan=False
        )
        (folder / "report.json").write_text(text + "\n", encoding="utf-8")
    return [destination.directory / name for name in sorted([*written, "report.json"])]


def _write_rows(run: Run, folder: Path) -> list[str] | None:
    """Write the enlarged set and the held-out one; return the file of each row, of clips."""
    parts, style = run.parts, run.recipe.output.format
    if parts.modality == "images":
        _write_images(run.X, run.y, folder / "enlarged.npz")
        _write_images(parts.X_test, parts.y_test, folder / "held_out.npz")
        return None
    if parts.modality == "audio" and parts.rate is not None:
        write_clips(parts.X_test, parts.y_test, folder / "held_out", parts.rate)
        return write_clips(run.X, run.y, folder / "enlarged", parts.rate)
    enlarged = [run.X, _bands(run), run.y.rename(run.recipe.data.target)]
    write_table(pd.concat(enlarged, axis=1), folder / f"enlarged.{style}")
    write_table(pd.concat([parts.X_test, parts.y_test], axis=1), folder / f"held_out.{style}")
    return None


def _bands(run: Run) -> pd.DataFrame | None:
    """Return the group columns that are not columns of the table already."""
    groups = getattr(run.resampler, "sensitive_features_", None)
    if not isinstance(groups, pd.DataFrame):
        return None
    in_table = run.X.columns if run.parts.modality == "table" else [run.X.name]
    own = groups[[name for name in groups.columns if name not in in_table]]
    return own.reset_index(drop=True)


def _write_images(images: np.ndarray, labels: pd.Series, path: Path) -> None:
    values = labels.to_numpy()
    texts = values.dtype == object or not isinstance(labels.dtype, np.dtype)
    np.savez_compressed(path, images=images, labels=values.astype(str) if texts else values)


def _flat(provenance: pd.DataFrame) -> pd.DataFrame:
    """Turn what a text file cannot hold (lists of parents) into text."""
    flat = provenance.copy()
    for name in flat.columns:
        if flat[name].map(lambda cell: isinstance(cell, (list, tuple, np.ndarray))).any():
            flat[name] = flat[name].map(lambda cell: " ".join(map(str, np.ravel(cell))))
    return flat


def _show_new_rows(run: Run, path: Path) -> None:
    parts, n = run.parts, len(run.parts.y)
    before, after = run.cells()
    if not hasattr(run.resampler, "generator_") or len(after) == n:
        return
    title = run.recipe.name
    if parts.modality == "images":
        plot_samples(parts.X, before, run.X[n:], after.iloc[n:], path, title=title)
        return
    if parts.modality in ("audio", "text"):
        sources = _sources(run)
        if parts.modality == "text":
            write_samples(run.X, after, sources, n, path, title=title)
        else:
            plot_clips(run.X, after, sources, n, path, title=title, rate=parts.rate or 16000)
        return
    # Only the cell with the most new rows: over several, their shares would make a difference of their own.
    cell = after.iloc[n:].value_counts().index[0]
    real, new = run.parts.X[(before == cell).to_numpy()], run.X.iloc[n:][(after.iloc[n:] == cell).to_numpy()]
    title = f"{cell}: {len(real):,} real and {len(new):,} new rows; the columns that differ most"
    plot_marginals(real, new, path, title=title)


def _sources(run: Run) -> np.ndarray:
    """Return the position of the parent of every row, -1 where there is none."""
    return run.resampler.provenance_["source"].fillna(-1).to_numpy(dtype=np.int64)


def report_of(run: Run, files: list[str]) -> dict[str, Any]:
    """Return everything that the run found, as plain JSON values."""
    recipe, parts = run.recipe, run.parts
    cells = run.counts.rename_axis("cell").reset_index().to_dict(orient="records")
    report: dict[str, Any] = {
        "name": recipe.name,
        "verdict": None,
        "recipe": recipe.model_dump(mode="json"),
        "notes": run.notes,
        "rows": {"training": len(parts.y), "enlarged": len(run.y), "held_out": len(parts.y_test)},
        "modality": parts.modality,
        "columns": [str(name) for name in parts.X.columns] if parts.modality == "table" else [],
        "images": list(parts.X.shape[1:]) if parts.modality == "images" else None,
        "sample_rate": parts.rate,
        "counts": cells,
        "held_out": run.held_out.to_dict(orient="index"),
        "held_out_means": "one split, no interval: an illustration; the verdict is the comparison's",
        "training": _training_of(run),
        "seconds": {name: round(value, 2) for name, value in run.seconds.items()},
        "files": sorted(files),
        "versions": versions(),
    }
    if run.report is not None:
        report["checks"] = {name: each for name, each in run.report.to_dict().items() if name != "comparison"}
    if run.comparison is not None and run.plan is not None:
        report["comparison"] = {"plan": vars(run.plan), **run.comparison.to_dict()}
        report["verdict"] = {
            "word": {name: str(word) for name, word in run.comparison.verdicts["in all"].items()},
            "sentences": run.comparison.summary().splitlines(),
        }
    return plain(report)


def _training_of(run: Run) -> dict[str, Any] | None:
    """Return how the generator was trained, if it was in steps."""
    history = getattr(getattr(run.resampler, "generator_", None), "history_", None)
    if history is None:
        return None
    alarms = [{"step": step, "text": text} for step, text in history.alarms]
    return {
        "steps": history.steps,
        "device": history.device,
        "seconds": round(history.seconds, 2),
        "alarms": alarms,
    }


def versions() -> dict[str, str]:
    """Return the versions of what a run rests on."""
    found = {"python": platform.python_version()}
    for name in _PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def plain(value: Any) -> Any:
    """Turn numpy and pandas values into JSON's own; what is not a number becomes null."""
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple, set, np.ndarray, pd.Series, pd.Index)):
        return [plain(item) for item in (value.tolist() if hasattr(value, "tolist") else value)]
    if isinstance(value, pd.DataFrame):
        return [plain(row) for row in value.to_dict(orient="records")]
    if isinstance(value, (np.integer, np.floating, np.bool_)):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value if value is None or isinstance(value, (bool, int, float, str)) else str(value)

"""How each method of the benchmarks makes rows: generators of the registry, controls, peers."""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from harness import Cost, NotHere, measured

PEERS = ("ctgan", "tvae")
PEER_SCRIPT = Path(__file__).resolve().parent / "peers" / "ctgan_tvae.py"
PEER_PYTHON = Path(__file__).resolve().parents[1] / ".bench-peers" / "bin" / "python"
MISSING = "(missing)"


@dataclass
class Made:
    """Made rows, what they cost, and the fitted generator (None where there is none)."""

    X: pd.DataFrame
    y: np.ndarray
    fit: Cost
    sample: Cost
    generator: Any = None
    notes: dict[str, Any] = field(default_factory=dict)


def generator(kind: str, seed: int) -> Any:
    """Build a generator of the registry at its defaults.

    Raises
    ------
    NotHere
        If no such generator is registered, or its module is not there.
    """
    from augsynth import registry

    if kind not in registry.names("generator"):
        raise NotHere(f"no generator {kind!r} in the registry")
    try:
        return registry.build("generator", {"kind": kind, "random_state": seed})
    except ImportError as error:
        raise NotHere(f"generator {kind!r} cannot be imported: {error}") from error


def registered(*, leave_out: tuple[str, ...] = ("function",)) -> list[str]:
    """Return the kinds of the registry that can be fitted without more ado."""
    from augsynth import registry

    return [kind for kind in registry.names("generator") if kind not in leave_out]


def from_generator(kind: str, X: pd.DataFrame, y: np.ndarray, wanted: np.ndarray, seed: int) -> Made:
    """Fit a registered generator on (X, y) and sample rows of the labels wanted."""
    model = generator(kind, seed)
    _, fit = measured(model.fit, X, y)
    made, sample = measured(model.sample, y=wanted, random_state=seed)
    return Made(made, wanted, fit, sample, model)


# ------------------------------------------------------------------ controls
def _without_missing(X: pd.DataFrame) -> pd.DataFrame:
    """Categories as objects with a level for missing: what the peers can read."""
    out = X.copy()
    for name in X.columns:
        if isinstance(X[name].dtype, pd.CategoricalDtype):
            out[name] = X[name].astype(object).where(X[name].notna(), MISSING)
        elif X[name].isna().any():
            raise NotHere(f"missing numbers in {name!r}: this peer refuses them")
    return out


def _with_missing(made: pd.DataFrame, like: pd.DataFrame) -> pd.DataFrame:
    out = pd.DataFrame(index=range(len(made)))
    for name in like.columns:
        values = made[name].reset_index(drop=True)
        if isinstance(like[name].dtype, pd.CategoricalDtype):
            text = values.astype(object).where(values.astype(object) != MISSING, None)
            out[name] = pd.Categorical(text, categories=like[name].cat.categories)
        else:
            out[name] = pd.to_numeric(values)
    return out


def imblearn_smote(X: pd.DataFrame, y: np.ndarray, wanted: np.ndarray, seed: int) -> Made:
    """imbalanced-learn's SMOTENC (SMOTE if all is numeric) as a generator of whole tables.

    It adds rows to those it is given; the added rows are the made ones.
    """
    from imblearn.over_sampling import SMOTE, SMOTENC

    plain = _without_missing(X)
    kinds = [j for j, name in enumerate(X.columns) if isinstance(X[name].dtype, pd.CategoricalDtype)]
    have = {int(k): int((y == k).sum()) for k in np.unique(y)}
    asked = {k: int((wanted == k).sum()) for k in have}
    options = {
        "sampling_strategy": {k: have[k] + asked[k] for k in have if asked[k]},
        "random_state": seed,
        "k_neighbors": min(5, min(have[k] for k in have if asked[k]) - 1),
    }
    sampler = SMOTENC(categorical_features=kinds, **options) if kinds else SMOTE(**options)
    (made, labels), cost = measured(sampler.fit_resample, plain, y)
    made, labels = made.iloc[len(X) :].reset_index(drop=True), np.asarray(labels)[len(X) :]
    order = np.empty(len(wanted), np.intp)
    for k in have:
        order[wanted == k] = np.flatnonzero(labels == k)
    return Made(_with_missing(made.iloc[order], X), wanted, Cost(0.0, 0.0), cost)


def independent_columns(X: pd.DataFrame, y: np.ndarray, wanted: np.ndarray, seed: int) -> Made:
    """Every column drawn on its own within the label: the control that wins marginal errors."""
    rng = np.random.default_rng([seed, 3])

    def draw() -> pd.DataFrame:
        columns = {}
        for name in X.columns:
            rows = np.empty(len(wanted), np.intp)
            for k in np.unique(wanted):
                rows[wanted == k] = rng.choice(np.flatnonzero(y == k), (wanted == k).sum())
            columns[name] = X[name].iloc[rows].reset_index(drop=True)
        return pd.DataFrame(columns)

    made, cost = measured(draw)
    return Made(made, wanted, Cost(0.0, 0.0), cost)


def copied(X: pd.DataFrame, y: np.ndarray, wanted: np.ndarray, seed: int) -> Made:
    """Training rows as they are, each once before any comes twice: random oversampling."""
    rng = np.random.default_rng([seed, 4])
    rows = np.empty(len(wanted), np.intp)
    for k in np.unique(wanted):
        own, n = np.flatnonzero(y == k), int((wanted == k).sum())
        rounds = [rng.permutation(own) for _ in range(-(-n // len(own)))]
        rows[wanted == k] = np.concatenate(rounds)[:n]
    made, cost = measured(lambda: X.iloc[rows].reset_index(drop=True))
    return Made(made, wanted, Cost(0.0, 0.0), cost)


CONTROLS: dict[str, Callable[..., Made]] = {
    "copy": copied,
    "independent_columns": independent_columns,
    "imblearn_smote": imblearn_smote,
}


def make(method: str, X: pd.DataFrame, y: np.ndarray, wanted: np.ndarray, seed: int) -> Made:
    """Make rows of the labels wanted by a control or a generator of the registry."""
    if method in CONTROLS:
        return CONTROLS[method](X, y, wanted, seed)
    return from_generator(method, X, y, wanted, seed)


# ------------------------------------------------------------------ peers
def peer_python(given: Path | None = None) -> Path:
    """Return the interpreter of the peers' own environment (``make bench-peers``)."""
    found = Path(given or os.environ.get("AUGSYNTH_PEERS_PYTHON") or PEER_PYTHON)
    if not found.exists():
        raise NotHere("the peers have no environment here: run `make bench-peers`")
    return found


def from_peer(
    method: str, X: pd.DataFrame, y: np.ndarray, seed: int, *, full: bool, python: Path | None = None
) -> tuple[Made | None, dict[str, Any]]:
    """Run CTGAN or TVAE in its own environment: made rows (only in full) and costs.

    Short of ``full``, 5 epochs are timed and the cost of the default 300 is scaled from
    them (the preparation of the table counts once); rows of such a short training say
    nothing and are not judged.
    """
    interpreter = peer_python(python)
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        frame = _without_missing(X).assign(label__=y)
        frame.to_csv(place / "train.csv.gz", index=False)
        discrete = [c for c in X.columns if isinstance(X[c].dtype, pd.CategoricalDtype)] + ["label__"]
        order = {"method": method, "seed": seed, "full": full, "rows": len(X), "discrete": discrete}
        (place / "order.json").write_text(json.dumps(order))
        done = subprocess.run(
            [str(interpreter), str(PEER_SCRIPT), str(place)], capture_output=True, text=True, check=False
        )
        if done.returncode != 0:
            raise NotHere(f"{method} failed: {(done.stderr.strip().splitlines() or ['no message'])[-1]}")
        costs = json.loads((place / "costs.json").read_text())
        if not full:
            return None, costs
        made = pd.read_csv(place / "made.csv.gz", keep_default_na=False, dtype=dict.fromkeys(discrete, str))
    labels = made["label__"].astype(int).to_numpy()
    fit = Cost(costs["fit_cpu_s"], costs["fit_wall_s"])
    sample = Cost(costs["sample_cpu_s"], costs["sample_wall_s"])
    return Made(_with_missing(made.drop(columns="label__"), X), labels, fit, sample, None, costs), costs

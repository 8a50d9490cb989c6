"""Figures of groups, through fairlearn's MetricFrame, with what their intervals need."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import pandas as pd

from augsynth.check.bias.rates import Measure, Tally, Targets, macro_recall, measures, r_squared, tally
from augsynth.core.errors import ParameterError, sentence
from augsynth.core.random import keyed_rng

__all__ = ["Figure", "default_figures", "own_figures"]

_STREAM, _BLOCKS = 333, 20
_MOST_FRAMED = 200  # groups: MetricFrame takes a millisecond a group and metric


@dataclass(frozen=True, eq=False)
class Figure:
    """One line of the table of gaps: a measure, or several judged jointly."""

    name: str
    words: str
    tallies: Sequence[Tally]
    lacking: Sequence[str]
    families: Sequence[str] = ("",)
    better: str = ""
    kind: str = "rate"
    criterion: str = ""


def _inside_mean(y_true: Any, y_pred: Any, *, value: Any, inside: Any, sample_weight: Any) -> float:
    """Return the mean of the rows that count, NaN if there are none: what MetricFrame calls for a group."""
    inside = np.asarray(inside, dtype=bool)
    weight = np.asarray(sample_weight, dtype=float)[inside]
    total = weight.sum()
    return float(weight @ np.asarray(value, dtype=float)[inside] / total) if total > 0 else float("nan")


def _by_group(
    metrics: Mapping[str, Callable[..., float]],
    y_true: np.ndarray,
    y_pred: np.ndarray,
    codes: np.ndarray,
    sample_params: Mapping[str, Mapping[str, np.ndarray]],
) -> pd.DataFrame:
    """Return fairlearn's figures, a row a group in the order of codes."""
    from fairlearn.metrics import MetricFrame

    frame = MetricFrame(
        metrics=dict(metrics),
        y_true=y_true,
        y_pred=y_pred,
        sensitive_features=pd.Series(codes, name="group"),
        sample_params={name: dict(params) for name, params in sample_params.items()},
    )
    return frame.by_group.astype(float).sort_index()


def default_figures(
    targets: Targets,
    pred: np.ndarray,
    listed: Sequence[Measure],
    codes: np.ndarray,
    g: int,
    weights: np.ndarray | None,
) -> list[Figure]:
    """Return the figures that these targets have, by group."""
    shown = _shares(targets, pred, codes, g, weights)
    figures, tallies = [], {}
    for each in listed:
        counted = tally(each.value, each.inside, codes, g, weights)
        if each.name in shown:
            values = shown[each.name].to_numpy()
            counted = Tally(values, counted.deviations, counted.rows, counted.counts)
        tallies[each.name] = counted
        about = (each.better, each.kind, each.criterion)
        figures.append(Figure(each.name, each.words, [counted], [each.lacking], ("",), *about))
    return figures + _joint(targets, pred, listed, tallies, codes, g, weights)


def _shares(
    targets: Targets, pred: np.ndarray, codes: np.ndarray, g: int, weights: np.ndarray | None
) -> pd.DataFrame:
    """Return fairlearn's rates from the distinct combinations of group, label and prediction.

    MetricFrame takes each column of each group apart row by row, which costs seconds at 100,000 rows;
    a rate depends on the weights of these few combinations alone.
    """
    if targets.kind == "number" or g > _MOST_FRAMED:
        return pd.DataFrame()
    c = max(len(targets.classes), 2)
    cells = (codes * c + targets.true) * c + pred
    total = np.bincount(cells, weights)
    seen = np.flatnonzero(np.bincount(cells))
    true, said = seen // c % c, seen % c
    own = measures(replace(targets, true=true), said)
    params = {
        each.name: {"value": each.value, "inside": each.inside, "sample_weight": total[seen]} for each in own
    }
    return _by_group({each.name: _inside_mean for each in own}, true, said, seen // c**2, params)


def _joint(
    targets: Targets,
    pred: np.ndarray,
    listed: Sequence[Measure],
    tallies: Mapping[str, Tally],
    codes: np.ndarray,
    g: int,
    weights: np.ndarray | None,
) -> list[Figure]:
    """Return what takes several measures together: equalised odds, all classes at once, R2."""
    if targets.kind == "number":
        found = r_squared(targets.true, pred, codes, g, weights)
        return [Figure("r2", "R2", [found], ["spread of y"], better="high", kind="mean")]

    def families(names: Sequence[str], name: str, words: str, criterion: str) -> Figure:
        lacking = [each.lacking for each in listed if each.name in names]
        own = [tallies[each] for each in names]
        return Figure(name, words, own, lacking, names, "", "rate", criterion)

    if targets.kind == "binary":
        names = ["true_positive_rate", "false_positive_rate"]
        words = "the larger of the gaps in true- and false-positive rate"
        return [families(names, "equalized_odds", words, "equalised odds")]
    recalls = [each.name for each in listed if each.name.startswith("recall[")]
    chosen = [each.name for each in listed if each.name.startswith("selection_rate[")]
    mean = macro_recall([tallies[name] for name in recalls])
    return [
        Figure(
            "macro_recall",
            "mean recall of all classes",
            [mean],
            ["rows of some class"],
            ("",),
            "high",
            "mean",
        ),
        families(recalls, "equal_recall", "the largest gap in the recall of any class", "equal opportunity"),
        families(
            chosen, "equal_selection", "the largest gap in the share of any class", "demographic parity"
        ),
    ]


def _called(name: str, metric: Callable[..., float], y_true: Any, y_pred: Any, **weights: Any) -> float:
    """Return the user's metric of some rows; a failure says which metric it was."""
    try:
        found: Any = metric(y_true, y_pred, **weights)
    except Exception as problem:
        given = f"{type(problem).__name__}: {problem}"
    else:
        try:
            return float(found)
        except (TypeError, ValueError):
            given = f"{type(found).__name__} {found!r}"
    must = f"metric {name!r} must return a number for the rows of a group"
    raise ParameterError(sentence("group_metrics", must, given))


def own_figures(
    metrics: Mapping[str, Callable[..., float]],
    y_true: np.ndarray,
    y_pred: np.ndarray,
    codes: np.ndarray,
    g: int,
    weights: np.ndarray | None,
) -> list[Figure]:
    """Return the user's metrics; their spread from leaving out one block of rows of a group after another."""
    metrics = {name: partial(_called, name, metric) for name, metric in metrics.items()}
    extra = {} if weights is None else {"sample_weight": weights}
    shown = _by_group(metrics, y_true, y_pred, codes, dict.fromkeys(metrics, extra))
    rows = np.bincount(codes, minlength=g)
    blocks = np.minimum(_BLOCKS, rows)
    order = keyed_rng(0, _STREAM).permutation(len(codes))
    members = [order[codes[order] == group] for group in range(g)]
    figures = []
    for name, metric in metrics.items():
        error = np.full(g, np.nan)
        for group, own in enumerate(members):
            if len(own) < 2:
                continue
            cut = np.arange(len(own)) % blocks[group]
            kept = [own[cut != block] for block in range(blocks[group])]
            left = [
                float(metric(y_true[k], y_pred[k], **{key: each[k] for key, each in extra.items()}))
                for k in kept
            ]
            error[group] = np.sqrt((blocks[group] - 1) * np.var(left))
        counted = Tally(
            shown[name].to_numpy(), error * np.sqrt(blocks), rows.astype(float), blocks.astype(float)
        )
        figures.append(Figure(name, name.replace("_", " "), [counted], ["rows"], kind="mean"))
    return figures

"""How many new rows to add: a curve over ratios, and the ratio chosen without looking at the test rows."""

from __future__ import annotations

import sys
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from sklearn.utils.parallel import Parallel, delayed

from augsynth.check.downstream.curve_folds import ADDS, CurveFold, Maker, one_fold
from augsynth.check.intervals import Interval, corrected_interval, holm
from augsynth.check.records import plain, records
from augsynth.check.utility.inputs import check_estimator
from augsynth.check.utility.leak import refuse_frozen
from augsynth.check.utility.plan import Asked, check_numbers, make_plan, note_twins, plan_metrics
from augsynth.check.utility.splits import Split, make_splits
from augsynth.check.utility.table import difference_format, interval_text
from augsynth.check.utility.verdict import HELPS, HURTS, NO_EVIDENCE
from augsynth.core.errors import InputTypeError, ParameterError, sentence
from augsynth.core.parameters import check_number, check_option
from augsynth.core.progress import busy, say
from augsynth.core.random import resolve_seed

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["CHOSEN", "NEW_ONLY", "RatioCurve", "ratio_curve"]

CHOSEN, NEW_ONLY = "chosen inside", "new only"
_WHERE = "ratio_curve"
_MOST_NEW = 10_000_000  # rows that are made at once and held in memory


@dataclass(frozen=True, repr=False)
class RatioCurve:
    """What `ratio_curve` found. ``print`` it for a table, ``plot`` it for the curve.

    Attributes
    ----------
    table : DataFrame
        A row a ratio, then "new only" and "chosen inside": ratio, rows_added, score, low,
        high, difference (to ratio 0), diff_low, diff_high, p_value (two-sided), p_holm, verdict.
    folds : DataFrame
        repeat, fold, ratio, score of every fit that was scored on an outer test fold.
    chosen : Series
        How many outer folds chose each ratio.
    metric, metric_words : str
    settings : dict
    notes : list of str
    """

    table: pd.DataFrame
    folds: pd.DataFrame
    chosen: pd.Series
    metric: str
    metric_words: str
    settings: dict[str, Any]
    notes: list[str]

    def to_frame(self) -> pd.DataFrame:
        """Return a copy of ``table``."""
        return self.table.copy()

    def to_dict(self) -> dict[str, Any]:
        """Return everything as plain values, ready for JSON."""
        return {
            "metric": self.metric,
            "metric_words": self.metric_words,
            "verdict": self.verdict,
            "sentences": self.summary().splitlines(),
            "ratios": records(self.table),
            "chosen": [{"ratio": float(ratio), "folds": int(n)} for ratio, n in self.chosen.items()],
            "folds": records(self.folds),
            "notes": list(self.notes),
            "settings": plain(self.settings),
        }

    @property
    def verdict(self) -> str:
        """The word on the ratio chosen inside; without it, on the ratios after Holm's allowance."""
        by_name = self.table.set_index("ratio")["verdict"]
        if CHOSEN in by_name.index:
            return str(by_name[CHOSEN])
        words = set(by_name) - {""}
        return HELPS if HELPS in words else HURTS if words == {HURTS} else NO_EVIDENCE

    def summary(self) -> str:
        """Say what was found."""
        rows = self.table.set_index("ratio")
        decimals = difference_format(self.table)
        ratios = rows.drop(index=[NEW_ONLY, CHOSEN], errors="ignore")
        best = ratios["score"].astype(float).idxmax()
        told = [
            f"The highest mean {self.metric_words} on the curve is at ratio {best:g} "
            f"({ratios.loc[best, 'score']:.{decimals}f}; nothing added: "
            f"{ratios['score'].iloc[0]:.{decimals}f}). It is the highest of {len(ratios)}, "
            "so on the bright side."
        ]
        if CHOSEN in rows.index:
            row = rows.loc[CHOSEN]
            often = ", ".join(
                f"{ratio:g} ({count} of {self.chosen.sum()})" for ratio, count in self.chosen.items()
            )
            word = {HELPS: "adding helps", HURTS: "adding hurts"}.get(
                str(row["verdict"]), "no evidence that it helps"
            )
            told.append(
                f"Chosen inside the training folds alone: {row['score']:.{decimals}f}, "
                f"{row['difference']:+.{decimals}f} against nothing added, interval "
                f"{interval_text(row['diff_low'], row['diff_high'], decimals)}: {word}. "
                f"Ratios chosen: {often}."
            )
        if NEW_ONLY in rows.index:
            row = rows.loc[NEW_ONLY]
            told.append(
                f"Trained on {row['rows_added']:.0f} new rows alone: {row['score']:.{decimals}f}, "
                f"{row['difference']:+.{decimals}f} against {self.settings['training_rows']:.0f} real ones."
            )
        return "\n".join(told)

    def __str__(self) -> str:
        """Return the table and the sentences as text."""
        decimals = difference_format(self.table)
        lines = [["ratio", "new rows", "score", "against none", "interval", "verdict"]]
        for _, row in self.table.iterrows():
            ratio = row["ratio"] if isinstance(row["ratio"], str) else f"{row['ratio']:g}"
            told = [ratio, f"{row['rows_added']:.0f}", f"{row['score']:.{decimals}f}"]
            if np.isfinite(row["difference"]) and row["ratio"] != 0:
                told += [f"{row['difference']:+.{decimals}f}"]
                told += [interval_text(row["diff_low"], row["diff_high"], decimals), str(row["verdict"])]
            lines.append([*told, *[""] * (6 - len(told))])
        widths = [max(len(line[k]) for line in lines) for k in range(6)]
        body = [
            "  ".join(cell.rjust(w) for cell, w in zip(line, widths, strict=True)).rstrip() for line in lines
        ]
        title = f"How many new rows? {self.metric_words}, {self.settings['splits']} folds"
        told = [*self.summary().splitlines(), *(f"Note: {note}" for note in self.notes)]
        return "\n".join(
            [title, *body, "", *(textwrap.fill(each, 110, subsequent_indent="  ") for each in told)]
        )

    def __repr__(self) -> str:
        """Return one line."""
        return f"<RatioCurve by {self.metric_words}: {self.verdict}>"

    def plot(self, path: Any = None) -> Figure:
        """Draw the curve with its band, and write it to ``path`` (PNG, PDF or SVG) if one is given."""
        from augsynth.check.downstream.curve_plot import curve_plot

        return curve_plot(self, path)


def ratio_curve(
    estimator: Any,
    generator: Any,
    X: Any,
    y: Any,
    *,
    ratios: Sequence[float] = (0, 0.25, 0.5, 1, 2, 4),
    add: str = "all",
    choose_inside: int = 3,
    sensitive_features: Any = None,
    groups: Any = None,
    sample_weight: Any = None,
    scoring: Any = None,
    cv: Any = 5,
    n_repeats: int | None = 2,
    n_jobs: int | None = None,
    random_state: Any = None,
    pos_label: Any = None,
    alpha: float = 0.05,
    generator_fitted_elsewhere: bool = False,
    progress: bool | None = None,
) -> RatioCurve:
    """Say how many new rows to add, with a band, and what that is worth when chosen honestly.

    In every training fold new rows are made once, for the largest ratio; a smaller ratio
    takes the first of them. The best point of such a curve flatters itself, so the ratio
    is also chosen by inner folds of each training fold alone, and only then scored on the
    test fold: the row "chosen inside", against adding nothing, carries the verdict.

    Parameters
    ----------
    estimator : estimator
        As in `compare`.
    generator : generator or resampler
        A resampler must take a dict of class totals as ``sampling_strategy`` and return the
        real rows first. For regression a generator of ours, which draws targets too.
    X, y
        Rows and labels or numbers.
    ratios : sequence of float
        New rows over real ones. 0 is added where it is missing.
    add : {"all", "rarest"}
        "all": every class by the ratio, so that shares stay; "rarest": the rarest class
        alone, the ratio being that to its own rows.
    choose_inside : int
        Inner folds; 0 leaves the choice out.
    sensitive_features, groups, sample_weight, scoring, cv, n_repeats, n_jobs, random_state, pos_label, alpha,
    generator_fitted_elsewhere, progress
        As in `compare`; the first metric counts.

    Returns
    -------
    RatioCurve

    Raises
    ------
    LeakError, DataError, ParameterError, InputTypeError
        As in `compare`.

    Notes
    -----
    "new only" (all classes) trains on new rows alone, as many as real ones where the
    ratios allow it, and tests on real rows.

    Verdicts on single ratios carry Holm's allowance for their number. Intervals are
    corrected for overlapping training folds (Nadeau and Bengio 2003,
    doi:10.1023/A:1024068626366).

    Cost: folds x repeats x (ratios x (1 + inner folds) + 1) fits, and folds x repeats x
    (1 + inner folds) fits of the generator.

    Examples
    --------
    >>> from sklearn.datasets import make_classification
    >>> from sklearn.naive_bayes import GaussianNB
    >>> from augsynth import BootstrapGenerator
    >>> X, y = make_classification(200, random_state=0)
    >>> curve = ratio_curve(GaussianNB(), BootstrapGenerator(), X, y, ratios=(0, 1), cv=3, n_repeats=1,
    ...                     choose_inside=2, random_state=0)
    >>> curve.verdict
    'no evidence'
    """
    asked = Asked(
        resolve_seed(random_state), (), None, sensitive_features, groups, sample_weight, scoring,
        cv, n_repeats, n_jobs, pos_label, alpha, generator_fitted_elsewhere, progress,
    )  # fmt: skip
    maker = _maker(estimator, generator, ratios, add, choose_inside, asked)
    plan = make_plan(estimator, X, y, asked)
    most = maker.ratios[-1] * len(plan.labels)
    if most > _MOST_NEW:
        must = f"the largest ratio must ask for at most {_MOST_NEW:,} new rows"
        given = f"{maker.ratios[-1]:g} times {len(plan.labels):,} rows"
        raise ParameterError(sentence(_WHERE, must, given))
    splits, notes = make_splits(
        plan.X,
        plan.labels,
        classification=bool(plan.classes),
        strata=plan.strata,
        groups=plan.groups,
        cv=cv,
        n_repeats=n_repeats,
        seed=asked.seed,
    )
    note_twins(plan.X, splits, notes)
    metric = plan_metrics(plan, asked)[0]
    plan = type(plan)(**{**vars(plan), "metrics": [metric]})
    fits = len(splits) * (len(maker.ratios) * (1 + maker.inner_folds) + 1)
    if progress or (progress is None and sys.stderr.isatty() and not busy()):
        say(f"ratio_curve: {len(splits)} folds, {fits} fits in all")
    found = list(Parallel(n_jobs=n_jobs)(delayed(one_fold)(plan, split, maker) for split in splits))
    return _curve(found, splits, maker, alpha, metric, notes, asked.seed)


def _maker(
    estimator: Any, generator: Any, ratios: Sequence[float], add: str, inner: int, asked: Asked
) -> Maker:
    check_estimator(estimator)
    check_numbers(asked, _WHERE)
    check_option(_WHERE, "add", add, ADDS)
    check_number(_WHERE, "choose_inside", inner, low=0, integer=True)
    if inner == 1:
        must = "choose_inside must be a number of folds, at least 2, or 0 for none"
        raise ParameterError(sentence(_WHERE, must, "1", "Use 3."))
    if isinstance(generator, type) or not (
        hasattr(generator, "fit_resample") or hasattr(generator, "sample")
    ):
        must = "generator must be a generator or a resampler"
        raise InputTypeError(
            sentence(_WHERE, must, repr(generator), "Pass one such as GaussianMixtureGenerator().")
        )
    if not asked.frozen_allowed:
        refuse_frozen("the generator", generator)
        refuse_frozen("the estimator", estimator)
    try:
        numbers = sorted({0.0, *(float(ratio) for ratio in ratios)})
    except (TypeError, ValueError):
        must = "ratios must be a sequence of numbers"
        raise ParameterError(sentence(_WHERE, must, repr(ratios), "Use (0, .5, 1, 2).")) from None
    if len(numbers) < 2 or not np.isfinite(numbers).all() or numbers[0] < 0:
        must = "ratios must be numbers of at least 0, one above 0"
        raise ParameterError(sentence(_WHERE, must, repr(tuple(ratios)), "Use (0, .5, 1, 2)."))
    alone = 1.0 if numbers[-1] >= 1 else numbers[-1]
    return Maker(generator, add, tuple(numbers), inner, alone)


def _curve(
    found: list[CurveFold],
    splits: list[Split],
    maker: Maker,
    alpha: float,
    metric: Any,
    notes: list[str],
    seed: int,
) -> RatioCurve:
    share = sum(len(split.test) for split in splits) / sum(len(split.train) for split in splits)
    scores = np.array([each.scores for each in found])
    columns: list[tuple[Any, float, np.ndarray]] = [
        (ratio, float(np.mean([each.rows[k] for each in found])), scores[:, k])
        for k, ratio in enumerate(maker.ratios)
    ]
    n = float(np.mean([len(split.train) for split in splits]))
    if maker.add == "all":
        columns.append((NEW_ONLY, n * maker.new_only, np.array([each.new_only for each in found])))
    chosen = pd.Series(dtype=int)
    if maker.inner_folds:
        picked = [maker.ratios.index(each.chosen) for each in found]
        rows = float(np.mean([each.rows[k] for each, k in zip(found, picked, strict=True)]))
        columns.append((CHOSEN, rows, scores[np.arange(len(found)), picked]))
        chosen = pd.Series([each.chosen for each in found]).value_counts().sort_index()
    table = _table(columns, scores[:, 0], share, alpha)
    if metric.bounded:  # a share: no interval reaches beyond what it can be
        lowest = -1.0 if metric.name.startswith("neg_") else 0.0
        table[["low", "high"]] = table[["low", "high"]].clip(lowest, lowest + 1.0)
        table[["diff_low", "diff_high"]] = table[["diff_low", "diff_high"]].clip(-1.0, 1.0)
    folds = pd.DataFrame(
        [
            (each.repeat, each.fold, name, float(values[k]))
            for name, _, values in columns
            for k, each in enumerate(found)
        ],
        columns=["repeat", "fold", "ratio", "score"],
    )
    settings = {
        "alpha": alpha, "seed": seed, "splits": len(splits), "training_rows": n, "test_train_ratio": share,
        "add": maker.add, "inner_folds": maker.inner_folds,
        "seconds_make": float(np.mean([each.seconds_make for each in found])),
        "seconds_fit": float(np.mean([each.seconds_fit for each in found])),
    }  # fmt: skip
    return RatioCurve(table, folds, chosen, metric.name, metric.words, settings, notes)


def _table(
    columns: list[tuple[Any, float, np.ndarray]], nothing: np.ndarray, share: float, alpha: float
) -> pd.DataFrame:
    rows, tests = [], []
    for name, added, values in columns:
        low, high = corrected_interval(values, share).bounds(1 - alpha)
        apart = corrected_interval(values - nothing, share)
        diff_low, diff_high = apart.bounds(1 - alpha)
        tests.append(apart)
        rows.append(
            {
                "ratio": name, "rows_added": added, "score": pd.Series(values).mean(),
                "low": low, "high": high, "difference": apart.mean, "diff_low": diff_low,
                "diff_high": diff_high,
                "p_value": min(1.0, 2 * min(apart.p_greater, apart.p_less)), "p_holm": np.nan, "verdict": "",
            }
        )  # fmt: skip
    frame = pd.DataFrame(rows)
    on_curve = [k for k, each in enumerate(columns) if not isinstance(each[0], str) and each[0] > 0]
    for family in (on_curve, *([k] for k, each in enumerate(columns) if each[0] in (CHOSEN, NEW_ONLY))):
        _word(frame, family, [tests[k] for k in family], alpha)
    return frame


def _word(frame: pd.DataFrame, family: list[int], tests: list[Interval], alpha: float) -> None:
    up, down = holm([each.p_greater for each in tests]), holm([each.p_less for each in tests])
    for k, a, b in zip(family, up, down, strict=True):
        frame.loc[k, "p_holm"] = min(1.0, 2 * min(a, b))
        frame.loc[k, "verdict"] = HELPS if a <= alpha / 2 else HURTS if b <= alpha / 2 else NO_EVIDENCE

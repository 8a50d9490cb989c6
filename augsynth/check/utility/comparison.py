"""The result of a comparison: verdicts, tables, sentences and a plot."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pandas as pd

from augsynth.check.records import plain, records
from augsynth.check.utility.baselines import NOTHING, TUNED_THRESHOLD
from augsynth.check.utility.fold_scores import WORST
from augsynth.check.utility.folds import Outcome
from augsynth.check.utility.metric import Metric
from augsynth.check.utility.splits import Split
from augsynth.check.utility.table import failure_lines, sentences, text_table
from augsynth.check.utility.verdict import differences, overall_verdicts
from augsynth.core.errors import AugsynthWarning, DataError, sentence

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["Comparison"]


@dataclass(frozen=True, repr=False)
class Comparison:
    """What `compare` found. ``print`` it for the whole story.

    Attributes
    ----------
    verdicts : DataFrame
        One row a method, one column a baseline that applies, and "in all":
        each *helps*, *no evidence* or *hurts*; *failed* on every fold; or *not applicable*,
        for a remedy that changes labels only under a score that does not look at them.
    metric, metric_words : str
        The score that the verdicts rest on, and how a sentence says it.
    folds : DataFrame
        Raw scores: repeat, fold, method, metric, scope, level, score.
    costs : DataFrame
        A row a method: mean seconds to resample and to fit, training rows, failed folds.
    baselines : dict
        "" for a baseline that applies, else the reason why it does not.
    failures : DataFrame
        method, repeat, fold, error of every fold that failed.
    notes : list of str
        What a reader must know: fewer folds, undefined scores, duplicates.
    settings : dict
        Seed, rows, class and group counts, folds, alpha, seconds in all.
    """

    verdicts: pd.DataFrame
    metric: str
    metric_words: str
    folds: pd.DataFrame
    costs: pd.DataFrame
    baselines: dict[str, str]
    failures: pd.DataFrame
    notes: list[str]
    settings: dict[str, Any]
    _differences: pd.DataFrame

    @classmethod
    def of(
        cls,
        outcomes: Sequence[Outcome],
        splits: Sequence[Split],
        methods: Sequence[str],
        baselines: dict[str, str],
        metrics: Sequence[Metric],
        flags: Mapping[tuple[str, Any], str],
        notes: Sequence[str],
        settings: dict[str, Any],
        labels_only: Sequence[str] = (),
    ) -> Comparison:
        """Judge the outcomes of all folds."""
        folds = _fold_frame(outcomes)
        failures = pd.DataFrame(
            [(each.method, each.repeat, each.fold, each.error) for each in outcomes if each.error],
            columns=["method", "repeat", "fold", "error"],
        )
        against = [name for name, reason in baselines.items() if not reason]
        first = metrics[0]
        ratio = sum(len(split.test) for split in splits) / sum(len(split.train) for split in splits)
        settings = settings | {
            "repeats": len({split.repeat for split in splits}),
            "splits": len(splits),
            "test_train_ratio": ratio,
        }
        notes = [*notes, *_more_notes(folds, first, baselines, failures, settings), *_told_once(outcomes)]
        frame = differences(
            folds,
            methods,
            against,
            test_train_ratio=ratio,
            alpha=settings["alpha"],
            flags=flags,
            failed=failures["method"].value_counts().to_dict(),
            judged=_judged(first),
            unmoved=_unmoved(metrics, labels_only),
            bounded=_bounded(metrics),
        )
        costs = _costs(outcomes)
        _warn_of_failures(failures, len(splits))
        frame = frame.merge(costs[["seconds_resample", "seconds_fit"]], left_on="method", right_index=True)
        return cls(
            verdicts=overall_verdicts(frame, first.name, methods, against, settings["alpha"]),
            metric=first.name,
            metric_words=first.words,
            folds=folds,
            costs=costs,
            baselines=dict(baselines),
            failures=failures,
            notes=notes,
            settings=settings,
            _differences=frame.sort_index(),
        )

    @property
    def methods(self) -> list[str]:
        """Names of what was compared with the baselines."""
        return list(self.verdicts.index)

    def to_frame(self) -> pd.DataFrame:
        """Return one row a metric, scope, level, method and baseline.

        ``score`` and ``score_against`` are means over the folds on which both
        are defined; ``low`` and ``high`` the interval at ``1 - alpha``;
        ``low_holm`` and ``high_holm`` the one that also allows for the number of methods and
        leaves zero out exactly where the verdict against that baseline is not "no evidence".
        Intervals of differences of shares (recall, accuracy, ROC AUC ...) end at -1 and +1.
        ``p_value`` is two-sided, ``p_holm`` adjusted. ``flag`` is "", "too few", "failed" (on
        some fold, or on all), "... failed" (the baseline) or "gives labels only".
        """
        return self._differences.copy()

    def summary(self) -> str:
        """Return one sentence a method."""
        return "\n".join(sentences(self))

    def __str__(self) -> str:
        """Return the whole story as text."""
        return text_table(self)

    def __repr__(self) -> str:
        """Return the verdicts in one line."""
        words = ", ".join(f"{name}: {word}" for name, word in self.verdicts.iloc[:, -1].items())
        return f"<Comparison by {self.metric_words}; {words}>"

    def plot(self, path: Any = None) -> Figure:
        """Draw the forest plot, and write it to ``path`` (PNG, PDF or SVG) if one is given."""
        from augsynth.check.utility.forest import forest_plot

        return forest_plot(self, path)

    def to_dict(self) -> dict[str, Any]:
        """Return everything but the fold scores of classes and groups, ready for JSON."""
        main = self.folds[(self.folds["metric"] == self.metric) & (self.folds["scope"] == "all")]
        return {
            "metric": self.metric,
            "metric_words": self.metric_words,
            "verdicts": {name: row.to_dict() for name, row in self.verdicts.iterrows()},
            "sentences": sentences(self),
            "baselines": self.baselines,
            "differences": records(self._differences),
            "folds": records(main[["repeat", "fold", "method", "score"]]),
            "costs": records(self.costs.reset_index()),
            "failures": records(self.failures),
            "notes": list(self.notes),
            "settings": {name: plain(value) for name, value in self.settings.items()},
        }


def _fold_frame(outcomes: Sequence[Outcome]) -> pd.DataFrame:
    return pd.DataFrame(
        [(each.repeat, each.fold, each.method, *record) for each in outcomes for record in each.scores],
        columns=["repeat", "fold", "method", "metric", "scope", "level", "score"],
    )


def _costs(outcomes: Sequence[Outcome]) -> pd.DataFrame:
    frame = pd.DataFrame(
        [
            (each.method, each.seconds_resample, each.seconds_fit, each.rows, bool(each.error))
            for each in outcomes
        ],
        columns=["method", "seconds_resample", "seconds_fit", "rows", "failed"],
    )
    frame[["seconds_resample", "seconds_fit", "rows"]] = frame[
        ["seconds_resample", "seconds_fit", "rows"]
    ].where(~frame["failed"])
    means = frame.groupby("method", sort=False)
    costs = means[["seconds_resample", "seconds_fit", "rows"]].mean()
    costs["failed"] = means["failed"].sum().astype(int)
    return costs


def _more_notes(
    folds: pd.DataFrame,
    metric: Metric,
    baselines: Mapping[str, str],
    failures: pd.DataFrame,
    settings: Mapping[str, Any],
) -> list[str]:
    notes: list[str] = []
    plain = folds[(folds["metric"] == metric.name) & (folds["scope"] == "all") & (folds["method"] == NOTHING)]
    undefined = int(plain["score"].isna().sum())
    if len(plain) - undefined < 2:
        raise DataError(
            sentence(
                "compare",
                f"{metric.words} must be defined on at least two test folds",
                f"{undefined} of {len(plain)} undefined",
                "Use a stratified splitter or fewer folds.",
            )
        )
    if undefined:
        notes.append(
            f"{metric.words} is undefined on {undefined} of {len(plain)} test folds "
            "(one class only, or no score); they are left out for every method."
        )
    if not baselines[TUNED_THRESHOLD] and not metric.tunable:
        notes.append("The scoring is a plain function, so the threshold was tuned for balanced accuracy.")
    rare = {name: count for name, count in settings["classes"].items() if count < 20}
    if rare:
        told = ", ".join(f"{count} of class {name}" for name, count in rare.items())
        notes.append(f"Few rows to judge by: {told}. The intervals are wide, and rough.")
    return [*notes, *failure_lines(failures, settings["splits"])]


def _names_of(metric: Metric) -> tuple[str, str, str]:
    """Return what a metric is called in all and by group, as a gap, and as that of the worst group."""
    return metric.name, f"{metric.name} gap", f"{WORST} {metric.name}"


def _judged(metric: Metric) -> list[tuple[str, str]]:
    """Return the (metric, scope) pairs that get a verdict."""
    name, gap, worst = _names_of(metric)
    recalls = [("recall", "class"), ("recall", "class+group"), (f"{WORST} recall", WORST)]
    return [(name, "all"), (name, "group"), (gap, "gap"), (worst, WORST), *recalls]


def _unmoved(metrics: Sequence[Metric], labels_only: Sequence[str]) -> set[tuple[str, str]]:
    still = [name for metric in metrics if not metric.thresholded for name in _names_of(metric)]
    return {(method, name) for method in labels_only for name in still}


def _bounded(metrics: Sequence[Metric]) -> set[str]:
    shares = {name for metric in metrics if metric.bounded for name in _names_of(metric)}
    return shares | {"recall", f"{WORST} recall"}


def _warn_of_failures(failures: pd.DataFrame, splits: int) -> None:
    counts = failures["method"].value_counts()
    lost = failures[failures["method"].map(counts).eq(splits)]
    if len(lost):
        told = " ".join(failure_lines(lost, splits))
        warnings.warn(f"compare: nothing is known about a method that failed. {told}", AugsynthWarning, 5)


def _told_once(outcomes: Sequence[Outcome]) -> list[str]:
    """Give each kind of warning of each method once, and return the same as notes."""
    kinds: dict[tuple[str, type[Warning]], list[str]] = {}
    for each in outcomes:
        for category in dict(each.warned):
            message = next(text for kind, text in each.warned if kind is category)
            kinds.setdefault((each.method, category), []).append(message)
    notes: list[str] = []
    for (method, category), messages in kinds.items():
        first = " ".join(messages[0].split())
        notes.append(f"{method} warned on {len(messages)} folds: {first}")
        warnings.warn(f"compare: {notes[-1]}", category, stacklevel=5)
    return notes

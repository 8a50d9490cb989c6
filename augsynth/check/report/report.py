"""`report`: everything about new rows in one place, verdict first."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

import augsynth
from augsynth.check.checks import default_checks
from augsynth.check.controls import make_controls
from augsynth.check.downstream import Trial, hold_out_trial
from augsynth.check.evidence import Evidence
from augsynth.check.finding import FAILED, Check, Finding, frame_of, judge
from augsynth.check.gathering import gather
from augsynth.check.privacy import withdrawn
from augsynth.check.records import plain, records, writable
from augsynth.check.report.answers import Compared, Verdict, judge_worth, verdict_of
from augsynth.check.report.counts import row_counts
from augsynth.check.report.datasheet import check_datasheet, datasheet_text
from augsynth.check.report.examination import examine
from augsynth.check.report.gains import judge_gains, judge_trial
from augsynth.check.report.leak import after_leak
from augsynth.check.report.making import (
    bias_of,
    density_checks,
    group_names,
    missing_real_rows,
    paired_groups,
    worst_slices,
)
from augsynth.check.report.output import output_path, write_text
from augsynth.check.report.pairs import without_rows
from augsynth.core.errors import ParameterError, sentence
from augsynth.core.parameters import check_number
from augsynth.core.progress import track
from augsynth.core.random import resolve_seed

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["Report", "report"]

_NOUNS = {"image": "images", "audio": "clips", "text": "texts"}


@dataclass(frozen=True, repr=False)
class Report:
    """What `report` found. ``print`` it, or write it with `to_html`.

    Attributes
    ----------
    verdict : Verdict
        ``word``, ``sentence`` and the five ``answers``.
    findings : list of Finding
        Every figure, judged together.
    data : DataFrame
        Rows before, new and after of each class, group and class in a group.
    trial, groups, slices, bias, comparison, history : object or None
        Models on the held-out rows (`Trial`), groups before and after (`PairedGroups`), the worst
        subgroups that nobody named (`SliceReport`), whom the data serve (`DataBias`), the
        comparison that was handed in, and how the generator was trained.
    notes : list of str
        What a reader must know.
    settings : dict
        Seed, rows, levels, versions.
    seconds : dict
        CPU-seconds of each part.
    datasheet : dict
        What the user states.
    """

    verdict: Verdict
    findings: Sequence[Finding]
    data: pd.DataFrame
    trial: Any = None
    groups: Any = None
    slices: Any = None
    bias: Any = None
    comparison: Any = None
    history: Any = None
    notes: Sequence[str] = ()
    settings: Mapping[str, Any] = field(default_factory=dict)
    seconds: Mapping[str, float] = field(default_factory=dict)
    datasheet: Mapping[str, str] = field(default_factory=dict)
    evidence: Evidence | None = None

    @property
    def failed(self) -> list[str]:
        """Names of the checks that failed."""
        return [each.name for each in self.findings if each.status == FAILED]

    def to_frame(self) -> pd.DataFrame:
        """Return a row a finding: figures, interval, null value, p-values, status, controls, sentence."""
        return frame_of(self.findings)

    def more_real_rows(self) -> list[str]:
        """Say where more real rows would do more than synthetic ones, and how many."""
        return missing_real_rows(self.bias)

    def datasheet_text(self) -> str:
        """Return the datasheet as Markdown, for a model card."""
        return datasheet_text(self)

    def to_dict(self) -> dict[str, Any]:
        """Return everything but arrays as plain values, ready for JSON."""
        return {
            "verdict": self.verdict.to_dict(),
            "failed": self.failed,
            "findings": [each.to_dict() for each in self.findings],
            "data": records(self.data),
            "trial": None if not len(self.trial.scores) else records(self.trial.scores),
            "groups": None if self.groups is None else self.groups.to_dict(),
            "slices": None if self.slices is None else self.slices.to_dict(),
            "bias": None if self.bias is None else self.bias.to_dict(),
            "comparison": None if self.comparison is None else self.comparison.to_dict(),
            "notes": list(self.notes),
            "settings": plain(self.settings),
            "seconds": plain(self.seconds),
            "datasheet": {**self.datasheet, "text": self.datasheet_text()},
        }

    def to_json(self, path: str | os.PathLike[str], *, overwrite: bool = True) -> None:
        """Write `to_dict` as JSON; the old file or the new one, never a half; ``~`` is your home."""
        where = "Report.to_json"
        target = output_path(path, overwrite=overwrite, where=where, example="report.json")
        text = json.dumps(self.to_dict(), indent=2, ensure_ascii=False, allow_nan=False)
        write_text(target, text + "\n", where=where)

    def to_html(self, path: str | os.PathLike[str], *, overwrite: bool = True) -> None:
        """Write one self-contained page: no script is needed, nothing is fetched, light and dark."""
        where = "Report.to_html"
        target = output_path(path, overwrite=overwrite, where=where, example="report.html")
        write_text(target, self.html(), where=where)

    def html(self) -> str:
        """Return the page as text."""
        from augsynth.check.report.page import page

        return page(self)

    def _repr_html_(self) -> str:
        """Show the page in a notebook, inside a frame of its own."""
        from markupsafe import escape

        return f'<iframe srcdoc="{escape(self.html())}" style="width:100%;height:80vh;border:0"></iframe>'

    def plot(self, path: Any = None) -> Figure:
        """Draw all judged figures beside their controls, and write them to ``path`` if one is given."""
        from augsynth.check.report.plot import findings_plot

        return findings_plot(self, path)

    def summary(self) -> str:
        """Return the verdict and the five answers as sentences."""
        lines = [f"{self.verdict.word.upper()}: {self.verdict.sentence}"]
        for each in self.verdict.answers:
            lines.append(f"{each.question} {each.word}. {' '.join(each.sentences)}".strip())
        return writable("\n".join(lines))

    def __str__(self) -> str:
        """Return the whole story as text."""
        from augsynth.check.report.text import report_text

        return writable(report_text(self))

    def __repr__(self) -> str:
        """Return the verdict in one line."""
        failed = f"; failed: {', '.join(self.failed)}" if self.failed else ""
        return f"<Report: {self.verdict.word}{failed}>"


def report(
    X: Any,
    y: Any,
    X_new: Any,
    y_new: Any,
    *,
    holdout: Sequence[Any] | None = None,
    sensitive_features: Any = None,
    sensitive_features_new: Any = None,
    group_columns: Sequence[Any] = (),
    generator: Any = None,
    comparison: Any = None,
    method: str | None = None,
    features: Callable[[Any], Any] | None = None,
    datasheet: Mapping[str, Any] | None = None,
    max_rows: int | None = 10_000,
    alpha: float = 0.05,
    controls: bool = True,
    show_rows: bool = True,
    random_state: Any = None,
    progress: bool | None = None,
) -> Report:
    """Say what new rows are worth, for whom, and whether they look real, varied and not copied.

    Parameters
    ----------
    X, y : rows and labels that the generator was fitted on
        Table, array, images (n, height, width[, channels]), clips or texts; ``y`` may be None.
    X_new, y_new : new rows and labels
        An enlarged table, which opens with the rows of ``X``, counts without them.
    holdout : (X, y) or (X, y, sensitive_features), optional
        Real rows that nothing was fitted on. Without them much cannot be judged.
    sensitive_features, sensitive_features_new : array-like or DataFrame, optional
        The groups of ``X`` and of ``X_new``; or ``group_columns`` names columns of ``X``.
    generator : fitted generator, optional
        For its loss curves and, if it has ``log_prob``, its held-out log-likelihood.
    comparison : Comparison, optional
        What `compare` found; its verdict then leads.
    method : str, optional
        Which method of the comparison made these rows; needed if there are several.
    features : callable, optional
        Turns rows into an array (n, d) in which they are compared.
    datasheet : mapping, optional
        What you state for the model card: method, purpose, owner, licence, consent, right_to_train.
    max_rows : int or None, default=10_000
        Rows of each sample for whatever costs more than sorting; None for all.
    alpha : float, default=0.05
        Chance that any check fails although the new rows are as real ones would be (Holm).
    controls : bool, default=True
        Whether every figure stands beside held-out, copied, independent and SMOTE rows.
    show_rows : bool, default=True
        Whether the page and the JSON may hold rows of the real tables (the nearest training
        rows of new ones, pictures). Say False before you pass a report on.
    random_state : None, int, Generator or RandomState
    progress : bool, optional
        None: on a terminal only.

    Returns
    -------
    Report

    Raises
    ------
    DataError, InputTypeError, ParameterError
        If the samples do not fit together.

    Notes
    -----
    Costs about a minute of CPU time on 32,000 training, 16,000 new and 16,000 held-out rows of 15 columns.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> X, y = load_iris(return_X_y=True, as_frame=True)
    >>> found = report(X[::2], y[::2], X[1::2], y[1::2], controls=False, random_state=0)
    >>> found.data.set_index("name").loc["0", ["before", "after"]].astype(int).to_dict()
    {'before': 25, 'after': 50}
    """
    check_number("report", "alpha", alpha, low=0, high=1, low_open=True, high_open=True)
    stated = check_datasheet(datasheet)
    seed = resolve_seed(random_state)
    evidence = gather(
        X, y, X_new, y_new, holdout=holdout, sensitive_features=sensitive_features,
        sensitive_features_new=sensitive_features_new, group_columns=group_columns, features=features,
        max_rows=max_rows, random_state=seed,
    )  # fmt: skip
    own = [*default_checks(), *density_checks(generator, (X, y, sensitive_features), holdout)]
    trial, findings, notes, seconds = _examined(evidence, own, alpha, controls, progress)
    started = time.process_time()
    names = group_names(sensitive_features, group_columns)
    own_method = _own_method(comparison, method, stated, generator)
    worth = judge_trial(trial) if comparison is None else judge_worth(comparison, own_method)
    settings = _settings(evidence, alpha, controls, generator, show_rows)
    rarer, noun = settings["rarer_class"], settings["noun"]
    gains = judge_gains(trial, comparison, bool(evidence.groups), method=own_method, rarer=rarer)
    verdict = verdict_of(worth, gains, findings, evidence.holdout is not None, noun, Compared.of(evidence))
    return Report(
        verdict=after_leak(verdict, findings, comparison is not None),
        findings=findings if show_rows else [without_rows(each) for each in findings],
        data=row_counts(evidence),
        trial=trial,
        groups=paired_groups(evidence, trial, names, alpha, notes),
        slices=worst_slices(evidence, trial, alpha, notes),
        bias=bias_of(evidence, names, alpha, notes),
        comparison=comparison,
        history=getattr(generator, "history_", None),
        notes=[*notes, *_more_notes(evidence)],
        settings=settings,
        seconds={**seconds, "groups": time.process_time() - started},
        datasheet=stated,
        evidence=evidence,
    )


def _examined(
    evidence: Evidence, checks: Sequence[Check], alpha: float, controls: bool, progress: bool | None
) -> tuple[Trial, list[Finding], list[str], dict[str, float]]:
    """Try models with and without the new rows, run the checks, and judge all of it together."""
    with track(len(checks) + 1, "report", enabled=progress) as advance:
        advance(1, "models with and without the new rows")
        started = time.process_time()
        beside, remarks = make_controls(evidence) if controls else ({}, [])
        trial = hold_out_trial(evidence, alpha=alpha, random_state=evidence.seed, controls=beside)
        tried = time.process_time() - started
        findings, notes, seconds = examine(
            evidence, checks, alpha=alpha, controls=beside, tell=lambda title: advance(1, title)
        )
    judged = withdrawn(judge([*trial.findings(), *findings], alpha))
    return trial, judged, [*notes, *remarks], {"trial": tried, **seconds}


def _own_method(comparison: Any, method: str | None, stated: dict[str, str], generator: Any) -> str | None:
    """Return the method of the comparison that made the rows, if it is known; state it in the datasheet."""
    names = [] if comparison is None else [str(name) for name in comparison.verdicts.index]
    if method is not None and names and method not in names:
        must = f"method must name a method of the comparison: {', '.join(names)}"
        raise ParameterError(sentence("report", must, repr(method), "Or leave it out."))
    if method is not None:
        stated.setdefault("method", method)
    if generator is not None:
        stated.setdefault("method", type(generator).__name__)
    told = [method, stated.get("method"), names[0] if len(names) == 1 else None]
    return next((name for name in told if name in names), None)


def _rarer_class(evidence: Evidence) -> str | None:
    """Return the class with the fewest training rows."""
    if evidence.target_kind != "class":
        return None
    counts = np.bincount(evidence.train.labels, minlength=len(evidence.classes)).astype(float)
    return str(evidence.classes[int(np.argmin(np.where(counts > 0, counts, np.inf)))])


def _seed_of(generator: Any) -> str:
    seed = getattr(generator, "random_state", None)
    return str(seed) if isinstance(seed, (int, np.integer)) else ""


def _noun(evidence: Evidence) -> str:
    return _NOUNS.get(evidence.modality, "rows")


def _settings(
    evidence: Evidence, alpha: float, controls: bool, generator: Any, show_rows: bool
) -> dict[str, Any]:
    holdout = evidence.holdout
    return {
        "seed": evidence.seed,
        "alpha": alpha,
        "controls": controls,
        "show_rows": show_rows,
        "generator_seed": _seed_of(generator),
        "modality": evidence.modality,
        "noun": _noun(evidence),
        "target": evidence.target_kind,
        "rows_train": len(evidence.train),
        "rows_new": len(evidence.made),
        "rows_holdout": 0 if holdout is None else len(holdout),
        "rows_compared": len(evidence.matched[0]),
        "max_rows": evidence.max_rows,
        "classes": len(evidence.classes),
        "rarer_class": _rarer_class(evidence),
        "groups": len(evidence.groups),
        "columns": len(evidence.layout),
        "left_out": ", ".join(map(str, evidence.left_out)),
        "title": f"Report on new {_noun(evidence)}",
        "version": augsynth.__version__,
    }


def _more_notes(evidence: Evidence) -> list[str]:
    notes = []
    most = evidence.max_rows
    longest = max(len(rows) for rows in (evidence.train, evidence.made, evidence.reference))
    if most is not None and longest > most:
        notes.append(
            f"Whatever costs more than sorting looks at {most:,} rows of each sample at most, drawn at "
            "random (max_rows=None, or --full, takes all)."
        )
    if evidence.left_out:
        told = ", ".join(map(repr, evidence.left_out[:5]))
        notes.append(f"Not compared, because they are identifiers or free text: {told}.")
    if evidence.holdout is None:
        notes.append("No rows were held out: the new rows are compared with the training rows themselves.")
    return notes

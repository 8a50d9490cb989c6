"""What imputers are worth: cells that were seen are hidden, filled in, and compared with the truth."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from sklearn.frozen import FrozenEstimator

from augsynth.check.imputers.downstream import Learner, labels_of, split
from augsynth.check.imputers.report import ImputationReport
from augsynth.check.imputers.scores import (
    EnergyDistance,
    cell_losses,
    column_scores,
    coverage,
    group_scores,
)
from augsynth.check.imputers.trial import COLUMN_MEAN, Hidden, Task, Trial, hide, run_trial
from augsynth.check.utility.folds import one_thread
from augsynth.core.arrays import Container, take_in
from augsynth.core.errors import DataError, InputTypeError, LeakError, ParameterError, offenders, sentence
from augsynth.core.parameters import check_number, check_option
from augsynth.core.progress import track
from augsynth.core.random import keyed_rng, resolve_seed
from augsynth.encode.condition import group_frame
from augsynth.encode.schema import Schema
from augsynth.encode.table import TableCodec
from augsynth.impute.amputation import MECHANISMS, ampute

__all__ = ["imputation"]

_WHERE = "imputation"
_SAMPLE, _HIDE, _SPLIT, _ENERGY = range(4)  # streams of the seed
_LATER_DRAWS = 1  # of the repeats after the first: enough for a distance
_MOST_GROUPS = 50


def imputation(
    imputers: Any,
    X: Any,
    y: Any = None,
    *,
    mechanism: str = "MCAR",
    share: float = 0.2,
    sensitive_features: Any = None,
    group_columns: Sequence[Any] = (),
    estimator: Any = None,
    scoring: Any = None,
    n_repeats: int = 5,
    m: int = 19,
    max_rows: int = 2000,
    random_state: Any = None,
    progress: bool | None = None,
) -> ImputationReport:
    """Find out what imputers are worth on a table: against the column mean, by column and by group.

    Cells that are seen are hidden on purpose. Each imputer is fitted on training rows and
    fills in these and hold-out rows; what it put there is compared with what was hidden,
    which it never saw. This is repeated with other cells and other training rows.

    Parameters
    ----------
    imputers : imputer, list or mapping of names to imputers
        Of this library, or any scikit-learn transformer that fills holes (it gets the table
        or, if it cannot take that, numbers and level codes). The column mean (most frequent
        category) always stands beside them.
    X : DataFrame, array, list of rows or tensor, shape (n, p)
        With or without holes of its own; those are never judged.
    y : array-like, (n,), optional
        Labels or targets, for the learner; imputers with ``use_target=True`` see those of the
        training rows.
    mechanism, share
        How cells are hidden, and how many: see `augsynth.impute.amputation.ampute`.
    sensitive_features : array, Series or DataFrame, optional
        Groups; each is compared with all other rows.
    group_columns : sequence of column names, optional
        The same, for columns of ``X``.
    estimator : estimator, optional
        Learns ``y`` from completed rows as given. Default, where there is a ``y``: small boosted trees.
    scoring : str or callable, optional
        By default ROC AUC (two classes), balanced accuracy or R2.
    n_repeats : int, default=5
    m : int, default=19
        Draws of the first repeat: their range should hold a hidden number 18 times of 20. The
        others take one; 0 for none at all.
    max_rows : int, default=2000
        A larger table is sampled, and the report says so.
    random_state : None, int or Generator
    progress : bool, optional
        None: on a terminal only.

    Returns
    -------
    ImputationReport
        ``print`` it; ``verdicts``, ``to_frame(by)``, ``plot(path)``.

    Raises
    ------
    DataError, ParameterError, InputTypeError, LeakError
        For a table of fewer than 20 rows, unknown arguments, imputers that are fitted and frozen.

    Notes
    -----
    Errors of numbers are root mean squares in standard deviations of the column; of categories,
    shares falsely classified. An imputer "beats the column mean" if the 95 % interval of the gain
    over repeats (corrected for their overlap: Nadeau and Bengio) leaves zero out. Groups are
    compared by the mean loss of a hidden cell in units of the column mean's, with intervals over
    rows and Holm's allowance for the number of groups. These are errors under this mechanism:
    if the table's own holes depend on unseen values, they are worse.
    Cost: ``n_repeats`` fits of each imputer, and ``m + n_repeats - 1`` draws.

    References
    ----------
    Nadeau and Bengio (2003), doi:10.1023/A:1024068626366. Rubin, "Multiple Imputation for
    Nonresponse in Surveys", Wiley, 1987. Van Buuren, "Flexible Imputation of Missing Data",
    2nd ed., CRC Press, 2018, section 2.5. Naf et al., "What is a good imputation under MAR
    missingness?", arXiv:2403.19196.

    Examples
    --------
    >>> from sklearn.datasets import load_diabetes
    >>> from sklearn.impute import KNNImputer
    >>> X = load_diabetes().data[:200]
    >>> imputation(KNNImputer(), X, n_repeats=3, random_state=0).verdicts["KNNImputer"]
    'beats the column mean'
    """
    check_option(_WHERE, "mechanism", mechanism, MECHANISMS)
    check_number(_WHERE, "share", share, low=0, high=1, low_open=True, high_open=True)
    check_number(_WHERE, "n_repeats", n_repeats, low=2, high=1000, integer=True)
    check_number(_WHERE, "m", m, low=0, high=1000, integer=True)
    check_number(_WHERE, "max_rows", max_rows, low=20, integer=True)
    named = _named(imputers)
    seed = resolve_seed(random_state)
    started = time.process_time()
    task, groups, container, n = _task(X, y, sensitive_features, group_columns, max_rows, seed)
    learner = None if task.y is None else Learner.of(estimator, task, scoring, _wrapper(container))
    if estimator is not None and learner is None:
        raise DataError(sentence(_WHERE, "an estimator needs y", "none", "Pass y, or leave it out."))
    made = _Results(task, learner)
    with one_thread(), track(n_repeats * (len(named) + 1), _WHERE, enabled=progress) as advance:
        for hidden in _hidings(task, mechanism, share, n_repeats, seed):
            made.add(hidden, {COLUMN_MEAN: None} | named, m, advance)
    settings = {
        "mechanism": mechanism,
        "share": float(share),
        "rows": len(task.z),
        "rows_given": n,
        "repeats": n_repeats,
        "draws": m,
        "seed": seed,
        "score": None if learner is None else learner.words,
        "seconds": time.process_time() - started,
    }
    return ImputationReport.of(
        pd.concat(made.columns, ignore_index=True),
        pd.DataFrame(made.totals),
        _by_group(task, groups, made.losses, made.hiddens),
        names=list(named),
        failures=made.failed,
        settings=settings,
        examples=(task, made.hiddens[0], made.examples),
    )


class _Results:
    """Scores of all repeats, as they come in."""

    def __init__(self, task: Task, learner: Learner | None) -> None:
        self.task, self.learner = task, learner
        self.columns: list[pd.DataFrame] = []
        self.totals: list[dict[str, Any]] = []
        self.losses: dict[str, list[np.ndarray]] = {}
        self.hiddens: list[Hidden] = []
        self.failed: dict[str, str] = {}
        self.examples: dict[str, Any] = {}

    def add(self, hidden: Hidden, named: dict[str, Any], m: int, advance: Any) -> None:
        """Try every imputer that has not failed yet on one hiding of cells."""
        task = self.task
        self.hiddens.append(hidden)
        first = hidden.repeat == 0
        distance = EnergyDistance(task, hidden, keyed_rng(task.seed, _ENERGY, hidden.repeat))
        for name, imputer in named.items():
            advance(1, text=name)
            if name in self.failed:
                continue
            trial = run_trial(name, imputer, task, hidden, m if first else min(m, _LATER_DRAWS))
            if trial.error:
                self.failed[name] = f"repeat {hidden.repeat}: {trial.error}"
                continue
            self.columns.append(column_scores(task, hidden, trial))
            self.totals.append(_totals(task, hidden, trial, distance, self.learner))
            self.losses.setdefault(name, []).append(cell_losses(task, hidden, trial))
            if first:
                self.examples[name] = (trial.cells, None if trial.draws is None else trial.draws[0])


def _named(imputers: Any) -> dict[str, Any]:
    """Return imputers by name, from a mapping, a list or a single one."""
    if isinstance(imputers, Mapping):
        named = {str(name): imputer for name, imputer in imputers.items()}
    else:
        named = {}
        for imputer in imputers if isinstance(imputers, (list, tuple)) else [imputers]:
            base = name = type(imputer).__name__
            while name in named:
                name = f"{base} {sum(key.split(' ')[0] == base for key in named) + 1}"
            named[name] = imputer
    if not named:
        raise ParameterError(sentence(_WHERE, "there must be at least one imputer", "none"))
    if COLUMN_MEAN in named:
        must = f"no imputer may be named {COLUMN_MEAN!r}: that stands beside them anyway"
        raise ParameterError(sentence(_WHERE, must, repr(COLUMN_MEAN)))
    wrong = [
        name
        for name, imputer in named.items()
        if isinstance(imputer, type) or not (hasattr(imputer, "fit") and hasattr(imputer, "transform"))
    ]
    if wrong:
        must, todo = "every imputer must have fit and transform", "Pass objects, not classes."
        raise InputTypeError(sentence(_WHERE, must, offenders(wrong), todo))
    for name, imputer in named.items():
        parts = [imputer, *(imputer.get_params(deep=True).values() if hasattr(imputer, "get_params") else ())]
        if any(isinstance(part, FrozenEstimator) for part in parts):
            must, todo = f"{name} must learn from the training rows only", "Pass it unfitted."
            raise LeakError(sentence(_WHERE, must, "an already fitted, frozen one", todo))
    return named


def _task(
    X: Any, y: Any, sensitive_features: Any, group_columns: Sequence[Any], max_rows: int, seed: int
) -> tuple[Task, pd.DataFrame | None, Container, int]:
    frame, container = take_in(X, where=_WHERE)
    n = len(frame)
    if n < 20:
        raise DataError(sentence(_WHERE, "X must have at least 20 rows", str(n)))
    labels = labels_of(y, n)
    groups = _groups(frame, sensitive_features, group_columns)
    keep = np.sort(keyed_rng(seed, _SAMPLE).permutation(n)[:max_rows])
    frame = frame.iloc[keep].reset_index(drop=True)
    frame = frame.astype({c: d.subtype for c, d in frame.dtypes.items() if isinstance(d, pd.SparseDtype)})
    schema = Schema.infer(frame, where=_WHERE)
    codec = TableCodec().fit(frame, schema)
    if not codec.names:
        raise DataError(
            sentence(_WHERE, "X must have a column that varies", f"{frame.shape[1]} constant ones")
        )
    z = np.array(codec.encode(frame, _WHERE))
    scale = np.ones(z.shape[1])
    for j in codec.layout.numeric:
        seen = z[~np.isnan(z[:, j]), j]
        largest = float(np.abs(seen - seen[0]).max()) or 1.0  # huge values would overflow when squared
        scale[j] = ((seen - seen[0]) / largest).std() * largest or 1.0
    task = Task(frame, codec, z, scale, None if labels is None else labels[keep], seed)
    return task, None if groups is None else groups.iloc[keep].reset_index(drop=True), container, n


def _groups(
    frame: pd.DataFrame, sensitive_features: Any, group_columns: Sequence[Any]
) -> pd.DataFrame | None:
    parts = []
    given = group_frame(sensitive_features, where=_WHERE)
    if given is not None:
        if len(given) != len(frame):
            must = f"sensitive_features must have one entry a row of X ({len(frame)})"
            raise DataError(sentence(_WHERE, must, str(len(given))))
        parts.append(given)
    listed = [group_columns] if isinstance(group_columns, str) else list(group_columns)
    unknown = [name for name in listed if name not in frame.columns]
    if unknown:
        raise ParameterError(sentence(_WHERE, "group_columns must name columns of X", offenders(unknown)))
    if listed:
        own = frame[listed].astype(object)
        parts.append(own.where(own.notna(), "missing").reset_index(drop=True))
    if not parts:
        return None
    groups = pd.concat(parts, axis=1)
    wide = [str(name) for name, column in groups.items() if column.nunique() > _MOST_GROUPS]
    if wide:
        must, todo = f"a feature may have at most {_MOST_GROUPS} groups", "Cut numbers into ranges first."
        raise DataError(sentence(_WHERE, must, f"more in {offenders(wide)}", todo))
    return groups


def _wrapper(container: Container) -> Any:
    """Return what turns a completed table into the kind that the user's estimator expects."""
    if container.kind == "frame":
        return lambda frame: frame
    return lambda frame: frame.to_numpy()


def _hidings(task: Task, mechanism: str, share: float, n_repeats: int, seed: int) -> Any:
    splits = split(task.y, len(task.z), n_repeats, int(keyed_rng(seed, _SPLIT).integers(2**31)))
    for repeat, (train, test) in enumerate(splits):
        state = int(keyed_rng(seed, _HIDE, repeat).integers(2**31))
        frame = ampute(task.frame, mechanism, share, random_state=state)
        yield hide(task, frame, train, test, repeat)


def _totals(
    task: Task, hidden: Hidden, trial: Trial, distance: EnergyDistance, learner: Learner | None
) -> dict[str, Any]:
    """Return what is told of a whole table: distances, coverage, score, seconds."""
    found = {"imputer": trial.name, "repeat": trial.repeat, "energy": distance(trial.cells)}
    drawn = [] if trial.draws is None else [distance(draw) for draw in trial.draws[:2]]
    found["energy_draw"] = np.mean(drawn) if drawn else np.nan
    covered = coverage(task, hidden, trial)
    found |= {"covered": covered["cells"], "nominal": covered["nominal"]}
    found |= {"mean_hits": covered["hits"], "means": covered["means"]}
    found |= {f"seconds_{part}": trial.seconds.get(part, np.nan) for part in ("fit", "transform", "draw")}
    found |= {"left": trial.left, "notes": trial.notes}
    if learner is not None:
        found["score"] = learner.score(task, hidden, trial)
        if trial.name == COLUMN_MEAN:
            found["controls"] = learner.controls(task, hidden, trial)
    return found


def _by_group(
    task: Task, groups: pd.DataFrame | None, losses: dict[str, list[np.ndarray]], hiddens: list[Hidden]
) -> pd.DataFrame:
    """Return the losses of groups, in units of what the column mean loses on average in each column."""
    if groups is None:
        return pd.DataFrame()
    p = len(task.codec.names)
    columns = np.concatenate([hidden.columns for hidden in hiddens])
    plain = np.concatenate(losses[COLUMN_MEAN])
    counts = np.bincount(columns, minlength=p)
    unit = np.bincount(columns, plain, minlength=p) / np.maximum(counts, 1)
    unit = np.where(unit > 0, unit, 1.0)
    frames = []
    for name, parts in losses.items():
        if len(parts) == len(hiddens):
            scaled = [loss / unit[h.columns] for loss, h in zip(parts, hiddens, strict=True)]
            found = group_scores(groups, scaled, hiddens, task.codec.names)
            found.insert(0, "imputer", name)
            frames.append(found)
    return pd.concat(frames, ignore_index=True)

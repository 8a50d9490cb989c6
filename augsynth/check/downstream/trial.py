"""Do the new rows help a model? Trained with and without them, scored on rows held out."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from augsynth.check.downstream.trained import (
    BOTH,
    MATCHED,
    NEW,
    NEW_MATCHED,
    REAL,
    Learner,
    TrainingSet,
    given_learners,
    half_of,
    training_sets,
)
from augsynth.check.downstream.trial_findings import trial_findings, trial_text
from augsynth.check.downstream.trial_tables import (
    Estimate,
    Fitted,
    Scorer,
    difference,
    level_table,
    score_frame,
)
from augsynth.check.evidence import Evidence
from augsynth.check.finding import Finding
from augsynth.check.records import plain, records
from augsynth.check.utility.folds import one_thread
from augsynth.core.errors import InputTypeError, sentence
from augsynth.core.parameters import check_number
from augsynth.core.random import keyed_rng, resolve_seed

__all__ = ["Trial", "hold_out_trial"]

_WHERE = "hold_out_trial"
_WEIGHTS, _HALVES, _FIT = 331, 332, 333
_ROWS_PER_LIMIT = 4  # at most 4 x max_rows rows are trained on, and as many scored


@dataclass(frozen=True, repr=False)
class Trial:
    """What `hold_out_trial` found. ``print`` it for a table.

    Attributes
    ----------
    scores : DataFrame
        learner, trained_on, metric, value, low, high, difference, diff_low, diff_high,
        p_value (two-sided), verdict, smaller_is_better. Differences are to ``real`` of the same
        learner. The verdict (*helps*, *no evidence*, *hurts*) is given to the first metric
        only. Learners are judged in their order, each only if all before it were more than
        "no evidence": several of them cost the first one nothing.
    by_class : DataFrame
        trained_on, class, rows (of the hold-out), recall, low, high, difference, diff_low,
        diff_high, p_value (two-sided), verdict, of the main learner; "not judged" below 20 rows.
    by_group : DataFrame
        The same by group, and by class within group (class "all": accuracy, or the
        mean absolute error of numbers).
    predictions : dict
        Set of training rows to what the main learner says of every held-out row: class
        codes (as in ``Rows.labels``), or numbers.
    probabilities : dict
        The same as probabilities (n, classes); empty for numbers.
    costs : DataFrame
        learner, trained_on, rows, seconds (CPU) to fit.
    metric, main : str
        The score, and the learner, that the findings rest on.
    reason : str
        "" or why nothing could be tried.
    notes : list of str
    controls : dict
        Control to {"gain": ..., "tstr": ...}, single fits of the main learner.
    fair : Estimate
        Score of new rows alone less that of as many real rows of every class and group.
    few : bool
        Whether a class has too few held-out rows for a verdict.
    chance : float
        The score of a model that knows nothing.
    """

    scores: pd.DataFrame
    by_class: pd.DataFrame
    by_group: pd.DataFrame
    predictions: dict[str, np.ndarray]
    probabilities: dict[str, np.ndarray]
    costs: pd.DataFrame
    metric: str = ""
    main: str = ""
    reason: str = ""
    notes: Sequence[str] = ()
    controls: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    alpha: float = 0.05
    fair: Estimate = field(default_factory=lambda: Estimate(float("nan"), float("nan"), 1.0))
    few: bool = False
    chance: float = float("nan")

    def findings(self) -> list[Finding]:
        """Return the findings "gain" (with the real rows) and "tstr" (new rows alone), not yet judged."""
        return trial_findings(self)

    def to_frame(self) -> pd.DataFrame:
        """Return a copy of ``scores``."""
        return self.scores.copy()

    def to_dict(self) -> dict[str, Any]:
        """Return everything but predictions and probabilities, ready for JSON."""
        low, high = self.fair.bounds(self.alpha)
        tables = {name: records(getattr(self, name)) for name in ("scores", "by_class", "by_group", "costs")}
        return {
            "metric": self.metric,
            "main": self.main,
            "reason": self.reason,
            "sentences": [each.sentence or each.caution for each in self.findings()],
            **tables,
            "controls": plain(self.controls),
            "fair": plain({"value": self.fair.value, "low": low, "high": high}),
            "chance": plain(self.chance),
            "few": self.few,
            "notes": list(self.notes),
            "settings": {"alpha": self.alpha},
        }

    def __str__(self) -> str:
        """Return the scores and the findings as text."""
        return trial_text(self)

    def __repr__(self) -> str:
        """Return one line."""
        if self.reason:
            return f"<Trial not made: {self.reason}>"
        return f"<Trial by {self.metric}, {len(self.predictions)} sets of training rows>"


def hold_out_trial(
    evidence: Evidence,
    *,
    learners: Any = None,
    alpha: float = 0.05,
    random_state: Any = 0,
    n_halves: int | None = None,
    n_bootstrap: int = 200,
    controls: Mapping[str, Evidence] | None = None,
) -> Trial:
    """Train models on real rows, on real and new ones, and on new ones alone; score them on the hold-out.

    Parameters
    ----------
    evidence : Evidence
        Of `gather`, with held-out rows.
    learners : estimator or dict of estimators, optional
        They get the rows as given, and class codes (or numbers) as target. By default
        gradient boosting on the encoded rows, and a linear model. Findings rest on the first.
    alpha : float
        1 minus the confidence of the intervals.
    random_state : None, int, Generator or RandomState, default=0
    n_halves : int, optional
        Fits on random halves of the training rows, for the variation from training: 12,
        or 6 for more than two classes, whose models cost more.
    n_bootstrap : int
        Bootstrap samples of the hold-out.
    controls : dict of str to Evidence, optional
        As of `make_controls`: what the same figures are for each (single fits).

    Returns
    -------
    Trial

    Raises
    ------
    InputTypeError, ParameterError
        For other things than evidence, models or numbers that make sense.

    Notes
    -----
    An interval holds two kinds of chance: which rows were held out (a bootstrap of
    them, the same draws for every model, so that differences are paired), and which
    rows, real and new, were trained on. The second is the variance of the difference
    over models trained on random halves of the rows, which for smooth scores is that
    over new samples of all the rows, and on the wide side for unstable models. It does not
    hold the variation between runs of the generator: the new rows are these ones. `compare`
    refits the generator.

    *tstr* is judged against a model trained on as many real rows of every class and
    group: under "same distribution" the two differ by chance alone.

    Measured (120 runs of 400 training, 400 new and 800 held-out rows, gradient boosting): with
    new rows that are a fresh draw from the truth, "new only" against "real" was called
    better or worse in 1 run, where 6 are allowed; new rows judged worse alone in 2. With
    bootstrap copies of 300 real rows, "real + new" was called helpful in 1 run of 110.

    Cost: two learners on four to six sets, once whole and ``n_halves`` times on halves; 20
    CPU-seconds on 20,000 real, 10,000 new and 10,000 held-out rows of 14 columns.
    """
    if not isinstance(evidence, Evidence):
        todo = "Call gather(X, y, X_new, y_new, holdout=(X_held, y_held)) first."
        raise InputTypeError(sentence(_WHERE, "evidence must be an Evidence", type(evidence).__name__, todo))
    check_number(_WHERE, "alpha", alpha, low=0, high=1, low_open=True, high_open=True)
    check_number(_WHERE, "n_bootstrap", n_bootstrap, low=2, integer=True)
    if n_halves is not None:
        check_number(_WHERE, "n_halves", n_halves, low=2, integer=True)
    kind = evidence.target_kind
    if kind == "none" or evidence.holdout is None:
        asked = "labels" if kind == "none" else "real rows held out from training"
        return _untried(f"whether the new rows help a model needs {asked}")
    if kind == "class" and len(np.unique(evidence.holdout.labels)) < 2:
        return _untried("the held-out rows are of one class, so no model can be scored on them")
    seed = resolve_seed(random_state)
    n_halves = n_halves or (6 if kind == "class" and len(evidence.classes) > 2 else 12)
    most = None if evidence.max_rows is None else _ROWS_PER_LIMIT * evidence.max_rows
    sets = training_sets(evidence, most)
    scorer = Scorer.of(evidence, most, n_bootstrap, keyed_rng(seed, _WEIGHTS))
    fitted: dict[str, dict[str, Fitted]] = {}
    costs: list[tuple[str, str, int, float]] = []
    named = given_learners(learners, evidence)
    with one_thread():
        for place, learner in enumerate(named):
            fitted[learner.name] = _fit_all(evidence, learner, sets, scorer, seed, place, n_halves, costs)
        beside = _controls(
            controls or {}, named[0], fitted[named[0].name][REAL], evidence, scorer, seed, most
        )
    main = fitted[named[0].name]
    told = {name: each.whole for name, each in main.items() if each.whole is not None}
    classes = kind == "class"
    return Trial(
        score_frame(fitted, scorer, alpha),
        level_table(main, scorer, "class", alpha) if classes else pd.DataFrame(),
        level_table(main, scorer, "group", alpha) if evidence.groups else pd.DataFrame(),
        {name: each.argmax(axis=1) if classes else each for name, each in told.items()},
        told if classes else {},
        pd.DataFrame(costs, columns=["learner", "trained_on", "rows", "seconds"]),
        scorer.metric,
        named[0].name,
        notes=_notes(evidence, sets, main, scorer, most),
        controls=beside,
        alpha=alpha,
        fair=difference(main.get(NEW_MATCHED, main[NEW]), main[MATCHED], ("score", scorer.metric)),
        few=bool(scorer.thin_classes),
        chance=scorer.chance,
    )


def _untried(reason: str) -> Trial:
    none = pd.DataFrame()
    return Trial(none, none, none, {}, {}, none, reason=reason)


def _fit_all(
    evidence: Evidence,
    learner: Learner,
    sets: dict[str, TrainingSet],
    scorer: Scorer,
    seed: int,
    place: int,
    n_halves: int,
    costs: list[tuple[str, str, int, float]],
) -> dict[str, Fitted]:
    """Fit a learner on every set whole, and on halves of it; the halves are the same for all sets."""
    train, made, holdout = evidence.train, evidence.made, evidence.reference
    found: dict[str, Fitted] = {}
    halves = []
    for k in range(n_halves):
        rng = keyed_rng(seed, _HALVES, k)
        halves.append((half_of(train, rng), half_of(made, rng)))
    for name, chosen in sets.items():
        started = time.process_time()
        # the same seed for every set: equal rows give equal models
        model = learner.fit(train, made, chosen, int(keyed_rng(seed, _FIT, place).integers(2**31)))
        costs.append((learner.name, name, len(chosen), time.process_time() - started))
        if model is None:
            found[name] = Fitted(
                None, scorer.empty(scorer.weights), [scorer.empty(scorer.weights[:1])] * n_halves
            )
            continue
        whole = learner.predict(model, holdout)
        parts = []
        for k, keep in enumerate(halves):
            part_seed = int(keyed_rng(seed, _FIT, place, k + 1).integers(2**31))
            part = learner.fit(train, made, chosen.half(*keep), part_seed)
            if part is not None:
                parts.append(scorer.figures(learner.predict(part, holdout), scorer.weights[:1]))
            else:
                parts.append(scorer.empty(scorer.weights[:1]))
        found[name] = Fitted(whole, scorer.figures(whole, scorer.weights), parts)
    return found


def _controls(
    controls: Mapping[str, Evidence],
    learner: Learner,
    real: Fitted,
    evidence: Evidence,
    scorer: Scorer,
    seed: int,
    most: int | None,
) -> dict[str, dict[str, float]]:
    """Return gain and score of the controls; a control with other held-out rows is scored on those."""
    found: dict[str, dict[str, float]] = {}
    for name, other in controls.items():
        if other.holdout is None or real.whole is None:
            continue
        sets = training_sets(other, most)
        own = other.holdout is not evidence.holdout
        one = Scorer.of(other, most, 0, keyed_rng(seed, _WEIGHTS)) if own else scorer
        fit_seed = int(keyed_rng(seed, _FIT, 0).integers(2**31))
        scores = {}
        for key in (REAL, BOTH, NEW):
            if key == REAL and not own:
                scores[key] = float(real.figures["score", scorer.metric][0])
                continue
            model = learner.fit(other.train, other.made, sets[key], fit_seed)
            scores[key] = float("nan")
            if model is not None:
                told = one.figures(learner.predict(model, other.reference), one.weights[:1])
                scores[key] = float(told["score", scorer.metric][0])
        found[name] = {"gain": scores[BOTH] - scores[REAL], "tstr": scores[NEW]}
    return found


def _notes(
    evidence: Evidence,
    sets: dict[str, TrainingSet],
    main: dict[str, Fitted],
    scorer: Scorer,
    most: int | None,
) -> list[str]:
    notes = []
    given = len(evidence.train) + len(evidence.made)
    if len(sets[BOTH]) < given:
        notes.append(f"Models were trained on {len(sets[BOTH]):,} of {given:,} rows, drawn at random.")
    if len(scorer.places) < len(evidence.reference):
        notes.append(f"Scores rest on {len(scorer.places):,} of {len(evidence.reference):,} held-out rows.")
    if main[NEW].whole is None and evidence.target_kind == "class":
        only = ", ".join(str(evidence.classes[k]) for k in np.unique(evidence.made.labels))
        notes.append(f"The new rows are all of class {only}: no model can be trained on them alone.")
    small = [str(name) for name in scorer.thin_classes]
    if small:
        notes.append(f"Fewer than 20 held-out rows of class {', '.join(small)}: shown, not judged.")
    if evidence.left_out:
        notes.append(f"Without identifiers and free text: {', '.join(map(str, evidence.left_out))}.")
    return notes

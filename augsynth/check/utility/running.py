"""Every method on every split, spread over the workers that the user has chosen."""

from __future__ import annotations

import sys
import time
from typing import Any

from joblib import effective_n_jobs
from sklearn.utils.parallel import Parallel, delayed

from augsynth.check.utility import baselines
from augsynth.check.utility.folds import Outcome, Plan, one_thread, run_method
from augsynth.check.utility.splits import Split
from augsynth.core.errors import DataError, sentence
from augsynth.core.progress import busy, say, track

__all__ = ["run_all"]


def run_all(
    plan: Plan,
    splits: list[Split],
    named: dict[str, Any],
    against: dict[str, str],
    n_jobs: int | None,
    progress: bool | None,
) -> tuple[list[Outcome], float]:
    """Run the baselines that apply and every resampler on every split; return outcomes and seconds."""
    methods = {name: None for name, reason in against.items() if not reason} | named
    tuned = baselines.TUNED_THRESHOLD in methods
    fits = len(splits) * (len(methods) + (plan.inner_folds if tuned else 0))
    loud = progress or (progress is None and sys.stderr.isatty() and not busy())
    if loud:
        say(f"compare: {len(splits)} folds x {len(methods)} methods, {fits} fits in all")
    started = time.perf_counter()
    outcomes: list[Outcome] = []
    # the first split goes first: it shows that the estimator works, and how long all will take
    parts = [splits[:1], splits[1:]]
    with one_thread(), track(len(splits) * len(methods), "compare", enabled=progress) as advance:
        for part in parts:
            calls = [(plan, split, name, methods[name]) for split in part for name in methods]
            for outcome in _in_parallel(calls, n_jobs):
                outcomes.append(outcome)
                advance(1, text=f"{outcome.method}")
            _stop_if_nothing_works(outcomes)
            if part is parts[0] and loud:
                cost = sum(each.seconds_fit + each.seconds_resample for each in outcomes)
                workers = min(effective_n_jobs(n_jobs), len(parts[1]) * len(methods))
                say(f"compare: about {cost * len(parts[1]) / workers:.0f} s to go")
    place = {name: position for position, name in enumerate(methods)}
    outcomes.sort(key=lambda each: (each.repeat, each.fold, place[each.method]))
    return outcomes, time.perf_counter() - started


def _in_parallel(calls: list[tuple[Any, ...]], n_jobs: int | None) -> Any:
    tasks = [delayed(run_method)(*call) for call in calls]
    try:
        parallel = Parallel(n_jobs=n_jobs, return_as="generator_unordered")
    except ValueError:  # a backend that returns everything at the end (multiprocessing, dask, ray)
        parallel = Parallel(n_jobs=n_jobs)
    return parallel(tasks)


def _stop_if_nothing_works(outcomes: list[Outcome]) -> None:
    for outcome in outcomes:
        if outcome.method == baselines.NOTHING and outcome.error:
            raise DataError(
                sentence(
                    "compare",
                    "the estimator must fit and score the folds as they are, without any augmentation",
                    f"in repeat {outcome.repeat}, fold {outcome.fold} a {outcome.error}",
                    "Try estimator.fit(X, y) alone first.",
                )
            )

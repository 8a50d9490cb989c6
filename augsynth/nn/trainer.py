"""The one training loop: any objective, a budget, a bar, early stopping, exact resume."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict
from typing import Any

import numpy as np
import torch
from sklearn.base import BaseEstimator
from torch import Tensor

from augsynth.core.errors import ParameterError, TrainingError, offenders, sentence
from augsynth.core.parameters import check_number, check_option
from augsynth.core.progress import busy, say, track
from augsynth.nn.history import History
from augsynth.nn.objective import Objective
from augsynth.nn.randomness import deterministic
from augsynth.nn.running import Rows, Run, Settings, seconds_a_step
from augsynth.nn.threads import few_threads

__all__ = ["History", "Trainer"]


class Trainer(BaseEstimator):
    """How long, how fast and where a deep model is trained.

    Give at most one of ``steps``, ``epochs`` and ``seconds``. By default the number
    of steps grows with the square root of the rows: about 340 for 500 rows, 2,700
    for 32,000. Models have rules of their own for what is not given here (their
    ``Objective.plan``).

    Parameters
    ----------
    steps : int, optional
        Number of steps (batches).
    epochs : number, optional
        Number of passes over the training rows.
    seconds : number, optional
        Wall time, turned into steps by timing the first ones; ``History.planned``
        says how many, and ``steps`` of that number repeats the run exactly.
    batch_size : int, optional
        Rows a step; by default from 32 to 512 with the number of rows.
    learning_rate : float, optional
        The highest; by default the model's own, or 4e-3. It rises over the first steps
        and falls to zero along a cosine.
    device : str, default="auto"
        "auto" is the first CUDA device, else the processor; or "cpu", "cuda", "cuda:1", "mps".
    checkpoint : path, optional
        A file that is kept up to date; a run that finds its own file there goes on
        from it and ends with the same bytes as a run that was never cut short.
    options : mapping, optional
        The rarely used ones, by name:

        - ``patience`` (None): hold-out evaluations without a gain after which to stop;
        - ``holdout`` (0.1): share of the rows held out when ``patience`` is set;
        - ``check_every`` (None, a twentieth of the run): steps between hold-out
          evaluations, and between checkpoints;
        - ``ema`` (0.999): decay of the running average of the weights, which is what is kept; 0 for none;
        - ``clip`` (5.0): largest norm of a gradient; ``weight_decay`` (0.0);
        - ``precision`` ("32-true"): or "bf16-mixed";
        - ``deterministic`` (False): same bytes on CUDA too, more slowly;
        - ``pictures`` (None): a folder in which loss curves, and for images a sheet of
          samples, are drawn anew at every check;
        - ``progress`` (None): True prints without a terminal too, False never does.

    Notes
    -----
    The batches and the noise of a step are functions of (seed, step) alone. On one
    machine, device and thread count, the same seed gives the same bytes; small models
    (parameters times batch below a thousand million) run on one thread anyway.

    Examples
    --------
    >>> Trainer(steps=100)
    Trainer(steps=100)
    >>> Trainer(epochs=10).planned_steps(1000)
    310
    """

    def __init__(
        self,
        steps: int | None = None,
        *,
        epochs: float | None = None,
        seconds: float | None = None,
        batch_size: int | None = None,
        learning_rate: float | None = None,
        device: str = "auto",
        checkpoint: str | os.PathLike[str] | None = None,
        options: Mapping[str, Any] | None = None,
    ):
        self.steps = steps
        self.epochs = epochs
        self.seconds = seconds
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.device = device
        self.checkpoint = checkpoint
        self.options = options

    def batch_rows(self, n: int, plan: Mapping[str, Any] | None = None) -> int:
        """Return the rows a step for ``n`` training rows; ``plan`` is what the model says of itself."""
        batch = (plan or {}).get("batch_size") if self.batch_size is None else self.batch_size
        if batch is not None:
            return min(int(batch), n)
        return min(n, int(2 ** np.clip(np.round(np.log2(max(n, 1) / 48)), 5, 9)))

    def planned_steps(self, n: int, batch: int | None = None, plan: Mapping[str, Any] | None = None) -> int:
        """Return the number of steps for ``n`` training rows (of a budget in steps or epochs).

        ``batch`` is the rows a step, where that is settled: rows put aside as a hold-out
        count for it, but not for ``n``.
        """
        if self.steps is not None:
            return int(self.steps)
        if self.epochs is not None:
            return max(1, math.ceil(float(self.epochs) * (n // (batch or self.batch_rows(n)))))
        planned = (plan or {}).get("steps")
        return int(np.clip(15 * math.sqrt(n), 300, 50_000) if planned is None else planned)

    def run(
        self,
        objective: Objective,
        z: Tensor,
        c: Tensor,
        *,
        w: Tensor | None = None,
        clusters: np.ndarray | None = None,
        rng: np.random.Generator,
        on_step: Iterable[Callable[[int, dict[str, float]], None]] = (),
    ) -> History:
        """Train an objective in place, and leave it in evaluation mode with the kept weights.

        Parameters
        ----------
        objective : Objective
        z : Tensor, (n, ...)
            Training rows in any form; they stay on the processor unless the device is another.
        c : Tensor of int, (n,)
            Cells of the condition.
        w : Tensor, (n,), optional
            Weights.
        clusters : ndarray, (n,), optional
            Persons or blocks that the hold-out of ``patience`` may not split.
        rng : numpy Generator
            Asked for one number, the seed of the run.
        on_step : callables
            Called after every step with (steps done, losses). What they raise ends the run.

        Raises
        ------
        TrainingError
            When the device is not there, memory runs out, or the loss is not finite.
        """
        plan = objective.plan(len(z))
        settings = self._settings(plan)
        device = resolve_device(self.device)
        seed = int(rng.integers(2**63 - 1))
        batch = self.batch_rows(len(z), plan)
        rows = Rows.of(z, c, w, seed=seed, batch=batch, settings=settings, clusters=clusters)
        started = time.perf_counter()
        try:
            with deterministic(settings.deterministic), few_threads(objective, rows.batch):
                history = self._run(objective, rows, settings, device, seed, tuple(on_step), plan)
        except (MemoryError, RuntimeError) as error:
            if not _is_memory(error):
                raise
            raise TrainingError(
                sentence(
                    "Trainer",
                    f"a step must fit into the memory of {device}",
                    f"{len(z):,} rows in batches of {rows.batch:,}",
                    "Lower batch_size, or the backbone's width.",
                )
            ) from error
        history.seconds = time.perf_counter() - started
        return history

    def _run(
        self,
        objective: Objective,
        rows: Rows,
        settings: Settings,
        device: torch.device,
        seed: int,
        on_step: tuple[Callable[[int, dict[str, float]], None], ...],
        plan: Mapping[str, Any],
    ) -> History:
        run = Run(objective, rows, settings, device, seed)
        progress = settings.progress
        loud = progress or (progress is None and os.isatty(2) and not busy())
        saved = run.find_checkpoint()
        if saved is not None:
            planned = saved
        elif self.seconds is not None:
            planned = max(1, int(float(self.seconds) / seconds_a_step(run, 0.05 * float(self.seconds))))
        else:
            planned = self.planned_steps(rows.n, rows.batch, plan)
        if loud:
            pace = seconds_a_step(run, 0.2)
            left = (planned - run.resumed_from) * pace
            say(f"training on {device}: {planned:,} steps of {rows.batch:,} rows, about {left:.0f} s")
        run.start(planned)
        with track(planned, "training", enabled=progress) as advance:
            advance(run.step)
            while not run.finished:
                losses = run.advance(wanted=bool(on_step))
                for hear in on_step:
                    hear(run.step, losses)
                run.check()
                advance(1, run.text)
        return run.finish()

    def _settings(self, plan: Mapping[str, Any] | None = None) -> Settings:
        given = [name for name in ("steps", "epochs", "seconds") if getattr(self, name) is not None]
        if len(given) > 1:
            raise ParameterError(
                sentence("Trainer", "give only one of steps, epochs and seconds", " and ".join(given))
            )
        for name in given:
            check_number("Trainer", name, getattr(self, name), low=0, low_open=True, integer=name == "steps")
        if self.batch_size is not None:
            check_number("Trainer", "batch_size", self.batch_size, low=1, integer=True)
        rate = (plan or {}).get("learning_rate", 4e-3) if self.learning_rate is None else self.learning_rate
        check_number("Trainer", "learning_rate", rate, low=0, low_open=True)
        if self.checkpoint is not None and not isinstance(self.checkpoint, (str, os.PathLike)):
            raise ParameterError(sentence("Trainer", "checkpoint must be a path", repr(self.checkpoint)))
        if not isinstance(self.options, (Mapping, type(None))):
            must, todo = "options must be a mapping of names to values", "Such as {'ema': 0.99}."
            raise ParameterError(sentence("Trainer", must, repr(self.options), todo))
        options = dict(self.options or {})
        known = set(asdict(Settings())) - {"learning_rate", "checkpoint", "budget"}
        unknown = sorted(set(options) - known)
        if unknown:
            raise ParameterError(
                sentence(
                    "Trainer",
                    "options must be known names",
                    offenders(unknown),
                    f"There are: {', '.join(sorted(known))}.",
                )
            )
        options = {**{k: v for k, v in (plan or {}).items() if k in known}, **options}
        settings = Settings(
            learning_rate=rate,
            checkpoint=self.checkpoint,
            budget=f"{self.steps}/{self.epochs}/{self.seconds}",
            **options,
        )
        check_number("Trainer", "options['ema']", settings.ema, low=0, high=1, high_open=True)
        check_number("Trainer", "options['clip']", settings.clip, low=0, low_open=True)
        check_number("Trainer", "options['weight_decay']", settings.weight_decay, low=0)
        check_number("Trainer", "options['holdout']", settings.holdout, low=0, high=0.9, low_open=True)
        check_option("Trainer", "options['precision']", settings.precision, ("32-true", "bf16-mixed"))
        check_option("Trainer", "options['deterministic']", settings.deterministic, (False, True))
        check_option("Trainer", "options['progress']", settings.progress, (None, False, True))
        for name in ("patience", "check_every"):
            if getattr(settings, name) is not None:
                check_number("Trainer", f"options[{name!r}]", getattr(settings, name), low=1, integer=True)
        return settings


def resolve_device(device: str) -> torch.device:
    """Return the torch device of a name, or say that it is not there.

    Raises
    ------
    TrainingError, ParameterError
    """
    if device == "auto":
        return torch.device("cuda", 0) if torch.cuda.is_available() else torch.device("cpu")
    try:
        found = torch.device(device)
    except (RuntimeError, TypeError):
        raise ParameterError(
            sentence("Trainer", "device must be 'auto', 'cpu', 'cuda', 'cuda:0' or 'mps'", repr(device))
        ) from None
    if found.type == "cuda":
        count = torch.cuda.device_count() if torch.cuda.is_available() else 0
        if (found.index or 0) >= count:
            raise TrainingError(
                sentence(
                    "Trainer",
                    f"device {device!r} needs a CUDA device and a torch built for it",
                    f"{count} CUDA device{'s' * (count != 1)}",
                    "Use device='auto' or 'cpu'.",
                )
            )
        return torch.device("cuda", found.index or 0)
    if found.type == "mps" and not torch.backends.mps.is_available():
        raise TrainingError(
            sentence("Trainer", "device 'mps' needs an Apple GPU", "none", "Use device='auto' or 'cpu'.")
        )
    check_option("Trainer", "device", found.type, ("cpu", "mps"))
    return found


def _is_memory(error: BaseException) -> bool:
    text = str(error)
    return (
        isinstance(error, (MemoryError, torch.OutOfMemoryError))
        or "out of memory" in text
        or "can't allocate memory" in text
        or "not enough memory" in text
    )

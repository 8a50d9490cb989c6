"""One training run, step by step: its rows, its state, and how that state is kept."""

from __future__ import annotations

import copy
import json
import math
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from augsynth.core.errors import ParameterError, TrainingError, sentence
from augsynth.core.progress import busy, say
from augsynth.core.random import keyed_rng
from augsynth.nn.checkpoint import digest, read_checkpoint, write_checkpoint
from augsynth.nn.held_clusters import by_cluster
from augsynth.nn.history import History
from augsynth.nn.objective import Objective
from augsynth.nn.randomness import keyed_generator

__all__ = ["Rows", "Run", "Settings", "seconds_a_step"]

HOLDOUT_ROWS = 8192  # more make the hold-out loss no more useful
_ORDER, _NOISE, _SCORE, _SPLIT, _PICTURE = range(5)  # the streams of a run


@dataclass(frozen=True)
class Settings:
    """What the loop needs to know; :class:`augsynth.nn.trainer.Trainer` says what each means."""

    learning_rate: float = 4e-3
    checkpoint: str | os.PathLike[str] | None = None
    patience: int | None = None
    holdout: float = 0.1
    check_every: int | None = None
    ema: float = 0.999
    clip: float = 5.0
    weight_decay: float = 0.0
    precision: str = "32-true"
    budget: str = ""
    deterministic: bool = False
    progress: bool | None = None
    pictures: str | os.PathLike[str] | None = None


@dataclass
class Rows:
    """Training rows, and which of them make up the batch of a step: a function of (seed, step)."""

    z: Tensor
    c: Tensor
    w: Tensor | None
    train: Tensor
    held: Tensor
    batch: int
    seed: int
    _epoch: int = -1
    _order: Tensor | None = None

    @classmethod
    def of(
        cls,
        z: Tensor,
        c: Tensor,
        w: Tensor | None,
        *,
        seed: int,
        batch: int,
        settings: Settings,
        clusters: np.ndarray | None = None,
    ) -> Rows:
        """Put rows aside for the hold-out if patience is set: whole clusters, where there are some."""
        n = len(z)
        if n == 0 or len(c) != n or (w is not None and len(w) != n):
            lengths = f"{n}, {len(c)}" + ("" if w is None else f", {len(w)}")
            raise ParameterError(sentence("Trainer", "z, c and w must agree in rows (at least one)", lengths))
        held = 0 if settings.patience is None or n < 2 else max(1, int(settings.holdout * n))
        mixed = keyed_rng(seed, _SPLIT).permutation(n)
        if held and clusters is not None:
            mixed, held = by_cluster(mixed, clusters, held, keyed_rng(seed, _SPLIT, 1))
        order = torch.as_tensor(mixed)
        train = torch.sort(order[held:]).values
        return cls(z, c, w, train, order[:held][:HOLDOUT_ROWS], min(batch, len(train)), seed)

    @property
    def n(self) -> int:
        """Number of rows that are trained on."""
        return len(self.train)

    def at(self, step: int) -> Tensor:
        """Return the positions of the rows of a step."""
        # Whole batches are shuffled too: to some objectives a place in the batch means something (strata).
        epoch, place = divmod(step, self.n // self.batch)
        if epoch != self._epoch or self._order is None:
            shuffled = keyed_rng(self.seed, _ORDER, epoch).permutation(self.n)
            # Once an epoch to where the rows are, so that no step waits for its positions.
            self._order, self._epoch = self.train[torch.as_tensor(shuffled)].to(self.z.device), epoch
        return self._order[place * self.batch : (place + 1) * self.batch]

    def take(self, positions: Tensor, device: torch.device) -> tuple[Tensor, Tensor, Tensor | None]:
        """Return (z, c, w) of some rows on a device."""
        positions = positions.to(self.z.device)
        w = None if self.w is None else self.w[positions].to(device)
        return self.z[positions].to(device), self.c[positions].to(device), w


class Run:
    """The state of a run: weights, their average, optimisers, step, best hold-out."""

    def __init__(self, objective: Objective, rows: Rows, settings: Settings, device: torch.device, seed: int):
        from lightning_fabric import Fabric

        self.rows, self.settings, self.device, self.seed = rows, settings, device, seed
        index = [device.index or 0] if device.type == "cuda" else 1
        self.fabric = Fabric(accelerator=device.type, devices=index, precision=settings.precision)  # type: ignore[arg-type]
        self.objective = objective.to(device).train()
        if device.type != "cpu":  # encoded rows are small: they live where they are used
            rows.z, rows.c = rows.z.to(device), rows.c.to(device)
            rows.w = None if rows.w is None else rows.w.to(device)
        self.step = self.resumed_from = self.best_step = self.stale = 0
        self.planned, self.best_score = 0, math.inf
        self.text = ""
        self.history = History(device=str(device))
        self.best: list[Tensor] | None = None
        self.players = self.objective.players()
        self.parameters = [p for group in self.players.values() for p in group]
        self.average = [p.detach().clone() for p in self.parameters] if settings.ema else None
        self._make_optimizers()

    def _make_optimizers(self) -> None:
        self.optimizers, self.rates = {}, {}
        for name, parameters in self.players.items():
            own = dict(self.objective.optimizer_settings(name))
            self.rates[name] = self.settings.learning_rate * own.pop("rate", 1.0)
            own.setdefault("betas", (0.9, 0.99))
            self.optimizers[name] = torch.optim.AdamW(
                parameters,
                lr=self.rates[name],
                weight_decay=self.settings.weight_decay,
                fused=self.device.type in ("cpu", "cuda"),
                **own,
            )

    def start(self, planned: int) -> None:
        """Fix the number of steps, once, and tell the objective."""
        self.planned = planned
        self.objective.begin(planned)
        self.every = self.settings.check_every or max(1, planned // 20)
        self.log_every = max(1, planned // 200)

    @property
    def finished(self) -> bool:
        """Whether the budget is used up or patience has run out."""
        patience = self.settings.patience
        return self.step >= self.planned or (patience is not None and self.stale >= patience)

    def advance(self, *, wanted: bool = False) -> dict[str, float]:
        """Do one step; return its losses where they are wanted or logged."""
        z, c, w = self.rows.take(self.rows.at(self.step), self.device)
        generator = keyed_generator(self.seed, (_NOISE, self.step), self.device)
        share = self.step / max(self.planned, 1)
        warm = min(1.0, (self.step + 1) / min(50, self.planned / 10 + 1))
        factor = 0.5 * (1 + math.cos(math.pi * share)) * warm
        seen: dict[str, Tensor] = {}
        norms: dict[str, Tensor] = {}
        turns = iter(self.objective.losses(z, c, w, step=self.step, generator=generator))
        while True:
            with self.fabric.autocast():
                turn = next(turns, None)
            if turn is None:
                break
            player, loss = turn
            optimizer = self.optimizers[player]
            optimizer.zero_grad()
            self.fabric.backward(loss)
            norms[player] = torch.nn.utils.clip_grad_norm_(self.players[player], self.settings.clip)
            for group in optimizer.param_groups:
                group["lr"] = self.rates[player] * factor
            optimizer.step()
            seen[player] = loss.detach()
        self.step += 1
        if self.average is not None:
            decay = min(self.settings.ema, self.step / (self.step + 9))
            torch._foreach_lerp_(self.average, [p.detach() for p in self.parameters], 1.0 - decay)
        return self._look(seen, norms, wanted)

    def _look(self, seen: dict[str, Tensor], norms: dict[str, Tensor], wanted: bool) -> dict[str, float]:
        log = self.step % self.log_every == 0 or self.step == self.planned
        # Reading a loss makes a GPU wait, so there it is read now and then only.
        if not (wanted or log or self.device.type == "cpu"):
            return {}
        values = {player: float(loss) for player, loss in seen.items()}
        for player, value in values.items():
            if not math.isfinite(value):
                raise self._not_finite(f"{value} at step {self.step} ({player})")
        if log:
            self._record(values, norms)
        self.text = ", ".join(f"{player} {value:.3g}" for player, value in values.items())
        return values

    def _record(self, values: dict[str, float], norms: dict[str, Tensor]) -> None:
        history = self.history
        for player, value in values.items():
            history.losses.setdefault(player, []).append((self.step, value))
        watched = {f"gradient {player}": norm for player, norm in norms.items()} | dict(
            self.objective.watch()
        )
        for name, scalar in watched.items():
            history.watched.setdefault(name, []).append((self.step, float(scalar)))
        for text in self.objective.alarms(history):
            if text not in [said for _, said in history.alarms]:
                history.alarms.append((self.step, text))
                if self.settings.progress or (self.settings.progress is None and not busy()):
                    say(f"step {self.step}: {text}")

    def _not_finite(self, given: str) -> TrainingError:
        todo = "Lower learning_rate, and look for extreme values in the columns."
        if self.settings.checkpoint is not None and os.path.exists(self.settings.checkpoint):
            todo += f" {os.fspath(self.settings.checkpoint)!r} holds the last good weights."
        return TrainingError(sentence("Trainer", "the loss must stay finite", given, todo))

    def check(self) -> None:
        """Every so many steps: look at the hold-out, write the checkpoint, draw the pictures."""
        if self.step % self.every and self.step != self.planned:
            return
        if self.settings.checkpoint is not None and not all(
            bool(p.isfinite().all()) for p in self.parameters
        ):
            raise self._not_finite(f"weights that are not, at step {self.step}")
        if self.settings.patience is not None and len(self.rows.held):
            self._look_at_holdout()
        self.save()
        if self.settings.pictures is not None:
            self._draw_pictures(os.fspath(self.settings.pictures))

    @torch.no_grad()
    def _draw_pictures(self, folder: str) -> None:
        from augsynth.nn.pictures import image_sheet, loss_curves

        os.makedirs(folder, exist_ok=True)
        loss_curves(self.history, os.path.join(folder, "losses.png"))
        if self.rows.z.dim() != 4:
            return
        cells = torch.arange(min(10, int(self.rows.c.max()) + 1), device=self.device).repeat_interleave(8)
        with self._averaged():
            generator = keyed_generator(self.seed, (_PICTURE,), "cpu")
            drawn = self.objective.draw(cells.to(torch.int32), generator).float().cpu().numpy()
        image_sheet(drawn, os.path.join(folder, "samples.png"), columns=8)

    @torch.no_grad()
    def _look_at_holdout(self) -> None:
        with self._averaged():
            z, c, w = self.rows.take(self.rows.held, self.device)
            generator = keyed_generator(self.seed, (_SCORE,), self.device)
            score = float(self.objective.score(z, c, w, generator=generator))
        self.history.holdout.append((self.step, score))
        if score < self.best_score:
            self.best_score, self.best_step, self.stale = score, self.step, 0
            self.best = [p.clone() for p in (self.average or [q.detach() for q in self.parameters])]
        else:
            self.stale += 1

    @contextmanager
    def _averaged(self) -> Iterator[None]:
        """Look at the objective with its averaged weights."""
        raw = [p.detach().clone() for p in self.parameters]
        self._put(self.average or raw)
        self.objective.eval()
        try:
            yield
        finally:
            self._put(raw)
            self.objective.train()

    @torch.no_grad()
    def _put(self, values: list[Tensor]) -> None:
        for parameter, value in zip(self.parameters, values, strict=True):
            parameter.copy_(value)

    def finish(self) -> History:
        """Leave the kept weights in the objective; return what the run did."""
        if self.best is None:
            self.best_step = self.step
        self._put(self.best or self.average or [p.detach() for p in self.parameters])
        self.objective.eval()
        history = self.history
        history.planned, history.steps, history.best_step = self.planned, self.step, self.best_step
        history.resumed_from = self.resumed_from
        return history

    # ---- the checkpoint -------------------------------------------------------------

    def _fingerprint(self) -> str:
        ignored = {"checkpoint", "progress", "check_every", "pictures"}
        told = {k: v for k, v in asdict(self.settings).items() if k not in ignored}
        shapes = [(k, tuple(v.shape)) for k, v in self.objective.state_dict().items()]
        told["run"] = f"{self.seed}/{self.rows.batch}"
        return digest(self.rows.z, self.rows.c, self.rows.w, json.dumps(told), str(shapes))

    def save(self) -> None:
        """Write everything that the next step depends on."""
        if self.settings.checkpoint is None:
            return
        tensors = {"objective": dict(self.objective.state_dict())}
        for name, kept in (("average", self.average), ("best", self.best)):
            if kept is not None:
                tensors[name] = {str(i): value for i, value in enumerate(kept)}
        for player, optimizer in self.optimizers.items():
            for i, state in optimizer.state_dict()["state"].items():
                tensors[f"optimizer.{player}.{i}"] = state
        facts = {
            "fingerprint": self._fingerprint(),
            "planned": self.planned,
            "step": self.step,
            "best_step": self.best_step,
            "best_score": self.best_score if math.isfinite(self.best_score) else None,
            "stale": self.stale,
            "losses": self.history.losses,
            "holdout": self.history.holdout,
            "watched": self.history.watched,
            "alarms": self.history.alarms,
        }
        write_checkpoint(self.settings.checkpoint, tensors, facts)

    def find_checkpoint(self) -> int | None:
        """Take up this run's own checkpoint; return its planned steps, None where there is no file."""
        if self.settings.checkpoint is None:
            return None
        found = read_checkpoint(self.settings.checkpoint)
        if found is None:
            return None
        tensors, facts = found
        if facts["fingerprint"] != self._fingerprint():
            raise ParameterError(
                sentence(
                    "Trainer",
                    "checkpoint must be of the same rows, model, options and seed",
                    f"{os.fspath(self.settings.checkpoint)!r}, which is of another run",
                    "Delete it or name another file; set random_state, so that a run can find its own.",
                )
            )
        self._take_up(tensors, facts)
        return int(facts["planned"])

    def _take_up(self, tensors: dict[str, dict[str, Tensor]], facts: dict[str, Any]) -> None:
        self.objective.load_state_dict(tensors["objective"])
        if self.average is not None:
            self.average = [tensors["average"][str(i)].to(self.device) for i in range(len(self.average))]
        if "best" in tensors:
            self.best = [tensors["best"][str(i)].to(self.device) for i in range(len(self.parameters))]
        for player, optimizer in self.optimizers.items():
            packed = optimizer.state_dict()
            prefix = f"optimizer.{player}."
            packed["state"] = {int(k[len(prefix) :]): v for k, v in tensors.items() if k.startswith(prefix)}
            optimizer.load_state_dict(packed)
        self.step = self.resumed_from = int(facts["step"])
        self.best_step, self.stale = int(facts["best_step"]), int(facts["stale"])
        self.best_score = math.inf if facts["best_score"] is None else facts["best_score"]
        for name in ("losses", "watched"):
            points = {k: [(int(s), v) for s, v in listed] for k, listed in facts[name].items()}
            setattr(self.history, name, points)
        for name in ("holdout", "alarms"):
            setattr(self.history, name, [(int(s), v) for s, v in facts[name]])


def seconds_a_step(run: Run, budget_s: float) -> float:
    """Time a few steps of a copy of the run, for at most ``budget_s`` seconds (three steps at least)."""
    trial = copy.copy(run)
    trial.objective = copy.deepcopy(run.objective)
    trial.players = trial.objective.players()
    trial.parameters = [p for group in trial.players.values() for p in group]
    trial.average = None if run.average is None else [a.clone() for a in run.average]
    trial.history = History()
    trial._make_optimizers()
    trial.start(1_000_000)
    trial.step = 0
    trial.advance()
    done, started = 0, time.perf_counter()
    while done < 2 or (time.perf_counter() - started < budget_s and done < 50):
        trial.advance()
        done += 1
    float(trial.parameters[0].detach().flatten()[0])  # waits for a GPU to catch up
    return (time.perf_counter() - started) / done

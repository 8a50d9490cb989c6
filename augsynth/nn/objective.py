"""What a model learns by: the protocol between a deep model and the training loop."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

__all__ = ["Objective"]


class Objective(nn.Module, ABC):
    """A model together with its losses; the only thing that the trainer sees.

    Whatever it remembers between steps (replay buffers, running averages) must live
    in ``state_dict``, so that a resumed run is exact. All noise must come from the
    ``generator`` that it is handed, never from torch's global one (so no
    ``nn.Dropout``: draw the mask from the generator).
    """

    def plan(self, n: int) -> Mapping[str, Any]:
        """Say how ``n`` rows are best trained on, where the user has not said it.

        Any of ``steps``, ``batch_size``, ``learning_rate``, and the names in the
        trainer's ``options``. Nothing by default: the trainer's own rules.
        """
        return {}

    def begin(self, planned_steps: int) -> None:
        """Hear, once, how many steps are planned (for warm-ups); nothing by default."""

    def players(self) -> dict[str, list[nn.Parameter]]:
        """Name the sets of parameters that take turns; one set of all by default."""
        return {"model": [p for p in self.parameters() if p.requires_grad]}

    def optimizer_settings(self, player: str) -> dict[str, Any]:
        """Say how a player differs from the trainer: ``rate`` (a factor on the learning rate), ``betas``."""
        return {}

    @abstractmethod
    def losses(
        self, z: Tensor, c: Tensor, w: Tensor | None, *, step: int, generator: torch.Generator
    ) -> Iterable[tuple[str, Tensor]]:
        """Yield (player, scalar loss); the loop steps that player before it asks for the next.

        Parameters
        ----------
        z : Tensor, (batch, ...)
            Rows as the codec gave them: tokens, scores or pixels.
        c : Tensor of int, (batch,)
            Cells of the condition.
        w : Tensor or None, (batch,)
            Weights of the rows, with mean one over the training rows.
        step : int
            Number of steps done before this one.
        generator : torch.Generator
            The noise of this step, and nothing else.
        """

    def score(self, z: Tensor, c: Tensor, w: Tensor | None, *, generator: torch.Generator) -> Tensor:
        """Return the hold-out loss (lower is better) that patience watches; the sum of the losses."""
        total = [loss for _, loss in self.losses(z, c, w, step=2**31, generator=generator)]
        return torch.stack(total).sum()

    def watch(self) -> Mapping[str, Tensor]:
        """Return scalars of the last step to record (D(x), say); read at some two hundred steps only."""
        return {}

    def alarms(self, history: Any) -> list[str]:
        """Return in words what looks wrong so far; each text is said once.

        Parameters
        ----------
        history : History
            Losses, gradient norms and what :meth:`watch` named, up to now.
        """
        return []

    @abstractmethod
    def draw(self, c: Tensor, generator: torch.Generator) -> Tensor:
        """Draw one row for each cell of ``c`` (n,), in the form that ``losses`` takes."""

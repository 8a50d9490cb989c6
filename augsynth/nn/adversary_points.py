"""The two networks of an adversarial model for points: rows of numbers without gaps."""

from __future__ import annotations

import copy
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from augsynth.nn.adversarial import Adversaries
from augsynth.nn.backbones import ConditionEmbedding

__all__ = ["PointAdversaries"]


class _Perceptron(nn.Module):
    def __init__(
        self, n_inputs: int, n_outputs: int, width: int, depth: int, condition: ConditionEmbedding | None
    ):
        super().__init__()
        self.condition = condition
        told = 0 if condition is None else condition.weight.shape[1]
        sizes = [n_inputs + told] + [width] * depth
        self.layers = nn.ModuleList(nn.Linear(a, b) for a, b in zip(sizes[:-1], sizes[1:], strict=True))
        self.last = nn.Linear(sizes[-1], n_outputs)

    def forward(self, x: Tensor, c: Tensor) -> tuple[Tensor, Tensor]:
        if self.condition is not None:
            x = torch.cat([x, self.condition(c)], dim=1)
        for layer in self.layers:
            x = F.relu(layer(x))
        return self.last(x), x


class PointAdversaries(Adversaries):
    """Maker and critic of points (n, p) of numbers: two plain perceptrons, without any help.

    The smallest pair there is: for points in the plane, and for seeing what a stabiliser
    does. Tables are better served by :class:`augsynth.nn.adversary_table.TableAdversaries`.

    Parameters
    ----------
    n_columns : int
    condition : ConditionEmbedding or None
        What both are told; each gets an embedding of its own.
    width, depth : int
        Size of both networks.
    noise_dim : int
    packing : int
        Rows that the critic judges together.
    """

    loss: ClassVar[str] = "non-saturating"

    def __init__(
        self,
        n_columns: int,
        condition: ConditionEmbedding | None = None,
        *,
        width: int = 64,
        depth: int = 2,
        noise_dim: int = 8,
        packing: int = 1,
    ):
        super().__init__()
        self.noise_dim, self.packing = noise_dim, packing
        self.maker = _Perceptron(noise_dim, n_columns, width, depth, condition)
        self.critic = _Perceptron(packing * n_columns, 1, width, depth, copy.deepcopy(condition))

    def make(self, noise: Tensor, c: Tensor, generator: torch.Generator) -> Tensor:
        """Return made points (n, p)."""
        return self.maker(noise, c)[0]

    def real(self, z: Tensor, generator: torch.Generator) -> Tensor:
        """Return the points as they are."""
        return z

    def judge(self, x: Tensor, c: Tensor) -> tuple[Tensor, Tensor]:
        """Return scores (m,) and features (m, width) of points (n, p)."""
        packed = x.reshape(-1, self.packing * x.shape[1])
        score, features = self.critic(packed, c[:: self.packing])
        return score.squeeze(1), features

    def decide(self, noise: Tensor, c: Tensor, generator: torch.Generator) -> Tensor:
        """Return made points (n, p)."""
        return self.maker(noise, c)[0]

    def optimizer_settings(self, player: str) -> dict[str, Any]:
        """Adam with the momentum that adversarial training is used to."""
        return {"betas": (0.5, 0.99)}

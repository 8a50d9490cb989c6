"""The two networks of a generative adversarial model for coded table rows."""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from sklearn.base import clone
from torch import Tensor, nn
from torch.nn import functional as F

from augsynth.nn.adversarial import Adversaries
from augsynth.nn.backbones import ConditionEmbedding
from augsynth.nn.token_counts import TreeCounts, set_right, start_values
from augsynth.nn.token_space import SlotLinear, TokenSpace

__all__ = ["TableAdversaries", "TableCritic", "TableMaker"]

MOST_CELL_WEIGHTS = 1_000_000  # cells times slots; beyond it, cells differ through the network only
SETTLE_ROWS, SETTLE_MOST = 4096, 65_536  # rows drawn at once, and a round
ECHO = 0.5  # first weight of the tokens drawn so far beside the noise
HEAD_START = 0.3  # first outputs of the maker, as a share of the usual: it begins near the tree


def _shallower(backbone: Any) -> Any:
    """Return the backbone with a hidden layer less: the networks add one of their own."""
    depth = getattr(backbone, "depth", None)
    return backbone if not depth else clone(backbone).set_params(depth=depth - 1)


class TableMaker(nn.Module):
    """From noise and condition to the tokens of every column, bucket by bucket.

    A column's logits are read off a hidden vector that has heard the noise, the condition
    and every token drawn so far, by one weight matrix for all columns. To them are added
    what the token of the column's parent says, and what the cell says.

    Parameters
    ----------
    space : TokenSpace
    condition : ConditionEmbedding or None
    backbone : MLPBackbone
    noise_dim : int
    """

    def __init__(
        self, space: TokenSpace, condition: ConditionEmbedding | None, backbone: Any, noise_dim: int
    ):
        super().__init__()
        width = int(getattr(backbone, "width", 256))
        self.condition = condition
        told = 0 if condition is None else condition.weight.shape[1]
        self.space = [space]  # not a submodule: it has no weights
        self.body = _shallower(backbone).build(noise_dim, width, told)
        self.head = SlotLinear(space, width, HEAD_START / math.sqrt(width))
        self.echo = nn.Parameter(torch.randn(space.width, width) * (ECHO / math.sqrt(space.n_digits)))
        self.bias = nn.Parameter(torch.zeros(space.width))
        self.tables = space.tables()
        n_cells = 0 if condition is None else len(condition.rows)
        self.n_cells = n_cells if n_cells * space.width <= MOST_CELL_WEIGHTS else 0
        self.cells = nn.Parameter(torch.zeros(self.n_cells, space.width)) if self.n_cells else None

    def forward(self, noise: Tensor, c: Tensor, uniform: Tensor) -> tuple[Tensor, Tensor]:
        """Draw one-hots (n, width) and digits (n, n_digits) from noise, cells and uniform numbers."""
        space = self.space[0]
        told = None if self.condition is None else self.condition(c)
        hidden = self.body(noise, told)
        heads, biases = self.head().split(space.spans, 0), self.bias.split(space.spans)
        echoes = self.echo.split(space.spans, 0)
        cells = None if self.cells is None else F.embedding(c.long(), self.cells).split(space.spans, 1)

        def raw(b: int, drawn: list[Tensor]) -> Tensor:
            nonlocal hidden
            if b:
                before = space.buckets[b - 1]
                at = drawn[-1] + before.size * torch.arange(before.columns, device=drawn[-1].device)
                hidden = hidden + F.embedding_bag(at, echoes[b - 1], mode="sum")
            logits = torch.addmm(biases[b], F.silu(hidden), heads[b].t())
            return logits if cells is None else logits + cells[b]

        return space.choose(raw, uniform, self.tables)


class TableCritic(nn.Module):
    """From rows and conditions to scores, some rows at a time.

    Parameters
    ----------
    space : TokenSpace
    condition : ConditionEmbedding or None
    backbone : MLPBackbone
    packing : int
        Rows that are judged together.
    """

    def __init__(
        self, space: TokenSpace, condition: ConditionEmbedding | None, backbone: Any, packing: int = 1
    ):
        super().__init__()
        width = int(getattr(backbone, "width", 256))
        self.packing, self.condition = packing, condition
        told = 0 if condition is None else condition.weight.shape[1]
        self.read = SlotLinear(space, width, 1.0 / math.sqrt(2 * space.n_digits))
        self.context = nn.Linear(told, width) if told else None
        self.body = _shallower(backbone).build(packing * width, width, packing * told)
        self.last = nn.Linear(width, 1)
        self.project = nn.Linear(packing * told, width, bias=False) if told else None

    def forward(self, x: Tensor, c: Tensor) -> tuple[Tensor, Tensor]:
        """Map rows (n, width) and cells (n,) to scores (n / packing,) and features (n / packing, f)."""
        hidden = x @ self.read()
        told = None
        if self.condition is not None and self.context is not None:
            told = self.condition(c)
            hidden = hidden + self.context(told)
            told = told.reshape(-1, self.packing * told.shape[1])
        hidden = F.leaky_relu(hidden, 0.2).reshape(-1, self.packing * hidden.shape[1])
        features = F.leaky_relu(self.body(hidden, told), 0.2)
        score = self.last(features).squeeze(1)
        if self.project is not None:
            score = score + (self.project(told) * features).sum(1) / math.sqrt(features.shape[1])
        return score, features


class TableAdversaries(Adversaries):
    """Maker and critic of table rows.

    The maker says a probability for every token of every column, and draws: columns along
    a tree, parents first, each told the tokens drawn before it. It does not learn from
    nothing: :meth:`start` gives it the frequencies of tokens, of linked pairs and within
    cells, and :meth:`settle` puts these right after training. What goes beyond them, it
    learns from the critic alone. The critic reads one-hots through one matrix (the sum of an
    embedding a cell), in which neighbouring bins of a number share weights, and is told
    the condition in every layer and by projection on its last features.

    Parameters
    ----------
    space : TokenSpace
        What a row is.
    condition : ConditionEmbedding or None
        What both are told; each gets an embedding of its own.
    backbone : MLPBackbone
        Size of both networks.
    noise_dim : int, default=64
    packing : int, default=1
        Rows that the critic judges together (Lin et al. 2018), each with its own condition.

    Notes
    -----
    Put together for the coded training rows ``z`` of a :class:`~augsynth.encode.bins.Binner`:
    ``TableAdversaries(TokenSpace(binner.sizes_, dependence_tree(z, ...), ordered), condition,
    backbone)``, then ``start(z)``; the second only before a training, not before a load.

    Gradients pass a draw straight through, as if it were the softmax; those to a column's
    logits come from that column's own one-hot, not through the tokens drawn after it.
    Adult (32,561 rows of 14 columns, 769 slots): 1,443 steps of 256 rows, both turns, and
    settling took 117 CPU-seconds on one thread of a busy machine.

    The critic is told the condition of every row of a pack, so packs may be mixed.

    Deviation: published table models (CTGAN) draw all columns at once from the noise, and
    begin with even chances. Here the likelihoods are local counts, never a training loss.

    References
    ----------
    H. Larochelle, I. Murray, "The Neural Autoregressive Distribution Estimator", 2011 (the
    running hidden vector). L. Mescheder et al., "Which Training Methods for GANs do actually
    Converge?", 2018, arXiv:1801.04406 (the default penalty). L. Xu et al., "Modeling Tabular
    Data using Conditional GAN", 2019, arXiv:1907.00503.
    T. Miyato, M. Koyama, "cGANs with Projection Discriminator", 2018, arXiv:1802.05637.
    Z. Lin et al., "PacGAN", 2018, arXiv:1712.04086. C. Chow, C. Liu, "Approximating
    discrete probability distributions with dependence trees", 1968, doi:10.1109/TIT.1968.1054142.
    """

    loss: ClassVar[str] = "non-saturating"
    penalty: ClassVar[Mapping[str, Any] | None] = {"strength": 0.05, "at": "real"}
    maker: TableMaker
    critic: TableCritic

    def __init__(
        self,
        space: TokenSpace,
        condition: ConditionEmbedding | None,
        backbone: Any,
        *,
        noise_dim: int = 64,
        packing: int = 1,
    ):
        super().__init__()
        self.space, self.noise_dim, self.packing = space, noise_dim, packing
        self.maker = TableMaker(space, condition, backbone, noise_dim)
        self.critic = TableCritic(space, copy.deepcopy(condition), backbone, packing)

    def plan(self, n: int) -> Mapping[str, Any]:
        """Return the measured defaults: the steps grow with the square root of the rows."""
        return {
            "steps": int(min(max(8 * math.sqrt(n), 200), 20_000)),
            "batch_size": min(n, 256),
            "learning_rate": 5e-4,
            "ema": 0.999,
        }

    def optimizer_settings(self, player: str) -> dict[str, Any]:
        """Let the discriminator learn faster than the generator (two time scales)."""
        return {"betas": (0.0, 0.9), "rate": 2.0 if player == "discriminator" else 1.0}

    def make(self, noise: Tensor, c: Tensor, generator: torch.Generator) -> Tensor:
        """Return made rows (n, width): one-hots of draws, with the gradient of the softmax."""
        return self._choose(noise, c, generator)[0]

    def real(self, z: Tensor, generator: torch.Generator) -> Tensor:
        """Return the one-hots (n, width) of coded rows (n, p)."""
        return self.space.onehot(z)

    def judge(self, x: Tensor, c: Tensor) -> tuple[Tensor, Tensor]:
        """Return scores (n // packing,) and features (n // packing, f) of rows (n, width)."""
        return self.critic(x, c)

    def decide(self, noise: Tensor, c: Tensor, generator: torch.Generator) -> Tensor:
        """Draw tokens (n, p) from the softmax of every column, parents first."""
        return self.space.tokens(self._choose(noise, c, generator)[1])

    def _choose(self, noise: Tensor, c: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        uniform = torch.rand(len(c), self.space.n_digits, generator=generator, device=generator.device)
        return self.maker(noise, c, uniform.to(noise.device))

    @torch.no_grad()
    def start(self, z: Tensor, c: Tensor, w: Tensor | None = None) -> None:
        """Let the maker begin at the training rows' frequencies along the tree, not at even chances.

        Parameters
        ----------
        z : Tensor of int, (n, p)
            Coded training rows.
        c : Tensor of int, (n,)
            Their cells.
        w : Tensor, optional, (n,)
            Weights.
        """
        maker = self.maker
        one, two = (
            TreeCounts.of(self.space, z[k::2], c[k::2], None if w is None else w[k::2], n_cells=maker.n_cells)
            for k in (0, 1)
        )
        start_values(self.space, (one, two), maker.bias, maker.tables, maker.cells)

    @torch.no_grad()
    def settle(
        self, z: Tensor, c: Tensor, w: Tensor | None = None, *, generator: torch.Generator, rounds: int = 6
    ) -> None:
        """Set the trained maker's frequencies right: of tokens, of linked pairs, and in cells.

        Each round draws as many rows as there are (at most 65,536), of the same cells, and
        moves the logits by part of the log-ratios of the counts.
        """
        maker, rate = self.maker, 0.7
        step = -(-len(z) // SETTLE_MOST)
        z, c, w = z[::step], c[::step], None if w is None else w[::step]
        wanted = TreeCounts.of(self.space, z, c, w, n_cells=maker.n_cells)
        for _ in range(rounds):
            blocks = [
                self.decide(self.draw_noise(len(part), generator, part.device), part, generator)
                for part in c.split(SETTLE_ROWS)
            ]
            found = TreeCounts.of(self.space, torch.cat(blocks), c, w, n_cells=maker.n_cells)
            set_right(self.space, wanted, found, maker.tables, maker.bias, maker.cells, rate)
            rate *= 0.8

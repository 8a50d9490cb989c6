"""Rows of tokens with any of their cells hidden: one network that guesses the hidden ones."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from augsynth.nn.backbones import ConditionEmbedding
from augsynth.nn.heads import TokenHead

__all__ = ["CellTable", "MaskedNetwork", "pick"]

SLOWED = 0.9  # how much of its pace a bin's own vector loses where bins cut a continuous number
WAVES = 12  # smooth functions of a bin's position that neighbouring bins share


class CellTable(nn.Module):
    """A vector for every token of every column, written so that neighbouring bins of a number share theirs.

    To a free vector a token, ordered columns add a smooth function of the token's
    position, so that what is learned of one bin is learned, in part, of those beside it.

    Parameters
    ----------
    counts : sequence of int, (p,)
        Number of vectors of each column.
    lengths : sequence of int, (p,)
        How many of a column's first tokens are ordered; 0 for none.
    width : int
    scale : float
        Standard deviation of the first vectors.
    smooth : sequence of float, (p,), optional
        Share of a column's ordered tokens that stand for stretches of a continuous number,
        not for repeated values: the free vectors of such a column learn more slowly, by up to
        a factor of ten, since what sets one stretch apart from the next is mostly chance.
    """

    first: Tensor
    pace: Tensor
    waves: Tensor
    rows: Tensor
    places: Tensor

    def __init__(
        self,
        counts: Sequence[int],
        lengths: Sequence[int],
        width: int,
        *,
        scale: float,
        smooth: Sequence[float] | None = None,
    ):
        super().__init__()
        total = torch.as_tensor(list(counts), dtype=torch.long)
        self.register_buffer("first", torch.cumsum(total, 0) - total, persistent=False)
        self.starts: list[int] = self.first.tolist()  # at hand, so that no draw waits for a device
        self.free = nn.Parameter(torch.randn(int(total.sum()), width) * scale)
        waved = [j for j, length in enumerate(lengths) if length > 2]
        pace = torch.ones(len(self.free), 1)
        for j in waved:
            start = int(self.first[j])
            pace[start : start + lengths[j]] = 1.0 - SLOWED * (0.0 if smooth is None else smooth[j])
        self.register_buffer("pace", pace, persistent=False)
        longest = max((lengths[j] for j in waved), default=0)
        waves = torch.zeros(len(waved), longest, WAVES)
        rows, places = [], []
        for k, j in enumerate(waved):
            waves[k, : lengths[j]] = _waves(lengths[j])
            rows.append(self.first[j] + torch.arange(lengths[j]))
            places.append(k * longest + torch.arange(lengths[j]))
        self.register_buffer("waves", waves, persistent=False)
        empty = torch.zeros(0, dtype=torch.long)
        self.register_buffer("rows", torch.cat([empty, *rows]), persistent=False)
        self.register_buffer("places", torch.cat([empty, *places]), persistent=False)
        self.smooth = (
            nn.Parameter(torch.randn(len(waved), WAVES, width) * (scale / math.sqrt(WAVES / 2)))
            if waved
            else None
        )

    def forward(self) -> Tensor:
        """Return the vectors of all tokens, column after column, (total, width)."""
        if self.smooth is None:
            return self.free * self.pace
        shared = torch.bmm(self.waves, self.smooth).flatten(0, 1)
        return (self.free * self.pace).index_add(0, self.rows, shared[self.places].to(self.free))


class MaskedNetwork(nn.Module):
    """The probabilities of every hidden cell of a row, given the cells that are seen and the condition.

    The vectors of the seen tokens, and one a hidden column, are summed, go through a
    residual network that is told the condition in every layer, and come out as one
    categorical distribution a column. Any subset of the cells may be hidden.

    Parameters
    ----------
    sizes : sequence of int, (p,)
        Number of tokens of each column.
    gaps : sequence of bool, (p,)
        True where a column's last token says "missing".
    condition : ConditionEmbedding or None
    backbone : MLPBackbone
        Size of the network.
    ordered : sequence of bool, (p,), optional
        True where neighbouring tokens are neighbouring numbers.
    smooth : sequence of float, (p,), optional
        As in :class:`CellTable`.

    Notes
    -----
    A pass over n rows multiplies by about ``depth`` width x width matrices and one of width x
    (sum of sizes); :meth:`column` pays for one column of the latter only.

    References
    ----------
    B. Uria, I. Murray, H. Larochelle, "A Deep and Tractable Density Estimator", 2014, arXiv:1310.1757.

    Examples
    --------
    >>> from augsynth.nn.backbones import MLPBackbone
    >>> network = MaskedNetwork([2, 5], [False, True], None, MLPBackbone(8, depth=2))
    >>> seen = torch.tensor([[True, False]])
    >>> network.column(network.hidden(network.read(torch.tensor([[1, 0]]), seen), None), 1).shape
    torch.Size([1, 5])
    """

    unseen: Tensor
    pick: Tensor
    bar: Tensor

    def __init__(
        self,
        sizes: Sequence[int],
        gaps: Sequence[bool],
        condition: ConditionEmbedding | None,
        backbone: Any,
        *,
        ordered: Sequence[bool] | None = None,
        smooth: Sequence[float] | None = None,
    ):
        super().__init__()
        self.sizes, self.gaps = [int(s) for s in sizes], [bool(g) for g in gaps]
        rising = [False] * len(self.sizes) if ordered is None else list(ordered)
        lengths = [(s - g) * o for s, g, o in zip(self.sizes, self.gaps, rising, strict=True)]
        width = int(getattr(backbone, "width", 256))
        self.condition = condition
        self.cells = CellTable(
            [s + 1 for s in self.sizes], lengths, width, scale=1 / math.sqrt(len(self.sizes)), smooth=smooth
        )
        told = 0 if condition is None else condition.weight.shape[1]
        self.body = backbone.build(width, width, told)
        self.head = TokenHead(self.sizes)
        self.out = CellTable(self.sizes, lengths, width, scale=0.3 / math.sqrt(width), smooth=smooth)
        self.bias = nn.Parameter(torch.zeros(self.head.n_outputs))
        self._place()

    def _place(self) -> None:
        """Note where each column's outputs are, which token each stands for, and which say "missing"."""
        self.spans: list[tuple[int, int]] = []
        pick = torch.zeros(self.head.n_outputs, dtype=torch.long)
        bar = torch.zeros(self.head.n_outputs)
        at, spans = 0, {}
        place = 0
        for columns, size in self.head.buckets:
            for _ in range(columns):
                j = int(self.head.order[place])
                wide = 1 if size <= 2 else self.sizes[j]
                tokens = torch.arange(wide) if size > 2 else torch.tensor([self.sizes[j] - 1])
                pick[at : at + wide] = self.out.first[j] + tokens
                if self.gaps[j] and self.sizes[j] > 1:
                    bar[at + wide - 1] = -torch.inf
                spans[j] = (at, at + wide)
                at += 1 if size <= 2 else size
                place += 1
        self.spans = [spans[j] for j in range(len(self.sizes))]
        self.register_buffer("unseen", torch.tensor(self.sizes), persistent=False)  # each column's "hidden"
        self.register_buffer("pick", pick, persistent=False)
        self.register_buffer("bar", bar, persistent=False)

    @torch.no_grad()
    def start_at(self, tokens: Tensor, w: Tensor | None = None) -> None:
        """Begin with the columns' own frequencies in rows (n, p) as the probabilities."""
        weight = torch.ones(len(tokens)) if w is None else w.float()
        for j, (start, stop) in enumerate(self.spans):
            size = self.sizes[j]
            share = torch.zeros(size).index_add_(0, tokens[:, j].long(), weight) + 0.5
            told = (share / share.sum()).log()
            self.bias[start:stop] = told if stop - start == size and size > 1 else told[-1] - told[0]

    def read(self, tokens: Tensor, observed: Tensor) -> Tensor:
        """Sum the vectors of the seen and of the hidden cells of rows (n, p), (n, width)."""
        at = torch.where(observed, tokens.long(), self.unseen) + self.cells.first
        return F.embedding_bag(at, self.cells(), mode="sum")

    def hidden(self, x: Tensor, c: Tensor | None) -> Tensor:
        """Map what was read, and cells (n,), to the last hidden vectors, (n, width)."""
        return self.body(x, None if self.condition is None or c is None else self.condition(c))

    def raw(self, hidden: Tensor) -> Tensor:
        """Return the outputs of all columns, in the order of the head, (n, n_outputs)."""
        return F.linear(hidden, self.out()[self.pick], self.bias)

    def cell_log_prob(self, tokens: Tensor, observed: Tensor, c: Tensor) -> Tensor:
        """Return the log-probability of each cell's token, seen or not, (n, p)."""
        return self.head.cell_log_prob(self.raw(self.hidden(self.read(tokens, observed), c)), tokens)

    def column(self, hidden: Tensor, j: int, weights: Tensor | None = None) -> Tensor:
        """Return the logits of one column's tokens, (n, sizes[j]); ``weights`` is ``out()``, if at hand."""
        start, stop = self.spans[j]
        table = self.out() if weights is None else weights
        logits = F.linear(hidden, table[self.pick[start:stop]], self.bias[start:stop])
        if self.sizes[j] == 1:
            return torch.zeros_like(logits)
        return torch.cat([torch.zeros_like(logits), logits], dim=1) if stop - start == 1 else logits


def pick(logits: Tensor, uniform: Tensor) -> Tensor:
    """Draw a token a row from logits (n, k), given one uniform number a row."""
    heights = torch.softmax(logits, dim=1).cumsum(1)
    # The last height may fall short of one by rounding: compare with the share of it.
    drawn = (heights <= (uniform * heights[:, -1]).unsqueeze(1)).sum(1)
    # rounding may also reach a token of probability nought at the end: the last possible one is the end
    reach = torch.arange(logits.shape[1], device=logits.device) * torch.isfinite(logits)
    return torch.minimum(drawn, reach.amax(1))


def _waves(size: int) -> Tensor:
    """Return the first cosines of the position, (size, WAVES), of mean square one."""
    place = (torch.arange(size) + 0.5) / size
    k = torch.arange(1, WAVES + 1)
    return math.sqrt(2.0) * torch.cos(math.pi * place[:, None] * k) * (k < size)

"""Rows of tokens as one-hots side by side: read, drawn and differentiated in a few operations."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

__all__ = ["SlotLinear", "TokenSpace", "straight_through"]

MOST_TOKENS = 512  # a longer column is written in two digits
WASTE = 0.6  # columns share a bucket while the smallest has this share of the largest one's tokens
PARENT_ROWS = 128  # most rows of a table that links a column to its parent
WAVES = 16  # smooth functions of the position that a column of numbers is described by
NEVER = -30.0  # a logit that stands for impossible


@dataclass(frozen=True)
class _Bucket:
    """Columns of like size and equal depth in the tree, drawn at once."""

    first: int  # place of its first column
    columns: int
    size: int  # slots a column
    linked: bool


class TokenSpace(nn.Module):
    """The space of (soft) one-hot rows in which two networks meet.

    A row is the one-hots of its columns side by side, ``width`` numbers. Columns of like
    size lie together in a padded bucket, where softmax and draw are one operation: the
    number of operations follows the spread of the sizes and the depth of the tree,
    not the number of columns. A column of more than 512 tokens is written in two
    digits, the second linked to the first: 10,000 levels take 200 slots, not 10,000,
    and any distribution of them can still be said.

    Parameters
    ----------
    sizes : sequence of int, (p,)
        Number of tokens of each column.
    parents : sequence of int, (p,), optional
        The column by whose token each column's logits are moved, -1 for none: a tree.
    ordered : sequence of bool, (p,), optional
        Columns whose neighbouring tokens are alike (bins of a number).

    Attributes
    ----------
    width : int
        Numbers a row.
    n_digits : int
        Columns after long ones have been split.
    """

    order: Tensor
    back: Tensor
    slot: Tensor
    high: Tensor
    low: Tensor
    base: Tensor
    last: Tensor
    parent: Tensor
    row_base: Tensor
    rows: Tensor

    def __init__(
        self,
        sizes: Sequence[int],
        parents: Sequence[int] | None = None,
        ordered: Sequence[bool] | None = None,
    ):
        super().__init__()
        parents = [-1] * len(sizes) if parents is None else list(parents)
        smooth = [False] * len(sizes) if ordered is None else list(ordered)
        self._split(list(sizes), parents, smooth)
        depth = [_generation(j, self.digit_parents) for j in range(self.n_digits)]
        order = sorted(range(self.n_digits), key=lambda j: (depth[j], -self.digit_sizes[j]))
        self._fill(order, depth)
        self._link(order)

    def _split(self, sizes: list[int], parents: list[int], smooth: list[bool]) -> None:
        """Write long columns in two digits."""
        self.digit_sizes: list[int] = []
        self.digit_parents: list[int] = []
        self.digit_smooth: list[bool] = []
        self.whole: list[int] = []  # tokens of the column that a digit pair stands for, 0 for whole columns
        high, low, base = [], [], []
        for size, wavy in zip(sizes, smooth, strict=True):
            step = 1 if size <= MOST_TOKENS else math.isqrt(size - 1) + 1
            high.append(len(self.digit_sizes))
            self.digit_sizes.append(-(-size // step))
            self.digit_smooth.append(wavy and size > 2)
            self.whole.append(0)
            if step > 1:
                self.digit_sizes.append(step)
                self.digit_smooth.append(False)
                self.whole.append(size)
            low.append(len(self.digit_sizes) - 1)
            base.append(step)
        self.n_digits = len(self.digit_sizes)
        self.digit_parents = [-1] * self.n_digits
        for j, parent in enumerate(parents):
            self.digit_parents[high[j]] = high[parent] if parent >= 0 else -1
            if low[j] > high[j]:
                self.digit_parents[low[j]] = high[j]
        for name, values in (("high", high), ("low", low), ("base", base)):
            self.register_buffer(name, torch.tensor(values, dtype=torch.long), persistent=False)
        self.register_buffer("last", torch.tensor(sizes, dtype=torch.long) - 1, persistent=False)
        self.any_split = any(b > 1 for b in base)

    def _fill(self, order: list[int], depth: list[int]) -> None:
        """Fill the buckets; note where each digit's slots begin and which slots are padding."""
        self.buckets: list[_Bucket] = []
        start, width = 0, 0
        slot = [0] * self.n_digits  # by place
        waves = []
        while start < len(order):
            largest, stop = self.digit_sizes[order[start]], start
            while (
                stop < len(order)
                and depth[order[stop]] == depth[order[start]]
                and self.digit_sizes[order[stop]] >= WASTE * largest
            ):
                stop += 1
            mask = torch.zeros(stop - start, largest)
            wave = torch.zeros(stop - start, largest, WAVES)
            for k, j in enumerate(order[start:stop]):
                size = self.digit_sizes[j]
                mask[k, size:] = -torch.inf
                slot[start + k] = width + k * largest
                if self.digit_smooth[j]:
                    wave[k, :size] = _waves(size)
            b = len(self.buckets)
            self.register_buffer(f"mask{b}", mask if bool(mask.any()) else None, persistent=False)
            waves.append(wave if bool(wave.any()) else None)
            self.register_buffer(f"wave{b}", waves[-1], persistent=False)
            self.buckets.append(_Bucket(start, stop - start, largest, depth[order[start]] > 0))
            width += (stop - start) * largest
            start = stop
        self.width = width
        self.spans = [b.columns * b.size for b in self.buckets]
        self.register_buffer("order", torch.tensor(order, dtype=torch.long), persistent=False)
        self.register_buffer("back", torch.argsort(self.order), persistent=False)
        self.register_buffer("slot", torch.tensor(slot, dtype=torch.long), persistent=False)

    def _link(self, order: list[int]) -> None:
        """Note which row of a bucket's link table each token of a digit's parent stands for."""
        largest = max(self.digit_sizes)
        rows = torch.zeros(self.n_digits, largest, dtype=torch.long)
        self.table_rows = [0] * len(self.buckets)
        self.owners: list[Tensor] = []  # which digit of its bucket each row of a link table is of
        place = {j: k for k, j in enumerate(order)}
        parent = torch.zeros(self.n_digits, dtype=torch.long)
        for b, bucket in enumerate(self.buckets):
            owners: list[int] = []
            for k in range(bucket.first, bucket.first + bucket.columns):
                above = self.digit_parents[order[k]]
                if above < 0:
                    continue
                size = self.digit_sizes[above]
                coarse = size if self.whole[order[k]] else min(size, PARENT_ROWS)
                steps = torch.arange(largest).clamp(max=size - 1)
                rows[k] = steps * coarse // size + self.table_rows[b]
                parent[k] = place[above]
                self.table_rows[b] += coarse
                owners += [k - bucket.first] * coarse
            self.owners.append(torch.tensor(owners, dtype=torch.long))
        self.register_buffer("rows", rows.flatten(), persistent=False)
        self.register_buffer("row_base", torch.arange(self.n_digits) * largest, persistent=False)
        self.register_buffer("parent", parent, persistent=False)

    def seen(self) -> Tensor:
        """Return 1 for the slots of tokens and 0 for padding, (width,)."""
        masks = [getattr(self, f"mask{b}") for b in range(len(self.buckets))]
        parts = zip(masks, self.spans, strict=True)
        return torch.cat([torch.ones(n) if m is None else (m == 0).float().flatten() for m, n in parts])

    def tables(self) -> nn.ParameterList:
        """Return new link tables: what a parent's token adds to its child's logits, at first nothing."""
        tables = nn.ParameterList()
        for b, bucket in enumerate(self.buckets):
            table = torch.zeros(self.table_rows[b], bucket.size)
            for k in range(bucket.columns):
                whole = self.whole[int(self.order[bucket.first + k])]
                if whole:  # of the last first digit, not every second digit is a token
                    at = int(self.rows[self.row_base[bucket.first + k] + (whole - 1) // self._step(whole)])
                    table[at, (whole - 1) % self._step(whole) + 1 :] = NEVER
            tables.append(nn.Parameter(table, requires_grad=bucket.linked))
        return tables

    @staticmethod
    def _step(size: int) -> int:
        return math.isqrt(size - 1) + 1

    def places(self, tokens: Tensor) -> Tensor:
        """Map tokens (n, p) to digits in the order of the buckets, (n, n_digits)."""
        tokens = tokens.long()
        if not self.any_split:
            return tokens[:, self.order]
        digits = tokens.new_empty(len(tokens), self.n_digits)
        digits[:, self.low] = tokens % self.base
        digits[:, self.high] = torch.where(self.base > 1, tokens // self.base, tokens)
        return digits[:, self.order]

    def tokens(self, places: Tensor) -> Tensor:
        """Map digits in the order of the buckets (n, n_digits) to tokens (n, p)."""
        digits = places[:, self.back]
        if not self.any_split:
            return digits
        whole = torch.where(self.base > 1, digits[:, self.high] * self.base + digits[:, self.low], 0)
        return torch.minimum(torch.where(self.base > 1, whole, digits[:, self.high]), self.last)

    def onehot(self, tokens: Tensor) -> Tensor:
        """Write tokens (n, p) as one-hots side by side, (n, width)."""
        out = torch.zeros(len(tokens), self.width, device=tokens.device)
        return out.scatter_(1, self.places(tokens) + self.slot, 1.0)

    def choose(
        self,
        raw: Tensor | Callable[[int, list[Tensor]], Tensor],
        uniform: Tensor,
        tables: Sequence[Tensor] | nn.ParameterList,
    ) -> tuple[Tensor, Tensor]:
        """Draw a row from each row of logits, children after their parents.

        Parameters
        ----------
        raw : Tensor (n, width) or callable
            Logits before the links; or what returns those of a bucket (n, columns * size),
            given its number and the digits (n, columns) drawn in each bucket before it.
        uniform : Tensor, (n, n_digits)
            A number in [0, 1) a cell: the draw is exact.
        tables : sequence of Tensor
            Link tables, as :meth:`tables` makes them.

        Returns
        -------
        x : Tensor, (n, width)
            One-hots; their gradient is that of the softmax (straight through).
        places : Tensor of int, (n, n_digits)
        """
        parts: list[Tensor] = []
        drawn: list[Tensor] = []
        pieces = raw.split(self.spans, 1) if isinstance(raw, Tensor) else None
        for b, bucket in enumerate(self.buckets):
            logits = pieces[b] if pieces is not None else raw(b, drawn)  # type: ignore[operator]
            logits = logits.view(-1, bucket.columns, bucket.size)
            mask = getattr(self, f"mask{b}")
            here = slice(bucket.first, bucket.first + bucket.columns)
            if bucket.linked:
                above = torch.cat(drawn, 1)[:, self.parent[here]]
                logits = logits + F.embedding(self.rows[above + self.row_base[here]], tables[b])
            if mask is not None:
                logits = logits + mask
            x, token = straight_through(logits, uniform[:, here])
            parts.append(x.flatten(1))
            drawn.append(token)
        return torch.cat(parts, 1), torch.cat(drawn, 1)


class _StraightThrough(torch.autograd.Function):
    """The one-hot of a draw; its gradient is that of the softmax."""

    @staticmethod
    def forward(ctx, logits: Tensor, uniform: Tensor):
        share = torch.softmax(logits.float(), -1)
        heights = share.cumsum(-1)
        # The last height may fall short of one by rounding: compare with the share of it.
        token = (heights <= (uniform * heights[..., -1]).unsqueeze(-1)).sum(-1)
        token = torch.where(
            share.gather(-1, token.clamp_(max=share.shape[-1] - 1).unsqueeze(-1)).squeeze(-1) > 0,
            token,
            share.argmax(-1),
        )
        ctx.save_for_backward(share)
        ctx.mark_non_differentiable(token)
        return torch.zeros_like(share).scatter_(-1, token.unsqueeze(-1), 1.0), token

    @staticmethod
    def backward(ctx, grad: Tensor, _):  # type: ignore[override]
        (share,) = ctx.saved_tensors
        pull = grad * share
        return pull - share * pull.sum(-1, keepdim=True), None


def straight_through(logits: Tensor, uniform: Tensor) -> tuple[Tensor, Tensor]:
    """Draw from the softmax; return the one-hot of the draw, with the softmax's gradient, and the draw.

    Parameters
    ----------
    logits : Tensor, (..., k)
    uniform : Tensor, (...)
        Numbers in [0, 1), one a draw.

    References
    ----------
    Y. Bengio et al., "Estimating or Propagating Gradients Through Stochastic Neurons", 2013,
    arXiv:1308.3432.
    """
    return _StraightThrough.apply(logits, uniform)


class SlotLinear(nn.Module):
    """The weights (width, n) between the slots of a space and n numbers.

    Neighbouring slots of an ordered column share weights: to a free weight a slot, a
    smooth function of its position is added, so that what is learned of one bin
    is learned, in part, of the bins beside it.

    Parameters
    ----------
    space : TokenSpace
    n : int
    scale : float
        Standard deviation of the first weights.
    """

    def __init__(self, space: TokenSpace, n: int, scale: float):
        super().__init__()
        self._space = [space]  # not a submodule: it has no weights
        self.free = nn.Parameter(torch.randn(space.width, n) * scale)
        self.smooth = nn.ParameterList()
        for b, bucket in enumerate(space.buckets):
            if getattr(space, f"wave{b}") is not None:
                first = torch.randn(bucket.columns, WAVES, n) * scale
                self.smooth.append(nn.Parameter(first))

    def forward(self) -> Tensor:
        """Return the weights, (width, n)."""
        if not len(self.smooth):
            return self.free
        space, smooth, parts = self._space[0], iter(self.smooth), []
        for b, part in enumerate(self.free.split(space.spans, 0)):
            wave = getattr(space, f"wave{b}")
            parts.append(part if wave is None else part + torch.bmm(wave, next(smooth)).flatten(0, 1))
        return torch.cat(parts, 0)


def _waves(size: int) -> Tensor:
    """Return the first cosines of the position, (size, WAVES), the slower the larger."""
    place = (torch.arange(size) + 0.5) / size
    k = torch.arange(1, WAVES + 1)
    return torch.cos(math.pi * place[:, None] * k) * (k < size) / k


def _generation(column: int, parents: Sequence[int]) -> int:
    steps = 0
    while parents[column] >= 0:
        column, steps = parents[column], steps + 1
    return steps

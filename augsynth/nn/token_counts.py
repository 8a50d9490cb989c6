"""How often tokens go together along a tree: where a maker of rows begins, and how it is set right."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import reduce

import torch
from torch import Tensor, nn

from augsynth.nn.token_space import NEVER, TokenSpace

__all__ = ["TreeCounts", "set_right", "start_values"]

WIDTHS = (0.0, 1.0, 2.0, 4.0, 8.0, 16.0)  # over how many neighbouring bins counts are shared
PRIORS = (2.0, 20.0, 200.0)  # rows' worth of a column's overall frequencies added to counted ones
BLOCK = 262_144  # rows counted at once
DOUBT = 5.0  # rows added to both counts before they are compared: rare tokens hardly move


@dataclass
class TreeCounts:
    """Rows counted by token, by token beside the parent's, and by token in a cell.

    Attributes
    ----------
    own : Tensor, (width,)
    pairs : list of Tensor, one a bucket, (rows of its link table, size)
    cells : Tensor, (n_cells, width); None where cells are not counted
    rows : Tensor, (n_cells,)
        Rows of each cell.
    """

    own: Tensor
    pairs: list[Tensor]
    cells: Tensor | None
    rows: Tensor

    @classmethod
    def of(
        cls, space: TokenSpace, tokens: Tensor, c: Tensor, w: Tensor | None = None, *, n_cells: int = 0
    ) -> TreeCounts:
        """Count rows (n, p) of cells (n,); ``n_cells`` 0 leaves the cells out."""
        if len(tokens) > BLOCK:
            parts = [slice(k, k + BLOCK) for k in range(0, len(tokens), BLOCK)]
            blocks = [
                cls.of(space, tokens[part], c[part], None if w is None else w[part], n_cells=n_cells)
                for part in parts
            ]
            return reduce(cls.plus, blocks)
        places = space.places(tokens)
        weight = torch.ones(len(places), device=places.device) if w is None else w.float()
        own = _count(places + space.slot, weight, space.width)
        pairs = []
        for b, bucket in enumerate(space.buckets):
            table = own.new_zeros(space.table_rows[b], bucket.size)
            if bucket.linked:
                here = slice(bucket.first, bucket.first + bucket.columns)
                at = space.rows[places[:, space.parent[here]] + space.row_base[here]]
                flat = at * bucket.size + places[:, here]
                table = _count(flat, weight, table.numel()).view_as(table)
            pairs.append(table)
        inside = c.long()[:, None] if n_cells else torch.zeros_like(places[:, :1])
        rows = _count(inside, weight, n_cells or 1)
        cells = None
        if n_cells:
            flat = c.long()[:, None] * space.width + places + space.slot
            cells = _count(flat, weight, n_cells * space.width).view(n_cells, space.width)
        return cls(own, pairs, cells, rows)

    def plus(self, other: TreeCounts) -> TreeCounts:
        """Return the counts of both."""
        return TreeCounts(
            self.own + other.own,
            [a + b for a, b in zip(self.pairs, other.pairs, strict=True)],
            None if self.cells is None or other.cells is None else self.cells + other.cells,
            self.rows + other.rows,
        )


def _count(at: Tensor, weight: Tensor, size: int) -> Tensor:
    heavy = weight[:, None].expand_as(at).flatten()
    return torch.zeros(size, device=at.device).scatter_add_(0, at.flatten(), heavy)


@torch.no_grad()
def start_values(
    space: TokenSpace,
    halves: tuple[TreeCounts, TreeCounts],
    bias: Tensor,
    tables: Iterable[Tensor],
    cells: Tensor | None,
) -> None:
    """Write log-frequencies into a bias (width,), link tables and offsets of cells, in place.

    The logits then say: a token's frequency, times how much more frequent it is
    beside its parent's token, times how much more frequent it is in the cell. Counts of
    neighbouring bins are shared, and drawn towards a column's overall frequencies, by
    as much as makes one half of the rows likeliest given the other.
    """
    one, two = halves
    seen = space.seen().to(bias.device)
    share = (one.own + two.own + 0.5 * seen) / (one.rows.sum() + two.rows.sum() + 0.5)
    bias.copy_(torch.where(seen > 0, share, 1.0).log())
    alone = [
        part.view(b.columns, -1) for b, part in zip(space.buckets, share.split(space.spans), strict=True)
    ]
    for b, (bucket, table) in enumerate(zip(space.buckets, tables, strict=True)):
        for k in range(bucket.columns):
            digit = int(space.order[bucket.first + k])
            mine = (space.owners[b] == k).to(bias.device).nonzero().squeeze(1)
            if not len(mine):
                continue
            n = space.digit_sizes[digit]
            orders = space.digit_smooth[space.digit_parents[digit]], space.digit_smooth[digit]
            gain = _gains(one.pairs[b][mine, :n], two.pairs[b][mine, :n], alone[b][k, :n], orders)
            table[mine, :n] = torch.where(table[mine, :n] <= NEVER, table[mine, :n], gain)
    if cells is None or one.cells is None or two.cells is None:
        return
    for j, slot in enumerate(space.slot.tolist()):
        digit = int(space.order[j])
        here = slice(slot, slot + space.digit_sizes[digit])
        orders = False, space.digit_smooth[digit]
        cells[:, here] = _gains(one.cells[:, here], two.cells[:, here], share[here], orders)


def _gains(one: Tensor, two: Tensor, alone: Tensor, ordered: tuple[bool, bool]) -> Tensor:
    """Return how much likelier each token is in its row than alone, (rows, k), as a logarithm."""

    def told(counts: Tensor, choice: tuple[float, float, float]) -> Tensor:
        rows, columns, prior = choice
        counts = _shared(_shared(counts, columns).t(), rows).t()
        return (counts + prior * alone) / (counts.sum(1, keepdim=True) + prior)

    def score(choice: tuple[float, float, float]) -> float:
        logs = [torch.where(alone > 0, told(a, choice), 1.0).log() for a in (one, two)]
        return float((logs[0] * two).sum() + (logs[1] * one).sum())

    best = (0.0, 0.0, PRIORS[1])
    for axis, grid in ((1, WIDTHS), (0, WIDTHS), (2, PRIORS)):
        if axis < 2 and not ordered[axis]:
            continue
        tried = [best[:axis] + (value,) + best[axis + 1 :] for value in grid]
        best = max(((r, k, m) for r, k, m in tried), key=score)
    return torch.where(alone > 0, told(one + two, best) / alone, 1.0).log()


def _shared(counts: Tensor, width: float) -> Tensor:
    """Spread the counts of each column over its neighbours, by a Gaussian of a width in columns."""
    if width == 0.0:
        return counts
    place = torch.arange(counts.shape[1], device=counts.device)
    kernel = (-0.5 * ((place[:, None] - place) / width) ** 2).exp()
    return counts @ (kernel / kernel.sum(1, keepdim=True))


@torch.no_grad()
def set_right(
    space: TokenSpace,
    wanted: TreeCounts,
    found: TreeCounts,
    tables: nn.ParameterList,
    bias: Tensor,
    cells: Tensor | None,
    rate: float,
) -> None:
    """Move logits by ``rate`` of the log-ratio of the counts wanted to those found, in place."""

    def gap(a: Tensor, b: Tensor) -> Tensor:
        return rate * ((a + DOUBT) / (b + DOUBT)).log()

    pieces = zip(
        space.buckets, bias.split(space.spans), gap(wanted.own, found.own).split(space.spans), strict=True
    )
    for b, (bucket, part, gain) in enumerate(pieces):
        if bucket.linked:
            tables[b] += gap(wanted.pairs[b], found.pairs[b])
        part += gain * (0.5 if bucket.linked else 1.0)
    if cells is not None and wanted.cells is not None and found.cells is not None:
        cells += 0.5 * gap(wanted.cells, found.cells)

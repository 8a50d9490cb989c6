"""How often tokens go together along a tree: where a maker of rows begins, and how it is set right."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from augsynth.nn.token_space import NEVER, TokenSpace

__all__ = ["TreeCounts", "set_right", "start_values"]

PAIR_PRIOR = 2.0  # rows' worth of a column's overall frequencies in those beside a parent's token
CELL_PRIOR = 20.0  # the same for the frequencies in a cell
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
        rows = _count(c.long()[:, None], weight, max(n_cells, int(c.max()) + 1))
        cells = None
        if n_cells:
            flat = c.long()[:, None] * space.width + places + space.slot
            cells = _count(flat, weight, n_cells * space.width).view(n_cells, space.width)
        return cls(own, pairs, cells, rows)


def _count(at: Tensor, weight: Tensor, size: int) -> Tensor:
    heavy = weight[:, None].expand_as(at).flatten()
    return torch.zeros(size, device=at.device).scatter_add_(0, at.flatten(), heavy)


@torch.no_grad()
def start_values(
    space: TokenSpace, counts: TreeCounts, bias: Tensor, tables: Iterable[Tensor], cells: Tensor | None
) -> None:
    """Write log-frequencies into a bias (width,), link tables and offsets of cells, in place.

    The logits then say: a token's frequency, times how much more frequent it is
    beside its parent's token, times how much more frequent it is in the cell.
    """
    seen = space.seen()
    total = counts.rows.sum()
    share = (counts.own + 0.5 * seen) / (total + 0.5)
    bias.copy_(torch.where(seen > 0, share, 1.0).log())
    for b, (bucket, table) in enumerate(zip(space.buckets, tables, strict=True)):
        if not bucket.linked:
            continue
        pair, owner = counts.pairs[b], space.owners[b]
        alone = share.split(space.spans)[b].view(bucket.columns, -1)[owner]
        told = (pair + PAIR_PRIOR * alone) / (pair.sum(1, keepdim=True) + PAIR_PRIOR)
        gain = torch.where(alone > 0, told / alone, 1.0).log()
        table.copy_(torch.where(table <= NEVER, table, gain))
    if cells is not None and counts.cells is not None:
        inside = (counts.cells + CELL_PRIOR * share) / (counts.rows[:, None] + CELL_PRIOR)
        cells.copy_(torch.where(seen > 0, inside / share, 1.0).log())


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

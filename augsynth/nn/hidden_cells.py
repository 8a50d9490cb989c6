"""Rows of tokens of which some are hidden: exact sums over the hidden ones along a tree of columns."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from augsynth.nn.heads import TokenHead

__all__ = ["HiddenCells"]


class HiddenCells:
    """What a token head says of rows of which some cells are hidden.

    Each column depends on the network's outputs and on one other column's token, its
    parent. Sums over the hidden tokens go up that tree, draws go down it: exact, in
    one pass, a matrix product an edge whose parent is hidden.

    Parameters
    ----------
    head : TokenHead
    last : Tensor of int, (p,)
        The token of each column that says "missing", and may not be drawn; -1 for none.

    References
    ----------
    Pearl, "Reverend Bayes on inference engines", 1982 (sums over a tree).
    """

    def __init__(self, head: TokenHead, last: Tensor):
        self.head, self.last = head, last.tolist()
        self.p = len(head.order)
        self.sizes, self.spans, place = [0] * self.p, [(0, 0)] * self.p, 0
        at, self.bucket, self.place = 0, [0] * self.p, [0] * self.p
        for b, (columns, size) in enumerate(head.buckets):
            for k in range(columns):
                j = int(head.order[place])
                mask = getattr(head, f"mask{b}")[k]
                self.sizes[j] = int((mask == 0).sum())
                self.spans[j] = (at, at + (1 if size <= 2 else size))
                self.bucket[j], self.place[j] = b, place
                at, place = self.spans[j][1], place + 1
        links = head.links
        self.parents = [-1] * self.p if links is None else links.parents
        self.children: list[list[int]] = [[] for _ in range(self.p)]
        for j, parent in enumerate(self.parents):
            if parent >= 0:
                self.children[parent].append(j)
        self.down = [j for j, parent in enumerate(self.parents) if parent < 0]  # parents before children
        for j in self.down:
            self.down.extend(self.children[j])

    def log_prob(self, raw: Tensor, tokens: Tensor, observed: Tensor) -> Tensor:
        """Return the log-probability of the observed tokens, no hidden one being "missing", (n,)."""
        return self._up(raw, tokens, observed)[1]

    def draw(self, raw: Tensor, tokens: Tensor, observed: Tensor, uniform: Tensor) -> Tensor:
        """Draw the hidden tokens (n, p) given the observed ones, by uniform numbers (n, p)."""
        inside, _ = self._up(raw, tokens, observed)
        tokens = tokens.clone()
        for j in self.down:
            logits = self._logits(raw, j)
            if self.parents[j] >= 0:
                logits = logits + self._link(j)[tokens[:, self.parents[j]]]
            heights = torch.softmax(logits + inside[j], dim=1).cumsum(1)
            drawn = (heights <= (uniform[:, j] * heights[:, -1]).unsqueeze(1)).sum(1)
            tokens[:, j] = torch.where(observed[:, j], tokens[:, j], drawn.clamp(max=self.sizes[j] - 1))
        return tokens

    def _up(self, raw: Tensor, tokens: Tensor, observed: Tensor) -> tuple[list[Tensor], Tensor]:
        """Return, of each column, the log-probability of all below it for each of its tokens; and of all."""
        inside = [self._allowed(tokens[:, j], observed[:, j], j) for j in range(self.p)]
        total = torch.zeros(len(raw), dtype=torch.float64, device=raw.device)
        for j in reversed(self.down):
            parent, logits = self.parents[j], self._logits(raw, j)
            if parent < 0:
                total = total + (logits + inside[j]).logsumexp(1) - logits.logsumexp(1)
                continue
            table = self._link(j)
            if observed[:, parent].all():
                told = logits + table[tokens[:, parent]]
                total = total + (told + inside[j]).logsumexp(1) - told.logsumexp(1)
                continue
            message = _product(logits + inside[j], table) - _product(logits, table)
            inside[parent] = inside[parent] + message
        return inside, total

    def _allowed(self, tokens: Tensor, observed: Tensor, j: int) -> Tensor:
        """Return noughts for the tokens that a cell may have, minus infinity for others, (n, size)."""
        every = torch.arange(self.sizes[j], device=tokens.device)
        fits = torch.where(observed[:, None], tokens[:, None] == every, every != self.last[j])
        return torch.where(fits, 0.0, -torch.inf).double()

    def _logits(self, raw: Tensor, j: int) -> Tensor:
        start, stop = self.spans[j]
        part = raw[:, start:stop].double()
        if stop - start == 1:  # one logit stands for two tokens
            part = torch.cat([torch.zeros_like(part), part], dim=1)
        part = part[:, : self.sizes[j]]
        # a column without a parent has one row of its own among the links
        return part + self._link(j) if self.head.links is not None and self.parents[j] < 0 else part

    def _link(self, j: int) -> Tensor:
        """Return what each token of the parent, if any, adds to the logits of column j, (tokens, size)."""
        links: Any = self.head.links
        every = torch.arange(
            self.sizes[self.parents[j]] if self.parents[j] >= 0 else 1, device=links.rows.device
        )
        table = links.tables[self.bucket[j]][links.rows[links.base[self.place[j]] + every]].double()
        if self.spans[j][1] - self.spans[j][0] == 1:
            table = torch.cat([torch.zeros_like(table), table], dim=1)
        return table[:, : self.sizes[j]]


def _product(logits: Tensor, table: Tensor) -> Tensor:
    """Return the log of exp(logits) (n, s) times exp(table) (t, s) transposed, (n, t)."""
    top = logits.amax(1, keepdim=True)
    top = torch.where(torch.isfinite(top), top, 0.0)
    peak = table.amax(1)
    return ((logits - top).exp() @ (table - peak[:, None]).exp().T).log() + top + peak

"""Mixed likelihoods from a layout: every column of a table in a handful of tensor operations."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

__all__ = ["GaussianHead", "TokenEmbedding", "TokenHead"]

WASTE = 0.7  # columns share a bucket while the smallest has this share of the largest one's tokens
PARENT_ROWS = 64  # most rows of a table that links a column to its parent


class TokenEmbedding(nn.Module):
    """Turn a row of tokens into one vector: the sum of an embedding a cell.

    A column of 10,000 levels costs one look-up a row, never a dense one-hot.

    Parameters
    ----------
    sizes : sequence of int, (p,)
        Number of tokens of each column.
    width : int
        Length of the vector.
    """

    first: Tensor

    def __init__(self, sizes: Sequence[int], width: int):
        super().__init__()
        counts = torch.as_tensor(list(sizes), dtype=torch.long)
        self.register_buffer("first", torch.cumsum(counts, 0) - counts, persistent=False)
        self.weight = nn.Parameter(torch.randn(int(counts.sum()), width) / math.sqrt(len(counts)))

    def forward(self, tokens: Tensor) -> Tensor:
        """Map tokens (n, p) to vectors (n, width)."""
        return F.embedding_bag(tokens.long() + self.first, self.weight, mode="sum")


class TokenHead(nn.Module):
    """Read a network's output as one categorical distribution a column.

    Columns of like size share a bucket, in which the log-softmax and the draw are one
    tensor operation: the number of operations follows the spread of the sizes (about
    eight buckets from 2 to 256 tokens), not the number of columns. A column of two
    tokens is a Bernoulli with a single logit.

    Parameters
    ----------
    sizes : sequence of int, (p,)
        Number of tokens of each column.
    parents : sequence of int, (p,), optional
        The column on whose token each column depends besides the network, -1 for
        none: a tree. Without it the columns are independent given the outputs.

    Attributes
    ----------
    n_outputs : int
        How many numbers a row the network must give.
    """

    order: Tensor
    back: Tensor

    def __init__(self, sizes: Sequence[int], parents: Sequence[int] | None = None):
        super().__init__()
        order = sorted(range(len(sizes)), key=lambda j: -sizes[j])
        self.register_buffer("order", torch.tensor(order, dtype=torch.long), persistent=False)
        self.register_buffer("back", torch.argsort(self.order), persistent=False)
        self.buckets: list[tuple[int, int]] = []  # (columns, tokens; 2 means Bernoulli)
        self.padded: list[bool] = []
        start = 0
        while start < len(order):
            largest, stop = sizes[order[start]], start
            least = max(WASTE * largest, 3) if largest > 2 else 1
            while stop < len(order) and sizes[order[stop]] >= least:
                stop += 1
            mask = torch.zeros(stop - start, largest)
            for row, j in enumerate(order[start:stop]):
                mask[row, sizes[j] :] = -torch.inf
            self.register_buffer(f"mask{len(self.buckets)}", mask, persistent=False)
            self.padded.append(bool(mask.any()))
            self.buckets.append((stop - start, largest))
            start = stop
        self.n_outputs = sum(p if size <= 2 else p * size for p, size in self.buckets)
        self.links = None if parents is None else _Links(self, sizes, parents)

    def _pieces(self, raw: Tensor):
        """Yield (bucket, first column, columns, tokens, the bucket's outputs)."""
        counts = [p if size <= 2 else p * size for p, size in self.buckets]
        column = 0
        # One split, not a slice a bucket: the gradient of a slice is a full array of zeros.
        for b, ((p, size), part) in enumerate(zip(self.buckets, raw.split(counts, dim=1), strict=True)):
            yield b, column, p, size, part
            column += p

    def log_prob(self, raw: Tensor, tokens: Tensor) -> Tensor:
        """Sum the log-probabilities of the tokens (n, p) of each row, (n,)."""
        tokens = tokens.long()
        told = raw if self.links is None else raw + self.links(tokens)
        return _CellLogProb.apply(told, tokens[:, self.order], self).sum(1)

    def cell_log_prob(self, raw: Tensor, tokens: Tensor) -> Tensor:
        """Return the log-probability of each cell's token (n, p), in the order of the columns."""
        tokens = tokens.long()
        told = raw if self.links is None else raw + self.links(tokens)
        return _CellLogProb.apply(told, tokens[:, self.order], self)[:, self.back]

    def draw(self, raw: Tensor, uniform: Tensor) -> Tensor:
        """Draw tokens (n, p) from the outputs (n, n_outputs), one uniform number a cell."""
        return self._by_generation(raw, lambda outputs: self._draw(outputs, uniform[:, self.order]))

    def _by_generation(self, raw: Tensor, choose: Callable[[Tensor], Tensor]) -> Tensor:
        """Choose all tokens, then again given their parents, until every chain of parents is settled."""
        if self.links is None:
            return choose(raw)
        tokens = torch.zeros(len(raw), len(self.order), dtype=torch.long, device=raw.device)
        for _ in range(self.links.depth + 1):
            tokens = choose(raw + self.links(tokens))
        return tokens

    def _draw(self, raw: Tensor, uniform: Tensor) -> Tensor:
        drawn = []
        for b, first, p, size, part in self._pieces(raw):
            u = uniform[:, first : first + p]
            if size <= 2:
                drawn.append((u < torch.sigmoid(part)).long())
                continue
            mask = getattr(self, f"mask{b}")
            heights = torch.softmax(part.view(-1, p, size) + mask, dim=2).cumsum(2)
            # The last height may fall short of one by rounding: compare with the share of it.
            token = (heights <= (u * heights[:, :, -1]).unsqueeze(2)).sum(2)
            drawn.append(torch.minimum(token, (mask == 0).sum(1) - 1))
        return torch.cat(drawn, dim=1)[:, self.back]

    def mode(self, raw: Tensor) -> Tensor:
        """Return each column's most probable token (given its parent's), (n, p)."""
        return self._by_generation(raw, self._mode)

    def _mode(self, raw: Tensor) -> Tensor:
        drawn = []
        for b, _, p, size, part in self._pieces(raw):
            if size <= 2:
                drawn.append((part > 0).long())
            else:
                drawn.append((part.view(-1, p, size) + getattr(self, f"mask{b}")).argmax(2))
        return torch.cat(drawn, dim=1)[:, self.back]


class _Links(nn.Module):
    """What a parent column's token adds to its child's logits: a table a pair, a look-up a bucket."""

    rows: Tensor
    base: Tensor
    parent: Tensor

    def __init__(self, head: TokenHead, sizes: Sequence[int], parents: Sequence[int]):
        super().__init__()
        order = head.order.tolist()
        self.parents = [int(parent) for parent in parents]
        self.depth = max(_generation(j, parents) for j in order)
        # rows of the tables: tokens of a long parent share rows, so that a table stays small
        coarse = [min(sizes[parents[j]], PARENT_ROWS) if parents[j] >= 0 else 1 for j in order]
        largest = max(sizes)
        rows = torch.zeros(len(order), largest, dtype=torch.long)  # table row of each token of the parent
        self.tables = nn.ParameterList()
        first = 0
        for p, size in head.buckets:
            start = 0
            for place in range(first, first + p):
                parent = parents[order[place]]
                if parent >= 0:
                    steps = torch.arange(largest).clamp(max=sizes[parent] - 1)
                    rows[place] = steps * coarse[place] // sizes[parent]
                rows[place] += start
                start += coarse[place]
            self.tables.append(nn.Parameter(torch.zeros(start, 1 if size <= 2 else size)))
            first += p
        self.spans = [p for p, _ in head.buckets]
        self.register_buffer("rows", rows.flatten(), persistent=False)
        self.register_buffer("base", torch.arange(len(order)) * largest, persistent=False)
        lookup = torch.tensor([max(parents[j], 0) for j in order], dtype=torch.long)
        self.register_buffer("parent", lookup, persistent=False)

    def forward(self, tokens: Tensor) -> Tensor:
        """Map tokens (n, p) to what is added to the outputs, (n, n_outputs)."""
        at = self.rows[tokens[:, self.parent] + self.base].split(self.spans, dim=1)
        return torch.cat([F.embedding(i, t).flatten(1) for i, t in zip(at, self.tables, strict=True)], dim=1)


def _generation(column: int, parents: Sequence[int]) -> int:
    steps = 0
    while parents[column] >= 0:
        column, steps = parents[column], steps + 1
    return steps


class _CellLogProb(torch.autograd.Function):
    """The log-probability of every cell; its gradient is written once, into one array.

    Autograd's own route (log-softmax, gather) fills and copies several arrays of the
    size of the outputs a bucket, which costs as much as the network on a CPU.
    """

    @staticmethod
    def forward(ctx, raw: Tensor, target: Tensor, head: TokenHead) -> Tensor:
        raw, values, saved = raw.float(), [], []
        for b, first, p, size, part in head._pieces(raw):
            wanted = target[:, first : first + p]
            if size <= 2:
                sign = (2 * wanted - 1).to(raw.dtype)
                values.append(F.logsigmoid(part * sign))
                saved.append(sign * torch.sigmoid(-part * sign))
                continue
            logits = part.view(-1, p, size)
            if head.padded[b]:
                logits = logits + getattr(head, f"mask{b}")
            top = logits.amax(2, keepdim=True)
            share = (logits - top).exp_()
            mass = share.sum(2, keepdim=True)
            values.append((logits.gather(2, wanted.unsqueeze(2)) - top - mass.log()).squeeze(2))
            saved.append(share.div_(mass))
        ctx.save_for_backward(target, *saved)
        ctx.head = head
        return torch.cat(values, dim=1)

    @staticmethod
    def backward(ctx, grad: Tensor):  # type: ignore[override]
        target, *saved = ctx.saved_tensors
        raw_grad = grad.new_empty(len(grad), ctx.head.n_outputs)
        for b, first, p, size, part in ctx.head._pieces(raw_grad):
            above = grad[:, first : first + p]
            if size <= 2:
                part.copy_(saved[b] * above)
                continue
            inner = part.view(-1, p, size)
            torch.mul(saved[b], -above.unsqueeze(2), out=inner)
            inner.scatter_add_(2, target[:, first : first + p].unsqueeze(2), above.unsqueeze(2))
        return raw_grad, None, None


class GaussianHead(nn.Module):
    """Read a network's output as the means of independent normal variables.

    Parameters
    ----------
    n_columns : int
        Number of numeric columns.
    variance : float or None, default=None
        Variance of every column around its mean; None learns one a column.
    """

    def __init__(self, n_columns: int, variance: float | None = None):
        super().__init__()
        self.n_outputs = n_columns
        start = torch.zeros(n_columns) if variance is None else torch.full((n_columns,), math.log(variance))
        self.log_variance = nn.Parameter(start, requires_grad=variance is None)

    def log_prob(self, means: Tensor, values: Tensor, observed: Tensor | None = None) -> Tensor:
        """Sum the log-densities of the values (n, p) of each row, (n,); only observed cells if given."""
        log_variance = self.log_variance.clamp(-12.0, 12.0)
        value = -0.5 * ((values - means) ** 2 / log_variance.exp() + log_variance + math.log(2 * math.pi))
        return (value if observed is None else torch.where(observed, value, 0.0)).sum(1)

    def draw(self, means: Tensor, normal: Tensor) -> Tensor:
        """Draw values (n, p) from the means, one standard normal number a cell."""
        return means + normal * (0.5 * self.log_variance.clamp(-12.0, 12.0)).exp()

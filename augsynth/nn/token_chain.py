"""Categorical columns one after the other: an exact distribution of rows of tokens."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from augsynth.nn.heads import TokenHead

__all__ = ["TokenChain"]


class TokenChain(nn.Module):
    """Probabilities of each column's token given the tokens of the columns before it, by one network.

    Every token adds a vector of its own to what the network reads for the columns after
    it. Which column is meant, and the condition, are told in every layer. All columns of
    a batch are one tensor operation; a draw takes as many passes as there are columns.

    Parameters
    ----------
    sizes : sequence of int, (q,)
        Number of tokens of each column.
    n_context : int
        Length of the context vector; 0 for none.
    width, depth : int
        Length of the hidden vectors, and number of hidden layers (at least one).

    References
    ----------
    B. Uria et al., "Neural Autoregressive Distribution Estimation", 2016, arXiv:1605.02226.

    Examples
    --------
    >>> chain = TokenChain([2, 3], width=8, depth=1)
    >>> chain.log_prob(torch.tensor([[0, 2], [1, 1]])).shape
    torch.Size([2])
    """

    first: Tensor

    def __init__(self, sizes: Sequence[int], *, n_context: int = 0, width: int = 256, depth: int = 2):
        super().__init__()
        counts = torch.as_tensor(list(sizes), dtype=torch.long)
        self.register_buffer("first", torch.cumsum(counts, 0) - counts, persistent=False)
        self.sizes, parts = list(sizes), max(depth, 1)
        # What a token adds and the first layer are one linear map, as are the last layer and the heads.
        self.table = nn.Parameter(torch.randn(int(counts.sum()), width) / math.sqrt(len(sizes)))
        self.column = nn.Parameter(torch.randn(parts, len(sizes), width) / 2.0)
        self.context = nn.Linear(n_context, parts * width) if n_context else None
        self.layers = nn.ModuleList(nn.Linear(width, width) for _ in range(parts - 1))
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(parts - 1))
        self.head = TokenHead(sizes)
        self.places: list[int] = self.head.back.tolist()  # at hand, so that no draw waits for a device
        shapes = [(p, width, 1 if size <= 2 else size) for p, size in self.head.buckets]
        self.weights = nn.ParameterList(nn.Parameter(torch.zeros(shape)) for shape in shapes)
        self.biases = nn.ParameterList(nn.Parameter(torch.zeros(p, 1, size)) for p, _, size in shapes)

    def _told(self, context: Tensor | None) -> Tensor | None:
        """Return what the context adds in each layer, (n, layers, width)."""
        if self.context is None or context is None:
            return None
        return self.context(context).view(len(context), len(self.column), -1)

    def _hidden(self, before: Tensor, told: Tensor | None, columns: slice) -> Tensor:
        """Return the last hidden vectors of some columns (n, columns, width), given those before."""
        hidden = before
        for k, beside in enumerate(self.column[:, columns]):
            inside = hidden if k == 0 else self.layers[k - 1](self.norms[k - 1](hidden))
            inside = inside + (beside if told is None else beside + told[:, k : k + 1])
            hidden = F.silu(inside) if k == 0 else hidden + F.silu(inside)
        return hidden

    def log_prob(self, tokens: Tensor, context: Tensor | None = None) -> Tensor:
        """Return the log-probability of rows of tokens (n, q), (n,)."""
        tokens = tokens.long()
        vectors = F.embedding(tokens + self.first, self.table)
        hidden = self._hidden(vectors.cumsum(1) - vectors, self._told(context), slice(None))
        ordered = hidden.transpose(0, 1)[self.head.order]
        raw, column = [], 0
        for weight, bias in zip(self.weights, self.biases, strict=True):
            logits = torch.baddbmm(bias, ordered[column : column + len(weight)], weight)
            raw.append(logits.transpose(0, 1).flatten(1))
            column += len(weight)
        return self.head.log_prob(torch.cat(raw, dim=1), tokens)

    def draw(self, uniform: Tensor, context: Tensor | None = None) -> Tensor:
        """Draw rows of tokens (n, q), one uniform number a cell."""
        tokens = torch.zeros(uniform.shape, dtype=torch.long, device=uniform.device)
        before = uniform.new_zeros(len(uniform), 1, self.table.shape[1])
        told = self._told(context)
        places = [(b, k) for b, (p, _) in enumerate(self.head.buckets) for k in range(p)]
        for j, place in enumerate(self.places):
            b, k = places[place]
            hidden = self._hidden(before, told, slice(j, j + 1))[:, 0]
            logits = hidden @ self.weights[b][k] + self.biases[b][k]
            u = uniform[:, j]
            if self.sizes[j] <= 2:
                tokens[:, j] = u < torch.sigmoid(logits[:, 0])
            else:
                heights = torch.softmax(logits[:, : self.sizes[j]], dim=1).cumsum(1)
                drawn = (heights <= (u * heights[:, -1]).unsqueeze(1)).sum(1)
                tokens[:, j] = drawn.clamp(max=self.sizes[j] - 1)
            before = before + F.embedding(tokens[:, j : j + 1] + self.first[j], self.table)
        return tokens

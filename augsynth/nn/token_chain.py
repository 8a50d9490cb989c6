"""Categorical columns one after the other: an exact distribution of rows of tokens."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from augsynth.nn.heads import TokenHead

__all__ = ["TokenChain"]

TOLD = 64  # length of the vector that says which column is asked for, and of which cell


class TokenChain(nn.Module):
    """Probabilities of each column's token given the tokens of the columns before it, by one network.

    The network reads the sum of the embeddings of the earlier tokens; which column is
    meant, and the condition, are told in every layer. All columns of a batch are one
    tensor operation; a draw takes as many passes as there are columns.

    Parameters
    ----------
    sizes : sequence of int, (q,)
        Number of tokens of each column.
    backbone : MLPBackbone
        Size of the network.
    width : int
        Length of the vector that is read and of the one that is put out.

    References
    ----------
    B. Uria et al., "Neural Autoregressive Distribution Estimation", 2016, arXiv:1605.02226.

    Examples
    --------
    >>> from augsynth.nn.backbones import MLPBackbone
    >>> chain = TokenChain([2, 3], MLPBackbone(8, depth=1), width=8)
    >>> chain.log_prob(torch.tensor([[0, 2], [1, 1]]), torch.zeros(2, 64)).shape
    torch.Size([2])
    """

    first: Tensor

    def __init__(self, sizes: Sequence[int], backbone: Any, *, width: int):
        super().__init__()
        counts = torch.as_tensor(list(sizes), dtype=torch.long)
        self.register_buffer("first", torch.cumsum(counts, 0) - counts, persistent=False)
        self.sizes = list(sizes)
        self.table = nn.Parameter(torch.randn(int(counts.sum()), width) / math.sqrt(len(sizes)))
        self.column = nn.Parameter(torch.randn(len(sizes), TOLD))
        self.net = backbone.build(width, width, TOLD)
        self.head = TokenHead(sizes)
        shapes = [(p, width, 1 if size <= 2 else size) for p, size in self.head.buckets]
        self.weights = nn.ParameterList(nn.Parameter(torch.zeros(shape)) for shape in shapes)
        self.biases = nn.ParameterList(nn.Parameter(torch.zeros(p, 1, size)) for p, _, size in shapes)

    def log_prob(self, tokens: Tensor, told: Tensor) -> Tensor:
        """Return the log-probability of rows of tokens (n, q), (n,); ``told`` is (n, 64)."""
        tokens = tokens.long()
        n, q = tokens.shape
        vectors = self.table[tokens + self.first]
        before = vectors.cumsum(1) - vectors
        context = told.unsqueeze(1) + self.column
        out = self.net(before.flatten(0, 1), context.flatten(0, 1)).view(n, q, -1)
        ordered = out.transpose(0, 1)[self.head.order]
        raw, column = [], 0
        for weight, bias in zip(self.weights, self.biases, strict=True):
            logits = torch.baddbmm(bias, ordered[column : column + len(weight)], weight)
            raw.append(logits.transpose(0, 1).flatten(1))
            column += len(weight)
        return self.head.log_prob(torch.cat(raw, dim=1), tokens)

    def draw(self, told: Tensor, uniform: Tensor) -> Tensor:
        """Draw rows of tokens (n, q), one uniform number a cell."""
        tokens = torch.zeros(uniform.shape, dtype=torch.long, device=told.device)
        before = torch.zeros(len(told), self.table.shape[1], device=told.device)
        places = [(b, k) for b, (p, _) in enumerate(self.head.buckets) for k in range(p)]
        for j, place in enumerate(self.head.back.tolist()):
            b, k = places[place]
            out = self.net(before, told + self.column[j])
            logits = out @ self.weights[b][k] + self.biases[b][k]
            u = uniform[:, j]
            if self.sizes[j] <= 2:
                tokens[:, j] = (u < torch.sigmoid(logits[:, 0])).long() if self.sizes[j] == 2 else 0
            else:
                heights = torch.softmax(logits[:, : self.sizes[j]], dim=1).cumsum(1)
                drawn = (heights <= (u * heights[:, -1]).unsqueeze(1)).sum(1)
                tokens[:, j] = drawn.clamp(max=self.sizes[j] - 1)
            before = before + self.table[tokens[:, j] + self.first[j]]
        return tokens

"""Networks for rows: plain and residual multilayer perceptrons, told the condition in every layer."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
from sklearn.base import BaseEstimator
from torch import Tensor, nn
from torch.nn import functional as F

from augsynth.core.parameters import check_number

__all__ = ["ConditionEmbedding", "MLPBackbone", "ResidualMLP"]


class ConditionEmbedding(nn.Module):
    """Turn a cell code into a vector: the sum of an embedding an attribute (label, group, ...).

    Cells that share a label or a group share its vector, so a thin cell borrows from its relatives.

    Parameters
    ----------
    attributes : ndarray of int, (n_cells, k)
        Attribute codes of each cell; -1 (unknown) adds nothing to the vector.
    sizes : sequence of int, (k,)
        Number of codes of each attribute.
    width : int
        Length of the vector.
    """

    rows: Tensor
    known: Tensor | None

    def __init__(self, attributes: np.ndarray, sizes: Sequence[int] | np.ndarray, width: int):
        super().__init__()
        sizes = np.array(sizes, dtype=np.int64)
        codes = np.asarray(attributes, dtype=np.int64)
        flat = np.maximum(codes, 0) + (np.cumsum(sizes) - sizes)
        self.register_buffer("rows", torch.as_tensor(flat), persistent=False)
        known = torch.as_tensor(codes >= 0, dtype=torch.float32) if (codes < 0).any() else None
        self.register_buffer("known", known, persistent=False)
        self.weight = nn.Parameter(torch.randn(int(sizes.sum()), width) / math.sqrt(len(sizes)))

    def forward(self, cells: Tensor) -> Tensor:
        """Map cell codes (n,) to vectors (n, width)."""
        cells = cells.long()
        known = None if self.known is None else self.known[cells]
        return F.embedding_bag(self.rows[cells], self.weight, mode="sum", per_sample_weights=known)


class ResidualMLP(nn.Module):
    """A multilayer perceptron whose hidden layers add to a running vector.

    Parameters
    ----------
    n_inputs, n_outputs : int
        Length of the rows that go in and come out.
    width : int
        Length of the running vector.
    depth : int
        Number of hidden layers; 0 leaves one linear map (plus the context's).
    n_context : int
        Length of the context vector that every layer sees; 0 for none.
    """

    def __init__(self, n_inputs: int, n_outputs: int, *, width: int, depth: int, n_context: int = 0):
        super().__init__()
        self.depth = depth
        inner = width if depth else n_outputs
        self.first = nn.Linear(n_inputs, inner)
        self.layers = nn.ModuleList(nn.Linear(width, width) for _ in range(max(depth - 1, 0)))
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(max(depth - 1, 0)))
        parts = max(depth, 1)
        self.context = nn.Linear(n_context, parts * inner, bias=False) if n_context else None
        self.last = nn.Linear(width, n_outputs) if depth else None

    def forward(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        """Map rows (n, n_inputs) and their context (n, n_context) to (n, n_outputs)."""
        told = None
        if self.context is not None and context is not None:
            told = self.context(context).chunk(max(self.depth, 1), dim=1)
        hidden = self.first(x) if told is None else self.first(x) + told[0]
        if self.last is None:
            return hidden
        hidden = F.silu(hidden)
        for k, (layer, norm) in enumerate(zip(self.layers, self.norms, strict=True), start=1):
            inside = layer(norm(hidden))
            hidden = hidden + F.silu(inside if told is None else inside + told[k])
        return self.last(hidden)


class MLPBackbone(BaseEstimator):
    """The size of a multilayer perceptron, chosen before the data are seen.

    Parameters
    ----------
    width : int, default=256
        Length of the hidden vectors.
    depth : int, default=2
        Number of hidden layers; 0 makes every map linear.

    Examples
    --------
    >>> MLPBackbone(width=8, depth=1).build(3, 2)(torch.zeros(5, 3)).shape
    torch.Size([5, 2])
    """

    def __init__(self, width: int = 256, *, depth: int = 2):
        self.width = width
        self.depth = depth

    def build(self, n_inputs: int, n_outputs: int, n_context: int = 0) -> ResidualMLP:
        """Make a network of this size for rows of the given lengths."""
        check_number("MLPBackbone", "width", self.width, low=1, integer=True)
        check_number("MLPBackbone", "depth", self.depth, low=0, integer=True)
        return ResidualMLP(n_inputs, n_outputs, width=self.width, depth=self.depth, n_context=n_context)

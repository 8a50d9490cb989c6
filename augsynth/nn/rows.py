"""The two ends of a network for table rows: what it reads, and what its output says."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from augsynth.nn.heads import GaussianHead, TokenEmbedding, TokenHead

__all__ = ["RowEnds"]


class RowEnds(nn.Module):
    """Read coded rows into vectors, and read a network's output as a distribution of rows.

    Rows ``z`` (n, p) are tokens (integers) throughout, or floats that hold tokens in
    some columns and numbers in others, NaN where missing.

    Parameters
    ----------
    sizes : sequence of int, (p,)
        Tokens of each column, its missing token included; 0 for a column of numbers.
    gaps : sequence of bool, (p,)
        Whether cells of the column may be missing. A missing number is a Bernoulli
        variable of its own; a missing category is its column's last token.
    width : int
        Length of the vector that a row is read into.
    variance : float or None, default=None
        Variance of the numbers around their means; None learns one a column.
    parents : sequence of int, (p,), optional
        A tree of columns for :class:`TokenHead`; only for rows of tokens throughout.
    """

    last: Tensor

    def __init__(
        self,
        sizes: Sequence[int],
        gaps: Sequence[bool],
        *,
        width: int,
        variance: float | None = None,
        parents: Sequence[int] | None = None,
    ):
        super().__init__()
        self.number_columns = [j for j, size in enumerate(sizes) if size == 0]
        self.token_columns = [j for j, size in enumerate(sizes) if size > 0]
        self.gappy = [k for k, j in enumerate(self.number_columns) if gaps[j]]
        self.mixed = bool(self.number_columns)
        token_sizes = [sizes[j] for j in self.token_columns] + [2] * len(self.gappy)
        last = [sizes[j] - 1 if gaps[j] else -1 for j in self.token_columns]
        self.register_buffer("last", torch.tensor(last, dtype=torch.long), persistent=False)
        self.n_columns = len(sizes)
        self.tokens_in = TokenEmbedding(token_sizes, width) if token_sizes else None
        self.tokens_out = TokenHead(token_sizes, parents) if token_sizes else None
        self.numbers_in = nn.Linear(len(self.number_columns), width) if self.mixed else None
        self.numbers_out = GaussianHead(len(self.number_columns), variance) if self.mixed else None
        self.n_token_outputs = self.tokens_out.n_outputs if self.tokens_out is not None else 0
        self.n_outputs = self.n_token_outputs + len(self.number_columns)

    def _split(self, z: Tensor) -> tuple[Tensor, Tensor | None, Tensor | None]:
        if not self.mixed:
            return z, None, None
        numbers, codes = z[:, self.number_columns], z[:, self.token_columns]
        seen = ~torch.isnan(numbers)
        tokens = torch.where(torch.isnan(codes), self.last.to(codes.dtype), codes).long()
        if self.gappy:
            tokens = torch.cat([tokens, seen[:, self.gappy].long()], dim=1)
        return tokens, torch.where(seen, numbers, 0.0), seen

    def read(self, z: Tensor) -> Tensor:
        """Map coded rows (n, p) to vectors (n, width)."""
        tokens, numbers, _ = self._split(z)
        if self.tokens_in is None:
            return self.numbers_in(numbers)  # type: ignore[misc]
        hidden = self.tokens_in(tokens)
        return hidden if self.numbers_in is None else hidden + self.numbers_in(numbers)

    def log_prob(self, raw: Tensor, z: Tensor) -> Tensor:
        """Return the log-probability of coded rows under the outputs, (n,)."""
        tokens, numbers, seen = self._split(z)
        total = raw.new_zeros(len(raw))
        if self.tokens_out is not None:
            total = total + self.tokens_out.log_prob(raw[:, : self.n_token_outputs], tokens)
        if self.numbers_out is not None and numbers is not None:
            total = total + self.numbers_out.log_prob(raw[:, self.n_token_outputs :], numbers, seen)
        return total

    def draw(self, raw: Tensor, generator: torch.Generator) -> Tensor:
        """Draw coded rows (n, p) from the outputs (n, n_outputs)."""
        n, where = len(raw), generator.device
        tokens = numbers = None
        if self.tokens_out is not None:
            uniform = torch.rand(n, len(self.tokens_out.order), generator=generator, device=where)
            tokens = self.tokens_out.draw(raw[:, : self.n_token_outputs], uniform.to(raw.device))
        if self.numbers_out is not None:
            normal = torch.randn(n, len(self.number_columns), generator=generator, device=where)
            numbers = self.numbers_out.draw(raw[:, self.n_token_outputs :], normal.to(raw.device))
        return self._join(tokens, numbers)

    def mode(self, raw: Tensor) -> Tensor:
        """Return the most probable token and the mean number of every cell, (n, p)."""
        tokens = None if self.tokens_out is None else self.tokens_out.mode(raw[:, : self.n_token_outputs])
        return self._join(tokens, raw[:, self.n_token_outputs :] if self.mixed else None)

    def _join(self, tokens: Tensor | None, numbers: Tensor | None) -> Tensor:
        if numbers is None:
            return tokens  # type: ignore[return-value]
        z = numbers.new_empty(len(numbers), self.n_columns)
        if tokens is not None:
            k = len(self.token_columns)
            codes, flags = tokens[:, :k].to(z.dtype), tokens[:, k:]
            z[:, self.token_columns] = torch.where(tokens[:, :k] == self.last, torch.nan, codes)
            if self.gappy:
                numbers = numbers.clone()
                numbers[:, self.gappy] = numbers[:, self.gappy].masked_fill(flags == 0, torch.nan)
        z[:, self.number_columns] = numbers
        return z

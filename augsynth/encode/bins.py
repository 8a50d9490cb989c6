"""Table cells to small integers and back: at most 256 tokens a numeric column.

A numeric column is cut into quantile bins. A value that fills a bin's worth of rows
becomes a bin of its own (an exact *atom*); the others share bins, and each of those
keeps a small sketch of its quantiles, through which tokens are decoded: no raw value
is stored row by row, and decoded numbers are not copies.
"""

from __future__ import annotations

import numpy as np

from augsynth.core.errors import ParameterError, sentence
from augsynth.core.persistence import persistent
from augsynth.encode.layout import Layout, refuse_gaps

__all__ = ["Binner"]

MAX_BINS = 256
LEAST_BINS = 8
ROWS_A_BIN = 8  # short tables get fewer, fuller bins
SKETCH = 9  # quantiles kept a bin: min, 7 inner eighths, max


@persistent
class Binner:
    """Turn the numbers and categories of an encoded table into tokens, and back.

    Parameters
    ----------
    max_bins : int, default=256
        Most tokens of a numeric column, its missing token included.

    Attributes
    ----------
    sizes_ : ndarray of int, (p,)
        Number of tokens of each column, the missing token included.
    missing_token_ : ndarray of int, (p,)
        The token of a missing cell; -1 where none was seen.
    dtype_ : numpy dtype
        uint8 where every column has at most 256 tokens, else uint16 (or uint32).

    Notes
    -----
    Categories pass through as their level codes. Fitting sorts each numeric column
    once (about 10 ms a column of 30,000 rows); a cell takes one byte.

    Examples
    --------
    >>> import numpy as np
    >>> from augsynth.encode.layout import Block, Layout
    >>> binner = Binner().fit(np.array([[1.0], [1.0], [5.0], [np.nan]]), Layout((Block("a", missing=True),)))
    >>> binner.encode(np.array([[5.0], [np.nan]])).ravel().tolist(), binner.sizes_.tolist()
    ([1, 2], [3])
    """

    def __init__(self, max_bins: int = MAX_BINS):
        if not 2 <= max_bins <= 65536:
            raise ParameterError(sentence("Binner", "max_bins must be from 2 to 65536", str(max_bins)))
        self.max_bins = max_bins

    def fit(self, z: np.ndarray, layout: Layout) -> Binner:
        """Learn the bins of the rows ``z`` (n, p), encoded by the table codec."""
        sizes, missing, uppers, sketches = [], [], [], []
        for column, block in zip(np.asarray(z, dtype=np.float64).T, layout, strict=True):
            gap = np.isnan(column)
            has_gap = bool(block.missing or gap.any())
            if block.is_numeric:
                upper, sketch = _bins(column[~gap], self.max_bins - has_gap)
                count = len(upper)
            else:
                upper, sketch, count = np.empty(0), np.empty((0, SKETCH)), block.n_levels
            sizes.append(count + has_gap)
            missing.append(count if has_gap else -1)
            uppers.append(upper)
            sketches.append(sketch)
        self.sizes_ = np.array(sizes, dtype=np.int64)
        self.missing_token_ = np.array(missing, dtype=np.int64)
        self.numeric_ = layout.numeric
        self.names_ = [block.name for block in layout]
        self.uppers_ = uppers
        counts = np.array([len(s) for s in sketches])
        self.first_ = np.concatenate([[0], np.cumsum(counts)[:-1]])
        self.sketch_ = np.concatenate(sketches) if counts.sum() else np.zeros((1, SKETCH))
        largest = int(self.sizes_.max())
        self.dtype_ = np.dtype(np.uint8 if largest <= 256 else np.uint16 if largest <= 65536 else np.uint32)
        return self

    def encode(self, z: np.ndarray) -> np.ndarray:
        """Turn rows ``z`` (n, p) into tokens (n, p); numbers beyond the range seen go to the end bins.

        Raises
        ------
        DataError
            For a missing cell in a column that had none in fit.
        """
        z = np.asarray(z, dtype=np.float64)
        tokens = np.empty(z.shape, dtype=self.dtype_)
        for j in range(z.shape[1]):
            gap = np.isnan(z[:, j])
            if self.missing_token_[j] < 0:
                refuse_gaps(self.names_[j], gap)
            values = np.where(gap, 0.0, z[:, j])
            if len(self.uppers_[j]):
                values = np.minimum(np.searchsorted(self.uppers_[j], values), len(self.uppers_[j]) - 1)
            tokens[:, j] = np.where(gap, self.missing_token_[j], values)
        return tokens

    def decode(self, tokens: np.ndarray, rng: np.random.Generator | None) -> np.ndarray:
        """Turn tokens (n, p) into rows ``z`` (n, p): a draw from each bin, its median without ``rng``."""
        tokens = np.asarray(tokens).astype(np.int64)
        z = tokens.astype(np.float64)
        gap = tokens == self.missing_token_
        if len(self.numeric_):
            part = np.where(gap, 0, tokens)[:, self.numeric_]
            u = np.full(part.shape, 0.5) if rng is None else rng
            u = u.random(part.shape) if isinstance(u, np.random.Generator) else u
            z[:, self.numeric_] = self._inside(part, u)
        z[gap] = np.nan
        return z

    def _inside(self, tokens: np.ndarray, u: np.ndarray) -> np.ndarray:
        """Read the sketches of numeric tokens at the heights ``u`` in [0, 1)."""
        place = u * (SKETCH - 1)
        step = place.astype(np.int64)
        rows = tokens + self.first_[self.numeric_]
        low, high = self.sketch_[rows, step], self.sketch_[rows, step + 1]
        return low + (place - step) * (high - low)

    def stretches(self) -> list[float]:
        """Return each column's share of tokens that stand for a stretch of numbers, not for one value."""
        wide = self.sketch_[:, -1] > self.sketch_[:, 0]
        parts = zip(self.first_, self.uppers_, strict=True)
        return [float(wide[start : start + len(u)].mean()) if len(u) else 0.0 for start, u in parts]

    def log_density(self, z: np.ndarray, tokens: np.ndarray) -> np.ndarray:
        """Sum the log-densities of the numbers of each row given their tokens, (n,).

        Inside a bin the density is flat between neighbouring quantiles of its sketch,
        per data unit; atoms, categories and missing cells add nothing (their token's
        mass is all there is); numbers outside every bin have density zero.
        """
        total = np.zeros(len(z))
        tokens = np.asarray(tokens).astype(np.int64)
        for j in self.numeric_:
            seen = tokens[:, j] != self.missing_token_[j]
            x, sketch = z[seen, j], self.sketch_[tokens[seen, j] + self.first_[j]]
            span = sketch[:, -1] - sketch[:, 0]
            # The last sketch point at or below x opens its segment; repeated points make
            # empty segments, which are given a millionth of the bin so that nothing is infinite.
            start = np.clip((sketch <= x[:, None]).sum(axis=1) - 1, 0, SKETCH - 2)
            rows = np.arange(len(x))
            width = np.maximum(sketch[rows, start + 1] - sketch[rows, start], 1e-6 * span)
            with np.errstate(divide="ignore"):
                inner = -np.log(SKETCH - 1) - np.log(width)
            outside = (x < sketch[:, 0]) | (x > sketch[:, -1])
            total[seen] += np.where(outside, -np.inf, np.where(span > 0, inner, 0.0))
        return total


def _bins(values: np.ndarray, most: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the largest value (k,) and the quantile sketch (k, SKETCH) of at most ``most`` bins."""
    if not len(values):
        return np.zeros(1), np.zeros((1, SKETCH))
    unique, counts = np.unique(values, return_counts=True)
    most = min(most, max(LEAST_BINS, len(values) // ROWS_A_BIN))
    if len(unique) <= most:
        return unique, np.repeat(unique[:, None], SKETCH, axis=1)
    before = np.cumsum(counts) - counts
    share = len(values) / most
    while True:
        atom = counts >= share
        # A bin ends where the running count passes a multiple of the share, and on both sides of an atom.
        slot = np.floor((before + counts / 2) / share)
        cut = (np.diff(slot) > 0) | atom[1:] | atom[:-1]
        bin_of = np.concatenate([[0], np.cumsum(cut)])
        if bin_of[-1] < most:
            break
        share *= 1.0 + max(0.02, 0.5 * (bin_of[-1] + 1 - most) / most)
    last = np.append(np.flatnonzero(np.diff(bin_of)), len(unique) - 1)
    ordered = np.sort(values)
    ends = np.cumsum(counts)[last]
    starts = np.concatenate([[0], ends[:-1]])
    place = starts[:, None] + np.linspace(0.0, 1.0, SKETCH) * (ends - 1 - starts)[:, None]
    floor = place.astype(np.int64)
    low, high = ordered[floor], ordered[np.minimum(floor + 1, len(ordered) - 1)]
    sketch, upper = low + (place - floor) * (high - low), unique[last]
    # Neighbouring bins of several values meet half way, so that no gap between them has density zero.
    wide = sketch[:, -1] > sketch[:, 0]
    meet = np.flatnonzero(wide[1:] & wide[:-1])
    upper[meet] = sketch[meet, -1] = sketch[meet + 1, 0] = sketch[meet, -1] / 2 + sketch[meet + 1, 0] / 2
    return upper, sketch

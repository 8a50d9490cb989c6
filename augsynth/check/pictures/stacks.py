"""Pictures of any container as one stack of grey or coloured pixels in one size."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from augsynth.check.preservation.reader_features import averages, picture_array

__all__ = ["Frame", "channels_first"]

_AT_ONCE = 500


@dataclass(frozen=True)
class Frame:
    """The size and the range of brightness that pictures are brought to, learned from the real ones.

    Attributes
    ----------
    height, width, channels : int
    low, high : float
        Darkest and brightest value of the real pictures (0 and 255 for bytes that use them).

    Examples
    --------
    >>> frame = Frame.of(np.array([[[0, 16], [8, 4]]]), largest=32)
    >>> frame.stack(np.array([[[0, 16], [8, 4]]]))[0, 0]
    array([[0.  , 1.  ],
           [0.5 , 0.25]], dtype=float32)
    """

    height: int
    width: int
    channels: int
    low: float
    high: float

    @classmethod
    def of(cls, X: Any, *, largest: int) -> Frame:
        """Learn from pictures; sides beyond ``largest`` are scaled down to it."""
        arrays = channels_first(X)
        sides = [max(array.shape[axis] for array in arrays) for axis in (-2, -1)]
        channels = max(array.shape[-3] for array in arrays)
        low = min(float(array.min()) for array in arrays)
        high = max(float(array.max()) for array in arrays)
        if high <= low:
            high = low + 1.0
        return cls(min(sides[0], largest), min(sides[1], largest), channels, low, high)

    def stack(self, X: Any) -> np.ndarray:
        """Return pictures (n, channels, height, width) of float32, 0 for `low` and 1 for `high`."""
        arrays = channels_first(X)
        stacks = [array if array.ndim == 4 else array[None] for array in arrays]
        shape = (sum(map(len, stacks)), self.channels, self.height, self.width)
        out, at = np.empty(shape, dtype=np.float32), 0
        for stack in stacks:
            for start in range(0, len(stack), _AT_ONCE):  # large pictures are never all held as floats
                block = self._sized(stack[start : start + _AT_ONCE])
                out[at : at + len(block)] = block
                at += len(block)
        out -= np.float32(self.low)
        out /= np.float32(self.high - self.low)
        return out

    def _sized(self, array: np.ndarray) -> np.ndarray:
        if array.shape[1] != self.channels:
            array = np.repeat(array.mean(axis=1, keepdims=True), self.channels, axis=1)
        if array.shape[2:] == (self.height, self.width):
            return array
        down, across = averages(array.shape[2], self.height), averages(array.shape[3], self.width)
        return np.einsum("ah,nchw,bw->ncab", down, array.astype(np.float32), across, optimize=True)


def channels_first(X: Any) -> list[np.ndarray]:
    """Return one stack (n, c, h, w), or, of pictures of several sizes, a list of arrays (c, h, w)."""
    if hasattr(X, "detach"):
        X = X.detach().cpu().numpy()
    if isinstance(X, np.ndarray) and X.dtype != object:
        if X.ndim == 3:
            return [X[:, None]]
        first = X.shape[1] <= 4 < X.shape[3]
        return [X if first else X.transpose(0, 3, 1, 2)]
    arrays = [picture_array(x).transpose(2, 0, 1) for x in X]
    if len({array.shape for array in arrays}) == 1:
        return [np.stack(arrays)]
    return arrays

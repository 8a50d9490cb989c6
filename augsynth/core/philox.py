"""Philox4x64-10 over arrays of counters: numpy's generator, for a whole batch of keys at once."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

__all__ = ["block"]

_MULTIPLIERS = (0xD2E7470EE14C6C93, 0xCA5A826395121157)
_WEYL = (0x9E3779B97F4A7C15, 0xBB67AE8584CAA73B)
_ROUNDS = 10
_LOW = np.uint64(0xFFFFFFFF)
_HALF = np.uint64(32)


def block(counter: Sequence[np.ndarray], key: Sequence[int]) -> np.ndarray:
    """Return the four numbers (n, 4) uint64 of each counter.

    Parameters
    ----------
    counter : four ndarrays of uint64, (n,)
    key : two ints below 2**64

    Notes
    -----
    numpy adds one to the counter before it makes a block, so its stream from counter 0
    begins with the block of counter 1. Cost: about 200 array operations.

    References
    ----------
    Salmon, Moraes, Dror and Shaw, SC 2011, doi:10.1145/2063384.2063405.
    """
    c0, c1, c2, c3 = counter
    k0, k1 = key
    for _ in range(_ROUNDS):
        high0, low0 = _product(_MULTIPLIERS[0], c0)
        high1, low1 = _product(_MULTIPLIERS[1], c2)
        c0, c1, c2, c3 = high1 ^ c1 ^ np.uint64(k0), low1, high0 ^ c3 ^ np.uint64(k1), low0
        k0, k1 = (k0 + _WEYL[0]) % 2**64, (k1 + _WEYL[1]) % 2**64
    return np.stack([c0, c1, c2, c3], axis=1)


def _product(a: int, b: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the high and the low 64 bits of a * b."""
    a_high, a_low = np.uint64(a >> 32), np.uint64(a & 0xFFFFFFFF)
    b_high, b_low = b >> _HALF, b & _LOW
    low = a_low * b_low
    middle = a_high * b_low + (low >> _HALF)  # each term is below 2**64 - 2**33, so nothing overflows
    other = a_low * b_high + (middle & _LOW)
    return a_high * b_high + (middle >> _HALF) + (other >> _HALF), np.uint64(a) * b

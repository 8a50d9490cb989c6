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
_A = np.array(_MULTIPLIERS, dtype=np.uint64)[:, None]
_A_HIGH, _A_LOW = _A >> _HALF, _A & _LOW


def block(counter: Sequence[np.ndarray] | np.ndarray, key: Sequence[int]) -> np.ndarray:
    """Return the four numbers (n, 4) uint64 of each counter.

    Parameters
    ----------
    counter : four ndarrays of uint64, (n,)
    key : two ints below 2**64

    Notes
    -----
    numpy adds one to the counter before it makes a block, so its stream from counter 0
    begins with the block of counter 1. Cost: about 150 array operations.

    References
    ----------
    Salmon, Moraes, Dror and Shaw, SC 2011, doi:10.1145/2063384.2063405.
    """
    # Both words of a round side by side: half as many calls, which is what it costs.
    words = np.stack([counter[0], counter[2]])
    others = np.stack([counter[1], counter[3]])
    keys = [(key[0] + k * _WEYL[0]) % 2**64 for k in range(_ROUNDS)]
    keys += [(key[1] + k * _WEYL[1]) % 2**64 for k in range(_ROUNDS)]
    for key_pair in np.array(keys, dtype=np.uint64).reshape(2, _ROUNDS).T[:, :, None]:
        low_half, high_half = words & _LOW, words >> _HALF
        # No term overflows: each product of halves is at most 2**64 - 2**33 + 1.
        middle = _A_HIGH * low_half
        low_half *= _A_LOW
        low_half >>= _HALF
        middle += low_half
        other = _A_LOW * high_half
        other += middle & _LOW
        middle >>= _HALF
        other >>= _HALF
        high_half *= _A_HIGH
        high_half += middle
        high_half += other  # the high 64 bits of the products
        words, others = high_half[::-1] ^ others, (_A * words)[::-1]
        words ^= key_pair
    return np.stack([words[0], others[0], words[1], others[1]], axis=1)

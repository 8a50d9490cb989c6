"""Scrambled Sobol' numbers that are a function of an index: for one copy, or for arrays of them.

Each stream of a record is a group of dimensions of its own (an edit's angle, scale and
shift are spread jointly), shuffled and scrambled on its own against the others, which
is Latin supercube sampling. So a step added to a policy leaves the others alone.

References
----------
Sobol', 1967, doi:10.1016/0041-5553(67)90144-9. Owen, "Latin supercube sampling for very
high-dimensional simulations", 1998, doi:10.1145/272991.273010. Burley, "Practical
hash-based Owen scrambling", JCGT 9(4), 2020. Directions: scipy's (Joe and Kuo, 2008).
"""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

__all__ = ["DIMENSIONS", "mixed", "number"]

DIMENSIONS = 16
_BITS = 12  # of the index: 4096 copies and epochs, then another scrambling
_MASK = 2**64 - 1
_WORD = 2**32 - 1


def mixed(x: Any) -> Any:
    """Return 64 well-mixed bits of a whole number or of an array of uint64 (the finaliser of SplitMix64)."""
    x = (x + 0x9E3779B97F4A7C15) & _MASK
    x = ((x ^ (x >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
    x = ((x ^ (x >> 27)) * 0x94D049BB133111EB) & _MASK
    return x ^ (x >> 31)


def number(index: Any, root: Any, dimension: int) -> Any:
    """Return Sobol' number(s) in (0, 1): of copy ``index`` in the sequence that ``root`` scrambles.

    Ints give a float, arrays of uint64 an array; the same numbers either way.
    """
    turn = mixed(root ^ (index >> _BITS))
    order = mixed(turn ^ 1) & _WORD
    place = _reversed(_scrambled(_reversed(index & (2**_BITS - 1), _BITS), order, _BITS), _BITS)
    points = _points()[:, dimension]
    word = int(points[place]) if isinstance(place, int) else points[place.astype(np.intp)]
    digits = mixed(turn ^ (2 + dimension)) & _WORD
    word = _reversed(_scrambled(_reversed(word, 32), digits, 32), 32)
    # The digits below those 32 are a hash: seeds that are made from the number want all 53.
    fine = mixed(root ^ mixed(index ^ dimension)) >> 43
    return word / 2.0**32 + (fine + 0.5) / 2.0**53


def _scrambled(x: Any, seed: Any, bits: int) -> Any:
    # Each bit is flipped by a hash of those below it: a nested (Owen) scramble of the reversed number.
    mask = 2**bits - 1
    x = (x + seed) & mask
    for factor in (0x6C50B47C, 0xB82F1E52, 0xC7AFE638, 0x8D22F6E6):
        x = (x ^ (x * factor)) & mask
    return x


def _reversed(x: Any, bits: int) -> Any:
    x = ((x >> 1) & 0x55555555) | ((x & 0x55555555) << 1)
    x = ((x >> 2) & 0x33333333) | ((x & 0x33333333) << 2)
    x = ((x >> 4) & 0x0F0F0F0F) | ((x & 0x0F0F0F0F) << 4)
    x = ((x >> 8) & 0x00FF00FF) | ((x & 0x00FF00FF) << 8)
    x = (x >> 16) | ((x & 0xFFFF) << 16)
    return x >> (32 - bits)


@functools.cache
def _points() -> np.ndarray:
    """Return the plain Sobol' points (4096, 16) as 32-bit whole numbers."""
    from scipy.stats import qmc

    points = qmc.Sobol(DIMENSIONS, scramble=False, bits=32).random_base2(_BITS)
    return np.rint(points * 2.0**32).astype(np.uint64)

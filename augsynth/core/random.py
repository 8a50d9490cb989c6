"""Randomness that is local and exact: seeds are resolved once, streams are keyed.

No function here reads or changes a global generator.
"""

from __future__ import annotations

import secrets
from typing import Any

import numpy as np

from augsynth.core.errors import ParameterError, sentence

__all__ = ["item_rng", "keyed_rng", "resolve_seed"]


def resolve_seed(random_state: Any = None) -> int:
    """Turn any ``random_state`` into one non-negative integer below 2**63.

    Parameters
    ----------
    random_state : None, int, numpy Generator, RandomState or SeedSequence
        None draws fresh entropy from the operating system; a generator is asked
        for one draw (and so advances); an int stands for itself.

    Raises
    ------
    ParameterError
        For anything else, or a negative integer.
    """
    if random_state is None:
        return secrets.randbits(63)
    if isinstance(random_state, np.random.Generator):
        return int(random_state.integers(0, 2**63 - 1))
    if isinstance(random_state, np.random.RandomState):
        return int(random_state.randint(0, 2**63 - 1, dtype=np.int64))
    if isinstance(random_state, np.random.SeedSequence):
        return int(random_state.generate_state(1, np.uint64)[0] >> np.uint64(1))
    if isinstance(random_state, (int, np.integer)) and random_state >= 0:
        return int(random_state) % 2**63
    if random_state is np.random:  # scikit-learn's spelling of "the global one"
        return secrets.randbits(63)
    raise ParameterError(
        sentence(
            "random_state",
            "must be None, a non-negative int, or a numpy Generator or RandomState",
            repr(random_state),
        )
    )


def keyed_rng(seed: int, *keys: int) -> np.random.Generator:
    """Return the stream of ``(seed, *keys)``: the same keys give the same numbers.

    Streams of different keys are independent for every practical purpose
    (numpy's SeedSequence hashes the whole tuple). Costs about 15 microseconds.

    Examples
    --------
    >>> bool(keyed_rng(7, 1).random() == keyed_rng(7, 1).random())
    True
    >>> bool(keyed_rng(7, 1).random() == keyed_rng(7, 2).random())
    False
    """
    # A spawn key, unlike a longer entropy list, cannot be confused with padding zeros.
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=keys))


def item_rng(seed: int, epoch: int, record: int, copy: int = 0, step: int = 0) -> np.random.Generator:
    """Return the stream of one item of a dataset, whatever worker asks for it."""
    return keyed_rng(seed, epoch, record, copy, step)

"""Randomness that is local and exact: seeds are resolved once, streams are keyed.

No function here reads or changes a global generator.
"""

from __future__ import annotations

import functools
import secrets
import threading
import zlib
from typing import Any, Self

import numpy as np

from augsynth.core import philox, sobol
from augsynth.core.errors import ParameterError, sentence

__all__ = [
    "ItemKeys",
    "KeyedGenerator",
    "StratifiedGenerator",
    "Streams",
    "generator_of",
    "item_rng",
    "keyed",
    "keyed_rng",
    "resolve_seed",
    "seeded",
    "step_key",
]


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


def seeded(component: Any, *keys: int) -> Any:
    """Give every unset ``random_state`` of a component, and of those inside it, a seed of its own; return it.

    Parameters
    ----------
    component : object
        With ``get_params`` and ``set_params``, or an attribute ``random_state``; it is changed.
    *keys : int
        As in `keyed_rng`.
    """
    rng = keyed_rng(*keys)
    if not hasattr(component, "get_params"):
        if getattr(component, "random_state", 0) is None:
            component.random_state = int(rng.integers(2**31))
        return component
    unset = [
        name
        for name, value in sorted(component.get_params(deep=True).items())
        if value is None and name.rsplit("__", 1)[-1] == "random_state"
    ]
    if unset:
        component.set_params(**{name: int(rng.integers(2**31)) for name in unset})
    return component


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


_DOMAIN = 0x6175_6773_796E_7468  # the second key word: streams of this library are no one else's
_MASK = 2**64 - 1


class KeyedGenerator(np.random.Generator):
    """A numpy Generator that goes to the stream of any key in about a microsecond.

    Streams are those of Philox4x64-10: the key is ``(seed, a constant)``, the counter
    ``(0, path, record, epoch and copy)``, so different keys never share a number, and
    nothing has to be drawn to get from one to the next.

    References
    ----------
    Salmon, Moraes, Dror and Shaw, "Parallel random numbers: as easy as 1, 2, 3",
    SC 2011, doi:10.1145/2063384.2063405.

    Examples
    --------
    >>> rng = KeyedGenerator().seat(7, epoch=0, record=12)
    >>> again = KeyedGenerator().seat(7, epoch=0, record=12)
    >>> bool(rng.random() == again.random())
    True
    """

    stratified = 0

    def __init__(self) -> None:
        philox = np.random.Philox(key=[0, _DOMAIN], counter=0)
        super().__init__(philox)
        self._philox = philox
        self._start: Any = philox.state
        self._counter = self._start["state"]["counter"]
        self._key = self._start["state"]["key"]
        self._below: KeyedGenerator | None = None
        self._below_is_here = False
        self._used = 0
        self.seed = self.epoch = self.record = self.copy = self.path = 0

    def seat(self, seed: int, epoch: int = 0, record: int = 0, copy: int = 0, path: int = 0) -> Self:
        """Go to the start of the stream of a key (``epoch`` and ``copy`` below 2**32)."""
        self.seed, self.epoch, self.record, self.copy, self.path = seed, epoch, record, copy, path
        counter = self._counter
        counter[1], counter[2], counter[3] = path, record, (epoch << 32) | copy
        self._key[0] = seed
        self._philox.state = self._start
        self._used = 0
        self._below_is_here = False
        return self

    def child(self, step: int) -> KeyedGenerator:
        """Go to the stream of a step under this one.

        There is one child object to a parent, moved at every call: draw from it before
        asking for the next. The parent's own position stays.
        """
        below = self._below
        if below is None:
            below = self._below = self._another()
        below.path = path = _under(self.path, step)
        counter = below._counter
        if not self._below_is_here:  # another item than the last child was of
            self._below_is_here = True
            below.seed, below.epoch, below.record, below.copy = self.seed, self.epoch, self.record, self.copy
            counter[2], counter[3], below._key[0] = self._counter[2], self._counter[3], self.seed
        counter[1] = path
        below._philox.state = below._start
        below._used = 0
        below._below_is_here = False
        return below

    def _another(self) -> KeyedGenerator:
        return KeyedGenerator()

    def __reduce__(self) -> Any:
        return _seated, (self.stratified, self.seed, self.epoch, self.record, self.copy, self.path)


class StratifiedGenerator(KeyedGenerator):
    """A KeyedGenerator whose first 16 numbers of each stream are Sobol' numbers over copies and epochs.

    So the copies of a record are spread over what could be drawn (see `augsynth.core.sobol`).

    Parameters
    ----------
    copies : int
        Copies of a record in one epoch.
    """

    def __init__(self, copies: int):
        super().__init__()
        self.stratified = copies

    def _another(self) -> KeyedGenerator:
        return StratifiedGenerator(self.stratified)

    def _strata(self, d: int) -> np.ndarray | None:
        """Return the next d Sobol' numbers, or None where plain ones serve."""
        if self._used + d > sobol.DIMENSIONS:
            return None
        index = self.epoch * self.stratified + self.copy
        root = sobol.mixed(self.seed ^ sobol.mixed(self.record ^ sobol.mixed(self.path)))
        u = [sobol.number(index, root, self._used + j) for j in range(d)]
        self._used += d
        return np.array(u)

    def random(self, size: Any = None, dtype: Any = np.float64, out: Any = None) -> Any:  # type: ignore[override]
        """Draw uniform numbers below 1, as numpy does, but stratified."""
        if out is None and dtype is np.float64:
            shape = () if size is None else (size,) if np.ndim(size) == 0 else tuple(size)
            strata = self._strata(int(np.prod(shape)))
            if strata is not None:
                return float(strata[0]) if size is None else strata.reshape(shape)
        return super().random(size, dtype, out)

    def uniform(self, low: Any = 0.0, high: Any = 1.0, size: Any = None) -> Any:  # type: ignore[override]
        """Draw uniform numbers between two bounds, as numpy does, but stratified."""
        if np.ndim(low) == 0 == np.ndim(high):
            return low + (high - low) * self.random(size)
        return super().uniform(low, high, size)


def generator_of(stratified: int = 0) -> KeyedGenerator:
    """Return a generator of plain streams, or of ones stratified over so many copies."""
    return StratifiedGenerator(stratified) if stratified else KeyedGenerator()


def _seated(stratified: int, *key: int) -> KeyedGenerator:
    return generator_of(stratified).seat(*key)


@functools.cache  # as many as a policy has steps
def _under(path: int, step: int) -> int:
    return int(sobol.mixed(path ^ step))


def step_key(name: str, occurrence: int = 0) -> int:
    """Return the number of a step: of its name, and of how many of that name came before it."""
    return sobol.mixed((zlib.crc32(name.encode()) << 20) ^ occurrence)


def keyed(rng: np.random.Generator) -> KeyedGenerator:
    """Return ``rng`` if it is keyed, else a keyed generator of a seed that it draws."""
    return rng if isinstance(rng, KeyedGenerator) else KeyedGenerator().seat(resolve_seed(rng))


def item_rng(seed: int, epoch: int, record: int, copy: int = 0, step: int = 0) -> KeyedGenerator:
    """Return the stream of one item of a dataset, whatever worker asks for it.

    Examples
    --------
    >>> float(item_rng(0, 1, 2).random()) == float(Streams(0).at(1, 2).random())
    True
    """
    return KeyedGenerator().seat(seed, epoch, record, copy, step)


class Streams:
    """The streams of all items under one seed: one generator a thread, moved from item to item.

    Parameters
    ----------
    seed : int
    stratified : int, default=0
        Copies of a record to spread Sobol' numbers over; 0 draws every copy on its own.
    """

    def __init__(self, seed: int, stratified: int = 0):
        self.seed = seed
        self.stratified = stratified
        self._local = threading.local()

    def at(self, epoch: int, record: int, copy: int = 0, path: int = 0) -> KeyedGenerator:
        """Go to the stream of an item; the generator is this thread's, so use it before the next."""
        rng = getattr(self._local, "rng", None)
        if rng is None:
            rng = self._local.rng = generator_of(self.stratified)
        return rng.seat(self.seed, epoch, record, copy, path)

    def __getstate__(self) -> dict[str, int]:
        return {"seed": self.seed, "stratified": self.stratified}

    def __setstate__(self, state: dict[str, int]) -> None:
        self.__init__(**state)  # type: ignore[misc]


class ItemKeys:
    """The keys of a batch of items: what `KeyedGenerator` is to one.

    Parameters
    ----------
    seed : int
    epoch, record, copy : int or ndarray of int, (n,)
    path : int, default=0
    stratified : int, default=0

    Examples
    --------
    >>> keys = ItemKeys(7, 0, np.arange(5), 1)
    >>> bool((keys.uniforms(2)[3] == keys.at(3).random(2)).all())
    True
    """

    def __init__(
        self, seed: int, epoch: Any, record: Any, copy: Any = 0, *, path: int = 0, stratified: int = 0
    ):
        whole = [np.atleast_1d(np.asarray(key, np.uint64)) for key in (epoch, record, copy)]
        self.epoch, self.record, self.copy = np.broadcast_arrays(*whole)
        self.seed, self.path, self.stratified = seed, path, stratified
        self._rng: KeyedGenerator | None = None

    def __len__(self) -> int:
        return len(self.record)

    def at(self, k: int) -> KeyedGenerator:
        """Go to the stream of item ``k``; one generator serves them all, so use it before the next."""
        if self._rng is None:
            self._rng = generator_of(self.stratified)
        return self._rng.seat(
            self.seed, int(self.epoch[k]), int(self.record[k]), int(self.copy[k]), self.path
        )

    def _with(self, epoch: Any, record: Any, copy: Any, path: int) -> ItemKeys:
        return ItemKeys(self.seed, epoch, record, copy, path=path, stratified=self.stratified)

    def child(self, step: int) -> ItemKeys:
        """Return the keys of a step under this one."""
        return self._with(self.epoch, self.record, self.copy, _under(self.path, step))

    def take(self, where: np.ndarray) -> ItemKeys:
        """Return the keys of some of the items: positions or a mask."""
        return self._with(self.epoch[where], self.record[where], self.copy[where], self.path)

    def uniforms(self, d: int) -> np.ndarray:
        """Return the first ``d`` uniform numbers (n, d) of every item, to the last bit those of ``at(k)``."""
        if d == 0:
            return np.empty((len(self), 0))
        if self.stratified and d <= sobol.DIMENSIONS:
            index = self.epoch * np.uint64(self.stratified) + self.copy
            root = sobol.mixed(self.seed ^ sobol.mixed(self.record ^ np.uint64(sobol.mixed(self.path))))
            return np.stack([sobol.number(index, root, j) for j in range(d)], axis=1)
        if self.stratified or len(self) < 8:
            return np.array([self.at(k).random(d) for k in range(len(self))]).reshape(len(self), d)
        counters = np.empty((4, len(self), -(-d // 4)), dtype=np.uint64)  # all blocks of all items at once
        counters[0] = np.arange(1, counters.shape[2] + 1)
        counters[1] = self.path
        counters[2] = self.record[:, None]
        counters[3] = ((self.epoch << np.uint64(32)) | self.copy)[:, None]
        numbers = philox.block(counters.reshape(4, -1), (self.seed, _DOMAIN)).reshape(len(self), -1)
        return (numbers[:, :d] >> np.uint64(11)) * 2.0**-53

"""What the contract checks share: exact comparison, digests of items, the global generators watched."""

from __future__ import annotations

import hashlib
import pickle
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
import pandas as pd

from augsynth.core.isolation import global_states

__all__ = ["digest", "equal", "expect", "global_generators_watched", "used_generators"]


def expect(truth: bool, failure: str) -> None:
    """Raise AssertionError with a sentence unless something is true."""
    if not truth:
        raise AssertionError(failure)


def equal(a: Any, b: Any) -> bool:
    """Whether two containers, samples or parameters are equal to the last bit; missing equals missing."""
    if isinstance(a, (pd.DataFrame, pd.Series)):
        return a.equals(b)
    if isinstance(a, Mapping):
        return isinstance(b, Mapping) and a.keys() == b.keys() and all(equal(a[key], b[key]) for key in a)
    if isinstance(a, (list, tuple)):
        return len(a) == len(b) and all(equal(x, y) for x, y in zip(a, b, strict=True))
    if type(a).__module__.startswith("PIL."):
        return (a.mode, a.size, a.tobytes()) == (b.mode, b.size, b.tobytes())
    if hasattr(a, "shape"):
        one, two = np.asarray(a), np.asarray(b)
        if one.dtype.kind in "fc":
            return one.shape == two.shape and bool(np.array_equal(one, two, equal_nan=True))
        return bool(np.array_equal(one, two))
    return bool(a == b) or (a != a and b != b)


@contextmanager
def global_generators_watched() -> Iterator[None]:
    """Raise AssertionError if what runs inside uses a global generator."""
    before = global_states()
    yield
    changed = used_generators(before)
    expect(not changed, f"global generators were used: {', '.join(changed)}")


def used_generators(before: Mapping[str, Any]) -> list[str]:
    """Return the global generators that have moved since `global_states` gave ``before``."""
    return [name for name, state in global_states().items() if state != before.get(name, state)]


def digest(item: Any) -> str:
    """Return a digest of everything that an item of a dataset holds: types, shapes and every byte."""
    hashed = hashlib.blake2b(digest_size=12)
    _add(hashed, item)
    return hashed.hexdigest()


def _add(hashed: Any, value: Any) -> None:
    hashed.update(type(value).__qualname__.encode() + b"(")
    if isinstance(value, Mapping):
        for key in value:
            _add(hashed, key)
            _add(hashed, value[key])
    elif isinstance(value, (list, tuple)):
        for part in value:
            _add(hashed, part)
    elif hasattr(value, "detach") and hasattr(value, "cpu"):
        cpu = value.detach().cpu().contiguous()
        hashed.update(f"{cpu.dtype}{tuple(cpu.shape)}".encode())
        hashed.update(_tensor_bytes(cpu))
    elif isinstance(value, (np.ndarray, np.generic)) and value.dtype != object:
        hashed.update(f"{value.dtype}{value.shape}".encode() + np.ascontiguousarray(value).tobytes())
    elif type(value).__module__.startswith("PIL."):
        hashed.update(f"{value.mode}{value.size}".encode() + value.tobytes())
    elif isinstance(value, (str, int, float, bool, type(None))):
        hashed.update(repr(value).encode())
    elif isinstance(value, bytes):
        hashed.update(value)
    else:
        hashed.update(pickle.dumps(value))
    hashed.update(b")")


def _tensor_bytes(cpu: Any) -> bytes:
    import torch

    flat = cpu.as_subclass(torch.Tensor).reshape(-1)  # bfloat16 and the like have no numpy dtype
    return bytes(flat.view(torch.uint8).numpy().tobytes())

"""Torch randomness that is local and exact: keyed generators, and an undisturbed global one."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import torch

from augsynth.core.isolation import global_generators, lock
from augsynth.core.random import ItemKeys

__all__ = ["RowNoise", "deterministic", "forked", "keyed_generator", "noise"]


@contextmanager
def forked(seed: int) -> Iterator[None]:
    """Let code that reads torch's global CPU generator run from ``seed``; then put the generator back.

    Module constructors draw their first weights from the global generator. Build
    modules on the CPU inside this scope, and move them afterwards.
    """
    with global_generators(seed % 2**63, ("torch",)):
        yield


def keyed_generator(
    seed: int, keys: Sequence[int] = (), device: torch.device | str = "cpu"
) -> torch.Generator:
    """Return the torch stream of ``(seed, *keys)`` on a device: the same keys give the same numbers."""
    state = np.random.SeedSequence(seed, spawn_key=tuple(keys)).generate_state(1, np.uint64)[0]
    return torch.Generator(device=device).manual_seed(int(state >> np.uint64(1)))


@contextmanager
def deterministic(wanted: bool) -> Iterator[None]:
    """Have torch use only kernels that give the same bytes each time, then put its switch back."""
    if not wanted:
        yield
        return
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # without it CUDA refuses exact products
    with lock:
        before = torch.are_deterministic_algorithms_enabled()
        warns = torch.is_deterministic_algorithms_warn_only_enabled()
        torch.use_deterministic_algorithms(True)
        try:
            yield
        finally:
            torch.use_deterministic_algorithms(before, warn_only=warns)


def noise(
    shape: Sequence[int], generator: torch.Generator, device: torch.device | str | None = None
) -> torch.Tensor:
    """Draw standard normal numbers where the generator lives, and move them to ``device``."""
    drawn = torch.randn(tuple(shape), generator=generator, device=generator.device)
    return drawn if device is None else drawn.to(device)


class RowNoise:
    """Uniform numbers keyed by row, made on the CPU: the same ones whatever rows are beside a row.

    Each call goes on to the next stream of every row.

    Parameters
    ----------
    keys : ItemKeys, (n,)
    height : int, optional
        Rows beyond the n are padding: their numbers are one half.
    device : torch device

    Examples
    --------
    >>> noise = RowNoise(ItemKeys(7, 0, np.arange(2)), 3)
    >>> noise(4).shape, bool((noise(4) == noise(4)).all())
    (torch.Size([3, 4]), False)
    """

    def __init__(self, keys: ItemKeys, height: int | None = None, device: torch.device | str = "cpu"):
        self.keys, self.height, self.device = keys, len(keys) if height is None else height, device
        self.calls = 0

    def __call__(self, k: int) -> torch.Tensor:
        """Return the next k numbers of every row, (height, k) float32 in [0, 1)."""
        self.calls += 1
        u = np.full((self.height, k), 0.5, dtype=np.float32)
        # 24 bits, so that rounding to 32-bit floats never reaches 1
        u[: len(self.keys)] = np.floor(self.keys.child(self.calls).uniforms(k) * 2.0**24) * 2.0**-24
        return torch.as_tensor(u, device=self.device)

    def normals(self, k: int) -> torch.Tensor:
        """Return k standard normal numbers of every row, (height, k) float32."""
        return torch.special.ndtri(self(k).double() + 2.0**-25).float()

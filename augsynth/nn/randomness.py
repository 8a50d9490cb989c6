"""Torch randomness that is local and exact: keyed generators, and an undisturbed global one."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import torch

from augsynth.core.isolation import global_generators, lock

__all__ = ["deterministic", "forked", "keyed_generator", "noise"]


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

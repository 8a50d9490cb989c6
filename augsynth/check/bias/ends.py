"""Where an interval ends whose candidates are tested one by one with draws."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy import special

__all__ = ["IN_TAIL", "beyond_draws", "edge_of"]

IN_TAIL = 10  # draws that both tails together must hold at least


def beyond_draws(alpha: float, n_draws: int, freedom: float) -> tuple[float, float]:
    """Return an alpha whose tails hold enough draws, and how much longer an interval of ``alpha`` is.

    So few draws lie further out that the tail there is taken as Student's.
    """
    drawn = max(alpha, IN_TAIL / n_draws)
    if drawn <= alpha:
        return alpha, 1.0
    far, near = (
        special.ndtri(each / 2) if freedom == np.inf else special.stdtrit(max(freedom, 1.0), each / 2)
        for each in (alpha, drawn)
    )
    return drawn, float(far / near)


def edge_of(kept: Callable[[float], float], start: float, step: float, limit: float) -> float:
    """Return where ``kept`` turns negative on the way from ``start`` towards ``limit``."""
    inside, outside, reach = start, start, step
    while True:
        outside = outside + 2 * reach
        beyond = outside >= limit if step > 0 else outside <= limit
        if beyond and (step > 0 and kept(limit) >= 0):
            return limit
        outside = limit if beyond else outside
        if beyond or kept(outside) < 0:
            break
        inside = outside
        reach *= 1.5
    while abs(outside - inside) > 0.05 * abs(step):
        middle = 0.5 * (inside + outside)
        if kept(middle) >= 0:
            inside = middle
        else:
            outside = middle
    return 0.5 * (inside + outside)

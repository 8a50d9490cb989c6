"""Which whole clusters (persons, blocks of time) a training run puts aside for its hold-out."""

from __future__ import annotations

import numpy as np

__all__ = ["by_cluster"]


def by_cluster(
    mixed: np.ndarray, clusters: np.ndarray, held: int, rng: np.random.Generator
) -> tuple[np.ndarray, int]:
    """Return the rows ``mixed``, those of some clusters first, and how many these are: about ``held``.

    Clusters are taken in random order, each if it brings the rows nearer to the wanted number; one of the
    smallest where none does. So a large cluster is left to the training, and one cluster is always left.

    Examples
    --------
    >>> rows, n = by_cluster(np.arange(10), np.array(list("aaaaaaabbc")), 2, np.random.default_rng(0))
    >>> rows[:n].tolist() in ([7, 8], [9], [7, 8, 9])
    True
    """
    _, codes = np.unique(clusters, return_inverse=True)
    codes = codes.ravel()
    sizes = np.bincount(codes)
    if len(sizes) == 1:
        return mixed, 0
    order = rng.permutation(len(sizes))
    chosen, smallest = np.zeros(len(sizes), dtype=bool), int(sizes.min())
    total = taken = 0
    for place in order:
        if smallest >= 2 * (held - total) or taken == len(sizes) - 1:
            break
        if sizes[place] < 2 * (held - total):
            chosen[place] = True
            total, taken = total + int(sizes[place]), taken + 1
    if not taken:
        chosen[order[sizes[order].argmin()]] = True
    out = chosen[codes[mixed]]
    return np.concatenate([mixed[out], mixed[~out]]), int(out.sum())

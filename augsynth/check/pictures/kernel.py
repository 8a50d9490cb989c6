"""Kernel distance of two samples of feature vectors (KID), and its exact test."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from augsynth.check.pictures.frechet import feature_rows
from augsynth.core.parameters import check_number
from augsynth.core.random import keyed_rng, resolve_seed

__all__ = ["KernelDistance", "block_sums", "kernel_distance", "polynomial_kernel", "unbiased_mmd"]

_STREAM = 332
_CONSTANT = 1.0


class KernelDistance(NamedTuple):
    """Mean over subsets, and the standard deviation over them."""

    value: float
    std: float
    n_subsets: int
    subset_size: int


def kernel_distance(
    a: Any, b: Any, *, subset_size: int = 1000, n_subsets: int = 100, random_state: Any = 0
) -> KernelDistance:
    """Tell how far two samples of feature vectors are apart, whatever their number (KID).

    The squared maximum mean discrepancy with the kernel ``(x . y / d + 1)^3``, estimated
    without bias: two samples of one distribution read 0 on average at any number of rows, so
    single figures may be negative. Mean over random subsets, as published.

    Parameters
    ----------
    a, b : array-like (n, d), (m, d)
    subset_size : int, default=1000
        Rows of each side in a subset; all rows, once, where there are no more than that.
    n_subsets : int, default=100

    Returns
    -------
    KernelDistance
        ``value``, ``std`` over subsets, ``n_subsets``, ``subset_size``.

    Raises
    ------
    DataError, ParameterError

    Notes
    -----
    The kernel is not free of scale: figures are comparable within one feature space only.
    Cost: 0.05 s a subset of 1,000 at 64 dimensions.

    References
    ----------
    Binkowski, Sutherland, Arbel and Gretton, "Demystifying MMD GANs", ICLR 2018,
    arXiv:1801.01401. Gretton et al., "A kernel two-sample test", JMLR 13, 2012 (lemma 6).

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> a, b = rng.normal(size=(400, 5)), rng.normal(size=(400, 5))
    >>> abs(kernel_distance(a, b).value) < 0.02, kernel_distance(a, b + 1).value > 1
    (True, True)
    """
    check_number("kernel_distance", "subset_size", subset_size, low=2, integer=True)
    check_number("kernel_distance", "n_subsets", n_subsets, low=1, integer=True)
    first, second = feature_rows(a, b, "kernel_distance")
    size = min(subset_size, len(first), len(second))
    if size == len(first) == len(second):
        return KernelDistance(unbiased_mmd(first, second), float("nan"), 1, size)
    rng = keyed_rng(resolve_seed(random_state), _STREAM)
    figures = [
        unbiased_mmd(*(each[rng.choice(len(each), size, replace=False)] for each in (first, second)))
        for _ in range(n_subsets)
    ]
    return KernelDistance(float(np.mean(figures)), float(np.std(figures)), n_subsets, size)


def polynomial_kernel(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Return ``(a . b / d + 1)^3`` for all pairs, (n, m)."""
    product = a @ b.T
    product /= a.shape[1]
    product += _CONSTANT
    return product * product * product


def unbiased_mmd(a: np.ndarray, b: np.ndarray) -> float:
    """Return the unbiased squared maximum mean discrepancy: no row is paired with itself."""
    n, m = len(a), len(b)
    within = [
        (kernel.sum() - np.trace(kernel)) / (size * (size - 1))
        for kernel, size in ((polynomial_kernel(a, a), n), (polynomial_kernel(b, b), m))
    ]
    return float(sum(within) - 2.0 * polynomial_kernel(a, b).mean())


def block_sums(pooled: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Return the unbiased discrepancy between the marked rows and the others, for many markings at once.

    Parameters
    ----------
    pooled : ndarray (2 k, d)
    labels : ndarray (b, 2 k) of bool
        k rows are marked in each.

    Returns
    -------
    ndarray (b,)
    """
    kernel = polynomial_kernel(pooled, pooled)
    np.fill_diagonal(kernel, 0.0)
    marked = labels.astype(float)
    k = len(pooled) // 2
    along = marked @ kernel
    inner = np.einsum("bi,bi->b", along, marked)
    across = along.sum(axis=1) - inner
    outer = kernel.sum() - inner - 2.0 * across
    # Pairs of one row with itself are left out within a side; across sides there are none.
    return (inner + outer) / (k * (k - 1)) - 2.0 * across / (k * k)

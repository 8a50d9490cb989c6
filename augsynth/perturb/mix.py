"""MixUp and CutMix: two samples made into one, with the label that belongs to the mixture."""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.special import betaincinv

from augsynth.core.errors import DataError, InputTypeError, offenders, sentence
from augsynth.core.parameters import check_number, check_option
from augsynth.core.random import KeyedGenerator, resolve_seed

__all__ = [
    "METHODS",
    "N_UNIFORMS",
    "Mixing",
    "check_mixing",
    "check_samples",
    "cut_axes",
    "draw_mixing",
    "mix_batch",
    "mix_samples",
    "soften",
]

METHODS = ("mixup", "cutmix", "cutmixup")
N_UNIFORMS = 5  # mixed at all, which method, weight, and where the box lies
MAX_CHANNELS = 4


@dataclass(frozen=True)
class Mixing:
    """How each of n samples is mixed with its partner.

    Attributes
    ----------
    weights : ndarray, (n,)
        Share of the sample itself in its label; 1 where it is not mixed.
    is_cut : ndarray of bool, (n,)
        Where a box of the partner is pasted in (CutMix), rather than all of it blended.
    starts, stops : ndarray of int, (n, k)
        The box, by axis that is cut; empty where nothing is pasted.
    """

    weights: np.ndarray
    is_cut: np.ndarray
    starts: np.ndarray
    stops: np.ndarray


def mix_batch(
    x: Any,
    y: Any,
    *,
    method: str = "mixup",
    alpha: float = 1.0,
    p: float = 1.0,
    n_classes: int | None = None,
    random_state: Any = None,
) -> tuple[Any, Any]:
    """Mix every sample of a batch with another one of it, and their labels likewise.

    Parameters
    ----------
    x : ndarray or tensor, (n, ...)
        Pictures (n, h, w), (n, h, w, c) or tensors (n, c, h, w); clips (n, t), or (n, c, t)
        with one or two channels; rows (n, p). On any device.
    y : ndarray, list or tensor
        Classes 0, 1, ... (n,), with ``n_classes``; soft labels (n, n_classes); or numbers
        (n,) of a floating type without ``n_classes``, which are mixed as numbers.
    method : {"mixup", "cutmix", "cutmixup"}
        Blend all of two samples; paste a box (clips and rows: a stretch) of one into the
        other; or one of the two, at even odds for each sample.
    alpha : float, default=1.0
        The share of the sample itself is drawn from Beta(alpha, alpha); small values
        leave most samples nearly alone.
    p : float, default=1.0
        Share of the samples that are mixed.
    n_classes : int, optional
    random_state : None, int or Generator

    Returns
    -------
    x : as given, same type and dtype
        Whole numbers are rounded to the nearest.
    soft_y : float32 array or tensor (as ``x``), (n, n_classes); (n,) for numbers
        Rows sum to one. With CutMix the weights are the shares of the pixels, counted.

    Raises
    ------
    DataError, InputTypeError, ParameterError

    Notes
    -----
    Deviation: the papers' code draws one weight a batch; here each sample has its own, as
    the papers' formulas say. Partners are a random permutation of the batch, as there.
    Cost: one pass over the batch; boxes touch their own pixels only.

    References
    ----------
    Zhang, Cisse, Dauphin and Lopez-Paz, "mixup: beyond empirical risk minimization",
    ICLR 2018, arXiv:1710.09412. Yun et al., "CutMix", ICCV 2019, arXiv:1905.04899.

    Examples
    --------
    >>> x = np.array([[0.0, 0.0], [1.0, 1.0]])
    >>> mixed, soft = mix_batch(x, [0, 1], n_classes=2, random_state=0)
    >>> bool(np.allclose(mixed[:, 0], soft[:, 1]))
    True
    """
    where = "mix_batch"
    check_samples(x, where)
    n = len(x)
    if n == 0:
        raise DataError(sentence(where, "a batch must hold at least one sample", "none"))
    soft = soften(y, n_classes, n, where)
    rng = KeyedGenerator().seat(resolve_seed(random_state))
    partners = rng.permutation(n)
    shape = tuple(x.shape[1:])
    axes = cut_axes(shape, _is_tensor(x))
    sizes = tuple(shape[axis] for axis in axes)
    mixing = draw_mixing(rng.random((n, N_UNIFORMS)), sizes, method=method, alpha=alpha, p=p, where=where)
    mixed = mix_samples(x, _take(x, partners), mixing, axes)
    shares = mixing.weights.reshape(-1, *[1] * (soft.ndim - 1))
    mixed_labels = (soft * shares + soft[partners] * (1 - shares)).astype(np.float32)
    return mixed, _like(mixed_labels, x)


def draw_mixing(
    u: np.ndarray, sizes: tuple[int, ...], *, method: str, alpha: float, p: float = 1.0, where: str
) -> Mixing:
    """Return what uniform numbers (n, 5) say about the mixing of n samples.

    ``sizes`` are those of the axes that are cut: (height, width), or the length of a clip.
    """
    check_mixing(method, alpha, p, where)
    n, k = len(u), len(sizes)
    weights = u[:, 2] if alpha == 1.0 else betaincinv(alpha, alpha, u[:, 2])
    is_mixed = u[:, 0] < p
    if method == "mixup":
        nowhere = np.zeros((n, k), dtype=np.int64)
        return Mixing(np.where(is_mixed, weights, 1.0), np.zeros(n, dtype=bool), nowhere, nowhere)
    is_cut = is_mixed & (u[:, 1] < 0.5) if method == "cutmixup" else is_mixed
    lengths = np.array(sizes, dtype=np.float64)
    # A box of 1 - weight of the area, around a point anywhere; what sticks out is cut off.
    sides = np.rint(lengths * ((1.0 - weights) ** (1.0 / max(k, 1)))[:, None])
    starts = np.rint(u[:, 3 : 3 + k] * lengths - sides / 2)
    stops = np.minimum(np.maximum(starts + sides, 0.0), lengths)
    starts = np.minimum(np.maximum(starts, 0.0), lengths)
    stops[~is_cut] = starts[~is_cut] = 0.0
    areas = (stops - starts).prod(axis=1) / max(math.prod(sizes), 1)
    shares = np.where(is_cut, 1.0 - areas, np.where(is_mixed, weights, 1.0))
    return Mixing(shares, is_cut, starts.astype(np.int64), stops.astype(np.int64))


def check_mixing(method: str, alpha: float, p: float, where: str) -> None:
    """Raise unless these are parameters of a mixing."""
    check_option(where, "method", method, METHODS)
    check_number(where, "alpha", alpha, low=0, low_open=True)
    check_number(where, "p", p, low=0, high=1)


def mix_samples(x: Any, others: Any, mixing: Mixing, axes: tuple[int, ...]) -> Any:
    """Return samples (n, ...) mixed with their partners (n, ...): arrays, or tensors."""
    blended = ~mixing.is_cut & (mixing.weights < 1)
    if blended.any() and str(x.dtype).endswith("bool"):
        todo = "Convert them to a number type, or use method='cutmix'."
        raise InputTypeError(sentence("mixup", "samples must be numbers", "booleans", todo))
    if blended.all():
        return _blend(x, others, mixing.weights)
    out = x.clone() if _is_tensor(x) else x.copy()
    if blended.any():
        some = np.flatnonzero(blended)
        out[_index(some, x)] = _blend(_take(x, some), _take(others, some), mixing.weights[some])
    pasted, pasted_from = _quick(out), _quick(others)
    starts, stops = mixing.starts.tolist(), mixing.stops.tolist()
    for k in np.flatnonzero(mixing.is_cut).tolist():
        box: list[Any] = [k, *[slice(None)] * (x.ndim - 1)]
        for axis, start, stop in zip(axes, starts[k], stops[k], strict=True):
            box[axis + 1] = slice(start, stop)
        pasted[tuple(box)] = pasted_from[tuple(box)]
    return out


def _blend(x: Any, others: Any, weights: np.ndarray) -> Any:
    """Return weights * x + (1 - weights) * others, in the type of ``x``."""
    shares = weights.reshape(-1, *[1] * (x.ndim - 1))
    if not _is_tensor(x):
        small = x.dtype.itemsize <= (2 if x.dtype.kind in "iu" else 4)
        work: Any = np.float32 if small else np.float64
        b = others.astype(work, copy=False)
        mixed = x.astype(work, copy=False) - b
        mixed *= shares.astype(work)
        mixed += b
        return (np.rint(mixed) if x.dtype.kind in "iu" else mixed).astype(x.dtype, copy=False)
    import torch

    whole = not x.dtype.is_floating_point
    small = x.dtype.itemsize <= (2 if whole else 4)
    work = torch.float32 if small else torch.float64
    b = others.to(work)
    mixed = x.to(work) - b
    mixed *= torch.from_numpy(shares).to(x.device, work)
    mixed += b
    return (mixed.round() if whole else mixed).to(x.dtype)


def cut_axes(shape: tuple[int, ...], is_tensor: bool) -> tuple[int, ...]:
    """Name the axes of a sample that CutMix cuts: height and width, or the time of a clip.

    Examples
    --------
    >>> cut_axes((3, 32, 32), True), cut_axes((32, 32, 3), False), cut_axes((1, 16000), True)
    ((1, 2), (0, 1), (1,))
    """
    if len(shape) == 2:
        return (1,) if shape[0] <= 2 < shape[1] else (0, 1)
    if len(shape) < 2:
        return tuple(range(len(shape)))
    channels_first = is_tensor or (shape[-1] > MAX_CHANNELS >= shape[-3])
    last = len(shape) if channels_first else len(shape) - 1
    return (last - 2, last - 1)


def soften(y: Any, n_classes: int | None, n: int, where: str) -> np.ndarray:
    """Return labels as soft labels (n, n_classes) float64; numbers of a floating type as they are."""
    labels = np.asarray(y.detach().cpu() if _is_tensor(y) else y)
    if n_classes is not None:
        check_number(where, "n_classes", n_classes, low=1, integer=True)
    if labels.ndim not in (1, 2) or len(labels) != n:
        must = f"labels must have shape ({n},) or ({n}, n_classes)"
        raise DataError(sentence(where, must, f"shape {labels.shape}"))
    if labels.dtype.kind not in "biuf":
        todo = "Number the classes 0, 1, ... first."
        raise InputTypeError(sentence(where, "labels must be numbers", offenders(labels.ravel()), todo))
    if labels.dtype.kind == "f" and not np.isfinite(labels).all():
        bad = np.flatnonzero(~np.isfinite(labels.reshape(n, -1)).all(axis=1))
        raise DataError(sentence(where, "labels must be finite", f"NaN or inf at {offenders(bad)}"))
    if labels.ndim == 2:
        if n_classes is not None and labels.shape[1] != n_classes:
            raise DataError(sentence(where, f"soft labels must have {n_classes} columns", f"{labels.shape}"))
        return labels.astype(np.float64)
    if n_classes is None and labels.dtype.kind == "f":
        return labels.astype(np.float64)
    if n_classes is None:
        todo = "A batch alone does not tell how many there are."
        raise DataError(sentence(where, "n_classes must be given with labels that are classes", "none", todo))
    wrong = labels[(labels < 0) | (labels >= n_classes) | (labels != np.rint(labels))]
    if len(wrong):
        must = f"classes must be whole numbers from 0 to {n_classes - 1}"
        raise DataError(sentence(where, must, offenders(np.unique(wrong))))
    return np.eye(n_classes)[labels.astype(np.intp)]


def check_samples(x: Any, where: str, names: Sequence[int] | None = None) -> None:
    """Raise unless samples (n, ...) are finite numbers; ``names`` are what the message calls them."""
    is_tensor = _is_tensor(x)
    if not is_tensor and not (isinstance(x, np.ndarray) and x.dtype.kind in "biuf"):
        given = f"an array of {x.dtype}" if isinstance(x, np.ndarray) else type(x).__name__
        must = "samples must be an array or a tensor of numbers"
        raise InputTypeError(sentence(where, must, given, "Stack them; texts cannot be mixed."))
    on_host = not is_tensor or x.device.type == "cpu"  # elsewhere the answer would have to be waited for
    if on_host and np.prod(x.shape) and (x.dtype.is_floating_point if is_tensor else x.dtype.kind == "f"):
        with np.errstate(over="ignore", invalid="ignore"):
            if math.isfinite(x.sum().item()):  # a sum too large for the type is looked into
                return
        finite = np.isfinite(np.asarray(x.double() if is_tensor else x))
        bad = np.flatnonzero(~finite.reshape(len(x), -1).all(axis=1)).tolist()
        if bad:
            given = f"NaN or inf in sample {offenders(bad if names is None else [names[k] for k in bad])}"
            must = "samples must be finite, or they spoil their partners"
            raise DataError(sentence(where, must, given, "Fill or drop them."))


def _is_tensor(x: Any) -> bool:
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(x, torch.Tensor)


def _quick(x: Any) -> Any:
    """Return a view of a tensor as an array where there is one: its slices cost a tenth."""
    known = _is_tensor(x) and x.device.type == "cpu" and "bfloat" not in str(x.dtype)
    return x.detach().numpy() if known else x


def _index(positions: np.ndarray, x: Any) -> Any:
    if not _is_tensor(x):
        return positions
    import torch

    return torch.from_numpy(positions).to(x.device)


def _take(x: Any, positions: np.ndarray) -> Any:
    return x[_index(positions, x)]


def _like(array: np.ndarray, x: Any) -> Any:
    if not _is_tensor(x):
        return array
    import torch

    return torch.from_numpy(array).to(x.device)

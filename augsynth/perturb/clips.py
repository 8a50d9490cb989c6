"""Audio clips in any container: checked on the way in, the same kind on the way out."""

from __future__ import annotations

import math
import numbers
import threading
from abc import abstractmethod
from collections.abc import Callable, Sequence
from typing import Any, ClassVar

import numpy as np

from augsynth.core.errors import DataError, InputTypeError, ParameterError, offenders, sentence
from augsynth.core.parameters import check_number
from augsynth.core.random import KeyedGenerator
from augsynth.perturb.base import ParametricPerturbation
from augsynth.perturb.containers import dense

__all__ = ["AudioPerturbation", "between", "bounds", "edit_clip", "gain_of", "power", "seated", "take_clip"]

Range = float | Sequence[float]
_MOST_CHANNELS = 64  # with more "channels" than samples as well, the axes were surely swapped


class AudioPerturbation(ParametricPerturbation):
    """An edit of an audio clip: (n,) or (channels, n), full scale 1, or int16.

    Container (numpy array or torch tensor), dtype and shape come back as they went in.
    Subclasses write ``_edit``, which sees a finite, non-empty float array.
    """

    modality: ClassVar[str] = "audio"

    def apply(self, x: Any, params: dict[str, Any]) -> Any:
        """Return the edited clip; the same parameters give the same samples.

        Raises
        ------
        DataError
            If the clip is empty, or holds NaN or infinity.
        InputTypeError
            If it is neither an array nor a tensor of float32, float64 or int16.
        """
        return edit_clip(type(self).__name__, x, lambda clip: self._edit(clip, params))

    @abstractmethod
    def _edit(self, clip: np.ndarray, params: dict[str, Any]) -> np.ndarray:
        """Return an edited copy of a clip (n,) or (channels, n) of float32 or float64."""


def edit_clip(where: str, x: Any, edit: Callable[[np.ndarray], np.ndarray]) -> Any:
    """Check a clip, hand it to ``edit`` as a float array, and give the result back as ``x`` was.

    Floats are never cut to full scale, so that a gain can be undone; int16 saturates.
    """
    clip, tensor = take_clip(where, x)
    if clip.dtype == np.int16:
        edited = np.rint(edit(clip.astype(np.float32) * np.float32(2.0**-15)) * np.float32(2.0**15))
        edited = np.clip(edited, -32768, 32767).astype(np.int16)
    else:
        edited = edit(clip).astype(clip.dtype, copy=False)
    if tensor is None:
        return edited
    import torch

    return torch.from_numpy(np.ascontiguousarray(edited)).to(tensor.device)


def take_clip(where: str, x: Any) -> tuple[np.ndarray, Any]:
    """Return a clip as a checked array, and the tensor that it came in, if it did."""
    tensor = None
    if type(x).__module__.partition(".")[0] == "torch" and hasattr(x, "detach"):
        tensor, x = x, dense(x, where)
        x = x.numpy() if str(x.dtype) in ("torch.float32", "torch.float64", "torch.int16") else tensor
    if not isinstance(x, np.ndarray) or x.dtype.type not in (np.float32, np.float64, np.int16):
        given = f"{x.dtype} in a {type(x).__name__}" if hasattr(x, "dtype") else type(x).__name__
        must = "a clip must be an array or tensor of float32, float64 or int16"
        todo = "Scale other whole numbers to float32 between -1 and 1 first."
        raise InputTypeError(sentence(where, must, given, todo))
    if x.ndim not in (1, 2) or (x.ndim == 2 and x.shape[0] > max(x.shape[1], _MOST_CHANNELS)):
        todo = "Put channels first: clip.T." if x.ndim == 2 else ""
        raise DataError(sentence(where, "a clip must be (n,) or (channels, n)", f"shape {x.shape}", todo))
    if x.size == 0:
        raise DataError(
            sentence(where, "a clip must hold at least one sample", f"shape {x.shape}", "Leave it out.")
        )
    check_finite(where, x)
    return x, tensor


def check_finite(where: str, clip: np.ndarray) -> None:
    """Raise the sentence if a clip holds NaN or infinity; costs 2 microseconds for 16,000 samples."""
    # Every odd sample makes the sum of squares odd; so do squares that leave the range of the dtype.
    if clip.dtype == np.int16 or math.isfinite(np.vdot(clip, clip)):
        return
    where_odd = np.flatnonzero(~np.isfinite(clip))
    if not len(where_odd):
        given = f"samples of up to {np.abs(clip).max():.3g}"
        todo = "Divide by what full scale was: 32768 for 16 bits."
        raise DataError(sentence(where, "a clip must lie about full scale, -1 to 1", given, todo))
    given = f"{offenders(clip.ravel()[where_odd[:3]])} at {offenders(where_odd.tolist())}"
    todo = "Repair or leave out the clip: np.nan_to_num would turn such samples into silence."
    raise DataError(sentence(where, "every sample of a clip must be a finite number", given, todo))


def power(clip: np.ndarray) -> float:
    """Return the mean square of a clip, over all its channels."""
    flat = clip.ravel()
    found = float(np.dot(flat, flat)) / flat.size
    if math.isfinite(found) and found > 1e-30:
        return found
    wide = flat.astype(np.float64)  # squares outside of float32
    return float(np.dot(wide, wide)) / flat.size


def gain_of(db: float) -> float:
    """Return the factor of an amplitude that decibels stand for.

    Examples
    --------
    >>> gain_of(20.0)
    10.0
    """
    return 10.0 ** (db / 20.0)


def bounds(
    where: str,
    name: str,
    value: Range,
    *,
    low: float | None = None,
    high: float | None = None,
    low_open: bool = False,
) -> tuple[float, float]:
    """Return the two ends of a parameter's range: a pair, or one number for both.

    Raises
    ------
    ParameterError

    Examples
    --------
    >>> bounds("Gain", "gain_db", 3), bounds("Gain", "gain_db", (-6, 6))
    ((3.0, 3.0), (-6.0, 6.0))
    """
    if isinstance(value, numbers.Real) and not isinstance(value, bool):
        value = (value, value)  # type: ignore[assignment]
    if not isinstance(value, (tuple, list)) or len(value) != 2:
        must = f"{name} must be a number, or a pair (least, most) to draw from"
        raise ParameterError(sentence(where, must, repr(value)))
    for end in value:
        check_number(where, name, end, low=low, high=high, low_open=low_open)
    if value[0] > value[1]:
        raise ParameterError(
            sentence(where, f"{name} must be (least, most) in this order", repr(tuple(value)))
        )
    return float(value[0]), float(value[1])


def between(ends: tuple[float, float], u: np.ndarray, *, log: bool = False) -> np.ndarray:
    """Return the numbers between two ends that uniform ones stand for; ``log``: evenly in ratio."""
    if log:
        drawn = ends[0] * (ends[1] / ends[0]) ** u
        return np.minimum(np.maximum(drawn, ends[0]), ends[1])  # rounding may step over an end
    return ends[0] + (ends[1] - ends[0]) * u


_LOCAL = threading.local()


def seated(seed: int) -> KeyedGenerator:
    """Return this thread's generator at the start of the stream of a seed: use it before the next call."""
    rng = getattr(_LOCAL, "rng", None)
    if rng is None:
        rng = _LOCAL.rng = KeyedGenerator()
    return rng.seat(int(seed))

"""Blur, wrong contrast, odd brightness: what the pixels themselves say of new pictures."""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy import stats

from augsynth.check.evidence import Evidence, Rows
from augsynth.check.finding import Check, Finding
from augsynth.check.permutation import CLAIMED, swapped_labels, tail_p_value
from augsynth.check.pictures.stacks import Frame
from augsynth.check.reference import tells_reference

__all__ = ["PixelsCheck", "pixel_statistics", "radial_power"]

_PERMUTATIONS = 199
_LARGEST, _BANDS, _BINS = 64, 6, 8
_FLOOR = 1e-7  # of power: a flat picture has none
_FEWEST = 20
_USUAL = {  # named in every sentence, with how less and more of it look
    "fine detail": ("blur", "grain"),
    "contrast": ("pale", "harsh"),
    "brightness": ("dark", "bright"),
}
_AT_ONCE, _MAPPED = 500, 2000


def radial_power(pixels: np.ndarray, n_bands: int = _BANDS) -> np.ndarray:
    """Return the power of grey pictures (n, h, w) by spatial frequency, (n, bands), coarse to fine.

    The spectrum without its mean, summed over rings of equal width up to the finest pattern
    that pixels can show; the bands sum to the variance of the pixels.

    Examples
    --------
    >>> stripes = np.tile([0.0, 1.0], (1, 8, 4))
    >>> radial_power(stripes, 4).round(2)
    array([[0.  , 0.  , 0.  , 0.25]])
    """
    height, width = pixels.shape[1:]
    spectrum = np.abs(np.fft.fft2(pixels)) ** 2 / (height * width) ** 2
    across, down = np.fft.fftfreq(width)[None, :], np.fft.fftfreq(height)[:, None]
    radius = np.hypot(across, down)
    ring = np.minimum((radius / 0.5 * n_bands - 1e-9).astype(int), n_bands - 1)
    spectrum[:, 0, 0] = 0.0
    member = np.zeros((height * width, n_bands))
    member[np.arange(height * width), ring.ravel()] = 1.0
    return spectrum.reshape(len(pixels), -1) @ member


def pixel_statistics(stack: np.ndarray) -> pd.DataFrame:
    """Return a row a picture (n, c, h, w): brightness, contrast, edges, power by frequency, histogram."""
    grey = stack.mean(axis=1, dtype=float)
    n_bands = min(_BANDS, max(2, min(grey.shape[1:]) // 2))
    power = radial_power(grey, n_bands) + _FLOOR
    power = np.log10(power / power.sum(axis=1, keepdims=True))  # shares: contrast is a figure of its own
    bins = np.clip((grey * _BINS).astype(int), 0, _BINS - 1).reshape(len(grey), -1)
    shares = np.stack([(bins == k).mean(axis=1) for k in range(_BINS)], axis=1)
    steps = [np.abs(np.diff(grey, axis=axis)).mean(axis=(1, 2)) for axis in (1, 2) if grey.shape[axis] > 1]
    found = {"brightness": grey.mean(axis=(1, 2)), "contrast": grey.std(axis=(1, 2))}
    found["edges"] = np.mean(steps, axis=0) if steps else np.zeros(len(grey))
    if stack.shape[1] > 1:
        found |= {f"channel {k + 1}": stack[:, k].mean(axis=(1, 2)) for k in range(stack.shape[1])}
    found["fine detail"] = np.log10((10.0 ** power[:, (n_bands + 1) // 2 :]).sum(axis=1))
    found |= {f"detail {k + 1} of {n_bands}": power[:, k] for k in range(n_bands)}
    found |= {f"share of grey {k + 1} of {_BINS}": shares[:, k] for k in range(_BINS)}
    return pd.DataFrame(found)


class PixelsCheck(Check):
    """Sharpness, contrast and brightness of new pictures beside real ones of the same cells."""

    part, name, title = "fidelity", "pixels", "Sharpness, contrast and brightness"

    def applies(self, evidence: Evidence) -> str:
        """Pictures only, at least 20 new ones with real ones of their cells."""
        if evidence.modality != "image":
            return "For pictures."
        if len(evidence.matched[0]) < _FEWEST:
            return f"Of {len(evidence.matched[0])} new pictures there are real ones of the same cell."
        return ""

    def value(self, evidence: Evidence, rng: np.random.Generator) -> float:
        """Return the largest difference of any statistic, in standard deviations within cells."""
        made, real = evidence.matched
        scores, names = _scores(*_both(evidence), made.cells)
        if not names:
            return float("nan")
        return float(np.abs(_differences(scores, np.arange(2 * len(made)) < len(made))).max())

    @tells_reference
    def run(self, evidence: Evidence, rng: np.random.Generator) -> Finding:
        """Return the largest difference, what it is of, and the spectra and histograms."""
        made, real = evidence.matched
        k = len(made)
        new, true = _both(evidence)
        scores, names = _scores(new, true, made.cells)
        if not names:
            reason = "No figure of these pictures varies within a class and group."
            return Finding(self.part, self.name, self.title, float("nan"), n=k, caution=reason)
        seen = _differences(scores, np.arange(2 * k) < k)
        permuted = _differences(scores, swapped_labels(made.cells, _PERMUTATIONS, rng))
        largest = np.abs(permuted).max(axis=1)
        place = int(np.abs(seen).argmax())
        value = float(abs(seen[place]))
        z = np.abs(seen) / permuted.std(axis=0).clip(1e-12)
        p = tail_p_value(value, largest)
        table = pd.DataFrame({
            "statistic": names, "difference": seen,
            "p_value": np.minimum(2 * stats.norm.sf(z) * len(names), 1),
        })  # fmt: skip
        for column, side in (("new", new), ("real", true)):
            table[column] = [side[name].mean() if name in side else np.nan for name in names]
        reach = 1.96 * float(permuted[:, place].std())
        null = float(largest.mean())
        usual = {name: float(seen[names.index(name)]) for name in _USUAL if name in names}
        told = (
            f"What differs most is {_words(names[place], seen[place])}: {value:.2f} standard deviations of "
            f"such pictures (the largest of {len(names)} figures; chance gives {null:.2f}). "
            + ", ".join(
                f"{name} {d:+.2f}{_effect(name, d, null) if p < CLAIMED else ''}" for name, d in usual.items()
            ).capitalize()
            + "."
        )
        return Finding(
            self.part, self.name, self.title, value, "standard deviations", max(value - reach, 0.0),
            value + reach, null, p, k, told,
            "It sees pixels, not what they show: right figures do not make right pictures.",
            details={"statistics": table, **_maps(evidence, made, real)},
        )  # fmt: skip


def _both(evidence: Evidence) -> tuple[pd.DataFrame, pd.DataFrame]:
    frame = Frame.of(evidence.train.X, largest=_LARGEST)
    made, real = evidence.matched
    return _statistics(frame, made), _statistics(frame, real)


def _statistics(frame: Frame, rows: Rows) -> pd.DataFrame:
    parts = [rows.X[start : start + _AT_ONCE] for start in range(0, len(rows), _AT_ONCE)]
    return pd.concat([pixel_statistics(frame.stack(part)) for part in parts], ignore_index=True)


def _scores(new: pd.DataFrame, real: pd.DataFrame, cells: np.ndarray) -> tuple[np.ndarray, list[str]]:
    """Return the statistics of the pooled pictures, and their squares, in units of their spread in cells."""
    values = np.vstack([new.to_numpy(), real.to_numpy()])
    both = np.concatenate([cells, cells])
    centred = np.empty_like(values)
    for cell in np.unique(both):
        own = both == cell
        centred[own] = values[own] - values[own].mean(axis=0)
    spread = centred.std(axis=0)
    alive = spread > 1e-9 * np.abs(values).max(axis=0).clip(1e-12)
    level = centred[:, alive] / spread[alive]
    squares = np.minimum(level**2, 9.0)  # cut, or one odd picture decides
    around = squares.std(axis=0)
    varied = around > 1e-9
    squares = (squares[:, varied] - squares[:, varied].mean(axis=0)) / around[varied]
    names = [name for name, there in zip(new.columns, alive, strict=True) if there]
    names += [f"variety of {name}" for name, there in zip(list(names), varied, strict=True) if there]
    return np.hstack([level, squares]), names


def _differences(scores: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Return mean over marked rows minus mean over the others, one row a labelling."""
    k = len(scores) // 2
    return (2.0 * (labels.astype(float) @ scores) - scores.sum(axis=0)) / k


def _effect(name: str, difference: float, null: float) -> str:
    """Return what a difference beyond chance looks like."""
    if abs(difference) <= null:
        return ""
    return f" ({_USUAL[name][difference > 0]})"


def _words(name: str, difference: float) -> str:
    """Return the statistic and its direction in plain words."""
    way = "more" if difference > 0 else "less"
    if name.startswith("variety"):
        return f"how much pictures vary in {name.removeprefix('variety of ')} ({way})"
    if name.startswith("detail"):
        return f"the share of power at spatial frequencies, {name}, coarse to fine ({way})"
    if name.startswith("share"):
        return f"the {name} levels ({'more' if difference > 0 else 'fewer'} such pixels)"
    return f"{name} ({way})"


def _maps(evidence: Evidence, made: Rows, real: Rows) -> dict[str, np.ndarray]:
    """Return mean and standard deviation of each pixel (h, w), and mean spectra, of both sides."""
    frame = Frame.of(evidence.train.X, largest=_LARGEST)
    found = {}
    for name, rows in (("new", made), ("real", real)):
        some = rows if len(rows) <= _MAPPED else rows.take(np.linspace(0, len(rows) - 1, _MAPPED).astype(int))
        grey = frame.stack(some.X).mean(axis=1)
        found[f"pixel_mean_{name}"], found[f"pixel_std_{name}"] = grey.mean(axis=0), grey.std(axis=0)
        found[f"spectrum_{name}"] = radial_power(grey, max(2, min(grey.shape[1:]) // 2)).mean(axis=0)
    return found

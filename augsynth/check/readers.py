"""Models that read the label of a picture, a clip, a text or a row: quick, and good enough to judge edits."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, TransformerMixin

from augsynth.core.errors import DataError, sentence

__all__ = ["ClipFeatures", "Columns", "PictureFeatures", "default_features", "default_reader"]

_SIDE = 16  # pictures are read at this many pixels a side, their edges in 4 x 4 fields
_FIELDS, _ANGLES = 4, 9
_BANDS, _FRAMES = 40, 16


def default_reader(modality: str, n_rows: int, *, sample_rate: float, random_state: int) -> Any:
    """Return an unfitted classifier with ``predict_proba`` for rows of a modality.

    Pictures: pixels and edge directions, their 50 principal components, a radial kernel
    (Nystroem), logistic regression. Clips: the same of log-mel pictures. Texts: TF-IDF of
    words and pairs of words, logistic regression. Tables: histogram gradient boosting.
    """
    from sklearn.kernel_approximation import Nystroem
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    if modality == "table":
        from sklearn.ensemble import HistGradientBoostingClassifier

        return make_pipeline(
            Columns(), HistGradientBoostingClassifier(max_iter=60, random_state=random_state)
        )
    features = default_features(modality, n_rows, sample_rate=sample_rate, random_state=random_state)
    if modality == "text":
        return make_pipeline(features, LogisticRegression(C=10.0, max_iter=1000))
    kernel = Nystroem(n_components=max(1, min(300, n_rows // 2)), random_state=random_state)
    return make_pipeline(features, kernel, LogisticRegression(C=10.0, max_iter=1000))


def default_features(modality: str, n_rows: int, *, sample_rate: float, random_state: int) -> Any:
    """Return the unfitted transformer that the default reader sees rows through."""
    from sklearn.decomposition import PCA
    from sklearn.impute import SimpleImputer
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    if modality == "text":
        from sklearn.feature_extraction.text import TfidfVectorizer

        return TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True, token_pattern=r"(?u)\b\w+\b")
    if modality == "table":
        return make_pipeline(Columns(), SimpleImputer(keep_empty_features=True), StandardScaler())
    # No scaling a column: it would blow up the pixels at the border, which hardly vary.
    parts = PCA(max(1, min(50, n_rows // 2)), random_state=random_state)
    return make_pipeline(ClipFeatures(sample_rate) if modality == "audio" else PictureFeatures(), parts)


class PictureFeatures(TransformerMixin, BaseEstimator):
    """Pictures of any container and size as rows: 16 x 16 pixels a channel, and edge directions.

    Edges are histograms of gradient directions in 4 x 4 fields, weighted by the square root of
    their strength, each field on a scale of its own (Dalal and Triggs 2005,
    doi:10.1109/CVPR.2005.177, without overlapping blocks).

    Attributes
    ----------
    top_ : float
        The brightest value of the pictures; 255 for bytes.
    """

    def fit(self, X: Any, y: Any = None) -> Self:
        """Learn the brightest value there is, where the dtype does not say it."""
        self.top_ = max((_top(x) for x in X), default=1.0)
        return self

    def transform(self, X: Any) -> np.ndarray:
        """Return rows (n, channels * 256 + 144)."""
        return np.stack([self._row(x) for x in X])

    def _row(self, x: Any) -> np.ndarray:
        import cv2

        array = np.ascontiguousarray(_array(x), dtype=np.float32) / np.float32(self.top_)
        interpolation = cv2.INTER_AREA if max(array.shape[:2]) > _SIDE else cv2.INTER_LINEAR
        small = np.asarray(cv2.resize(array, (_SIDE, _SIDE), interpolation=interpolation))
        grey = small if small.ndim == 2 else small.mean(axis=2)
        down, right = np.gradient(grey)
        strength = np.sqrt(np.hypot(down, right))
        angle = (
            np.floor((np.arctan2(down, right) % (2 * np.pi)) / (2 * np.pi) * _ANGLES).astype(int) % _ANGLES
        )
        field = np.arange(_SIDE) * _FIELDS // _SIDE
        place = (field[:, None] * _FIELDS + field) * _ANGLES + angle
        edges = np.bincount(place.ravel(), strength.ravel(), minlength=_FIELDS**2 * _ANGLES)
        edges = edges.reshape(-1, _ANGLES)
        edges = edges / (np.linalg.norm(edges, axis=1, keepdims=True) + 0.1)
        return np.concatenate([small.ravel(), edges.ravel()])


def _array(x: Any) -> np.ndarray:
    """Return a picture as an array (h, w) or (h, w, c)."""
    if hasattr(x, "detach"):
        array = x.detach().cpu().numpy()
        array = array.transpose(1, 2, 0) if array.ndim == 3 else array
    else:
        array = np.asarray(x.convert("RGB") if hasattr(x, "getbands") and x.mode != "L" else x)
        if array.ndim == 3 and array.shape[0] <= 4 < array.shape[2]:
            array = array.transpose(1, 2, 0)
    return array[..., 0] if array.ndim == 3 and array.shape[2] == 1 else array


def _top(x: Any) -> float:
    array = _array(x)
    return 255.0 if array.dtype == np.uint8 else max(float(array.max(initial=0)), 1.0)


class ClipFeatures(TransformerMixin, BaseEstimator):
    """Clips of any lengths as rows: the log of their energy in 40 mel bands and 16 stretches of time.

    Parameters
    ----------
    sample_rate : float, default=16000
    """

    def __init__(self, sample_rate: float = 16000):
        self.sample_rate = sample_rate

    def fit(self, X: Any, y: Any = None) -> Self:
        """Learn nothing."""
        return self

    def __sklearn_is_fitted__(self) -> bool:
        return True

    def transform(self, X: Any) -> np.ndarray:
        """Return rows (n, 40 * 16): decades of energy over the clip's mean, from -4 on."""
        size = max(int(2 ** round(np.log2(0.032 * self.sample_rate))), 16)
        bank = _mel_bank(size, self.sample_rate)
        return np.stack([_mel_row(x, size, bank) for x in X])


def _mel_row(x: Any, size: int, bank: np.ndarray) -> np.ndarray:
    clip = np.asarray(x.detach().cpu() if hasattr(x, "detach") else x)
    clip = clip.astype(np.float64) / (2**15 if clip.dtype == np.int16 else 1)
    clip = clip.mean(axis=0) if clip.ndim == 2 else clip
    if clip.ndim != 1 or not np.isfinite(clip).all():
        must = "a clip must be finite numbers (n,) or (channels, n)"
        raise DataError(sentence("label_preservation", must, f"shape {clip.shape}"))
    clip = np.pad(clip, (0, max(0, size + size // 2 - len(clip))))
    frames = np.lib.stride_tricks.sliding_window_view(clip, size)[:: size // 2] * np.hanning(size)
    energy = np.abs(np.fft.rfft(frames)) ** 2 @ bank
    # Against the clip's own mean: how loud it is says nothing of what it is, nor what is 40 dB below.
    bands = np.log10(energy / max(float(energy.mean()), 1e-12) + 1e-4)
    places = np.linspace(0, len(bands) - 1, _FRAMES)
    low = np.floor(places).astype(int)
    share = (places - low)[:, None]
    return ((1 - share) * bands[low] + share * bands[np.minimum(low + 1, len(bands) - 1)]).ravel()


def _mel_bank(size: int, sample_rate: float) -> np.ndarray:
    """Return triangular filters (frequencies, bands), equally wide on the mel scale."""
    top = 2595 * np.log10(1 + sample_rate / 2 / 700)
    edges = 700 * (10 ** (np.linspace(0, top, _BANDS + 2) / 2595) - 1)
    hertz = np.fft.rfftfreq(size, 1 / sample_rate)
    rising = (hertz[:, None] - edges[:-2]) / (edges[1:-1] - edges[:-2])
    falling = (edges[2:] - hertz[:, None]) / (edges[2:] - edges[1:-1])
    return np.clip(np.minimum(rising, falling), 0, None)


class Columns(TransformerMixin, BaseEstimator):
    """Tables as numbers: categories and texts become the number of their level, NaN where missing."""

    def fit(self, X: Any, y: Any = None) -> Self:
        """Learn the levels of each column that is no number."""
        frame = pd.DataFrame(X)
        self.levels_ = {
            name: pd.Index(frame[name].dropna().unique())
            for name in frame
            if not pd.api.types.is_numeric_dtype(frame[name])
        }
        return self

    def transform(self, X: Any) -> np.ndarray:
        """Return numbers (n, p); a level that was never seen is missing."""
        frame = pd.DataFrame(X)
        columns = []
        for name in frame:
            if name in self.levels_:
                codes = self.levels_[name].get_indexer(pd.Index(frame[name])).astype(float)
                columns.append(np.where(codes < 0, np.nan, codes))
            else:
                columns.append(frame[name].to_numpy(dtype=float, na_value=np.nan))
        return np.stack(columns, axis=1)

"""Ways to look at rows in which a copied row lies strikingly near to one real row: as given and in disguise.

A view says of each new row whether it lies so near to *one* real row that real rows hardly
ever do to each other. It does not know which real rows were trained on: that is asked
afterwards, so the answer can be tested exactly.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations

import numpy as np
from scipy.stats import rankdata

from augsynth.check.evidence import Evidence
from augsynth.check.kept import once
from augsynth.check.privacy.picture_views import greys, spectra, thumbnails
from augsynth.check.privacy.references import FULL, QUICK, References, nearest, references
from augsynth.core.random import keyed_rng
from augsynth.encode.distance import MixedDistance
from augsynth.encode.layout import Block, Layout
from augsynth.encode.neighbors import NeighborIndex

__all__ = ["GIVEN", "TOLD", "Sight", "ratios", "sights", "usual_ratios"]

_REAL = 421
_MOST_REAL = 4000  # real rows that tell what is usual
_USUAL = {"near": 0.01, "nearest": 0.001}  # shares of the real rows that lie as near to another
_FEW_COLUMNS, _MANY_COLUMNS = 8, 24  # pairs of columns are left out between these, single ones from 4
_SMALLEST = 8  # pixels a side of pictures that may be shifted
GIVEN = "as given"

TOLD = {
    "near": "lie nearer to one training row (beside the next real row) than 99 % of real rows do",
    "nearest": "lie nearer to one training row (beside the next real row) than 99.9 % of real rows do",
    "edited": "equal one training row but for one or two columns",
    "mirrored": "match one training row once columns are mirrored, moved or stretched",
    "reordered": "match one training row once columns are also reordered",
    "pixels": "match one training picture pixel by pixel (8 x 8 averages)",
    "shifted": "match one training picture, be it moved, mirrored or in place (spectra)",
}


@dataclass(frozen=True, eq=False)
class Sight:
    """What one view shows.

    Attributes
    ----------
    name : str
        A key of `TOLD`.
    rows : ndarray (s,) of int
        The new rows (places in the evidence) that lie strikingly near to one real row.
    positions : ndarray (s,) of int
        That row among the references.
    real : (int, int)
        Of how many real rows the same is true, beside a training row, and how many were looked at.
    """

    name: str
    rows: np.ndarray
    positions: np.ndarray
    real: tuple[int, int]


def sights(evidence: Evidence, *, quick: bool = False) -> list[Sight]:
    """Return what every view that applies shows.

    Parameters
    ----------
    quick : bool, default=False
        Fewer new rows, neither reordered columns nor pictures as pictures (of which
        controls have none of their own).
    """
    return once(evidence, ("sights", quick), lambda: _looked(evidence, quick))


def _looked(evidence: Evidence, quick: bool) -> list[Sight]:
    refs, layout = references(evidence), evidence.layout
    near = nearest(evidence, most=QUICK if quick else FULL)
    ratio = ratios(near.distances)
    found = _striking(refs, GIVEN, refs.z, evidence.distance, near.made, ratio, near.positions[:, 0])
    if len(layout) >= 4:
        found.append(_edited(evidence, refs, near.made))
    numeric = layout.numeric
    made = evidence.made.z[near.made]
    if len(numeric):
        folded = _folded(refs.z, numeric), _folded(made, numeric)
        found += _searched(refs, "mirrored", folded, layout, near.made)
        if len(numeric) >= 3 and not quick:
            sorted_ = tuple(_sorted(each, numeric) for each in folded)
            found += _searched(refs, "reordered", sorted_, layout, near.made)  # type: ignore[arg-type]
    if not quick and evidence.modality == "image" and evidence.holdout is not None:
        found += _pictured(evidence, refs, near.made)
    return found


def usual_ratios(
    refs: References, name: str, z: np.ndarray, distance: MixedDistance
) -> tuple[np.ndarray, np.ndarray]:
    """Return the ratios of real rows, each beside the others, and which reference each is nearest to."""
    if name not in refs.kept:
        some = _some(refs)
        index = refs.index if z is refs.z else NeighborIndex(z, distance)
        far, at = index.query(z[some], 2, exclude=some)
        refs.kept[name] = ratios(far), at[:, 0]
    return refs.kept[name]


def ratios(distances: np.ndarray) -> np.ndarray:
    """Return the distance of the nearest as a share of that of the second; 1 where both are 0."""
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = distances[:, 0] / distances[:, 1]
    return np.where(distances[:, 1] > 0, ratio, 1.0)


def _striking(
    refs: References,
    name: str,
    z: np.ndarray,
    distance: MixedDistance,
    made: np.ndarray,
    ratio: np.ndarray,
    positions: np.ndarray,
) -> list[Sight]:
    """Compare the ratios of new rows with those of real rows, each beside the others."""
    usual, at = usual_ratios(refs, name, z, distance)
    found = []
    for grade, share in _USUAL.items():
        limit = min(float(np.quantile(usual, share)), 0.999)
        hits, real = ratio <= limit, (usual <= limit) & (at < refs.n_pairs)
        told = grade if name == GIVEN else name
        found.append(Sight(told, made[hits], positions[hits], (int(real.sum()), len(usual))))
    return found


def _some(refs: References) -> np.ndarray:
    n = len(refs.z)
    if n <= _MOST_REAL:
        return np.arange(n)
    return np.sort(keyed_rng(0, _REAL, n).choice(n, _MOST_REAL, replace=False))


def _searched(
    refs: References,
    name: str,
    z: tuple[np.ndarray, np.ndarray],
    layout: Layout,
    made: np.ndarray,
    *,
    standardize: bool = True,
) -> list[Sight]:
    distance = MixedDistance.fit(z[0], layout, missing="state", standardize=standardize)
    far, at = NeighborIndex(z[0], distance).query(z[1], 2)
    return _striking(refs, name, z[0], distance, made, ratios(far), at[:, 0])


def _folded(z: np.ndarray, numeric: np.ndarray) -> np.ndarray:
    """Return rows with numbers as ranks in their own sample, folded at the middle.

    No increasing or decreasing change of a column, whichever, makes a difference to them.
    """
    out = z.copy()
    for j in numeric:
        seen = ~np.isnan(z[:, j])
        if seen.any():
            out[seen, j] = np.abs(2.0 * (rankdata(z[seen, j]) - 0.5) / seen.sum() - 1.0)
    return out


def _sorted(folded: np.ndarray, numeric: np.ndarray) -> np.ndarray:
    """Return rows whose numbers are in ascending order: the order of columns makes no difference."""
    out = folded.copy()
    out[:, numeric] = np.sort(folded[:, numeric], axis=1)
    return out


def _pictured(evidence: Evidence, refs: References, made: np.ndarray) -> list[Sight]:
    """Compare pictures as pictures: pixel by pixel, and whatever their place and side."""
    real = greys(evidence.train, refs.train) + greys(evidence.reference, refs.holdout)
    new = greys(evidence.made, made)
    views = {"pixels": (thumbnails(real), thumbnails(new))}
    shape = tuple(max(each.shape[axis] for each in real) for axis in (0, 1))
    if min(shape) >= _SMALLEST:
        views["shifted"] = spectra(real, shape), spectra(new, shape)  # type: ignore[arg-type]
    found = []
    for name, z in views.items():
        layout = Layout(tuple(Block(str(j)) for j in range(z[0].shape[1])))
        found += _searched(refs, name, z, layout, made, standardize=name == "pixels")
    return found


# ---- rows that differ in one or two columns


def _edited(evidence: Evidence, refs: References, made: np.ndarray) -> Sight:
    """Find rows that equal exactly one real row in all columns but one or two."""
    parts = _hashed(np.vstack([refs.z, evidence.made.z[made]]))
    real, new = parts[: len(refs.z)], parts[len(refs.z) :]
    found = _one_off(real, new, None)
    if "edited" not in refs.kept:
        some = _some(refs)
        refs.kept["edited"] = _one_off(real, real[some], some), len(some)
    usual, n = refs.kept["edited"]
    real_hits = int(((usual >= 0) & (usual < refs.n_pairs)).sum())
    return Sight("edited", made[found >= 0], found[found >= 0], (real_hits, n))


def _hashed(z: np.ndarray) -> np.ndarray:
    """Return a random number for each value of each column; sums of them stand for rows."""
    rng = np.random.default_rng(0)
    parts = np.empty(z.shape, dtype=np.uint64)
    for j in range(z.shape[1]):
        values, codes = np.unique(z[:, j], return_inverse=True)  # all missing cells are one value
        parts[:, j] = rng.integers(2**63, size=len(values), dtype=np.uint64)[np.ravel(codes)]
    return parts


def _one_off(real: np.ndarray, asked: np.ndarray, own: np.ndarray | None) -> np.ndarray:
    """Return the one real row that each row equals but for one or two columns, -1 for none or several."""
    p = real.shape[1]
    without: list[tuple[int, ...]] = [(j,) for j in range(p)]
    if _FEW_COLUMNS <= p <= _MANY_COLUMNS:
        without += list(combinations(range(p), 2))
    whole, question = real.sum(axis=1, dtype=np.uint64), asked.sum(axis=1, dtype=np.uint64)
    low, high = np.full(len(asked), len(real)), np.full(len(asked), -1)
    several = np.zeros(len(asked), dtype=bool)
    extra = 0 if own is None else 1  # a real row finds itself, too
    for columns in without:
        keys = whole - real[:, columns].sum(axis=1, dtype=np.uint64)
        wanted = question - asked[:, columns].sum(axis=1, dtype=np.uint64)
        order = np.argsort(keys, kind="stable")
        ranked = keys[order]
        left = np.searchsorted(ranked, wanted)
        right = np.searchsorted(ranked, wanted, side="right")
        count = right - left - extra
        several |= count > 1
        one = np.flatnonzero(count == 1)
        at = order[left[one]]
        if own is not None:
            at = np.where(at == own[one], order[left[one] + 1], at)
        low[one], high[one] = np.minimum(low[one], at), np.maximum(high[one], at)
    return np.where((low == high) & ~several, high, -1)

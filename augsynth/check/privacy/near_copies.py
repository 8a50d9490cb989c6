"""Whether new rows are near copies of training rows, as they are or in disguise."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import pandas as pd
from scipy import stats

from augsynth.check.evidence import Evidence
from augsynth.check.finding import Check, Finding
from augsynth.check.intervals import wilson
from augsynth.check.permutation import worded
from augsynth.check.privacy.flips import flip_sum_p_value, flipped
from augsynth.check.privacy.pairs import pairs_of, suspicious_pairs
from augsynth.check.privacy.references import QUICK, References, made_places, needs_holdout, references
from augsynth.check.privacy.views import TOLD, Sight, sights

__all__ = ["NearCopies"]

_FLIPS = 199


class NearCopies(Check):
    """The share of new rows that are near copies of one training row, beyond those of held-out rows.

    Several views are searched: distances as they are, equality but for one or two
    columns, columns mirrored, moved or stretched (ranks, folded at the middle), also
    reordered, and pictures pixel by pixel and by their spectra, which neither a shift nor a
    mirror changes. In each, new rows are counted that lie
    strikingly near to one training row, and those near to one held-out row; the
    p-value is the larger one of "no more often than real rows" (Fisher) and "no more
    often than to held-out rows" (exchange of pairs, exact), times the number of views. Real
    rows get a small p-value more seldom than chance allows: of 100 draws of 400 digits no
    p-value of the check was at most 0.05, and 2 before the allowance in the view by spectra.

    References
    ----------
    The ratio to the second nearest: Zhao, Kunar, Birke and Chen (2021), CTAB-GAN, arXiv:2102.08369.
    """

    part: ClassVar[str] = "memorisation"
    name: ClassVar[str] = "near_copies"
    title: ClassVar[str] = "New rows that are near copies of training rows"

    def applies(self, evidence: Evidence) -> str:
        """Held-out rows are needed."""
        return needs_holdout(evidence)

    def value(self, evidence: Evidence, rng: np.random.Generator) -> float:
        """Return the share in the view that shows most, of fewer new rows and views: for the controls."""
        refs, m = references(evidence), len(made_places(evidence, QUICK))
        seen = sights(evidence, quick=True)
        best = min(seen, key=lambda sight: (_p_value(sight, refs, m), -_excess(sight, refs)))
        return min(1.0, _excess(best, refs) / m / _seen(evidence, refs))

    def run(self, evidence: Evidence, rng: np.random.Generator) -> Finding:
        """Return the share with its interval, and what each view shows."""
        refs, m = references(evidence), len(made_places(evidence))
        seen = sights(evidence)
        chances = np.array([_p_value(sight, refs, m) for sight in seen])
        place = min(range(len(seen)), key=lambda k: (chances[k], -_excess(seen[k], refs)))
        best, p = seen[place], float(min(1.0, chances[place] * len(seen)))
        part = _seen(evidence, refs)
        share, low, high, null = (
            min(1.0, each / part)
            for each in (_excess(best, refs) / m, *_interval(best, refs, m), _null(seen, refs, m, rng))
        )
        judged = p <= 0.05
        return Finding(
            self.part, self.name, self.title, share, "share of new rows, beyond those near held-out rows",
            low, high, null, p, m, _sentence(best, refs, m, p),
            _caution(evidence, refs),
            details={
                "pairs": (
                    pairs_of(evidence, best.rows, best.positions) if judged else suspicious_pairs(evidence)
                ),
                "views": _table(seen, refs, m, chances),
            },
        )  # fmt: skip


def _seen(evidence: Evidence, refs: References) -> float:
    """Return the share of the training rows that are looked at: copies of others stay unseen."""
    return refs.n_pairs / len(evidence.train)


def _differences(sight: Sight, refs: References) -> np.ndarray:
    """Return of each pair of references: new rows near the training row less new rows near the other."""
    n = refs.n_pairs
    counts = np.bincount(sight.positions, minlength=2 * n)
    return counts[:n] - counts[n:]


def _excess(sight: Sight, refs: References) -> int:
    return int(_differences(sight, refs).sum())


def _p_value(sight: Sight, refs: References, m: int) -> float:
    near = int((sight.positions < refs.n_pairs).sum())
    usual, looked_at = sight.real
    oftener = float(stats.hypergeom.sf(near - 1, m + looked_at, near + usual, m)) if near else 1.0
    return max(oftener, flip_sum_p_value(_differences(sight, refs)))


def _interval(sight: Sight, refs: References, m: int) -> tuple[float, float]:
    """Return the interval of a difference of shares (Newcombe 1998), rows around one reference as one."""
    n = refs.n_pairs
    shares = [float((sight.positions < n).sum()) / m, float((sight.positions >= n).sum()) / m]
    counts = np.bincount(sight.positions, minlength=1).astype(float)
    effective = m * counts.sum() / np.sum(counts**2) if counts.any() else float(m)
    (l1, u1), (l2, u2) = (wilson(share, effective) for share in shares)
    d = shares[0] - shares[1]
    return (
        float(d - np.hypot(shares[0] - l1, u2 - shares[1])),
        float(d + np.hypot(u1 - shares[0], shares[1] - l2)),
    )


def _null(seen: list[Sight], refs: References, m: int, rng: np.random.Generator) -> float:
    """Return the mean share of the view that shows most when pairs are exchanged at random."""
    signs = np.where(flipped(refs.n_pairs, _FLIPS, rng)[:, : refs.n_pairs], 1, -1)
    sums, spreads = [], []
    for sight in seen:
        difference = _differences(sight, refs)
        used = np.flatnonzero(difference)
        sums.append(signs[:, used] @ difference[used])
        spreads.append(max(1.0, float(np.sqrt(np.sum(difference.astype(float) ** 2)))))
    best = np.argmax(np.array(sums) / np.array(spreads)[:, None], axis=0)
    return float(np.mean(np.array(sums)[best, np.arange(_FLIPS)]) / m)


def _table(seen: list[Sight], refs: References, m: int, chances: np.ndarray) -> pd.DataFrame:
    rows = []
    for sight, p in zip(seen, chances, strict=True):
        near = int((sight.positions < refs.n_pairs).sum())
        rows.append(
            {
                "view": sight.name,
                "near_training": near / m,
                "near_heldout": (len(sight.positions) - near) / m,
                "real_rows_near_training": sight.real[0] / max(sight.real[1], 1),
                "p_value": float(p),
            }
        )
    return pd.DataFrame(rows)


def _sentence(best: Sight, refs: References, m: int, p: float) -> str:
    near = int((best.positions < refs.n_pairs).sum())
    told = f"{near / m:.2%} of the new rows {TOLD[best.name]}"
    other = f"{(len(best.positions) - near) / m:.2%} are as near to a held-out row"
    disguise = {
        "mirrored": " in disguise",
        "reordered": " in disguise",
        "edited": " with cells changed",
        "shifted": ", moved, mirrored or with noise",
    }
    claim = f": they are copies{disguise.get(best.name, ' with noise, or exact ones')}"
    calm = ": near copies of training rows were not found in any of the views"
    return worded(f"{told}; {other}", claim, p, calm)


def _caution(evidence: Evidence, refs: References) -> str:
    told = (
        "Copies that were changed in other ways (mixed, summed up, coded anew) are not found by these views."
    )
    if refs.n_pairs < len(evidence.train):
        told += f" {refs.n_pairs:,} of {len(evidence.train):,} training rows were looked at; the share is "
        told += "extrapolated to all of them."
    return told

"""How many different rows can come out? The birthday-paradox test, with the near-duplicates to look at."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from augsynth.check.diversity.duplicates import (
    NearDuplicates,
    capped_degree,
    near_duplicates,
    near_radius,
)
from augsynth.check.diversity.matched import MatchedCheck, caution_of
from augsynth.check.diversity.swaps import exchange, partners
from augsynth.check.evidence import Evidence, match_cells
from augsynth.check.finding import Finding
from augsynth.check.samples import one_sample
from augsynth.core.errors import DataError, sentence
from augsynth.core.parameters import check_number
from augsynth.core.random import resolve_seed
from augsynth.encode.distance import MixedDistance
from augsynth.encode.layout import Block, Layout

__all__ = ["SupportSize", "SupportSizeCheck", "support_size"]

_SWAPS = 1999
_FEW_PAIRS = 5  # with fewer, only the lower end of the interval says something


@dataclass(frozen=True)
class SupportSize:
    """An estimated number of different rows.

    Attributes
    ----------
    value, low, high : float
        Estimate and 95 % interval; ``high`` is infinite where few pairs were seen.
    pairs, rows : int
        Near-duplicate pairs seen in a batch of so many rows.
    """

    value: float
    low: float
    high: float
    pairs: int
    rows: int

    @property
    def half_batch(self) -> float:
        """Rows of a batch in which a near-duplicate is as likely as not."""
        return 0.5 + float(np.sqrt(0.25 + 2 * np.log(2) * self.value))


def from_pairs(pairs: int, rows: int, inflation: float = 1.0) -> SupportSize:
    """Turn a count of near-duplicate pairs into a support size.

    The chance that two rows meet is ``c = sum of p_i^2``, and ``1 / c`` is the number of
    equally likely rows with that chance (the exponential of the collision entropy); it is
    the support size itself if all rows are equally likely, and less if not. The estimate is
    median-unbiased; the interval is Garwood's for a Poisson count, widened by ``inflation``
    (variance of the count over its mean).

    References
    ----------
    Arora, Risteski, Zhang (2018), Do GANs learn the distribution?, ICLR, arXiv:1706.08224.
    Garwood (1936), doi:10.1093/biomet/28.3-4.437.

    Examples
    --------
    >>> found = from_pairs(1, 23)  # birthdays: one shared in a class of 23
    >>> round(found.value), round(found.low), round(found.high), round(from_pairs(0, 1000).low)
    (151, 45, 9993, 135407)
    """
    all_pairs = rows * (rows - 1) / 2
    count = pairs / inflation
    low = float(stats.chi2.ppf(0.025, 2 * count)) / 2 * inflation if count else 0.0
    high = float(stats.chi2.ppf(0.975, 2 * count + 2)) / 2 * inflation
    middle = float(stats.chi2.ppf(0.5, 2 * count + 2)) / 2 if count < 30 else count + 2 / 3
    value = max(1.0, all_pairs / (middle * inflation if count else middle))
    return SupportSize(
        value, max(1.0, all_pairs / high), max(1.0, all_pairs / low) if low else np.inf, pairs, rows
    )


def _estimate(found: NearDuplicates) -> SupportSize:
    """Return the support size; uneven rows meet in bunches, which widens the interval."""
    s, degree = len(found.rows), found.degree.astype(float)
    pairs = found.count
    inflation = 1.0
    if pairs and s > 3:
        meet = 2 * pairs / (s * (s - 1))
        thrice = float((degree * (degree - 1)).sum()) / (s * (s - 1) * (s - 2))
        inflation = 1 - meet + max(0.0, s * (s - 1) * (s - 2) * (thrice - meet**2)) / pairs
    return from_pairs(pairs, s, max(inflation, 1.0))


def support_size(
    a: Any, real: Any = None, *, radius: float | None = None, random_state: Any = 0
) -> SupportSize:
    """Estimate how many different rows an array of numbers was drawn from, by its near-duplicates.

    Parameters
    ----------
    a : array (n, d)
    real : array (m, d), optional
        Real rows: columns are divided by their standard deviation, and the radius is the one
        below which n real rows have 0.05 pairs on average. Needed unless ``radius`` is given.
    radius : float, optional
        Rows at most so far apart are near-duplicates.

    Raises
    ------
    DataError
        If the arrays do not fit, or neither ``real`` nor ``radius`` is given.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> real, few = rng.normal(size=(2000, 5)), rng.normal(size=(300, 5))
    >>> made = few[rng.integers(300, size=2000)] + 1e-4 * rng.normal(size=(2000, 5))
    >>> found = support_size(made, real)
    >>> bool(found.low < 300 < found.high), found.value / 300 < 1.2
    (True, True)
    """
    z = one_sample(a, "new rows", "support_size")
    other = z if real is None else one_sample(real, "real rows", "support_size")
    if z.shape[1] != other.shape[1]:
        must = "a and real must be arrays of the same columns"
        raise DataError(sentence("support_size", must, f"shapes {z.shape} and {other.shape}"))
    if radius is not None:
        check_number("support_size", "radius", radius, low=0, low_open=True)
    rng = np.random.default_rng(resolve_seed(random_state))
    if real is None and radius is None:
        raise DataError(sentence("support_size", "real rows or a radius must be given", "neither"))
    layout = Layout(tuple(Block(str(j)) for j in range(z.shape[1])))
    distance = MixedDistance.fit(other, layout, standardize=real is not None)
    reach = near_radius(other, distance, len(z)) if radius is None else radius
    return _estimate(near_duplicates(z, distance, reach, rng))


class SupportSizeCheck(MatchedCheck):
    """How many different rows can the generator make? The birthday-paradox test.

    A batch of 23 people holds a shared birthday as likely as not: how many
    near-duplicates a batch of new rows holds tells how many different rows there are.
    Near-duplicates are closer than all but `RATE` pairs of a batch of real rows are on
    average; the held-out rows are the yardstick, and the test swaps new and held-out rows
    within class and group.

    References
    ----------
    Arora, Risteski, Zhang (2018), Do GANs learn the distribution?, ICLR, arXiv:1706.08224.
    """

    least = 20
    name = "support_size"
    title = "How many different rows there are"

    def value(self, evidence: Evidence, rng: np.random.Generator) -> float:
        """Return the estimated support size."""
        made, _ = evidence.matched
        return _estimate(near_duplicates(made.z, evidence.distance, _radius(evidence), rng)).value

    def run(self, evidence: Evidence, rng: np.random.Generator) -> Finding:
        """Return the whole finding."""
        made, real = evidence.matched
        radius = _radius(evidence)
        pairs = [near_duplicates(rows.z, evidence.distance, radius, rng) for rows in (made, real)]
        new, held = (_estimate(each) for each in pairs)
        degree = capped_degree(np.vstack([made.z, real.z]), evidence.distance, radius).astype(float)
        gap = degree[: len(made)] - degree[len(made) :][partners(made.cells, rng)]
        p = exchange(gap[:, None], _SWAPS, rng).p_greatest()
        places = match_cells(evidence.made.cells, evidence.reference.cells, evidence.max_rows, evidence.seed)[
            0
        ]
        details = {
            "pairs": pairs[0].table(places),
            "radius": radius,
            "real": {"support": held.value, "low": held.low, "high": held.high, "pairs": held.pairs},
            "batch": new.rows,
            "half_batch": new.half_batch,
            "lower_end_only": new.pairs < _FEW_PAIRS,
            **_tables(evidence, pairs),
        }
        caution = caution_of(evidence)
        if new.pairs < _FEW_PAIRS:
            caution += (
                " So few near-duplicates were seen that only the lower end of the interval says something."
            )
        return Finding(
            self.part, self.name, self.title, new.value, "different rows", new.low, new.high, held.value, p,
            len(made), _sentence(new, held, radius), caution.strip(), details=details,
        )  # fmt: skip


def _radius(evidence: Evidence) -> float:
    rows = evidence.capped(evidence.train)
    return near_radius(rows.z, evidence.distance, len(evidence.matched[0]))


def _tables(evidence: Evidence, pairs: list[NearDuplicates]) -> dict[str, pd.DataFrame]:
    """Return a table by class, by group and by both."""
    made, real = evidence.matched
    tables = {}
    for by, names in (("labels", evidence.classes), ("groups", evidence.groups), ("cells", evidence.cells)):
        if len(names) < 2:
            continue
        new, held = (each.within(getattr(rows, by)) for each, rows in zip(pairs, (made, real), strict=True))
        lines = []
        for code in new.index:
            one = from_pairs(int(new.pairs[code]), int(new.rows[code]))
            n_real = int(held.rows.get(code, 0))
            other = from_pairs(int(held.pairs[code]), n_real) if n_real > 1 else None
            line = {"name": names[code], "rows": one.rows, "pairs": one.pairs, "support": one.value}
            line |= {"low": one.low, "high": one.high}
            line |= {"real_pairs": other.pairs if other else 0, "real_low": other.low if other else np.nan}
            lines.append(line)
        tables[f"by_{by}"] = pd.DataFrame(lines)
    return tables


def _sentence(new: SupportSize, held: SupportSize, radius: float) -> str:
    kind = "equal" if radius == 0 else "nearly equal"
    pairs = "1 pair" if new.pairs == 1 else f"{new.pairs:,} pairs"
    seen = f"{pairs} of {new.rows:,} new rows {'is' if new.pairs == 1 else 'are'} {kind}"
    seen += f" (of {held.rows:,} real ones: {held.pairs:,})"
    if new.pairs < _FEW_PAIRS:
        return f"{seen}: at least about {new.low:,.0f} different rows can come out."
    return f"{seen}: about {new.value:,.0f} different rows can come out ({new.low:,.0f} to {new.high:,.0f})."

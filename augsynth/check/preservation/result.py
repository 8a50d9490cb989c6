"""What a check of label preservation found: figures, words, pictures."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from augsynth.check.intervals import Interval, holm
from augsynth.check.preservation.realism import realism_word

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["CHANGES", "HARDER", "KEEPS", "UNSURE", "LabelPreservation", "Reading"]

KEEPS, HARDER, CHANGES, UNSURE = "keeps labels", "harder to read", "changes labels", "no evidence"
_ALPHA = 0.05
_MARGIN = 0.02  # a loss of reads that is not worth a word
_KEPT = 0.05  # "keeps labels": the interval rules out that more than this share of reads is lost
_MOSTLY = 0.5  # share of the lost reads that must go into one class, and that of those
_AMONG = 0.5  # that must lie among the real rows of that class
_SINK = 3  # classes that seem to turn into the same one: a reader that is lost
_FEWEST = 5  # records, for a class or group to be judged


@dataclass
class Reading:
    """How the copies of a policy were read.

    Attributes
    ----------
    after : ndarray, (copies, n, n_classes)
        Probabilities.
    near : ndarray of bool, (copies, n)
        Whether a copy lies among the real rows of the class that it is read as.
    area : Interval
        Of the detector's area under the ROC curve, above 0.5.
    """

    after: np.ndarray
    near: np.ndarray
    area: Interval


def matched_interval(differences: np.ndarray) -> Interval:
    """Turn paired differences of a row, each between -1 and 1, into an interval of their mean.

    Two rows are added, half of each kind of change and as much of none, before mean and error
    are taken: without it, no change in ten rows would be proof that nothing ever changes.

    References
    ----------
    Agresti and Min (2005), doi:10.1002/sim.1781, for differences of -1, 0 and 1.

    Examples
    --------
    >>> [round(float(end), 3) for end in matched_interval(np.zeros(98)).bounds()]
    [-0.02, 0.02]
    """
    n = len(differences) + 2
    mean = float(differences.sum()) / n
    variance = (float((differences**2).sum()) + 1.0) / n - mean**2
    return Interval(mean, float(np.sqrt(max(variance, 0.0) / n)), len(differences) + 1)


@dataclass
class LabelPreservation:
    """Which policies keep labels, and whether their copies look real.

    Made by `label_preservation`. Print it, or read ``to_frame()``; ``verdicts`` says for each
    policy "keeps labels", "changes labels" (copies of a class are read as another one, and lie
    among its real rows), "harder to read" (reads are lost otherwise) or "no evidence".

    Attributes
    ----------
    classes : list
    accuracy : float
        Of the reader on the originals: it cannot judge copies better than it reads.
    """

    labels: np.ndarray = field(repr=False)
    classes: list[Any]
    groups: pd.Series | None = field(repr=False)
    before: np.ndarray = field(repr=False)
    readings: Mapping[str, Reading] = field(repr=False)
    controls: Mapping[str, Interval] = field(repr=False)
    modality: str
    examples: tuple[Any, Mapping[str, Any]] = field(repr=False)

    def __post_init__(self) -> None:
        self._right = self.before.argmax(1) == self.labels
        self.accuracy = float(self._right.mean())
        self._frames = {scope: self._count(scope) for scope in ("all", "class", "group")}

    # -- figures -------------------------------------------------------------------------

    def to_frame(self, by: str = "all") -> pd.DataFrame:
        """Return one row a policy ("all"), or a policy and class or group.

        Columns: ``n`` records, ``before`` and ``after`` (shares that are read rightly), ``change``
        with its interval ``low`` to ``high``, ``lost`` (share of the rightly read whose copies
        are read otherwise), ``into`` (the class that most of those go to), ``into_share``,
        ``among`` (share of those that lie among its real rows, and clearly nearer to them than
        to any of their own class), ``verdict``;
        and for whole policies ``realism_auc`` with its interval and ``realism``.
        """
        if by not in self._frames:
            raise ValueError(f"LabelPreservation: by must be 'all', 'class' or 'group'; given {by!r}.")
        return self._frames[by].copy()

    @property
    def verdicts(self) -> pd.Series:
        """The verdict of each policy."""
        return self._frames["all"]["verdict"]

    def _count(self, by: str) -> pd.DataFrame:
        rows = []
        for name, reading in self.readings.items():
            for level, mask in self._levels(by):
                rows.append({"policy": name, by: level, **self._figures(reading, mask)})
        frame = pd.DataFrame(rows)
        if not len(frame):
            return frame
        frame["into"] = pd.Series([row["into"] for row in rows], dtype=object)  # else 9 becomes 9.0
        frame["adjusted"] = holm(frame.pop("p").to_numpy())
        frame["verdict"] = [self._word(row) for _, row in frame.iterrows()]
        if by == "class":
            # Noise makes a reader say one thing whatever it sees: several classes do not turn into one.
            moved = frame["verdict"] == CHANGES
            sources = frame[moved].groupby(["policy", "into"])["n"].transform("size")
            frame.loc[sources.index[sources >= _SINK], "verdict"] = HARDER
        if by != "all":
            return frame.set_index(["policy", by])
        frame = frame.drop(columns="all").set_index("policy")
        return self._whole(frame)

    def _levels(self, by: str) -> list[tuple[Any, np.ndarray]]:
        if by == "all":
            return [("all", np.ones(len(self.labels), dtype=bool))]
        if by == "class":
            return [(name, self.labels == code) for code, name in enumerate(self.classes)]
        if self.groups is None:
            return []
        return [(group, (self.groups == group).to_numpy()) for group in pd.unique(self.groups)]

    def _figures(self, reading: Reading, mask: np.ndarray) -> dict[str, Any]:
        read = reading.after.argmax(2)  # (copies, n)
        right = read == self.labels
        found = matched_interval(right.mean(0)[mask] - self._right[mask])
        low, high = found.bounds(1 - _ALPHA)
        lost = (~right) & self._right & mask
        n_right = int((self._right & mask).sum()) * len(read)
        into = np.bincount(read[lost], minlength=len(self.classes))
        goal = int(into.argmax())
        gone = lost & (read == goal)
        return {
            "n": int(mask.sum()),
            "before": float(self._right[mask].mean()),
            "after": float(right[:, mask].mean()),
            "change": float(right.mean(0)[mask].mean() - self._right[mask].mean()),
            "low": low,
            "high": high,
            "lost": float(lost.sum() / n_right) if n_right else float("nan"),
            "into": self.classes[goal] if into.any() else None,
            "into_share": float(into[goal] / max(int(into.sum()), 1)),
            "among": float(reading.near[gone].mean()) if gone.any() else float("nan"),
            "p": found.p_less,
        }

    def _word(self, row: pd.Series) -> str:
        if row["n"] < _FEWEST:
            return UNSURE
        if row["adjusted"] <= _ALPHA and row["change"] < -_MARGIN:
            # Of two classes all lost reads go into the other one: only where they lie can tell.
            moved = row["into_share"] >= _MOSTLY and row["among"] >= _AMONG
            return CHANGES if moved and row["lost"] > _MARGIN else HARDER
        return KEEPS if row["low"] >= -_KEPT else UNSURE

    def _whole(self, frame: pd.DataFrame) -> pd.DataFrame:
        by_class = self._count("class")["verdict"]
        for name in frame.index:
            if (by_class[name] == CHANGES).any():
                frame.loc[name, "verdict"] = CHANGES
            elif frame.loc[name, "verdict"] == CHANGES or (
                frame.loc[name, "verdict"] in (KEEPS, UNSURE) and (by_class[name] == HARDER).any()
            ):
                frame.loc[name, "verdict"] = HARDER
        areas = [self.readings[name].area for name in frame.index]
        frame["realism_auc"] = [0.5 + area.mean for area in areas]
        bounds = [area.bounds() for area in areas]
        frame["realism_low"] = [0.5 + low for low, _ in bounds]
        frame["realism_high"] = [0.5 + high for _, high in bounds]
        pairs = zip(frame["realism_auc"], frame["realism_low"], strict=True)
        frame["realism"] = [realism_word(area, low) for area, low in pairs]
        return frame.drop(columns=["into", "into_share", "among"])

    # -- words ---------------------------------------------------------------------------

    def __str__(self) -> str:
        from augsynth.check.preservation.text import written

        return written(self)

    # -- pictures ------------------------------------------------------------------------

    def plot(self, path: str | os.PathLike[str] | None = None) -> Figure:
        """Draw the change of each class and group under each policy, with intervals."""
        from augsynth.check.preservation.plot import change_plot

        return change_plot(self, path)

    def contact_sheet(self, path: str | os.PathLike[str] | None = None, *, rows: int = 8) -> Figure:
        """Draw originals beside a copy of each policy; copies that are read otherwise are framed.

        Parameters
        ----------
        path : path-like, optional
            Where to write; the ending says the format.
        rows : int, default=8
            Records to show: of every class first those whose copies are read as another.
        """
        from augsynth.check.preservation.contact_sheet import contact_sheet

        return contact_sheet(self, path, rows=rows)

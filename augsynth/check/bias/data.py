"""Whom do the data serve? Rows, labels and holes of each group, before any model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from augsynth.check.bias import data_tables as tables
from augsynth.check.bias.data_inputs import (
    groupings_of,
    reference_groups,
    second_table,
    shares_of,
    table_and_groups,
    target_of,
)
from augsynth.check.bias.data_shift import Pairing, rate_shift, share_shift
from augsynth.check.bias.gaps import GapInterval, gap_interval, mean_gap_interval
from augsynth.check.bias.levels import Levels
from augsynth.check.bias.shared_rows import Shared, shared_rows
from augsynth.check.records import plain, records
from augsynth.core.errors import ParameterError, sentence
from augsynth.core.parameters import check_number, check_option
from augsynth.core.random import resolve_seed

__all__ = ["DataBias", "data_bias"]

_WHERE = "data_bias"
THIN = 30  # rows below which a cell is called thin


@dataclass(frozen=True, eq=False, repr=False)
class DataBias:
    """What `data_bias` found. ``print`` it for the whole story.

    Attributes
    ----------
    groups : DataFrame
        attribute, group, rows, share, low, high; with a reference also reference, ratio (share
        over reference), standardised (difference in standard errors), p_adjusted (Holm).
    rates : DataFrame
        attribute, group, label, rows, hits, rate, low, high, more_for_rate, more_for_recall: how many
        more real rows of the group (of this label in the group) an interval of the stated width
        asks for. For a numeric target: mean, low, high, deviation.
    gaps : dict
        (attribute, label) -> `GapInterval` of the largest difference between groups.
    missing : DataFrame
        column, attribute, group, rows, missing, share, share_elsewhere, p_adjusted.
    shift : DataFrame
        attribute, group, label, rates in both tables and their difference with its interval; empty
        without a second table.
    share_shift : DataFrame
        The same of each group's share of the rows.
    fit : dict
        attribute -> p-value of "the rows were drawn by the reference shares".
    empty : list of str
        Combinations of groups that have no row at all.
    settings : dict
        rows, alpha, width, target ("class", "number" or "none"), label, classes; with a second table
        enlarged (whether it is the first table and new rows), drawn, new_rows and shared (rows of the
        first table that stand in it, where these are more than chance explains).
    """

    groups: pd.DataFrame
    rates: pd.DataFrame
    gaps: Mapping[tuple[str, str], GapInterval]
    missing: pd.DataFrame
    shift: pd.DataFrame
    fit: Mapping[str, float]
    empty: Sequence[str]
    settings: Mapping[str, Any] = field(default_factory=dict)
    share_shift: pd.DataFrame = field(default_factory=pd.DataFrame)

    @property
    def thin(self) -> pd.DataFrame:
        """The cells with fewer than 30 rows of a class, with the rows that they lack."""
        if "hits" not in self.rates:
            return self.rates[self.rates["rows"] < THIN]
        few = np.minimum(self.rates["hits"], self.rates["rows"] - self.rates["hits"]) < THIN
        return self.rates[few]

    def to_frame(self, of: str = "groups") -> pd.DataFrame:
        """Return one of the tables: "groups", "rates", "gaps", "missing", "shift" or "share_shift"."""
        if of == "gaps":
            columns = ["attribute", "label", "gap", "low", "high", "p_value", "lowest", "highest"]
            rows = [
                [*key, *(getattr(found, name) for name in columns[2:])] for key, found in self.gaps.items()
            ]
            return pd.DataFrame(rows, columns=columns)
        if of not in ("groups", "rates", "missing", "shift", "share_shift"):
            must = "of must be 'groups', 'rates', 'gaps', 'missing', 'shift' or 'share_shift'"
            raise ParameterError(sentence("DataBias.to_frame", must, repr(of)))
        frame: pd.DataFrame = getattr(self, of).copy()
        return frame

    def to_dict(self) -> dict[str, Any]:
        """Return everything as plain values, ready for JSON."""
        names = ("groups", "rates", "gaps", "missing", "shift", "share_shift")
        return {
            **{name: records(self.to_frame(name)) for name in names},
            "fit": plain(self.fit),
            "empty": list(self.empty),
            "settings": plain(self.settings),
            "sentences": self.sentences(),
        }

    def sentences(self) -> list[str]:
        """Return what stands out, one sentence each."""
        from augsynth.check.bias.data_text import sentences

        return sentences(self)

    def summary(self) -> str:
        """Return what stands out, one sentence a line."""
        return "\n".join(self.sentences())

    def __str__(self) -> str:
        """Return the sentences and the tables as text."""
        from augsynth.check.bias.data_text import written

        return written(self)

    def __repr__(self) -> str:
        """Return the size in one line."""
        return f"<DataBias; {self.settings.get('rows', 0):,} rows, {len(self.groups)} groups>"


def data_bias(
    X: Any,
    y: Any = None,
    *,
    sensitive_features: Any = None,
    group_columns: Sequence[Any] = (),
    reference: Any = None,
    other: Sequence[Any] | None = None,
    drawn: bool = True,
    pos_label: Any = None,
    alpha: float = 0.05,
    width: float = 0.1,
    random_state: Any = 0,
) -> DataBias:
    """Say who is in the data, with which labels, and whose cells are missing.

    Parameters
    ----------
    X : DataFrame or array (n, p)
    y : array-like (n,), optional
        Classes, or numbers.
    sensitive_features : array-like, Series or DataFrame, optional
        Groups; or name columns of ``X`` in ``group_columns``. A missing group is a group of its
        own; numbers with more than 10 values are cut at their quartiles. Every column is
        looked at by itself, and all of them crossed.
    reference : mapping, table or array-like, optional
        Who should be in the data: a mapping from attribute to a mapping from group to share (without
        the outer mapping if there is one attribute); or a table with the same group columns, whose
        own chance is then allowed for.
    other : (X, y) or (X, y, sensitive_features), optional
        A second table: how its label rates and the groups' shares differ. An enlarged table (the rows
        of ``X`` with their labels and groups, and new ones) is recognised, also shuffled, with columns in
        another order or more of them, and its new rows alone are set against the real ones. Any other
        table, such as the made rows alone, is taken to be independent of the first. The sentences say which
        of the two it was, and warn of a table that holds a part of the first one's rows.
    drawn : bool, default=True
        Whether labels and groups of the second table's (new) rows are a sample. False: so many of each
        were asked for (balanced classes, say), and only the real rows' chance counts.
    pos_label : label, optional
        The class whose rate is shown, of two: by default the rarer one.
    alpha : float, default=0.05
        One minus the confidence; intervals are simultaneous over the groups of an attribute.
    width : float, default=0.1
        Width of an interval (end to end) that ``more_for_rate`` and ``more_for_recall`` ask for.
    random_state : None, int or Generator
        Only of simulated p-values.

    Returns
    -------
    DataBias

    Raises
    ------
    DataError, ParameterError, InputTypeError
        For rows, groups or references that cannot be used.

    Notes
    -----
    Rates and shares: Wilson's intervals, simultaneous by Sidak. Gaps: `gap_interval`. Shares
    against known ones: Pearson's chi-squared, simulated (1,999 draws) where fewer than 5 rows are
    expected; Holm's allowance within an attribute. 30,000 rows of 15 columns take about 0.3 s.

    A second table: an enlarged one of n real and m new rows (of a group) moves its rate by the difference
    of the new and the real rows' rate times m / (n + m), the groups' sizes taken as they are.
    Differences have Newcombe's intervals, simultaneous over the groups and labels of an attribute. They
    held together in 93.5 to 96.8 % of 4,000 runs in each of 168 cases (1 to 5 groups of 30 rows and more).

    More rows say more about a cell only if they are real: synthetic ones repeat what the cell's rows said.

    References
    ----------
    Wilson (1927), doi:10.1080/01621459.1927.10502953. Newcombe (1998),
    doi:10.1002/(SICI)1097-0258(19980430)17:8<873::AID-SIM779>3.0.CO;2-I.

    Examples
    --------
    >>> table = pd.DataFrame({"sex": ["f"] * 20 + ["m"] * 80, "age": range(100)})
    >>> found = data_bias(table, [1] * 2 + [0] * 18 + [1] * 40 + [0] * 40, group_columns=["sex"],
    ...                   reference={"f": 0.5, "m": 0.5})
    >>> found.groups[["group", "rows", "ratio"]].round(2).to_numpy().tolist()
    [['f', 20, 0.4], ['m', 80, 1.6]]
    >>> round(found.gaps["sex", "1"].gap, 2), bool(found.gaps["sex", "1"].low > 0)
    (0.4, True)
    """
    check_number(_WHERE, "alpha", alpha, low=0, high=0.5, low_open=True)
    check_number(_WHERE, "width", width, low=0, high=1, low_open=True, high_open=True)
    check_option(_WHERE, "drawn", drawn, (True, False))
    seed = resolve_seed(random_state)
    frame, groups = table_and_groups(X, sensitive_features, group_columns)
    target, classes, kind = target_of(y, len(frame), pos_label)
    second = None if other is None else second_table(other, group_columns, groups, classes, kind)
    by_table = reference is not None and not isinstance(reference, Mapping)
    parts = [groups] + ([second[1]] if second else [])
    if by_table:
        parts.append(reference_groups(reference, groups, group_columns))
    groupings, empty = groupings_of(parts)  # the same cuts and levels in all tables
    shares = shares_of(reference, groupings[-1 if by_table else 0], by_table)
    represented = [
        tables.representation(levels, *shares.get(levels.name, (None, None)), alpha=alpha, seed=seed)
        for levels in groupings[0]
    ]
    rates, gaps = _rates(groupings[0], target, classes, kind, alpha, width)
    settings = {
        "rows": len(frame),
        "alpha": alpha,
        "width": width,
        "target": kind,
        "label": classes[1] if len(classes) == 2 else "",
        "classes": ", ".join(classes),
    }
    shift = share = pd.DataFrame()
    if second is not None:
        shared = shared_rows((frame, groups, target), second)
        shift, share = _shifts(
            groupings, (target, second[2]), classes, alpha, Pairing(shared.holds_first, drawn)
        )
        settings |= _paired(shared, drawn, len(second[2]), len(target))
    return DataBias(
        groups=pd.concat([table for table, _ in represented], ignore_index=True),
        rates=rates,
        gaps=gaps,
        missing=tables.missing_table(frame, groupings[0][: len(groups.columns)]),
        shift=shift,
        fit={levels.name: p for levels, (_, p) in zip(groupings[0], represented, strict=True) if p == p},
        empty=empty,
        settings=settings,
        share_shift=share,
    )


def _shifts(
    groupings: list[list[Levels]],
    targets: tuple[np.ndarray, np.ndarray],
    classes: list[str],
    alpha: float,
    pairing: Pairing,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return how label rates and groups' shares differ in the second table, of all attributes."""
    pairs = list(zip(*groupings[:2], strict=True))
    every = [(_all_rows(targets[0]), _all_rows(targets[1])), *pairs]
    rates = [rate_shift(a, b, targets, classes, alpha, pairing) for a, b in every]
    shares = [share_shift(a, b, alpha, pairing) for a, b in pairs]
    return pd.concat(rates, ignore_index=True), pd.concat(shares, ignore_index=True)


def _paired(shared: Shared, drawn: bool, there: int, here: int) -> dict[str, Any]:
    """Return what the second table was taken for."""
    new_rows = there - (here if shared.holds_first else 0)
    return {"enlarged": shared.holds_first, "drawn": drawn, "new_rows": new_rows, "shared": shared.rows}


def _all_rows(target: np.ndarray) -> Levels:
    return Levels("all rows", np.zeros(len(target), dtype=np.intp), ["all"], ["all rows"])


def _rates(
    groupings: list[Levels], target: np.ndarray, classes: list[str], kind: str, alpha: float, width: float
) -> tuple[pd.DataFrame, dict[tuple[str, str], GapInterval]]:
    """Return the rates of all groups, and the largest gap of each attribute and label."""
    if kind == "none":
        return pd.DataFrame(columns=["attribute", "group", "rows"]), {}
    every = [_all_rows(target), *groupings]
    rates = [tables.rate_table(levels, target, classes, alpha, width) for levels in every]
    gaps = {}
    for levels, table in zip(every[1:], rates[1:], strict=True):
        if kind == "number":
            gaps[levels.name, "mean"] = mean_gap_interval(
                table["mean"], table["deviation"], table["rows"], alpha=alpha, groups=levels.labels
            )
            continue
        for label, part in table.groupby("label", sort=False):
            gaps[levels.name, str(label)] = gap_interval(
                part["hits"], part["rows"], alpha=alpha, groups=levels.labels
            )
    return pd.concat(rates, ignore_index=True), gaps

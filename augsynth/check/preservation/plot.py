"""The picture of a check of label preservation: what each policy costs each class and group."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from augsynth.core.errors import ParameterError, sentence
from augsynth.core.files import atomic_path

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from augsynth.check.preservation.result import LabelPreservation

__all__ = ["COLOURS", "INK", "change_plot", "write_figure"]

INK, FAINT = "#1f2933", "#d5dae0"
COLOURS = {
    "keeps labels": "#00796b",
    "harder to read": "#b7791f",
    "changes labels": "#c0392b",
    "no evidence": "#757f8a",
}
_MOST = 24  # classes (or groups) drawn a policy


def change_plot(result: LabelPreservation, path: Any = None) -> Figure:
    """Draw a panel a policy: the change of every class and group, with its 95 % interval.

    Colours say the verdict, which stands above each panel in words as well.
    """
    from matplotlib.figure import Figure

    names = list(result.verdicts.index)
    parts = [_lines(result, name) for name in names]
    columns = min(3, len(names))
    rows = -(-len(names) // columns)
    tall = 0.24 * max(len(part) for part in parts) + 1.3
    figure = Figure(figsize=(4.6 * columns, tall * rows + 0.7), dpi=130, facecolor="white")
    axes = figure.subplots(rows, columns, sharex=True, squeeze=False)
    for k, axis in enumerate(axes.ravel()):
        if k < len(names):
            _panel(axis, names[k], parts[k], result)
        else:
            axis.set_visible(False)
    figure.suptitle("What each policy costs: change in the share of rows that are read rightly", color=INK)
    figure.tight_layout(rect=(0, 0, 1, 0.98))
    write_figure(figure, path)
    return figure


def _lines(result: LabelPreservation, name: str) -> pd.DataFrame:
    """Return the rows of a panel: all, the classes that lose most, the groups."""
    whole = result.to_frame().loc[[name]].assign(label="all", kind="all")
    classes = result.to_frame("class").loc[name].sort_values("change").head(_MOST)
    parts = [whole, classes.assign(label=[str(c) for c in classes.index], kind="class")]
    if result.groups is not None:
        groups = result.to_frame("group").loc[name].head(_MOST)
        parts.append(groups.assign(label=[str(g) for g in groups.index], kind="group"))
    wanted = ["label", "kind", "change", "low", "high", "verdict"]
    return pd.concat([part[wanted] for part in parts], ignore_index=True)


def _panel(axis: Axes, name: str, lines: pd.DataFrame, result: LabelPreservation) -> None:
    kinds = lines["kind"].tolist()
    places, place = [], 0.0
    for k, kind in enumerate(kinds):
        place += 1.0 + 0.6 * (k > 0 and kind != kinds[k - 1])
        places.append(-place)
    axis.axvline(0, color=INK, linewidth=0.8)
    for y, (_, row) in zip(places, lines.iterrows(), strict=True):
        colour = COLOURS[row["verdict"]]
        axis.plot([row["low"], row["high"]], [y, y], color=colour, linewidth=2.2, solid_capstyle="round")
        axis.plot([row["change"]], [y], "o", color=colour, markersize=4.5)
    axis.set_yticks(places, [_short(label) for label in lines["label"]], fontsize=8, color=INK)
    axis.set_ylim(-place - 0.8, -0.2)
    verdict = result.verdicts[name]
    axis.set_title(f"{name}: {verdict}", fontsize=9.5, color=COLOURS[verdict], loc="left")
    axis.grid(axis="x", color=FAINT, linewidth=0.6)
    axis.tick_params(axis="x", labelsize=8, labelbottom=True, colors=INK)
    axis.set_axisbelow(True)
    for side in ("top", "right", "left"):
        axis.spines[side].set_visible(False)


def _short(label: str) -> str:
    return label if len(label) <= 18 else f"{label[:8]}…{label[-9:]}"


def write_figure(figure: Figure, path: Any) -> None:
    """Write a figure whole or not at all; the ending of the path says the format."""
    if path is None:
        return
    ending = Path(path).suffix.lstrip(".").lower() or "png"
    known = sorted(figure.canvas.get_supported_filetypes())
    if ending not in known:
        must = "path must end in a format of pictures"
        raise ParameterError(sentence("plot", must, repr(f".{ending}"), f"Known: {', '.join(known)}."))
    with atomic_path(path) as temporary:
        figure.savefig(temporary, format=ending)

"""The block that goes into a model card: what was added, how, for whom it was checked, whose it is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from augsynth.check.finding import FAILED, NOT_JUDGED
from augsynth.check.privacy import leaked
from augsynth.check.report.markup import clean
from augsynth.core.errors import ParameterError, offenders, sentence

if TYPE_CHECKING:
    from augsynth.check.report.report import Report

__all__ = ["STATED", "check_datasheet", "datasheet_text"]

STATED = {
    "method": "Method",
    "purpose": "Purpose",
    "owner": "Owner",
    "licence": "Licence",
    "consent": "Consent",
    "right_to_train": "Right to train",
}
_MOST_CELLS, _MOST_RISKS, _MOST_GAPS = 24, 12, 4
_UNKNOWN = "not stated"


def check_datasheet(given: Mapping[str, Any] | None) -> dict[str, str]:
    """Return what the user states, as text.

    Raises
    ------
    ParameterError
        For a key that the datasheet has no place for.
    """
    unknown = [name for name in given or {} if name not in STATED]
    if unknown:
        must = f"datasheet may state {', '.join(STATED)}"
        raise ParameterError(sentence("report", must, offenders(unknown)))
    return {name: " ".join(clean(value).split()) for name, value in (given or {}).items() if value}


def datasheet_text(report: Report) -> str:
    """Return the datasheet as Markdown."""
    told, settings = report.datasheet, report.settings
    counts = report.data
    lines = [
        "## Datasheet of the added rows",
        "",
        f"- **Added:** {settings['rows_new']:,} {settings['noun']} "
        f"beside {settings['rows_train']:,} real ones.",
    ]
    lines += [f"- **{label}:** {_line(told.get(name))}" for name, label in STATED.items()]
    lines.append(f"- **Seed:** {_line(settings.get('generator_seed'))}; of this check {settings['seed']}")
    lines.append(f"- **Checked with:** {_checked(report)}")
    lines.append(f"- **Verdict:** {report.verdict.word}. {_line(report.verdict.sentence)}")
    shown = counts[
        counts["of"]
        == ("class and group" if "class and group" in set(counts["of"]) else counts["of"].iloc[0])
    ]
    lines += ["", f"| {shown['of'].iloc[0]} | before | new | after |", "|---|---:|---:|---:|"]
    for _, row in shown.head(_MOST_CELLS).iterrows():
        lines.append(f"| {_cell(row['name'])} | {row['before']:,} | {row['new']:,} | {row['after']:,} |")
    if len(shown) > _MOST_CELLS:
        lines.append(f"| … {len(shown) - _MOST_CELLS} more | | | |")
    lines += ["", "**Checked for whom.** " + _for_whom(report), "", "**Risks found.**"]
    lines += [f"- {each}" for each in _risks(report)]
    wanted = report.more_real_rows()
    if wanted:
        lines += [
            "",
            "**Where more real rows would do more than synthetic ones.**",
            *(f"- {_line(each)}" for each in wanted),
        ]
    return "\n".join(lines) + "\n"


def _line(text: Any) -> str:
    return " ".join(clean(text).split()).replace("<", "&lt;") if text else _UNKNOWN


def _cell(text: Any) -> str:
    return _line(text).replace("|", "\\|")


def _checked(report: Report) -> str:
    settings = report.settings
    held = (
        f"{settings['rows_holdout']:,} real {settings['noun']} held out"
        if settings["rows_holdout"]
        else "no real rows held out"
    )
    judged = sum(each.status != NOT_JUDGED for each in report.findings)
    return f"augsynth {settings['version']}, {held}, {judged} judged checks, seed {settings['seed']}"


def _for_whom(report: Report) -> str:
    groups = report.data[report.data["of"] == "group"]
    if groups.empty:
        return "No groups were named, so nothing is known of any."
    thin = groups[(groups["held_out"] < 30)]["name"].tolist()
    told = f"Groups: {', '.join(_line(name) for name in groups['name'][:_MOST_CELLS])}."
    if len(thin):
        names = ", ".join(_line(name) for name in thin[:_MOST_CELLS])
        told += f" Fewer than 30 held-out rows, so hardly checked: {names}."
    return told


def _risks(report: Report) -> Sequence[str]:
    failed = [each for each in report.findings if each.status == FAILED]
    told = [_line(each.sentence or each.title) for each in failed[:_MOST_RISKS]]
    if len(failed) > _MOST_RISKS:
        told.append(f"{len(failed) - _MOST_RISKS} more failed checks: see the report.")
    told += [
        _line(line) for each in report.verdict.answers for line in each.sentences if line.startswith("Lost")
    ]
    if report.groups is not None and leaked(report.findings) is None:
        told += [_line(line) for line in report.groups.sentences() if "became wider" in line][:_MOST_GAPS]
    if not report.settings["rows_holdout"]:
        told.append(
            "No real rows were held out: nothing here says how a model does on people that it has not seen."
        )
    return [*told, "Passing these checks proves neither anonymity nor fairness."]

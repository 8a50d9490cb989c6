"""One report of everything: verdict, downstream, groups, fidelity, diversity, memorisation."""

from augsynth.check.report.report import Report, report

__all__ = ["Report", "report"]

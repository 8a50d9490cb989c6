"""The remedies by name."""

from __future__ import annotations

from augsynth.core.parameters import check_option
from augsynth.remedies.base import Remedy
from augsynth.remedies.correlation import CorrelationFree
from augsynth.remedies.independence import IndependentNetwork
from augsynth.remedies.thresholds import GroupThresholds
from augsynth.remedies.weights import CellWeights

__all__ = ["REMEDIES", "remedy"]

REMEDIES: dict[str, Remedy] = {
    each.name: each for each in (CellWeights(), CorrelationFree(), GroupThresholds(), IndependentNetwork())
}


def remedy(name: str) -> Remedy:
    """Return a remedy by its name, with its default settings.

    Raises
    ------
    ParameterError
        For a name that is not known.

    Examples
    --------
    >>> remedy("cell weights").name
    'cell weights'
    """
    check_option("remedy", "name", name, REMEDIES)
    return REMEDIES[name]

"""The errors and warnings that augsynth raises, and the one form of their sentences.

AugsynthError
├── DataError (ValueError)          rows, labels or groups that cannot be used
│   ├── ConditionError              a label or group that the generator never saw
│   └── LeakError                   a test row among the training rows
├── ParameterError (ValueError)     an argument or constructor parameter
├── InputTypeError (TypeError)      a container that is not supported
├── RecipeError (ValueError)        every problem of a recipe at once
├── ModelFileError (ValueError)     a saved model that cannot be read or written
├── OutputExistsError               a file that a run would overwrite
└── TrainingError (RuntimeError)    training that diverged or has no device
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

__all__ = [
    "AugsynthError",
    "AugsynthWarning",
    "ConditionError",
    "DataError",
    "InputTypeError",
    "LeakError",
    "ModelFileError",
    "OutputExistsError",
    "ParameterError",
    "RecipeError",
    "ThinCellWarning",
    "TrainingError",
    "offenders",
    "sentence",
]


class AugsynthError(Exception):
    """Base of every error that augsynth raises on purpose."""


class DataError(AugsynthError, ValueError):
    """Rows, labels or groups that cannot be used as they are."""


class ConditionError(DataError):
    """A label or group that the fitted generator never saw."""


class LeakError(DataError):
    """A test row was found among the training rows."""


class ParameterError(AugsynthError, ValueError):
    """An argument or a constructor parameter with a value that makes no sense."""


class InputTypeError(AugsynthError, TypeError):
    """A container or a type that is not supported."""


class RecipeError(AugsynthError, ValueError):
    """A recipe that cannot be run; ``problems`` lists every reason."""

    def __init__(self, problems: Sequence[str]):
        self.problems = list(problems)
        super().__init__("\n".join(self.problems))


class ModelFileError(AugsynthError, ValueError):
    """A saved model that cannot be written or read."""


class OutputExistsError(AugsynthError, FileExistsError):
    """A file that a run would overwrite without having been told so."""


class TrainingError(AugsynthError, RuntimeError):
    """Training that diverged, ran out of memory, or has no device to run on."""


class AugsynthWarning(UserWarning):
    """Base of every warning that augsynth gives."""


class ThinCellWarning(AugsynthWarning):
    """A class or cell with too few rows was pooled with a larger one."""


def sentence(where: str, must: str, given: str, todo: str = "") -> str:
    """Say what is wrong in the one form that all messages share.

    Examples
    --------
    >>> sentence("SmoteGenerator", "k_neighbors must be at least 1", "0", "Use 5.")
    'SmoteGenerator: k_neighbors must be at least 1; given 0. Use 5.'
    """
    return f"{where}: {must}; given {given.rstrip('.')}." + (f" {todo}" if todo else "")


def offenders(values: Iterable[object], limit: int = 3) -> str:
    """Name the first few offending values and count them all.

    Examples
    --------
    >>> offenders(["a", "b", "c", "d"])
    "'a', 'b', 'c' (4 in all)"
    """
    listed = list(values)
    shown = ", ".join(repr(_plain(value)) for value in listed[:limit])
    return shown if len(listed) <= limit else f"{shown} ({len(listed)} in all)"


def _plain(value: Any) -> Any:
    """Return a numpy number or text as the user wrote it: 1.0 and not np.float64(1.0)."""
    if type(value).__module__ == "numpy" and getattr(getattr(value, "dtype", None), "kind", "") in "fiubU":
        return value.item() if getattr(value, "ndim", 1) == 0 else value
    return value

"""How a command ends: one sentence and an exit code for every expected failure; Ctrl-C and a polite kill."""

from __future__ import annotations

import contextlib
import errno
import signal
import sys
from collections.abc import Iterator
from typing import Any, NoReturn

import typer

from augsynth.core.errors import (
    AugsynthError,
    DataError,
    ModelFileError,
    OutputExistsError,
    ParameterError,
    RecipeError,
)

__all__ = ["DATA", "EXISTS", "FAILED", "INTERRUPTED", "OK", "USAGE", "complain", "gentle_end", "sentences"]

OK, FAILED, USAGE, DATA, EXISTS, INTERRUPTED = 0, 1, 2, 3, 4, 130
_CODES: tuple[tuple[type[BaseException], int], ...] = (
    (OutputExistsError, EXISTS),
    (DataError, DATA),
    (ModelFileError, DATA),
    (RecipeError, USAGE),
    (ParameterError, USAGE),
    (AugsynthError, FAILED),
)


def complain(text: str) -> None:
    """Write one line to standard error."""
    sys.stderr.write(text + "\n")


@contextlib.contextmanager
def sentences() -> Iterator[None]:
    """Turn every expected failure into one sentence on standard error and its exit code."""
    try:
        yield
    except RecipeError as error:
        many = len(error.problems)
        complain(f"The recipe has {many} problem{'s' if many > 1 else ''}:")
        for problem in error.problems:
            complain(f"  - {problem}")
        raise typer.Exit(USAGE) from None
    except AugsynthError as error:
        complain(f"Error: {' '.join(str(error).split())}")
        raise typer.Exit(next(code for kind, code in _CODES if isinstance(error, kind))) from None
    except KeyboardInterrupt:
        complain("Interrupted. No file was written or changed.")
        raise typer.Exit(INTERRUPTED) from None
    except MemoryError:
        complain("Error: the memory is full. Use fewer rows or columns, or a machine with more memory.")
        raise typer.Exit(FAILED) from None
    except OSError as error:
        complain(f"Error: {_of_the_system(error)}")
        raise typer.Exit(FAILED) from None


def _of_the_system(error: OSError) -> str:
    where = f"{error.filename}: " if error.filename else ""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return f"{where}the disk is full; nothing was written. Free some space, or choose another --out."
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return f"{where}writing is not permitted; nothing was written. Choose another --out."
    return f"{where}{error.strerror or error}."


@contextlib.contextmanager
def gentle_end() -> Iterator[list[int]]:
    """Let a polite kill (SIGTERM) clean up as Ctrl-C does; yield the signals that came.

    An exception raised inside a C callback of a library is lost, the list is not.
    """
    came: list[int] = []

    def stop(number: int, frame: Any) -> NoReturn:
        came.append(number)
        raise KeyboardInterrupt

    previous = {number: signal.signal(number, stop) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield came
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)

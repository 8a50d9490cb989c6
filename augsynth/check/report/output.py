"""Where a page or its records go: a path that is whole or untouched, and one sentence where it cannot be."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any

from augsynth.check.records import writable
from augsynth.core.errors import AugsynthError, InputTypeError, OutputExistsError, ParameterError, sentence
from augsynth.core.files import atomic_path

__all__ = ["output_path", "write_text"]

_FULL = (errno.ENOSPC, errno.EDQUOT)
_FORBIDDEN = (errno.EACCES, errno.EPERM, errno.EROFS)


def output_path(path: Any, *, overwrite: bool, where: str, example: str) -> Path:
    """Return the file that a path names; ``~`` is the user's home.

    Raises
    ------
    InputTypeError, ParameterError
        If it names no file.
    OutputExistsError
        If there is one, and ``overwrite`` is False.
    """
    must, todo = "path must name a file", f"Pass {example!r}."
    if not isinstance(path, (str, os.PathLike)) or not isinstance(os.fspath(path), str):
        raise InputTypeError(sentence(where, f"{must} (text or a pathlib.Path)", repr(path), todo))
    text = os.fspath(path)
    given = ascii(text)
    if not text.strip() or text.endswith(("/", os.sep)) or "\0" in text:
        raise ParameterError(sentence(where, must, given, todo))
    try:
        target = Path(text).expanduser()
        os.fsencode(target)
    except RuntimeError:
        raise ParameterError(sentence(where, f"{must}; nobody has this home", given, todo)) from None
    except UnicodeEncodeError:
        raise ParameterError(sentence(where, f"{must}; none can have this name", given, todo)) from None
    if os.path.isdir(target):
        raise ParameterError(sentence(where, must, f"the folder {text!r}", todo))
    if not overwrite and os.path.lexists(target):
        raise OutputExistsError(f"{target}: this file is there already. Choose another name.")
    return target


def write_text(target: Path, text: str, *, where: str) -> None:
    """Write a text file: the old one or the new one, never a half; folders on the way are made.

    Raises
    ------
    AugsynthError
        If the disk is full, or writing is not permitted.
    """
    try:
        with atomic_path(target) as temporary:
            temporary.write_text(writable(text), encoding="utf-8")
    except OSError as error:
        raise AugsynthError(_sentence(error, where, target)) from error


def _sentence(error: OSError, where: str, target: Path) -> str:
    must = f"{where}: {target} cannot be written; "
    if error.errno in _FULL:
        return f"{must}the disk is full. Free some space, or choose another path."
    if error.errno in _FORBIDDEN:
        return f"{must}it is not permitted. Choose another path."
    if error.errno in (errno.ENOTDIR, errno.EEXIST):
        return f"{must}a part of its path is a file, not a folder. Choose another path."
    return f"{must}{error.strerror or error}. Choose another path."

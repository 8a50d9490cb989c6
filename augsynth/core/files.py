"""Outputs that are whole or absent: written to a temporary name, then renamed."""

from __future__ import annotations

import errno
import os
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

__all__ = ["atomic_path", "folder_name"]


@contextmanager
def atomic_path(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Give a temporary path beside ``path``; rename it there if the block succeeds.

    A run that is killed, interrupted or out of disk leaves the old file, or none.

    Raises
    ------
    OSError
        If ``path`` is a directory or a device, or cannot be written.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> folder = pathlib.Path(tempfile.mkdtemp())
    >>> with atomic_path(folder / "a.txt") as temporary:
    ...     _ = temporary.write_text("whole")
    >>> [p.name for p in folder.iterdir()]
    ['a.txt']
    """
    target = Path(os.path.realpath(path))  # a link goes on pointing at the file that it names
    if target.is_dir():
        raise IsADirectoryError(errno.EISDIR, "this is a directory, not a file", str(path))
    if target.exists() and not target.is_file():
        # A rename would put a file in the place of the device itself, as with /dev/null.
        raise OSError(errno.EINVAL, "this is a device or a pipe, not a file", str(path))
    target.parent.mkdir(parents=True, exist_ok=True)
    # A part of the name only: with the whole of a long one the temporary name would be too long.
    handle, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name[:32]}.", suffix=".part")
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        with open(temporary, "rb+") as written:
            os.fsync(written.fileno())
        mask = os.umask(0)
        os.umask(mask)
        temporary.chmod(0o666 & ~mask)  # mkstemp's 0600 would surprise whoever shares the folder
        os.replace(temporary, target)
    finally:
        temporary.unlink(missing_ok=True)


def folder_name(label: Any) -> str:
    """Return a label as the name of a folder: no separator, no leading dot, not too long.

    Examples
    --------
    >>> folder_name("a/b"), folder_name(".."), folder_name(3)
    ('a_b', '_.', '3')
    """
    name = re.sub(r'[/\\:*?"<>|\x00-\x1f]', "_", str(label)).strip()[:80] or "_"
    return re.sub(r"^\.", "_", name)

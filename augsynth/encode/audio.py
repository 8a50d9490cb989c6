"""Audio files: read and written, wav without any further library."""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from augsynth.core.errors import DataError, InputTypeError, offenders, sentence
from augsynth.core.files import atomic_path
from augsynth.core.parameters import check_number, check_option

__all__ = ["clip_paths", "read_clip", "write_clip"]

Path_ = str | os.PathLike[str]
_PCM, _FLOAT, _EXTENSIBLE = 1, 3, 0xFFFE
_UNKNOWN = 0xFFFFFFFF  # the length that streaming writers leave


def read_clip(path: Path_) -> tuple[np.ndarray, int]:
    """Read an audio file: samples between -1 and 1, and the sample rate.

    Wav files (8, 16, 24, 32 bits, or floats) need nothing else; other formats are read
    through soundfile where that is installed. Costs 40 microseconds for a second.

    Parameters
    ----------
    path : str or path

    Returns
    -------
    clip : ndarray of float32, (n,) or (channels, n)
        Whole numbers of b bits are divided by ``2 ** (b - 1)``: 16 bits are kept exactly.
    rate : int
        In hertz.

    Raises
    ------
    DataError
        If the file is missing, empty, cut short, broken, or of a format unknown here.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "a.wav"
    >>> write_clip(path, np.array([0.5, -1.0], dtype=np.float32), 8000)
    >>> read_clip(path)
    (array([ 0.5, -1. ], dtype=float32), 8000)
    """
    path = Path(path)
    try:
        content = path.read_bytes()
    except OSError as error:
        raise _unreadable(path, error.strerror or type(error).__name__) from None
    if not content:
        raise _unreadable(path, "an empty file")
    if content[:4] != b"RIFF" or content[8:12] != b"WAVE":
        return _read_other(path)
    layout: tuple[int, int, int, int] | None = None
    for name, start, length in _chunks(content):
        if name == b"fmt ":
            layout = _layout(path, content[start : start + length])
        if name == b"data":
            if layout is None:
                raise _unreadable(path, "a wav file without a format before its samples")
            if length == _UNKNOWN:
                length = len(content) - start
            if start + length > len(content):
                given = f"a wav file cut short: {len(content) - start} of {length} bytes of samples"
                raise _unreadable(path, given)
            return _samples(path, content[start : start + length], *layout[:3]), layout[3]
    raise _unreadable(path, "a wav file without samples")


def _unreadable(path: Path, given: str) -> DataError:
    todo = "Replace the file or leave it out."
    return DataError(sentence(f"read_clip({str(path)!r})", "the file must be readable audio", given, todo))


def _chunks(content: bytes) -> Iterator[tuple[bytes, int, int]]:
    at = 12
    while at + 8 <= len(content):
        name, length = struct.unpack_from("<4sI", content, at)
        yield name, at + 8, length
        at += 8 + length + length % 2


def _layout(path: Path, header: bytes) -> tuple[int, int, int, int]:
    """Return format, bits, channels and sample rate."""
    if len(header) < 16:
        raise _unreadable(path, "a wav file with a broken format")
    kind, channels, rate, _, block, bits = struct.unpack_from("<HHIIHH", header)
    if kind == _EXTENSIBLE and len(header) >= 26:
        kind = struct.unpack_from("<H", header, 24)[0]
    known = {(_PCM, 8), (_PCM, 16), (_PCM, 24), (_PCM, 32), (_FLOAT, 32), (_FLOAT, 64)}
    if (kind, bits) not in known or not channels or not rate or block != channels * bits // 8:
        given = f"a wav file of format {kind} with {bits} bits, {channels} channels, {rate} Hz"
        raise _unreadable(path, given)
    return kind, bits, channels, rate


def _samples(path: Path, raw: bytes, kind: int, bits: int, channels: int) -> np.ndarray:
    width = bits // 8
    if len(raw) == 0:
        raise _unreadable(path, "a wav file of no samples")
    if len(raw) % (width * channels):
        raise _unreadable(path, "a wav file that ends within a sample")
    if kind == _FLOAT:
        clip = np.frombuffer(raw, dtype=f"<f{width}").astype(np.float32)
        if not np.isfinite(clip).all():
            raise _unreadable(path, f"NaN or infinity in {int((~np.isfinite(clip)).sum())} of its samples")
    elif bits == 8:
        clip = (np.frombuffer(raw, dtype=np.uint8).astype(np.float32) - 128) * np.float32(2.0**-7)
    elif bits == 24:
        parts = np.frombuffer(raw, dtype=np.uint8).reshape(-1, 3)
        whole = np.zeros((len(parts), 4), dtype=np.uint8)
        whole[:, 1:] = parts  # the upper three bytes: the sign comes along
        clip = whole.view("<i4")[:, 0].astype(np.float32) * np.float32(2.0**-31)
    else:
        whole = np.frombuffer(raw, dtype=f"<i{width}")
        clip = whole.astype(np.float32) * np.float32(2.0 ** (1 - bits))
    return clip if channels == 1 else np.ascontiguousarray(clip.reshape(-1, channels).T)


def _read_other(path: Path) -> tuple[np.ndarray, int]:
    try:
        import soundfile
    except ImportError:
        given = "neither a wav file nor soundfile to read another format"
        raise _unreadable(path, given) from None
    try:
        samples, rate = soundfile.read(path, dtype="float32")
    except Exception as error:  # whatever it raises, the file cannot be read
        raise _unreadable(path, " ".join(str(error).split()[:20])) from None
    if samples.size == 0:
        raise _unreadable(path, "a file of no samples")
    return np.ascontiguousarray(samples.T), int(rate)


def write_clip(path: Path_, clip: Any, rate: int, *, encoding: str = "pcm16") -> None:
    """Write a clip as a wav file, whole or not at all.

    The same clip gives the same bytes. With ``"pcm16"`` what came from 16 bits, through
    `read_clip` or as int16, is written exactly; louder than full scale is cut off.

    Parameters
    ----------
    path : str or path
        An existing file is replaced.
    clip : ndarray or tensor, (n,) or (channels, n)
        Floats of full scale 1, or int16.
    rate : int
        In hertz.
    encoding : {"pcm16", "float32"}, default="pcm16"

    Raises
    ------
    DataError, InputTypeError, ParameterError
        If the clip is empty, not finite, or no clip.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "a.wav"
    >>> write_clip(path, np.full((2, 100), 0.1, dtype=np.float32), 8000, encoding="float32")
    >>> read_clip(path)[0].shape
    (2, 100)
    """
    check_number("write_clip", "rate", rate, low=1, high=2**31 - 1, integer=True)
    check_option("write_clip", "encoding", encoding, ["pcm16", "float32"])
    clip = _writable(clip)
    kind, width = (_PCM, 2) if encoding == "pcm16" else (_FLOAT, 4)
    if encoding == "float32":
        stored = clip * np.float32(2.0**-15) if clip.dtype == np.int16 else clip
        stored = stored.astype("<f4")
    else:
        stored = clip if clip.dtype == np.int16 else np.clip(np.rint(clip * 32768.0), -32768, 32767)
        stored = stored.astype("<i2")
    channels = 1 if clip.ndim == 1 else len(clip)
    raw = stored.tobytes() if clip.ndim == 1 else stored.T.tobytes()
    pad = len(raw) % 2
    header = struct.pack(
        "<4sI4s4sIHHIIHH4sI",
        b"RIFF", 36 + len(raw) + pad, b"WAVE", b"fmt ", 16, kind, channels,
        rate, rate * channels * width, channels * width, 8 * width, b"data", len(raw),
    )  # fmt: skip
    with atomic_path(path) as temporary:
        temporary.write_bytes(header + raw + b"\0" * pad)


def _writable(clip: Any) -> np.ndarray:
    where = "write_clip"
    if type(clip).__module__.partition(".")[0] == "torch" and hasattr(clip, "detach"):
        clip = clip.detach().cpu().numpy()
    if not isinstance(clip, np.ndarray) or (clip.dtype.kind != "f" and clip.dtype != np.int16):
        given = f"{clip.dtype} in a {type(clip).__name__}" if hasattr(clip, "dtype") else type(clip).__name__
        raise InputTypeError(sentence(where, "a clip must be an array of floats or int16", given))
    if clip.ndim not in (1, 2) or clip.size == 0:
        must = "a clip must be (n,) or (channels, n), and not empty"
        raise DataError(sentence(where, must, f"shape {clip.shape}"))
    odd = np.flatnonzero(~np.isfinite(clip))
    if len(odd):
        must = "every sample of a clip must be a finite number"
        raise DataError(sentence(where, must, f"NaN or infinity at {offenders(list(map(int, odd)))}"))
    return clip


def clip_paths(folder: Path_) -> tuple[list[Path], np.ndarray, list[str]]:
    """Find the wav files of a folder with one folder a class.

    Parameters
    ----------
    folder : str or path
        ``folder/class/**/*.wav``; hidden files are passed over.

    Returns
    -------
    paths : list of Path
        Sorted by class, then by name.
    labels : ndarray of int, (n,)
        Positions in ``classes``.
    classes : list of str
        The names of the folders, sorted.

    Raises
    ------
    DataError
        If there is no such folder, or no wav file in folders of classes.
    """
    root, where = Path(folder), "clip_paths"
    if not root.is_dir():
        raise DataError(sentence(where, "folder must be a folder with one folder a class", repr(str(folder))))
    found = {
        entry.name: sorted(
            p for p in entry.rglob("*") if p.suffix.lower() == ".wav" and not p.name.startswith(".")
        )
        for entry in sorted(root.iterdir())
        if entry.is_dir() and not entry.name.startswith(".")
    }
    classes = [name for name, paths in found.items() if paths]
    if not classes:
        todo = "Put the files of each class into a folder of its name."
        given = f"{len(found)} folders without any in {root.name!r}"
        raise DataError(sentence(where, "there must be wav files in folders of classes", given, todo))
    paths = [path for name in classes for path in found[name]]
    labels = np.repeat(np.arange(len(classes)), [len(found[name]) for name in classes])
    return paths, labels, classes

"""Tables in and out: CSV, TSV, Parquet, scikit-learn's bundled sets; nothing is ever half written.

A file is written under a temporary name beside its destination and renamed at
the end: whoever kills the run finds the old file or the new one.
"""

from __future__ import annotations

import bz2
import contextlib
import errno
import gzip
import io
import lzma
import os
import secrets
import shutil
import zlib
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import IO, Any, NamedTuple

import pandas as pd

from augsynth.core.errors import DataError, OutputExistsError, offenders, sentence
from augsynth.core.files import atomic_path
from augsynth.recipe.text_tables import open_read, read_text

__all__ = [
    "BUNDLED",
    "FORMATS",
    "Destination",
    "TableFormat",
    "open_read",
    "open_write",
    "read_dates",
    "read_source",
    "read_table",
    "table_format",
    "write_table",
]

BUNDLED = ("breast_cancer", "digits", "iris", "wine")
SKLEARN = "sklearn:"
FORMATS = ("csv", "csv.gz", "csv.bz2", "csv.xz", "csv.zst", "tsv", "tsv.gz", "tsv.zst", "parquet")
_SUFFIXES = {
    ".csv": "csv",
    ".txt": "csv",
    ".tsv": "tsv",
    ".tab": "tsv",
    ".parquet": "parquet",
    ".pq": "parquet",
}
_COMPRESSIONS = {".gz": "gz", ".bz2": "bz2", ".xz": "xz", ".zst": "zst", ".zstd": "zst"}


class TableFormat(NamedTuple):
    """What a file name says: the format, and the compression around it ("" is none)."""

    kind: str
    compression: str


def table_format(path: str | Path) -> TableFormat:
    """Read the format of a table off its file name.

    Raises
    ------
    DataError
        If the name ends in nothing known.

    Examples
    --------
    >>> table_format("people.csv.gz")
    TableFormat(kind='csv', compression='gz')
    """
    suffixes = [suffix.lower() for suffix in Path(path).suffixes]
    compression = _COMPRESSIONS.get(suffixes[-1], "") if suffixes else ""
    inner = suffixes[:-1] if compression else suffixes
    kind = _SUFFIXES.get(inner[-1]) if inner else None
    if kind is None:
        known = ", ".join([*_SUFFIXES, *(".csv" + end for end in _COMPRESSIONS)])
        must = "the file name must end in a known format"
        raise DataError(sentence(str(path), must, Path(path).name, f"Known: {known}."))
    return TableFormat(kind, compression)


@contextlib.contextmanager
def open_write(path: Path, compression: str) -> Iterator[IO[bytes]]:
    """Open a file for bytes that are compressed on their way: the same bytes give the same file."""
    with contextlib.ExitStack() as stack:
        raw = stack.enter_context(path.open("wb"))
        stream: Any = raw
        if compression == "gz":
            # No time stamp and no name: the same table gives the same bytes.
            stream = stack.enter_context(gzip.GzipFile("", "wb", fileobj=raw, mtime=0))
        elif compression == "bz2":
            stream = stack.enter_context(bz2.BZ2File(raw, "wb"))
        elif compression == "xz":
            stream = stack.enter_context(lzma.LZMAFile(raw, "wb"))
        elif compression == "zst":
            import pyarrow as pa

            stream = stack.enter_context(pa.CompressedOutputStream(pa.PythonFile(raw, "w"), "zstd"))
        yield stream


def read_table(
    path: str | Path,
    *,
    missing: Sequence[str] | None = None,
    separator: str | None = None,
    least_columns: int = 2,
) -> pd.DataFrame:
    """Read a CSV, TSV or Parquet file, compressed or not, as a DataFrame.

    Parameters
    ----------
    path : str or Path
        The file; its name says the format, e.g. ``people.csv.zst``.
    missing : sequence of str, optional
        The texts that stand for a missing value in CSV and TSV; the default is
        what pandas takes for missing (empty, NA, NaN, null, None, ...).
    separator : str, optional
        The separator of CSV and TSV; the default is read off the file name.
    least_columns : int, default=2
        Fewer columns are refused; so is one that looks like several with another separator.

    Raises
    ------
    DataError
        If the file is absent, unreadable, or is not a table with rows, enough
        columns and distinct column names.
    """
    path = Path(path)
    if not path.exists():
        raise DataError(f"{path}: there is no such file. A path is relative to the current directory.")
    if path.is_dir():
        raise DataError(f"{path}: this is a directory. Name one CSV, TSV or Parquet file.")
    kind, compression = table_format(path)
    try:
        if kind == "parquet":
            frame, names = _read_parquet(path, compression)
        else:
            frame, names = read_text(
                path, compression, separator or ("," if kind == "csv" else "\t"), missing
            )
    except UnicodeDecodeError as error:
        given = f"byte 0x{error.object[error.start]:02x}, which is none"
        must, todo = "a text table must be encoded in UTF-8", "Save it as UTF-8."
        raise DataError(sentence(str(path), must, given, todo)) from error
    except (OSError, EOFError, zlib.error, lzma.LZMAError, ValueError) as error:
        if isinstance(error, DataError):
            raise
        reason = " ".join(str(error).split()) or type(error).__name__
        said = f"this file cannot be read as a table ({reason[:200]}). Check the file and its ending."
        raise DataError(f"{path}: {said}") from error
    _check_table(path, frame, names, kind, least_columns)
    return frame


def _read_parquet(path: Path, compression: str) -> tuple[pd.DataFrame, list[str]]:
    import pyarrow.parquet as pq

    source: Any = path
    if compression:
        with open_read(path, compression) as stream:
            source = io.BytesIO(stream.read())
    names = list(pq.read_schema(source).names)
    if len(set(names)) < len(names):  # pyarrow's own message for this is obscure
        return pd.DataFrame(columns=names), names
    if compression:
        source.seek(0)
    frame = pd.read_parquet(source)
    return frame.reset_index(drop=frame.index.names == [None]), [str(name) for name in frame.columns]


def _check_table(path: Path, frame: pd.DataFrame, names: list[str], kind: str, least: int) -> None:
    repeated = sorted({name for name in names if names.count(name) > 1}) if len(names) < 20_000 else []
    if repeated:
        given = f"{offenders(repeated)} more than once"
        raise DataError(sentence(str(path), "column names must be distinct", given, "Rename them."))
    split = kind != "parquet" and len(names) == 1 and any(mark in names[0] for mark in ",;|\t")
    if frame.shape[1] < least or split:
        hint = "Is the separator another one? Say data.separator=';'." if split else ""
        given = f"{frame.shape[1]} column" + (f", {names[0]!r}" if names else "")
        raise DataError(sentence(str(path), "a table needs at least two columns", given, hint))
    if frame.shape[0] == 0:
        raise DataError(sentence(str(path), "a table needs rows", "a header and 0 rows"))
    frame.columns = pd.Index([str(name) for name in frame.columns])


def read_source(source: str, **options: Any) -> pd.DataFrame:
    """Read a file, or a set that scikit-learn carries: ``sklearn:breast_cancer``.

    The bundled sets get a last column ``target``, with the names of the classes
    where scikit-learn knows them.

    Raises
    ------
    DataError
        For an unknown set, and whatever `read_table` refuses.
    """
    if not source.startswith(SKLEARN):
        return read_table(source, **options)
    name = source.removeprefix(SKLEARN)
    if name not in BUNDLED:
        known = ", ".join(SKLEARN + each for each in BUNDLED)
        must = "must name a set that scikit-learn carries"
        raise DataError(sentence("data.path", must, repr(source), f"There are: {known}."))
    from sklearn import datasets

    bundle = getattr(datasets, f"load_{name}")(as_frame=True)
    frame: pd.DataFrame = bundle.frame.copy()
    if name != "digits":  # the digits are their own names
        names = [str(each) for each in bundle.target_names]
        frame["target"] = pd.Series([names[code] for code in bundle.target], dtype="object").astype("str")
    frame.columns = pd.Index([str(column).replace(" ", "_") for column in frame.columns])
    return frame


def read_dates(frame: pd.DataFrame, columns: Sequence[str]) -> pd.DataFrame:
    """Return the table with its text columns of dates read as such; empty cells stay empty.

    Raises
    ------
    DataError
        With the first texts that are no dates.
    """
    for name in columns:
        if name not in frame.columns:
            raise DataError(sentence("data.dates", "the columns must be in the table", repr(name)))
        given = frame[name]
        if pd.api.types.is_datetime64_any_dtype(given.dtype):
            continue
        dates = pd.to_datetime(given.astype("str").where(given.notna()), errors="coerce", format="ISO8601")
        bad = given[dates.isna() & given.notna()]
        if len(bad):
            must = f"the cells of {name!r} must read like 2024-05-31 or 2024-05-31 17:00"
            given_words = f"{offenders(bad.head(3).tolist())} ({len(bad):,} such cells)"
            raise DataError(sentence("data.dates", must, given_words))
        frame = frame.assign(**{name: dates})
    return frame


def _whole_numbers(frame: pd.DataFrame) -> pd.DataFrame:
    """Return the table with whole numbers as such where a gap made floats of them: 3 is no 3.0 in text.

    Read again the table is the same: a column of integers with gaps is read as floats.
    """
    found = {}
    for name, values in frame.items():
        if values.dtype == "float64" and values.isna().any():
            seen = values.dropna()
            if len(seen) and bool(((seen % 1 == 0) & (seen.abs() < 2**53)).all()):
                found[name] = "Int64"
    return frame.astype(found) if found and frame.columns.is_unique else frame


def _write(frame: pd.DataFrame, path: Path, style: TableFormat) -> None:
    if style.kind == "parquet" and not style.compression:
        frame.to_parquet(path, index=False)
        return
    with open_write(path, style.compression) as stream:
        if style.kind == "parquet":
            frame.to_parquet(stream, index=False)
        else:
            text = io.TextIOWrapper(stream, encoding="utf-8", newline="", write_through=True)
            whole = _whole_numbers(frame)
            whole.to_csv(text, index=False, sep="," if style.kind == "csv" else "\t", lineterminator="\n")
            text.flush()
            text.detach()


def write_table(frame: pd.DataFrame, path: str | Path) -> None:
    """Write a table in the format that the file name says; the old file or the new one, never a half."""
    style = table_format(path)
    with atomic_path(path) as temporary:
        _write(frame, temporary, style)


def _sync(path: Path) -> None:
    # A rename may reach the disk before the bytes do; after this it cannot. Brings out a full disk.
    with path.open("rb+") as stream:
        os.fsync(stream.fileno())


class Destination:
    """A folder of outputs that appears whole: staged beside it, renamed into place at the end.

    Parameters
    ----------
    directory : str or Path
        Where the files shall be.
    force : bool, default False
        Whether files of the same names may be replaced. Other files in the folder are left alone.

    Examples
    --------
    >>> import tempfile, pathlib
    >>> place = Destination(pathlib.Path(tempfile.mkdtemp()) / "out")
    >>> with place.staged() as folder:
    ...     _ = (folder / "a.txt").write_text("whole")
    >>> (place.directory / "a.txt").read_text()
    'whole'
    """

    def __init__(self, directory: str | Path, *, force: bool = False) -> None:
        self.directory = Path(directory)
        self.force = force

    def check(self, names: Iterable[str], *, inputs: Iterable[str | Path] = ()) -> None:
        """Refuse, before any work is done, to overwrite an input or (without force) an existing output.

        Raises
        ------
        OutputExistsError
            With the file that is in the way.
        """
        for parent in [self.directory, *self.directory.parents]:
            if parent.exists():
                if not parent.is_dir():
                    said = f"{parent} is a file, not a directory. Choose another --out."
                    raise OutputExistsError(f"{self.directory}: {said}")
                if not os.access(parent, os.W_OK):
                    raise PermissionError(errno.EACCES, "permission denied", str(parent))
                break
        used = [Path(path).resolve() for path in inputs]
        taken = []
        for name in names:
            path = self.directory / name
            if path.resolve() in used:
                said = "this output would overwrite the run's own input. Choose another --out."
                raise OutputExistsError(f"{path}: {said}")
            if path.exists() or path.is_symlink():
                taken.append(name)
            if path.is_dir() and any(path.iterdir()) and not (path / "manifest.csv").is_file():
                said = (
                    "this folder holds other things than the clips of an earlier run. Choose another --out."
                )
                raise OutputExistsError(f"{path}: {said}")
        if taken and not self.force:
            todo = "Choose another --out, or replace them with --force."
            where = "" if self.directory == Path() else f"{self.directory}: "
            raise OutputExistsError(f"{where}outputs are there already, {offenders(taken)}. {todo}")

    @contextlib.contextmanager
    def staged(self) -> Iterator[Path]:
        """Give an empty folder; what the block writes there appears in ``directory`` when it ends well."""
        self.directory.parent.mkdir(parents=True, exist_ok=True)
        folder = self.directory.parent / f".{self.directory.name[:32]}.{secrets.token_hex(4)}.part"
        folder.mkdir()
        try:
            yield folder
            files = sorted(path for path in folder.iterdir())
            for path in folder.rglob("*"):
                if path.is_file():
                    _sync(path)
            self._publish(folder, files)
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def _publish(self, folder: Path, files: list[Path]) -> None:
        if not self.directory.exists():
            with contextlib.suppress(OSError):
                os.rename(folder, self.directory)  # all files at once
                return
        self.check([path.name for path in files])  # somebody may have written there since
        self.directory.mkdir(exist_ok=True)
        for path in files:
            target = self.directory / path.name
            if not path.is_dir() or not target.exists():
                os.replace(path, target)
                continue
            old = folder / f".{path.name}.old"  # on the same disk; goes with the staged folder
            os.rename(target, old)
            os.rename(path, target)

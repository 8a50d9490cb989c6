"""What every benchmark script needs: command line, costs, machine, results that merge.

Import this module before numpy: it pins every numeric library to one thread,
unless the caller has set the variables already.
"""

from __future__ import annotations

import argparse
import contextlib
import datetime
import importlib.metadata
import json
import multiprocessing
import os
import platform
import resource
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
for _variable in THREAD_VARIABLES:
    os.environ.setdefault(_variable, "1")

HERE = Path(__file__).resolve().parent
RESULTS = HERE / "results"
LIBRARIES = (
    "augsynth", "numpy", "pandas", "scipy", "scikit-learn", "imbalanced-learn", "xgboost", "torch", "ctgan",
)  # fmt: skip


# ------------------------------------------------------------------ command line
class NotHere(Exception):
    """A method that cannot run here, with the reason: the scripts say so and go on."""


def parser(
    description: str, *, seeds: int, methods: Sequence[str] = (), resumable: bool = False
) -> argparse.ArgumentParser:
    """Return the command line that all benchmark scripts share; ``resumable`` ones skip finished rows."""
    p = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument(
        "--quick", action="store_true", help="small data, one seed: shows that it runs, proves nothing"
    )
    p.add_argument("--seeds", type=int, default=None, help=f"number of seeds, 0, 1, ... (default {seeds})")
    p.add_argument("--first-seed", type=int, default=0, help="count the seeds from here (default 0)")
    known = f" ({', '.join(methods)})" if methods else ""
    p.add_argument("--only", nargs="+", default=None, metavar="NAME", help=f"only these methods{known}")
    p.add_argument("--out", type=Path, default=RESULTS, help="folder of the result files")
    p.add_argument(
        "--data", type=Path, default=None, help="folder of the data sets (default: $AUGSYNTH_DATA)"
    )
    if resumable:
        p.add_argument("--redo", action="store_true", help="run also what the result file has already")
    p.set_defaults(default_seeds=seeds)
    return p


def seeds_of(arguments: argparse.Namespace) -> list[int]:
    """Return the seeds that the command line asks for."""
    asked = arguments.seeds or (1 if arguments.quick else arguments.default_seeds)
    return list(range(arguments.first_seed, arguments.first_seed + asked))


# ------------------------------------------------------------------ the machine
def _cpu_model() -> str:
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.lower().startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or "unknown"


def _memory_gb() -> float | None:
    with contextlib.suppress(OSError, ValueError, AttributeError):
        return round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1)
    return None


def versions(libraries: Sequence[str] = LIBRARIES) -> dict[str, str]:
    """Return the versions of the libraries that are installed here."""
    found = {}
    for name in libraries:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            found[name] = importlib.metadata.version(name)
    return found


def load_average() -> float | None:
    """Return the one-minute load average (processes that want a core)."""
    with contextlib.suppress(OSError, AttributeError):
        return round(os.getloadavg()[0], 2)
    return None


def machine() -> dict[str, Any]:
    """Describe the machine, without anything that names it."""
    cores = os.cpu_count()
    if hasattr(os, "sched_getaffinity"):
        cores = len(os.sched_getaffinity(0))
    return {
        "cpu": _cpu_model(),
        "cores": cores,
        "memory_gb": _memory_gb(),
        "os": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "versions": versions(),
        "threads": {name: os.environ.get(name, "not set") for name in THREAD_VARIABLES},
        "load_average": load_average(),
    }


# ------------------------------------------------------------------ costs
@dataclass(frozen=True)
class Cost:
    """What a call cost: CPU-seconds (with waited-for children), wall seconds, memory in MB."""

    cpu_s: float
    wall_s: float
    rss_before_mb: float | None = None
    peak_rss_mb: float | None = None

    @property
    def extra_mb(self) -> float:
        """Peak memory beyond what was there before the call."""
        return (self.peak_rss_mb or 0.0) - (self.rss_before_mb or 0.0)


def cpu_seconds() -> float:
    """Return the CPU time of this process and of its children that have ended."""
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + children.ru_utime + children.ru_stime


def measured(function: Callable[..., Any], *args: Any, **kwargs: Any) -> tuple[Any, Cost]:
    """Call a function here and return its result and its CPU and wall seconds."""
    cpu, wall = cpu_seconds(), time.perf_counter()
    result = function(*args, **kwargs)
    return result, Cost(cpu_seconds() - cpu, time.perf_counter() - wall)


def _status_mb(field: str) -> float | None:
    with contextlib.suppress(OSError):
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith(field + ":"):
                return int(line.split()[1]) / 1024
    return None


def _reset_peak() -> None:
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")


def _peak_mb() -> float:
    # Not ru_maxrss first: Linux hands it down from the parent through fork and exec.
    return _status_mb("VmHWM") or resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def _isolated_child(pipe: Any, function: Callable, setup: Callable | None, args: tuple) -> None:
    try:
        if setup is not None:
            args = (setup(*args),)
        before = _status_mb("VmRSS")
        _reset_peak()
        result, cost = measured(function, *args)
        pipe.send((result, Cost(cost.cpu_s, cost.wall_s, before, _peak_mb()), None))
    except BaseException as error:  # the parent must hear of everything, also of MemoryError
        pipe.send((None, None, f"{type(error).__name__}: {error}"))


def measured_isolated(
    function: Callable[..., Any], *args: Any, setup: Callable | None = None
) -> tuple[Any, Cost]:
    """Call a function in a fresh process: CPU, wall, and peak resident memory of that call alone.

    ``function``, ``setup`` and ``args`` must be importable by name or small. With
    ``setup``, ``prepared = setup(*args)`` is made first and not counted, then
    ``function(prepared)`` is measured. The result should be small: it is sent back.

    Raises
    ------
    RuntimeError
        If the call raised or the process died.
    """
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe(duplex=False)
    child = context.Process(target=_isolated_child, args=(theirs, function, setup, args))
    child.start()
    theirs.close()
    try:
        result, cost, error = ours.recv()
    except EOFError:
        result, cost, error = None, None, "the process died (killed for memory?)"
    child.join()
    if error is not None:
        raise RuntimeError(f"{getattr(function, '__name__', function)}: {error}")
    return result, cost


def side_by_side(
    contestants: Mapping[str, Callable[[], Any]],
    *,
    repeats: int,
    measure: Callable[..., tuple[Any, Cost]] = measured,
    field: str = "cpu_s",
) -> dict[str, Any]:
    """Run contestants in turns (a, b, a, b, ...) and return costs and paired ratios.

    The ratio of every contestant is to the first one, pair by pair, as minimum,
    median and maximum: a slow moment of the machine meets both of a pair.
    """
    costs: dict[str, list[Cost]] = {name: [] for name in contestants}
    for _ in range(repeats):
        for name, function in contestants.items():
            costs[name].append(measure(function)[1])
    first = next(iter(contestants))
    summary: dict[str, Any] = {"field": field, "repeats": repeats, "costs": {}, "ratio_to_" + first: {}}
    for name, listed in costs.items():
        summary["costs"][name] = [asdict(cost) for cost in listed]
        ratios = [
            getattr(c, field) / max(getattr(f, field), 1e-9)
            for c, f in zip(listed, costs[first], strict=True)
        ]
        summary["ratio_to_" + first][name] = spread(ratios)
    return summary


def spread(values: Sequence[float]) -> dict[str, float]:
    """Return minimum, median and maximum."""
    return {"min": min(values), "median": statistics.median(values), "max": max(values)}


# ------------------------------------------------------------------ results
def write_json(path: Path, content: Any) -> None:
    """Write JSON to a temporary name, then rename: readers see the old file or the new one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=path.name, suffix=".part")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            json.dump(content, file, indent=1, default=_plain)
            file.write("\n")
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise


def _plain(value: Any) -> Any:
    if hasattr(value, "tolist"):
        return value.tolist()
    raise TypeError(f"{type(value).__name__} does not go into JSON")


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    import fcntl

    path.parent.mkdir(parents=True, exist_ok=True)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        yield
    finally:
        os.close(folder)


class Results:
    """A result file of rows, found by key fields; re-run rows replace the old ones.

    Every row names the run that made it; ``runs`` describes machine, versions,
    arguments and load of each run that still has rows in the file.
    """

    def __init__(self, path: Path, *, key: Sequence[str], protocol: Mapping[str, Any]):
        self.path, self.key, self.protocol = path, tuple(key), dict(protocol)
        self.run = {"date": datetime.date.today().isoformat(), "arguments": _safe_arguments(), **machine()}

    def read(self) -> dict[str, Any]:
        """Return the content of the file, or an empty one."""
        if self.path.exists():
            return json.loads(self.path.read_text(encoding="utf-8"))
        return {"protocol": self.protocol, "runs": [], "rows": []}

    def rows(self) -> list[dict[str, Any]]:
        """Return all rows of the file."""
        return self.read()["rows"]

    def has(self, **key: Any) -> bool:
        """Say whether a row with exactly this key is there."""
        return any(all(row[k] == key[k] for k in self.key) for row in self.rows())

    def add(self, row: Mapping[str, Any]) -> None:
        """Add one row, or put it in the place of the row with the same key."""
        with _locked(self.path):
            content = self.read()
            content["protocol"] = self.protocol
            if self.run not in content["runs"]:
                content["runs"].append(self.run)
            entry = {**row, "load_average": load_average(), "run": content["runs"].index(self.run)}
            match = [i for i, old in enumerate(content["rows"]) if all(old[k] == entry[k] for k in self.key)]
            if match:
                content["rows"][match[0]] = entry
            else:
                content["rows"].append(entry)
            write_json(self.path, _without_stale_runs(content))

    def run_missing(
        self,
        key: Mapping[str, Any],
        make_row: Callable[[], Mapping[str, Any]],
        *,
        redo: bool = False,
        fresh: Callable[[Mapping[str, Any]], bool] | None = None,
    ) -> dict[str, Any] | None:
        """Make and add the row of a key unless the file has it; return the new row, or None.

        A row that is there counts as missing where ``fresh`` is given and says no. What a
        method cannot do here is said in one line, and an error does not end a long run.
        """
        name = " ".join(str(key[k]) for k in self.key)
        old = [row for row in self.rows() if all(row[k] == key[k] for k in self.key)]
        if old and not redo and (fresh is None or fresh(old[0])):
            say(f"{name}: in the file already")
            return None
        try:
            row = {**key, **make_row()}
        except NotHere as reason:
            say(f"{name}: left out: {reason}")
            return None
        except Exception as error:
            say(f"{name}: FAILED: {type(error).__name__}: {error}")
            return None
        self.add(row)
        return row


def _safe_arguments() -> list[str]:
    """Return the command line without folders: results name no place."""
    return [a.rsplit("/", 1)[-1] for a in sys.argv[1:]]


def _without_stale_runs(content: dict[str, Any]) -> dict[str, Any]:
    used = sorted({row["run"] for row in content["rows"]})
    content["runs"] = [content["runs"][i] for i in used]
    for row in content["rows"]:
        row["run"] = used.index(row["run"])
    return content


# ------------------------------------------------------------------ tables
def mean_sd(values: Sequence[float | None], digits: int = 3) -> str:
    """Write ``mean ± sd`` (sample standard deviation), or the one value, or a dash."""
    known = [v for v in values if v is not None]
    if not known:
        return "-"
    text = f"{statistics.fmean(known):.{digits}f}"
    return text if len(known) == 1 else f"{text} ± {statistics.stdev(known):.{digits}f}"


def table(header: Sequence[str], rows: Sequence[Sequence[str]], *, markdown: bool = False) -> str:
    """Lay out a text table, aligned; with ``markdown`` in pipes."""
    width = [max(len(str(r[i])) for r in [header, *rows]) for i in range(len(header))]

    def line(cells: Sequence[str]) -> str:
        padded = [
            str(c).ljust(w) if i == 0 else str(c).rjust(w)
            for i, (c, w) in enumerate(zip(cells, width, strict=True))
        ]
        return "| " + " | ".join(padded) + " |" if markdown else "  ".join(padded).rstrip()

    rule = ["-" * width[0]] + ["-" * (w - 1) + ":" if markdown else "-" * w for w in width[1:]]
    return "\n".join([line(header), line(rule), *map(line, rows)])


def say(text: str = "") -> None:
    """Print a line at once, also into a file."""
    print(text, flush=True)

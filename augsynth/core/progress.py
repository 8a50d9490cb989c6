"""One progress bar: rich on a terminal, silent elsewhere unless asked for."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

__all__ = ["busy", "quiet", "say", "track"]

_PLAIN_EVERY_S = 5.0
_BUSY = ContextVar("augsynth progress", default=False)


def busy() -> bool:
    """Whether an outer loop shows its progress already (or silence was asked for): inner ones stay silent."""
    return _BUSY.get()


@contextmanager
def quiet() -> Iterator[None]:
    """Show no progress within the block, except where it is asked for by ``enabled=True``."""
    token = _BUSY.set(True)
    try:
        yield
    finally:
        _BUSY.reset(token)


def say(text: str) -> None:
    """Write one plain line to standard error."""
    sys.stderr.write(text + "\n")
    sys.stderr.flush()


@contextmanager
def track(
    total: int | None, description: str, *, enabled: bool | None = None
) -> Iterator[Callable[..., None]]:
    """Show how far a long loop is; the block gets ``advance(n=1, text="")``.

    Parameters
    ----------
    total : int or None
        Steps in all; None when they are not known.
    description : str
        What is under way, in a few words.
    enabled : bool, optional
        None shows a bar on a terminal and nothing elsewhere; True prints plain
        lines (one every few seconds) where there is no terminal; False is silent. A loop
        inside another that shows its progress is silent unless True.
    """
    terminal = sys.stderr.isatty()
    if enabled is False or (enabled is None and (busy() or not terminal)):
        yield lambda n=1, text="": None
        return
    with quiet():
        if terminal:
            with _rich_bar(total, description) as advance:
                yield advance
        else:
            yield _plain_lines(total, description)


@contextmanager
def _rich_bar(total: int | None, description: str) -> Iterator[Callable[..., None]]:
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.completed:.0f}/{task.total:.0f}" if total else "{task.completed:.0f}"),
        TimeRemainingColumn(compact=True),
        TextColumn("{task.fields[text]}"),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(description, total=total, text="")

        def advance(n: float = 1, text: str = "") -> None:
            bar.update(task, advance=n, text=text)

        yield advance


def _plain_lines(total: int | None, description: str) -> Callable[..., None]:
    state = {"done": 0.0, "told": time.monotonic()}

    def advance(n: float = 1, text: str = "") -> None:
        state["done"] += n
        now = time.monotonic()
        if now - state["told"] >= _PLAIN_EVERY_S or (total and state["done"] >= total):
            state["told"] = now
            of = f"/{total}" if total else ""
            say(f"{description}: {state['done']:.0f}{of} {text}".rstrip())

    return advance

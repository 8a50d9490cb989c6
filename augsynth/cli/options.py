"""Options that several commands have."""

from __future__ import annotations

from typing import Annotated

import typer

__all__ = ["Force"]

Force = Annotated[bool, typer.Option("--force", help="Replace outputs that exist already.")]

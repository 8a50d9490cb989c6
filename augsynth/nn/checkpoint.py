"""Training that was cut short, on disk: one safetensors file, renamed into place, no pickle."""

from __future__ import annotations

import hashlib
import json
import os
from typing import Any

import torch
from torch import Tensor

from augsynth.core.errors import ModelFileError, sentence
from augsynth.core.files import atomic_path

__all__ = ["digest", "read_checkpoint", "write_checkpoint"]

FORMAT = "augsynth-training-1"


def write_checkpoint(
    path: str | os.PathLike[str], tensors: dict[str, dict[str, Tensor]], facts: dict[str, Any]
) -> None:
    """Write groups of named tensors and JSON facts; a killed run leaves the old file or the new one."""
    from safetensors.torch import save_file

    flat = {
        f"{group}/{name}": tensor.detach().cpu().contiguous().clone()
        for group, named in tensors.items()
        for name, tensor in named.items()
    }
    with atomic_path(path) as temporary:
        save_file(flat, str(temporary), metadata={"format": FORMAT, "facts": json.dumps(facts)})


def read_checkpoint(
    path: str | os.PathLike[str],
) -> tuple[dict[str, dict[str, Tensor]], dict[str, Any]] | None:
    """Read what :func:`write_checkpoint` wrote; None if there is no file.

    Raises
    ------
    ModelFileError
        If the file is damaged or something else.
    """
    from safetensors import SafetensorError, safe_open

    if not os.path.exists(path):
        return None
    tensors: dict[str, dict[str, Tensor]] = {}
    try:
        with safe_open(os.fspath(path), framework="pt") as opened:
            about = opened.metadata() or {}
            if about.get("format") != FORMAT:
                raise ValueError("a file of another kind")
            facts = json.loads(about["facts"])
            for key in opened.keys():  # noqa: SIM118 (not a mapping)
                group, _, name = key.partition("/")
                tensors.setdefault(group, {})[name] = opened.get_tensor(key)
    except (OSError, SafetensorError, ValueError, KeyError) as error:
        raise ModelFileError(
            sentence(
                "Trainer",
                "checkpoint must name a training checkpoint of augsynth or no file",
                f"{os.fspath(path)!r} ({error})",
                "Delete it, or name another file.",
            )
        ) from error
    return tensors, facts


def digest(*parts: Tensor | str | None) -> str:
    """Return a short hash of tensors and texts, by which a run knows its own checkpoint."""
    made = hashlib.blake2b(digest_size=16)
    for part in parts:
        if isinstance(part, Tensor):
            made.update(f"{part.dtype}{tuple(part.shape)}".encode())
            made.update(part.detach().cpu().contiguous().view(torch.uint8).numpy().data)
        else:
            made.update(repr(part).encode())
    return made.hexdigest()

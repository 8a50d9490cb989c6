"""Features of the Inception network, if its weights lie on disk; nothing is ever downloaded."""

from __future__ import annotations

import os
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from augsynth.check.pictures.stacks import Frame, channels_first
from augsynth.core.arrays import count_rows
from augsynth.core.errors import DataError, sentence

__all__ = ["WEIGHTS_FILE", "inception_features", "inception_is_here", "weights_path"]

WEIGHTS_FILE = "inception_v3_google-0cc3c7bd.pth"  # torchvision's Inception_V3_Weights.IMAGENET1K_V1
SIDE = 299
_AT_ONCE = 32


def weights_path() -> Path:
    """Return where torch keeps (or would keep) the weights: ``$TORCH_HOME/hub/checkpoints``."""
    cache = os.environ.get("XDG_CACHE_HOME", "~/.cache")
    home = os.environ.get("TORCH_HOME", os.path.join(cache, "torch"))
    return Path(home).expanduser() / "hub" / "checkpoints" / WEIGHTS_FILE


def inception_is_here(path: str | Path | None = None) -> bool:
    """Tell whether the weights lie on disk."""
    return Path(path or weights_path()).is_file()


def inception_features(X: Any, *, path: str | Path | None = None, batch_size: int = _AT_ONCE) -> np.ndarray:
    """Turn pictures into the 2,048 numbers of Inception v3 after its last pooling (FID's features).

    As the FID has it: pictures as bytes, in three channels (one is repeated), brought to 299 x 299
    pixels (bilinear; averaging when they shrink), scaled to [-1, 1], no crop; features before dropout.

    Parameters
    ----------
    X : pictures
        Bytes, or numbers whose range is [0, 1] or [0, 255].
    path : str or Path, optional
        Of torchvision's weights; default: where torch keeps them.
    batch_size : int, default=32

    Returns
    -------
    ndarray (n, 2048)

    Raises
    ------
    DataError
        If the weights are not there, with what to do.

    Notes
    -----
    Deviation: published FIDs use the graph of December 2015 in TensorFlow. torchvision's weights are
    a later training of the same architecture: 1,000 classes, not 1,008; average pooling counts the
    padding (there it does not); the last block pools by averages (there by maxima); and the
    resizing of TensorFlow 1 neither aligns centres nor averages when shrinking. Figures
    compare among themselves, not with published ones. The auxiliary classifier plays no part, and
    torchvision's own input scaling (from ImageNet's means) is switched off: pictures come in [-1, 1].
    Cost: about 6 GFLOP a picture: .2 s on one processor thread, a millisecond on a GPU.

    References
    ----------
    Szegedy et al., "Rethinking the Inception architecture for computer vision", CVPR 2016,
    arXiv:1512.00567. Heusel et al., NeurIPS 2017, arXiv:1706.08500. Parmar, Zhang and Zhu, "On
    aliased resizing and surprising subtleties in GAN evaluation", CVPR 2022, arXiv:2104.11222.
    """
    import torch

    place = Path(path or weights_path())
    if not inception_is_here(place):
        must = f"torchvision's Inception weights must lie in {place.parent}"
        todo = f"Put {WEIGHTS_FILE} there, or use classifier_features, which need no download."
        raise DataError(sentence("inception_features", must, f"no {place.name}", todo))
    top = _top(X)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    network = _network(str(place), place.stat().st_mtime_ns).to(device)
    found = [np.empty((0, 2048), dtype=np.float32)]
    for start in range(0, count_rows(X), batch_size):
        block = prepared(X[start : start + batch_size], top).to(device)
        with torch.no_grad():
            found.append(network(block).cpu().numpy())
    return np.concatenate(found).astype(float)


def prepared(X: Any, top: float) -> Any:
    """Return pictures as the tensor (n, 3, 299, 299) in [-1, 1] that goes into the network."""
    import torch
    from torch.nn.functional import interpolate

    blocks = []
    for array in channels_first(X):
        x = torch.from_numpy(np.array(array, dtype=np.float32) / np.float32(top))
        x = x if x.ndim == 4 else x[None]
        x = x[:, :1].expand(-1, 3, -1, -1) if x.shape[1] < 3 else x[:, :3]
        if x.shape[2:] != (SIDE, SIDE):
            x = interpolate(x, size=(SIDE, SIDE), mode="bilinear", align_corners=False, antialias=True)
        blocks.append(2.0 * x - 1.0)
    return torch.cat(blocks)


def _top(X: Any) -> float:
    """Return the value of white: 255 for bytes and other numbers beyond 1, else 1."""
    frame = Frame.of(X, largest=SIDE)
    if frame.low < 0.0 or frame.high > 255.0:
        must = "pixels must be bytes, or numbers within [0, 1] or [0, 255]"
        raise DataError(sentence("inception_features", must, f"{frame.low:g} to {frame.high:g}"))
    return 255.0 if frame.high > 1.0 else 1.0


@lru_cache(maxsize=1)
def _network(path: str, written_ns: int) -> Any:
    """Return the network without its last layer, in evaluation mode."""
    import torch
    from torch import nn
    from torchvision.models import inception_v3

    from augsynth.nn.randomness import forked

    with forked(0):
        network = inception_v3(weights=None, aux_logits=True, transform_input=False, init_weights=False)
    place = Path(path)  # the file is there: nothing is fetched, and only tensors are read from it
    weights = torch.hub.load_state_dict_from_url(
        place.as_uri(),
        model_dir=str(place.parent),
        map_location="cpu",
        file_name=place.name,
        weights_only=True,
    )
    network.load_state_dict(weights)
    network.AuxLogits, network.fc = None, nn.Identity()
    return network.eval()

"""Features for distances between pictures: those of a small network that reads the user's own labels."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from augsynth.check.pictures.stacks import Frame
from augsynth.core.arrays import count_rows
from augsynth.core.errors import DataError, sentence
from augsynth.core.parameters import check_number
from augsynth.core.random import keyed_rng

__all__ = ["PictureReader", "classifier_features", "fit_reader"]

_STREAM = 333
_LARGEST = 32  # pixels a side: beyond, pictures are scaled down
_WIDTHS, _HIDDEN = (16, 32), 64
_BATCH, _READ_AT_ONCE = 64, 250
_RATE, _DECAY, _DROPPED = 3e-3, 1e-3, 0.2
_EPOCHS, _PATIENCE, _SHOWN = 12, 2, 60_000  # the most pictures that training looks at, repeats counted
_HELD, _SMOOTHED = 0.1, 0.05
_SMALL = 1000  # pictures: below, epochs are cheap and single accuracies too coarse to stop by
_WHERE = "classifier_features"


@dataclass(eq=False)
class PictureReader:
    """A small convolutional network that has learned the labels of real pictures.

    Attributes
    ----------
    classes : ndarray
        Labels, in the order of the columns of `read`.
    accuracy : float
        On the tenth of the pictures that only decided when to stop.
    epochs : int
    """

    frame: Frame
    classes: np.ndarray
    accuracy: float
    epochs: int
    _parts: Any = field(repr=False)

    def features(self, X: Any) -> np.ndarray:
        """Return the 64 numbers before the last layer, (n, 64)."""
        return self._run(X, probabilities=False)

    def read(self, X: Any) -> np.ndarray:
        """Return the probability of each class, (n, k)."""
        return self._run(X, probabilities=True)

    def labels(self, features: np.ndarray) -> np.ndarray:
        """Return the most likely class of rows of `features`."""
        _, head = self._parts
        weight, bias = (each.detach().numpy().astype(float) for each in (head.weight, head.bias))
        return self.classes[np.argmax(features @ weight.T + bias, axis=1)]

    def _run(self, X: Any, *, probabilities: bool) -> np.ndarray:
        import torch

        from augsynth.nn.threads import few_threads

        body, head = self._parts
        found = []
        with torch.no_grad(), few_threads(body, _READ_AT_ONCE):
            for start in range(0, count_rows(X), _READ_AT_ONCE):
                block = torch.from_numpy(self.frame.stack(X[start : start + _READ_AT_ONCE]))
                block = body(block.contiguous(memory_format=torch.channels_last))
                found.append((head(block).softmax(dim=1) if probabilities else block).numpy())
        width = len(self.classes) if probabilities else _HIDDEN
        return np.concatenate([*found, np.empty((0, width), dtype=np.float32)]).astype(float)


def classifier_features(X: Any, y: Any, *others: Any, random_state: int = 0) -> list[np.ndarray]:
    """Turn pictures into the features by which a network tells the classes of ``X`` apart.

    Parameters
    ----------
    X, y : real pictures and their labels
        Pictures (n, h, w), (n, h, w, c), (n, c, h, w), or a list of arrays, tensors or PIL images.
    *others : pictures
        That are to be turned into the same features. Give the real ones to compare with here
        too, and let them be others than ``X``: a network is surer of what it has learned from.
    random_state : int, default=0

    Returns
    -------
    list of ndarray (n, 64)
        One for each of ``others``.

    Raises
    ------
    DataError
        For fewer than two classes or labels of another length.

    Notes
    -----
    Two convolutions, one with pooling, and a hidden layer of 64, dropout and weight decay; trained
    until a held-out tenth gets no better, at most 12 times over the pictures or 60,000 looks.
    The same bytes on any number of cores. Cost: about 10 CPU-s for 28 x 28 pixels, whatever their number.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> X, y = load_digits(n_class=2, return_X_y=True)
    >>> X = X.reshape(-1, 8, 8)
    >>> [found] = classifier_features(X[:200], y[:200], X[200:])
    >>> found.shape
    (160, 64)
    """
    check_number(_WHERE, "random_state", random_state, low=0, integer=True)
    reader = fit_reader(X, y, seed=random_state)
    return [reader.features(each) for each in others]


def fit_reader(X: Any, y: Any, *, seed: int, looks: int = _SHOWN, where: str = _WHERE) -> PictureReader:
    """Train the network of `classifier_features`; ``looks`` is the most pictures that training is shown."""
    classes, codes = np.unique(np.ravel(np.asarray(y)), return_inverse=True)
    if len(codes) != count_rows(X):
        given = f"{len(codes)} labels for {count_rows(X)} pictures"
        raise DataError(sentence(where, "every picture needs a label", given))
    if len(classes) < 2:
        raise DataError(sentence(where, "there must be at least two classes", f"{len(classes)}"))
    frame = Frame.of(X, largest=_LARGEST)
    pixels = frame.stack(X)
    rng = keyed_rng(seed, _STREAM)
    order = rng.permutation(len(codes))
    n_held = int(len(codes) * _HELD) if len(codes) >= 50 else 0
    parts, accuracy, epochs = _train(
        pixels, codes, len(classes), order[n_held:], order[:n_held], rng=rng, looks=looks
    )
    return PictureReader(frame, classes, accuracy, epochs, parts)


def _train(
    pixels: np.ndarray,
    codes: np.ndarray,
    n_classes: int,
    own: np.ndarray,
    held: np.ndarray,
    *,
    rng: np.random.Generator,
    looks: int,
) -> tuple[Any, float, int]:
    """Return (body, head) as they read the held-out pictures best, that accuracy, and the epochs."""
    import torch

    from augsynth.nn.randomness import forked
    from augsynth.nn.threads import few_threads

    with forked(int(rng.integers(2**31))):  # first weights and dropout
        body, head = _network(pixels.shape[1:], n_classes)
        x = torch.from_numpy(pixels).contiguous(memory_format=torch.channels_last)
        y = torch.from_numpy(codes)
        epochs = int(np.clip(looks // max(len(own), 1), 1, _EPOCHS if len(own) > _SMALL else 3 * _EPOCHS))
        step = _stepper(body, head, epochs * -(-len(own) // _BATCH))
        best, kept, waited, epoch = -1.0, _state(body, head), 0, 0
        with few_threads(body, _BATCH):
            while epoch < epochs and waited <= _PATIENCE:
                epoch += 1
                body.train()
                for places in np.array_split(rng.permutation(own), -(-len(own) // _BATCH)):
                    step(x[places], y[places])
                accuracy = _accuracy(body, head, x, y, held)
                waited = 0 if accuracy > best or len(own) <= _SMALL else waited + 1
                if accuracy >= best or not len(held):
                    best, kept = accuracy, _state(body, head)
        for part, state in zip((body, head), kept, strict=True):
            part.load_state_dict(state)
    return (body.eval(), head.eval()), best, epoch


def _stepper(body: Any, head: Any, steps: int) -> Callable[[Any, Any], None]:
    """Return what takes one step of training on a batch; the rate falls to nearly nothing over the steps."""
    import torch
    from torch.nn.functional import cross_entropy

    parameters = [*body.parameters(), *head.parameters()]
    optimizer = torch.optim.AdamW(parameters, lr=_RATE, weight_decay=_DECAY)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda done: max(1 - done / steps, 0.02))

    def step(x: Any, y: Any) -> None:
        optimizer.zero_grad()
        cross_entropy(head(body(x)), y, label_smoothing=_SMOOTHED).backward()
        optimizer.step()
        schedule.step()

    return step


def _network(shape: tuple[int, ...], n_classes: int) -> tuple[Any, Any]:
    from torch import nn

    channels, height, width = shape
    a, b = _WIDTHS
    strides = (1 + (height >= 16), 1 + (width >= 16))
    sides = [-(-side // stride) for side, stride in zip((height, width), strides, strict=True)]
    pools = (1 + (sides[0] >= 4), 1 + (sides[1] >= 4))
    left = [-(-side // pool) for side, pool in zip(sides, pools, strict=True)]
    body = nn.Sequential(
        nn.Conv2d(channels, a, 5, stride=strides, padding=2), nn.ReLU(),
        nn.Conv2d(a, b, 3, padding=1), nn.ReLU(), nn.MaxPool2d(pools, ceil_mode=True),
        nn.Flatten(), nn.Linear(b * left[0] * left[1], _HIDDEN), nn.ReLU(), nn.Dropout(_DROPPED),
    )  # fmt: skip
    return body, nn.Linear(_HIDDEN, n_classes)


def _accuracy(body: Any, head: Any, x: Any, y: Any, places: np.ndarray) -> float:
    import torch

    if not len(places):
        return float("nan")
    body.eval()
    with torch.no_grad():
        parts = np.array_split(places, -(-len(places) // _READ_AT_ONCE))
        hits = sum(int((head(body(x[part])).argmax(dim=1) == y[part]).sum()) for part in parts)
    return hits / len(places)


def _state(*parts: Any) -> list[dict[str, Any]]:
    return [{name: value.clone() for name, value in part.state_dict().items()} for part in parts]

"""How each method of the image benchmarks makes images: generators of the registry and controls."""

from __future__ import annotations

import inspect
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from harness import Cost, NotHere, measured
from methods import generator

from augsynth.perturb import Perturbation

DEEP = ("vae", "gan", "diffusion", "autoregressive")
CONTROLS = ("real", "copy", "perturbed", "smote", "regression")
KINDS = {"copy": "bootstrap"}
SHIFTS = {"digits": (1, False), "fashion": (2, True)}


class Shift(Perturbation):
    """Classic edits of a small picture: move it by up to some pixels (zeros come in), flip it sideways."""

    def __init__(self, pixels: int = 1, flip: bool = False):
        self.pixels = pixels
        self.flip = flip

    def draw(self, x: Any, rng: np.random.Generator) -> dict[str, Any]:
        """Draw the move, and whether to flip."""
        down, right = (int(v) for v in rng.integers(-self.pixels, self.pixels + 1, 2))
        return {"down": down, "right": right, "flip": bool(self.flip and rng.random() < 0.5)}

    def apply(self, x: Any, params: dict[str, Any]) -> Any:
        """Return the moved picture (h, w)."""
        x = np.asarray(x)[:, ::-1] if params["flip"] else np.asarray(x)
        (h, w), down, right = x.shape, params["down"], params["right"]
        out = np.zeros_like(x)
        out[max(down, 0) : h + min(down, 0), max(right, 0) : w + min(right, 0)] = x[
            max(-down, 0) : h + min(-down, 0), max(-right, 0) : w + min(-right, 0)
        ]
        return out


@dataclass
class MadeImages:
    """Made images, what they cost, and the fitted generator."""

    X: np.ndarray
    fit: Cost
    sample: Cost
    model: Any = None
    notes: dict[str, Any] = field(default_factory=dict)


def image_generator(method: str, name: str, seed: int, steps: int | None = None) -> Any:
    """Build the generator of a method for a set, at its defaults or with so many training steps."""
    if method == "perturbed":
        from augsynth.generate.perturbed import PerturbGenerator

        return PerturbGenerator(Shift(*SHIFTS[name]), random_state=seed)
    model = generator(KINDS.get(method, method), seed)
    if method in DEEP and not getattr(model, "_takes_images", False):
        raise NotHere(f"generator {method!r} does not take images")
    if steps is not None and "trainer" in inspect.signature(type(model).__init__).parameters:
        from augsynth import registry

        model.set_params(trainer=registry.build("trainer", {"kind": "trainer", "steps": steps}))
    return model


def make_images(
    method: str,
    name: str,
    X: np.ndarray,
    y: np.ndarray,
    wanted: np.ndarray,
    seed: int,
    steps: int | None = None,
) -> MadeImages:
    """Fit on images (n, h, w) and labels, and make images of the labels wanted; costs beside."""
    model = image_generator(method, name, seed, steps)
    rows = X.reshape(len(X), -1) if method == "smote" else X
    _, fit = measured(model.fit, rows, y)
    made, sample = measured(model.sample, y=wanted, random_state=seed)
    made = np.asarray(made).reshape(len(wanted), *X.shape[1:])
    return MadeImages(made, fit, sample, model, _facts(model))


def _facts(model: Any) -> dict[str, Any]:
    """Return what is worth knowing of a trained model: steps, parameters, device, alarms."""
    history = getattr(model, "history_", None)
    if history is None:
        return {}
    said: dict[str, Any] = {"steps": int(history.steps), "device": str(history.device)}
    objective = getattr(model, "objective_", None)
    if objective is not None:
        said["parameters"] = int(sum(p.numel() for p in objective.parameters()))
    alarms = [text for _, text in getattr(history, "alarms", [])]
    return said | ({"alarms": alarms} if alarms else {})

"""Transforms of torchvision, drawn by key."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, ClassVar, Self

import numpy as np

from augsynth.core.errors import AugsynthError, DataError, ParameterError, sentence
from augsynth.core.isolation import GENERATORS, global_generators
from augsynth.core.random import step_key
from augsynth.core.sobol import mixed
from augsynth.perturb.base import Perturbation
from augsynth.perturb.function import check_importable, seed_of

__all__ = ["TorchvisionPerturbation"]

_V2 = "torchvision.transforms.v2."
# What turns one container or dtype into another moves nothing, and may not take an empty picture.
_CONVERSIONS = (
    *("ConvertBoundingBoxFormat", "Normalize", "PILToTensor", "ToImage", "ToPILImage"),
    *("ToPureTensor", "ToTensor"),
)
_OF_BOXES = (
    "ClampBoundingBoxes",
    "ConvertBoundingBoxFormat",
    "SanitizeBoundingBoxes",
)  # no picture's concern


class TorchvisionPerturbation(Perturbation):
    """Edit pictures with a transform of torchvision that draws by key.

    torchvision reads the global generators: it runs in a scope in which those start from
    the item's key, and they are put back afterwards. Each step of a ``Compose`` starts from
    a key of its own (name and occurrence), so a step added or removed leaves the others'
    draws alone.

    Parameters
    ----------
    transform : transform of ``torchvision.transforms.v2`` or of ``torchvision.transforms``
        Or a ``torch.nn.Sequential`` of such transforms.

    Notes
    -----
    Pictures are PIL images, tensors (c, h, w), tv_tensors, and arrays (h, w), (h, w, c),
    which the transform sees as tensors; they come back as they came, unless the transform
    changes the kind itself (``ToImage``, ``ToTensor``). Masks and boxes need v2. One call
    at a time in a process; about 5 microseconds a call and 2 a step (30 with v1, whose
    transforms read Python's generator too). Copies are not stratified.

    Examples
    --------
    >>> import numpy as np
    >>> from torchvision.transforms import v2
    >>> flip = TorchvisionPerturbation(v2.RandomHorizontalFlip(p=1.0))
    >>> flip(np.arange(6, dtype=np.uint8).reshape(2, 3)).tolist()
    [[2, 1, 0], [5, 4, 3]]
    """

    modality: ClassVar[str] = "image"
    needs_x: ClassVar[bool] = False

    def __init__(self, transform: Any = None):
        self.transform = transform

    def fit(self, X: Any, y: Any = None) -> Self:
        """Check the transform."""
        where = type(self).__name__
        if not callable(self.transform) or isinstance(self.transform, type):
            must = "transform must be a transform of torchvision"
            raise ParameterError(sentence(where, must, repr(self.transform)[:120]))
        check_importable(self.transform, where)
        return self

    @property
    def stream_name(self) -> str:
        """The name of the transform: a composition's steps are keyed below it."""
        return f"torchvision.{type(self.transform).__name__}"

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Return the constructor's arguments (transforms have a ``get_params`` too, which draws)."""
        return super().get_params(deep=False)

    def __sklearn_clone__(self) -> TorchvisionPerturbation:
        return type(self)(copy.deepcopy(self.transform))

    def draw(self, x: Any, rng: np.random.Generator) -> dict[str, Any]:
        """Return the seed of one edit."""
        return {"seed": seed_of(rng)}

    def apply(self, x: Any, params: dict[str, Any]) -> Any:
        """Return the picture that the transform makes from the seed."""
        if isinstance(x, np.ndarray):
            return _to_array(self._run(_to_tensor(x), params), x)
        # A tensor is copied, as some steps work in place.
        return self._run(x.clone() if hasattr(x, "clone") else x, params)

    def apply_marks(
        self, marks: dict[str, Any], params: dict[str, Any], *, size: tuple[int, int]
    ) -> dict[str, Any]:
        """Return mask, boxes and labels after the same edit, which is drawn again on an empty picture."""
        if not marks:
            return marks
        where = type(self).__name__
        old = [type(step).__name__ for step, _ in self._plan()[0] if _kind(step) == "v1"]
        if old:
            must = "masks and boxes need a transform of torchvision.transforms.v2"
            raise ParameterError(sentence(where, must, f"{old[0]} of v1"))
        import torch
        from torchvision import tv_tensors

        bundle: dict[str, Any] = {"image": tv_tensors.Image(torch.zeros((3, *size), dtype=torch.uint8))}
        for name, value in marks.items():
            tensor = torch.from_numpy(np.array(value))
            if name == "mask":
                bundle[name] = tv_tensors.Mask(tensor)
            elif name == "boxes":
                bundle[name] = tv_tensors.BoundingBoxes(
                    tensor.reshape(-1, 4), format=tv_tensors.BoundingBoxFormat.XYXY, canvas_size=size
                )
            else:
                bundle[name] = tensor
        made = self._run(bundle, params, leave_out=_CONVERSIONS)
        return {name: made[name].numpy().astype(np.asarray(value).dtype) for name, value in marks.items()}

    def _run(self, x: Any, params: dict[str, Any], *, leave_out: Sequence[str] = _OF_BOXES) -> Any:
        steps, which = self._plan()
        at, seed = self.transform, params["seed"]
        try:
            with global_generators(seed, which) as scope:
                for step, key in steps:
                    at = step
                    if type(step).__name__ in leave_out:
                        continue
                    scope.reseed(mixed(seed ^ key) >> 1)
                    x = step(x)
        except AugsynthError:
            raise
        except Exception as error:  # a library's code may raise anything
            given = f"{type(at).__name__}: {' '.join(str(error).split())[:200]}"
            must = "the transform must be able to edit the picture"
            raise DataError(sentence(type(self).__name__, must, given)) from error
        return x

    def _plan(self) -> tuple[list[tuple[Any, int]], tuple[str, ...]]:
        """Return the steps with their keys, and which global generators they read."""
        known = self.__dict__.get("_known")
        if known is None or known[0] is not self.transform:
            steps = list(_steps(self.transform, step_key(self.stream_name)))
            kinds = {_kind(part) for step, _ in steps for part in _all_within(step)}
            which = GENERATORS if "foreign" in kinds else ("torch", "random") if "v1" in kinds else ("torch",)
            known = self._known = (self.transform, steps, which)
        return known[1], known[2]

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name != "_known"}


def _steps(transform: Any, key: int) -> Iterator[tuple[Any, int]]:
    """Yield the steps of a chain with the numbers of their places: names and occurrences."""
    chain = type(transform).__name__ == "Compose" and _kind(transform) != "foreign"
    if not chain and not is_sequential(transform):
        yield transform, key
        return
    seen: dict[str, int] = {}
    for step in transform.transforms if chain else transform:
        name = type(step).__name__
        seen[name] = seen.get(name, -1) + 1
        yield from _steps(step, mixed(key ^ step_key(name, seen[name])))


def is_sequential(transform: Any) -> bool:
    """Whether it is a torch ``Sequential`` of transforms of torchvision."""
    name = f"{type(transform).__module__}.{type(transform).__name__}"
    return name == "torch.nn.modules.container.Sequential" and all(
        _kind(part) != "foreign" for part in transform
    )


def _all_within(transform: Any) -> Iterator[Any]:
    yield transform
    parts = getattr(transform, "transforms", ())
    for part in parts if isinstance(parts, Iterable) else ():
        yield from _all_within(part)


def _kind(transform: Any) -> str:
    """Return "v2", "v1", or "foreign" for what may read any generator (functions of the user)."""
    module = f"{type(transform).__module__}."
    if type(transform).__name__ == "Lambda" or not module.startswith("torchvision.transforms."):
        return "foreign"
    return "v2" if module.startswith(_V2) else "v1"


def _to_tensor(x: np.ndarray) -> Any:
    import torch

    if x.ndim not in (2, 3) or 0 in x.shape or x.dtype.kind not in "buif":
        given = f"shape {x.shape} of {x.dtype}"
        must = "a picture must be numbers of a shape (h, w) or (h, w, c)"
        raise DataError(sentence("TorchvisionPerturbation", must, given))
    return torch.from_numpy(np.array(x[None] if x.ndim == 2 else x.transpose(2, 0, 1), order="C"))


def _to_array(made: Any, x: np.ndarray) -> Any:
    """Return what the transform made of an array as an array again."""
    if type(made).__module__.startswith("PIL."):
        return np.array(made)
    array = made.numpy()
    if array.ndim != 3:
        return array
    if x.ndim == 2 and len(array) == 1:
        return array[0]
    return np.ascontiguousarray(array.transpose(1, 2, 0))

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
from augsynth.perturb.containers import dense
from augsynth.perturb.function import check_importable, seed_of

__all__ = ["TorchvisionPerturbation"]

_V2 = "torchvision.transforms.v2."
# What turns one container or dtype into another moves nothing, and may not take an empty picture.
_CONVERSIONS = (
    *("ConvertBoundingBoxFormat", "Normalize", "PILToTensor", "ToImage", "ToPILImage"),
    *("ToPureTensor", "ToTensor"),
)
# No picture's concern.
_OF_MARKS = (
    *("ClampBoundingBoxes", "ConvertBoundingBoxFormat", "SanitizeBoundingBoxes"),
    *("ClampKeyPoints", "SanitizeKeyPoints"),
)
_IN_PLACE = (
    *_CONVERSIONS,
    *_OF_MARKS,
    *("ColorJitter", "RandomPhotometricDistort", "Grayscale", "RandomGrayscale", "RGB", "GaussianBlur"),
    *("GaussianNoise", "RandomInvert", "RandomPosterize", "RandomSolarize", "RandomAdjustSharpness"),
    *("RandomAutocontrast", "RandomEqualize", "RandomChannelPermutation", "RandomErasing", "JPEG"),
    *("Identity", "ToDtype", "ConvertImageDtype", "LinearTransformation"),
)
# Of the library's, those that move pixels and nothing else with them.
_PICTURES_ONLY = ("RandAugment", "TrivialAugmentWide", "AutoAugment", "AugMix")
_INSTEAD = "Use 'image_medium' or 'image_strong', or RandomAffine and ColorJitter of v2."


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
    changes the kind itself (``ToImage``, ``ToTensor``). Masks, boxes and key points need v2
    and move as the library moves them (key points that it turns or resizes, to within a pixel);
    its RandAugment, TrivialAugmentWide, AutoAugment and AugMix move none and are refused for
    such items, as are FiveCrop and TenCrop, which make several pictures of one. One call
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
    moves_points: ClassVar[bool] = True

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

    @property
    def moves(self) -> bool:
        """Whether a transform in it moves pixels."""
        return any(map(_moves, self._plan().steps))

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
            return _to_array(self._made(_to_tensor(x), params), x)
        if hasattr(x, "clone"):
            dense(x, type(self).__name__)
            x = x.clone()  # some steps work in place
        return self._made(x, params)

    def _made(self, x: Any, params: dict[str, Any]) -> Any:
        made = self._run(x, params)
        if isinstance(made, (tuple, list)):
            must = "a transform must make one picture of one"
            given = f"{len(made)} of {self.stream_name.partition('.')[2]}"
            todo = "Use RandomCrop with copies=, which gives each copy a crop of its own."
            raise DataError(sentence(type(self).__name__, must, given, todo))
        return made

    def apply_marks(
        self, marks: dict[str, Any], params: dict[str, Any], *, size: tuple[int, int]
    ) -> dict[str, Any]:
        """Return what belongs to a picture after the same edit, which is drawn again on an empty one.

        Raises
        ------
        ParameterError
            For a transform of v1 that moves pixels, and those of v2 that move nothing with them.
        """
        if not marks:
            return marks
        where = type(self).__name__
        steps = self._plan().steps
        names = {type(part).__name__ for step in steps for part in _all_within(step)}
        alone = [name for name in _PICTURES_ONLY if name in names]
        if alone:
            must = "what belongs to a picture must be able to move with it"
            given = f"{alone[0]}, which torchvision applies to bare pictures only"
            raise ParameterError(sentence(where, must, given, _INSTEAD))
        old = [step for step in steps if _kind(step) == "v1"]
        if old and not any(map(_moves, steps)):
            return marks
        if old:
            must = "masks, boxes and key points need a transform of torchvision.transforms.v2"
            raise ParameterError(sentence(where, must, f"{type(old[0]).__name__} of v1"))
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
            elif name == "points":
                bundle[name] = tv_tensors.KeyPoints(tensor.double(), canvas_size=size)
            else:
                bundle[name] = tensor
        made = self._run(bundle, params, of_marks=True)
        return {name: made[name].numpy().astype(np.asarray(value).dtype) for name, value in marks.items()}

    def _run(self, x: Any, params: dict[str, Any], *, of_marks: bool = False) -> Any:
        plan = self._plan()
        at, seed = self.transform, params["seed"]
        try:
            with global_generators(seed, plan.generators) as scope:
                for step, key in plan.for_marks if of_marks else plan.for_pictures:
                    at = step
                    scope.reseed(mixed(seed ^ key) >> 1)
                    x = step(x)
        except AugsynthError:
            raise
        except Exception as error:  # a library's code may raise anything
            given = f"{type(at).__name__}: {' '.join(str(error).split())[:200]}"
            must = "the transform must be able to edit the picture"
            raise DataError(sentence(type(self).__name__, must, given)) from error
        return x

    def _plan(self) -> _Plan:
        known = self.__dict__.get("_known")
        if known is None or known[0] is not self.transform:
            known = self._known = (
                self.transform,
                _Plan(list(_steps(self.transform, step_key(self.stream_name)))),
            )
        return known[1]

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name != "_known"}


class _Plan:
    """The steps of a transform with their keys, those that concern pictures or marks, and what they read."""

    def __init__(self, steps: list[tuple[Any, int]]):
        self.steps = [step for step, _ in steps]
        self.for_pictures = [(step, key) for step, key in steps if type(step).__name__ not in _OF_MARKS]
        # What stays in its place is left out, as some steps warn of what they do not change; boxes keep
        # their format; and key points all come back, told of by their visibility.
        self.for_marks = [
            (step, key)
            for step, key in steps
            if _moves(step)
            or type(step).__name__ in ("ClampBoundingBoxes", "SanitizeBoundingBoxes", "ClampKeyPoints")
        ]
        kinds = {_kind(part) for step in self.steps for part in _all_within(step)}
        v1 = ("torch", "random") if "v1" in kinds else ("torch",)
        self.generators: Sequence[str] = GENERATORS if "foreign" in kinds else v1


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


def _moves(transform: Any) -> bool:
    """Whether a transform, or one within it, may move pixels."""
    if _kind(transform) == "foreign":
        return True
    parts = [part for part in _all_within(transform) if part is not transform]
    if parts:
        return any(_moves(part) for part in getattr(transform, "transforms", ()))
    return type(transform).__name__ not in _IN_PLACE


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

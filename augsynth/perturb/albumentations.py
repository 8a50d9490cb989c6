"""Transforms of albumentations, drawn by key."""

from __future__ import annotations

import copy
import difflib
import functools
import threading
from collections.abc import Mapping
from typing import Any, ClassVar, Self

import numpy as np

from augsynth.core.errors import AugsynthError, DataError, ParameterError, offenders, sentence
from augsynth.core.isolation import global_generators
from augsynth.core.random import keyed
from augsynth.core.sobol import mixed
from augsynth.perturb.albumentations_tree import Tree, library, moves_pixels, nodes_of
from augsynth.perturb.base import Perturbation
from augsynth.perturb.containers import picture_array
from augsynth.perturb.function import check_importable, seed_of

__all__ = ["AlbumentationsPerturbation"]

_NOT_BY_NAME = ("Lambda", "BasicTransform", "DualTransform", "ImageOnlyTransform", "Transform3D")


class AlbumentationsPerturbation(Perturbation):
    """Edit pictures with a transform of albumentations that draws by key.

    The transform's own generators (which repeat themselves in every worker and in every
    epoch) are replaced: each step of a ``Compose``, ``OneOf``, ... has a stream of its own,
    keyed by the item, its name and its occurrence, so a step added or removed leaves the
    others' draws alone. Stratified copies work too.

    Parameters
    ----------
    transform : albumentations transform or composition, or str
        It is copied, never changed. A name, such as "HorizontalFlip", stands for a public
        transform; of recipes it is the form.
    params : dict, optional
        The constructor's arguments, for a name.

    Raises
    ------
    ParameterError
        In ``fit``: an unknown name or argument, a transform that needs more than the picture
        to draw (boxes, metadata), a lambda inside.

    Notes
    -----
    Pictures are arrays (h, w), (h, w, c) of uint8, uint16 or floats between 0 and 1; PIL
    images; tensors (c, h, w). They come back as they came, unless the transform changes the
    kind itself (``ToTensorV2``). Boxes that leave the picture are dropped with their labels
    (and masks, where there is one each): by the limits of the transform's own ``bbox_params``,
    or those that keep less than a tenth of their area.
    About 30 microseconds a call for three steps. Threads work on copies of the transform.

    Examples
    --------
    >>> import numpy as np
    >>> flip = AlbumentationsPerturbation("HorizontalFlip", params={"p": 1.0})
    >>> flip(np.arange(6, dtype=np.uint8).reshape(2, 3)).tolist()
    [[2, 1, 0], [5, 4, 3]]
    """

    modality: ClassVar[str] = "image"
    needs_x: ClassVar[bool] = False
    moves_points: ClassVar[bool] = True

    def __init__(self, transform: Any = None, *, params: dict[str, Any] | None = None):
        self.transform = transform
        self.params = params

    def fit(self, X: Any, y: Any = None) -> Self:
        """Check the transform."""
        check_importable(self.transform, type(self).__name__)
        _check_needs(self._made(), type(self).__name__)
        return self

    @property
    def stream_name(self) -> str:
        """The name of the transform: a composition's steps are keyed below it."""
        name = self.transform if isinstance(self.transform, str) else type(self.transform).__name__
        return f"albumentations.{name}"

    @property
    def moves(self) -> bool:
        """Whether a transform in it moves pixels."""
        return moves_pixels(self._made())

    def draw(self, x: Any, rng: np.random.Generator) -> dict[str, Any]:
        """Return the key of one edit: a seed, or for stratified copies the item's own key."""
        if getattr(rng, "stratified", 0):
            rng = keyed(rng)
            names = ("seed", "epoch", "record", "copy", "path", "stratified")
            return {name: getattr(rng, name) for name in names}
        return {"seed": seed_of(rng)}

    def apply(self, x: Any, params: dict[str, Any]) -> Any:
        """Return the picture that the transform makes at a key."""
        image, back = picture_array(x, type(self).__name__)
        return back(self._run(self._tree(params, marks=False), params, {"image": image})["image"])

    def explain(self, x: Any, params: dict[str, Any]) -> dict[str, Any]:
        """Return the key, and what each transform that was applied had drawn."""
        tree = self._tree(params, marks=False)
        for _, node in tree.leaves:
            node.params = {}
        self._run(tree, params, {"image": picture_array(x, type(self).__name__)[0]})
        told = [{"transform": name, **node.params} for name, node in tree.leaves if node.params]
        return {**params, "applied": told}

    def apply_marks(
        self, marks: dict[str, Any], params: dict[str, Any], *, size: tuple[int, int]
    ) -> dict[str, Any]:
        """Return what belongs to a picture after the same edit, which is drawn again on an empty one."""
        if not marks:
            return marks
        data: dict[str, Any] = {"image": np.zeros((*size, 3), np.uint8)}
        mask, boxes, points = marks.get("mask"), marks.get("boxes"), marks.get("points")
        place = "mask" if mask is not None and mask.ndim == 2 else "masks"
        if mask is not None:  # the library stacks no empty list
            data[place] = _as_drawable(mask if len(mask) else np.zeros((1, *size), np.uint8))
        if boxes is not None:
            data["bboxes"], data["_order"] = np.asarray(boxes, np.float64), np.arange(len(boxes))
        if points is not None:
            data["keypoints"], data["_points"] = np.asarray(points, np.float64), np.arange(len(points))
        made = self._run(self._tree(params, marks=True), params, data)
        done = dict(marks)
        if mask is not None:
            done["mask"] = np.asarray(made[place]).astype(mask.dtype)
            if not len(mask):
                done["mask"] = done["mask"][:0]
        if boxes is not None:
            kept = np.asarray(made["_order"], dtype=np.intp)
            done["boxes"] = np.asarray(made["bboxes"], np.float64).reshape(-1, 4).astype(boxes.dtype)
            if "labels" in marks:
                done["labels"] = np.asarray(marks["labels"])[kept]
            if mask is not None and mask.ndim == 3 and len(mask) == len(boxes):
                done["mask"] = done["mask"][kept]
        if points is not None:  # elastic moves lose some
            done["points"] = np.full(np.shape(points), np.nan)
            found = np.asarray(made["keypoints"], np.float64).reshape(-1, 2)
            done["points"][np.asarray(made["_points"], dtype=np.intp)] = found
        return done

    def _run(self, tree: Tree, params: dict[str, Any], data: dict[str, Any]) -> dict[str, Any]:
        tree.seat(params)
        try:
            if not tree.reads_globals:
                return tree.transform(**data)
            with global_generators(functools.reduce(lambda key, part: mixed(key ^ part), params.values(), 0)):
                return tree.transform(**data)
        except AugsynthError:
            raise
        except Exception as error:  # a library's code, and cv2's, may raise anything
            given = f"{tree.name}: {' '.join(str(error).split())[:200]}"
            must = "the transform must be able to edit the picture"
            raise DataError(sentence(type(self).__name__, must, given)) from error

    def _tree(self, params: dict[str, Any], *, marks: bool) -> Tree:
        local = self.__dict__.get("_local")
        if local is None:
            local = self._local = _Trees()
        if local.source is not self.transform:
            local.source, local.trees = self.transform, {}
        stratified = params.get("stratified", 0)
        tree = local.trees.get((marks, stratified))
        if tree is None:
            tree = local.trees[marks, stratified] = Tree(self._made(), stratified, marks=marks)
        return tree

    def _made(self) -> Any:
        where = type(self).__name__
        if isinstance(self.transform, str):
            return _by_name(self.transform, self.params or {}, where)
        if not hasattr(self.transform, "set_random_state"):
            must = "transform must be a transform of albumentations, or its name"
            raise ParameterError(sentence(where, must, repr(self.transform)[:120]))
        if self.params:
            raise ParameterError(sentence(where, "params go with a name", offenders(self.params)))
        return copy.deepcopy(self.transform)

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Return the constructor's arguments (transforms have a ``get_params`` too, which draws)."""
        return super().get_params(deep=False)

    def __sklearn_clone__(self) -> AlbumentationsPerturbation:
        return type(self)(self.transform, params=self.params)

    def __getstate__(self) -> dict[str, Any]:
        state = {name: value for name, value in self.__dict__.items() if name != "_local"}
        return {"_library": _Imported(), **state}  # first, so that a spawned worker imports it our way

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update({name: value for name, value in state.items() if name != "_library"})


class _Imported:
    def __reduce__(self) -> tuple[Any, ...]:
        return library, ()


class _Trees(threading.local):
    """The copies of a transform that one thread works on."""

    def __init__(self) -> None:
        self.source: Any = None
        self.trees: dict[tuple[bool, int], Tree] = {}


def _by_name(name: str, params: Mapping[str, Any], where: str) -> Any:
    A = library()
    public = [
        key
        for key, cls in vars(A).items()
        if isinstance(cls, type) and issubclass(cls, A.BasicTransform) and key not in _NOT_BY_NAME
    ]
    if name not in public:
        near = difflib.get_close_matches(name, public, n=1)
        hint = (
            f"Did you mean {near[0]!r}?" if near else "Compositions are made of ours: OneOf, SomeOf, Maybe."
        )
        must = "transform must be the name of a transform of albumentations"
        raise ParameterError(sentence(where, must, repr(name), hint))
    cls = getattr(A, name)
    unknown = [key for key in params if key not in cls.InitSchema.model_fields or key == "strict"]
    if unknown:
        known = [key for key in cls.InitSchema.model_fields if key != "strict"]
        near = difflib.get_close_matches(unknown[0], known, n=1)
        hint = f"Did you mean {near[0]!r}?" if near else f"There are: {', '.join(sorted(known))}."
        raise ParameterError(sentence(f"{where}({name!r})", "params must be known", offenders(unknown), hint))
    try:
        return cls(**params)
    except (ValueError, TypeError) as error:
        given = " ".join(str(error).split())[:200]
        raise ParameterError(
            sentence(f"{where}({name!r})", "params must fit the transform", given)
        ) from error


def _check_needs(transform: Any, where: str) -> None:
    for node, _ in nodes_of(transform, 0):
        needed = [key for key in getattr(node, "targets_as_params", ()) if key not in ("image", "images")]
        if needed:
            must = "a transform must need nothing but the picture to draw"
            raise ParameterError(
                sentence(where, must, f"{type(node).__name__}, which needs {offenders(needed)}")
            )


def _as_drawable(mask: np.ndarray) -> np.ndarray:
    """Return a mask in a dtype that cv2 takes and that holds its values."""
    if mask.dtype in (np.uint8, np.float32):
        return mask
    if mask.dtype == bool or (
        mask.size and mask.min() >= 0 and mask.max() <= 255 and mask.dtype.kind in "iu"
    ):
        return mask.astype(np.uint8)
    return mask.astype(np.float32)

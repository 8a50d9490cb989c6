"""The contract of a perturbation: drawn by key, applied purely, kept alone by its neighbours."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from multiprocessing.reduction import ForkingPickler
from typing import Any

import numpy as np
import pandas as pd
from sklearn.base import clone

from augsynth.core.random import ItemKeys, item_rng
from augsynth.perturb.base import Perturbation
from augsynth.perturb.combine import Compose
from augsynth.perturb.function import check_importable
from augsynth.testing.comparing import equal, expect, global_generators_watched

__all__ = ["check_perturbation", "perturbation_checks"]

_KEYS = 6


def check_perturbation(perturbation: Perturbation, x: Any, *, same_shape: bool = True) -> None:
    """Raise AssertionError unless an edit is drawn by key, pure, and keeps the kind of ``x``.

    Parameters
    ----------
    perturbation : Perturbation
        Unfitted; every check fits a clone.
    x : object
        A sample that it edits: a picture, a clip, a text; a block of rows for tables.
    same_shape : bool, default=True
        Whether an edited sample must have the shape of ``x``.

    Examples
    --------
    >>> import numpy as np
    >>> from augsynth.perturb import ScaledJitter
    >>> check_perturbation(ScaledJitter(), np.zeros((5, 2)))
    """
    for _, check in perturbation_checks(perturbation, x, same_shape=same_shape):
        check()


def perturbation_checks(
    perturbation: Perturbation, x: Any, *, same_shape: bool = True
) -> list[tuple[str, Callable[[], None]]]:
    """Return the (name, check) pairs of :func:`check_perturbation`."""
    checks: list[Callable[[Perturbation, Any], None]] = [
        _check_pure,
        _check_same_key_same_edit,
        _check_kind_kept,
        _check_batches,
        _check_neighbours,
        _check_copies,
        _check_global_generators,
    ]
    if same_shape:
        checks.insert(3, _check_shape_kept)
    return [(c.__name__.removeprefix("_check_"), _bound(c, perturbation, x)) for c in checks]


def _bound(
    check: Callable[[Perturbation, Any], None], perturbation: Perturbation, x: Any
) -> Callable[[], None]:
    return lambda: check(perturbation, x)


def _fitted(perturbation: Perturbation, x: Any) -> Perturbation:
    return clone(perturbation).fit(x if perturbation.per_row else [x] * _KEYS)


def _edit(perturbation: Perturbation, x: Any, k: int) -> Any:
    return perturbation.apply(x, perturbation.draw(x, item_rng(1, 0, k)))


def _check_pure(perturbation: Perturbation, x: Any) -> None:
    fitted, before = _fitted(perturbation, x), copy.deepcopy(x)
    for k in range(_KEYS):
        params = fitted.draw(x, item_rng(1, 0, k))
        kept = copy.deepcopy(params)
        once = fitted.apply(x, params)
        expect(equal(x, before), "draw or apply changed its input")
        expect(equal(params, kept), "apply changed its parameters")
        expect(equal(once, fitted.apply(x, params)), "the same parameters gave another result")
        if isinstance(x, np.ndarray) and x.dtype != object:
            frozen = x.copy()
            frozen.flags.writeable = False
            expect(equal(once, fitted.apply(frozen, params)), "a read-only array gave another result")


def _check_same_key_same_edit(perturbation: Perturbation, x: Any) -> None:
    one, two = _fitted(perturbation, x), _fitted(perturbation, x)
    forth = [_edit(one, x, k) for k in range(_KEYS)]
    back = [_edit(two, x, k) for k in reversed(range(_KEYS))][::-1]
    expect(equal(forth, back), "the same key gave another edit: it must draw from the rng it is handed alone")
    expect(equal(one(x, random_state=1), two(x, random_state=1)), "the same seed gave another edit")


def _check_kind_kept(perturbation: Perturbation, x: Any) -> None:
    made = _edit(_fitted(perturbation, x), x, 0)
    expect(type(made) is type(x), f"apply returned {type(made).__name__}, not {type(x).__name__}")
    if isinstance(x, pd.DataFrame):
        expect(made.dtypes.equals(x.dtypes), "apply changed dtypes")
    elif hasattr(x, "dtype"):
        expect(made.dtype == x.dtype, f"apply returned {made.dtype}, not {x.dtype}")
    elif hasattr(x, "mode"):
        expect(made.mode == x.mode, f"apply returned a picture of mode {made.mode}, not {x.mode}")


def _check_shape_kept(perturbation: Perturbation, x: Any) -> None:
    fitted = _fitted(perturbation, x)
    for k in range(_KEYS):
        made = _edit(fitted, x, k)
        for name in ("shape", "size") if not callable(getattr(x, "size", None)) else ("shape",):
            wanted, got = getattr(x, name, None), getattr(made, name, None)
            expect(wanted == got, f"apply returned {name} {got}, not {wanted}")


def _check_batches(perturbation: Perturbation, x: Any) -> None:
    if perturbation.per_row:
        return
    fitted, keys = _fitted(perturbation, x), ItemKeys(1, 0, np.arange(_KEYS), 1)
    one_by_one = [fitted.apply(x, fitted.draw(x, keys.at(k))) for k in range(_KEYS)]
    made = fitted.edit_many([x] * _KEYS, keys)
    expect(isinstance(made, list), f"edit_many of a list returned {type(made).__name__}")
    expect(equal(made, one_by_one), "edit_many of a list differs from one edit after the other")
    if isinstance(x, np.ndarray) and x.dtype != object:
        stack = np.stack([x] * _KEYS)
        before = stack.copy()
        made = fitted.edit_many(stack, keys)
        expect(equal(list(made), one_by_one), "edit_many of a stack differs from one edit after the other")
        expect(equal(stack, before), "edit_many changed its input")


def _check_neighbours(perturbation: Perturbation, x: Any) -> None:
    alone = Compose([perturbation])
    among = Compose([_Neighbour(), perturbation, _Neighbour()])
    alone, among = _fitted(alone, x), _fitted(among, x)
    for k in range(_KEYS):
        one = alone.draw(x, item_rng(1, 0, k))["steps"][0]
        two = among.draw(x, item_rng(1, 0, k))["steps"][1]
        expect(equal(one, two), "a neighbour in Compose changed what is drawn")


def _check_copies(perturbation: Perturbation, x: Any) -> None:
    check_importable(perturbation, "check_perturbation")
    before = repr(perturbation.get_params())
    fitted = _fitted(perturbation, x)
    expect(repr(perturbation.get_params()) == before, "fit changed a constructor parameter")
    again = ForkingPickler.loads(ForkingPickler.dumps(fitted))  # as a worker that is spawned gets it
    params = fitted.draw(x, item_rng(1, 0, 0))
    expect(len(pickle.dumps(params)) > 0, "parameters cannot be pickled")
    expect(equal(fitted.apply(x, params), again.apply(x, params)), "a pickled copy applies another edit")
    expect(equal(_edit(fitted, x, 1), _edit(again, x, 1)), "a pickled copy draws another edit")


def _check_global_generators(perturbation: Perturbation, x: Any) -> None:
    with global_generators_watched():
        fitted = _fitted(perturbation, x)
        for k in range(_KEYS):
            _edit(fitted, x, k)


class _Neighbour(Perturbation):
    """Draws a number, and changes nothing."""

    def draw(self, x: Any, rng: np.random.Generator) -> dict[str, Any]:
        """Return a number."""
        return {"number": float(rng.random())}

    def apply(self, x: Any, params: dict[str, Any]) -> Any:
        """Return ``x``."""
        return x

"""A function of yours as a perturbation, and the search for what worker processes cannot import."""

from __future__ import annotations

import copy
import functools
import inspect
import pickle
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from augsynth.core.errors import AugsynthError, DataError, ParameterError, offenders, sentence
from augsynth.core.isolation import GENERATORS, global_generators
from augsynth.core.parameters import check_option
from augsynth.core.random import KeyedGenerator
from augsynth.perturb.base import Perturbation

__all__ = ["FunctionPerturbation", "check_importable", "seed_of"]

_PLAIN = (str, bytes, int, float, complex, bool, type(None), np.ndarray, np.generic)


class FunctionPerturbation(Perturbation):
    """Edit samples with a function of yours.

    A function with an argument ``rng`` is handed a numpy Generator, keyed by the item. One
    without it may read the global generators of `random`, numpy and torch: it runs in a
    scope in which those start from the item's key, and they are put back afterwards (one
    call at a time in a process; 20 to 70 microseconds).

    Parameters
    ----------
    function : callable
        ``function(x) -> x`` or ``function(x, rng=...) -> x``; importable, so defined at the
        top level of a module: worker processes import it by name. It gets an array or
        tensor of its own, which it may change.
    generators : sequence of {"random", "numpy", "torch"}, optional
        Which global generators a function without ``rng`` reads. Default: all three.
    moves : bool, default=True
        Whether the function may move the pixels of a picture. Masks, boxes and key points cannot
        follow a function, so items that have some are refused; False says that every pixel
        stays in its place, and leaves them as they are.

    Raises
    ------
    ParameterError
        In ``fit``, for a lambda or a nested function; for items with masks, boxes or key points,
        unless ``moves=False``.

    Examples
    --------
    >>> import numpy as np
    >>> shuffle = FunctionPerturbation(np.flip)
    >>> shuffle(np.arange(3)).tolist()
    [2, 1, 0]
    """

    needs_x = False
    moves = True  # type: ignore[assignment]
    moves_points = True  # it refuses them, as all marks

    def __init__(
        self,
        function: Callable[..., Any] | None = None,
        *,
        generators: Sequence[str] = GENERATORS,
        moves: bool = True,
    ):
        self.function = function
        self.generators = generators
        self.moves = moves

    def fit(self, X: Any, y: Any = None) -> FunctionPerturbation:
        """Check that the function can be called and imported."""
        where = type(self).__name__
        if not callable(self.function):
            raise ParameterError(sentence(where, "function must be callable", repr(self.function)))
        for name in self.generators:
            check_option(where, "generators", name, GENERATORS)
        if not isinstance(self.moves, (bool, np.bool_)):
            raise ParameterError(sentence(where, "moves must be True or False", repr(self.moves)))
        check_importable(self.function, where)
        return self

    @property
    def stream_name(self) -> str:
        """The name of the function."""
        return f"Function({_name_of(self.function)})"

    def draw(self, x: Any, rng: np.random.Generator) -> dict[str, Any]:
        """Return the seed of one edit."""
        return {"seed": seed_of(rng)}

    def apply(self, x: Any, params: dict[str, Any]) -> Any:
        """Call the function from the seed."""
        x, name = _own(x), _name_of(self.function)
        try:
            if self._takes_rng:
                made = self.function(x, rng=KeyedGenerator().seat(params["seed"]))  # type: ignore[misc]
            else:
                with global_generators(params["seed"], self.generators):
                    made = self.function(x)  # type: ignore[misc]
        except (AugsynthError, MemoryError):
            raise
        except Exception as error:  # a function of the user's may raise anything
            given = f"{type(error).__name__} ({' '.join(str(error).split())[:200]})"
            raise DataError(sentence(name, "the function must be able to edit the sample", given)) from error
        if made is None or inspect.isgenerator(made) or inspect.iscoroutine(made):
            given = "none" if made is None else f"a {type(made).__name__}"
            todo = "End it with: return x."
            raise DataError(sentence(name, "the function must return the edited sample", given, todo))
        return made

    def apply_marks(
        self, marks: dict[str, Any], params: dict[str, Any], *, size: tuple[int, int]
    ) -> dict[str, Any]:
        """Return what belongs to a picture as it came, if the function moves nothing."""
        if not marks or not self.moves:
            return marks
        must = "masks, boxes and key points cannot follow a function that may move pixels"
        todo = "If it moves none, say FunctionPerturbation(function, moves=False); else use edits of ours."
        given = f"an item with {', '.join(sorted(set(marks) - {'labels'}))}"
        raise ParameterError(sentence(_name_of(self.function), must, given, todo))

    @property
    def _takes_rng(self) -> bool:
        known = self.__dict__.get("_rng_known")
        if known is None or known[0] is not self.function:
            known = self._rng_known = (self.function, _has_argument(self.function, "rng"))
        return known[1]

    def __sklearn_clone__(self) -> FunctionPerturbation:
        # Functions are not copied, and objects that can be called keep no state between calls.
        return type(self)(self.function, generators=self.generators, moves=self.moves)


def seed_of(rng: np.random.Generator) -> int:
    """Draw the seed of an edit: a whole number below 2**63."""
    return int(rng.bit_generator.random_raw()) >> 1  # type: ignore[attr-defined]


def _own(x: Any) -> Any:
    """Return a copy of what a function could change by accident."""
    if isinstance(x, np.ndarray):
        return x.copy()
    if hasattr(x, "clone") and hasattr(x, "detach"):
        return x.clone()
    return x if isinstance(x, (str, bytes, int, float)) else copy.deepcopy(x)


def _has_argument(function: Any, name: str) -> bool:
    try:
        return name in inspect.signature(function).parameters
    except (TypeError, ValueError):  # some builtins have no signature
        return False


def check_importable(policy: Any, where: str) -> None:
    """Raise unless worker processes can be handed ``policy``; the culprit is named.

    Raises
    ------
    ParameterError
        For a lambda, a nested function, or an object that holds one, however deep.
    """
    error = _refusal(policy)
    if error is None:
        return
    culprit, path = policy, ""
    while True:
        for step, part in _parts(culprit):
            if not isinstance(part, _PLAIN) and _refusal(part) is not None:
                culprit, path = part, f"{path}{step}"
                break
        else:
            break
    must = "a policy must be made of what worker processes can import"
    given, todo = _described(culprit, _refusal(culprit) or error)
    if path:
        given += f" (at {type(policy).__name__}{path})"
    raise ParameterError(sentence(where, must, given, todo))


def _refusal(thing: Any) -> Exception | None:
    try:
        pickle.dumps(thing)
    except Exception as error:  # pickle raises whatever an object's own code raises
        return error
    return None


def _parts(thing: Any) -> Iterator[tuple[str, Any]]:
    """Yield what an object holds, and how it is reached."""
    if isinstance(thing, functools.partial):
        yield ".func", thing.func
        yield from ((f".args[{k}]", part) for k, part in enumerate(thing.args))
        yield from ((f".keywords[{name!r}]", part) for name, part in thing.keywords.items())
    elif isinstance(thing, Mapping):
        yield from ((f"[{key!r}]", part) for key, part in thing.items())
    elif isinstance(thing, (list, tuple, set, frozenset)):
        yield from ((f"[{k}]", part) for k, part in enumerate(thing))
    elif inspect.ismethod(thing):
        yield ".__self__", thing.__self__
    elif not inspect.isfunction(thing) and not inspect.isclass(thing):
        held = getattr(thing, "__dict__", {})
        # Names without underscores first: they are the ones that users know.
        yield from ((f".{name}", held[name]) for name in sorted(held, key=lambda n: (n[:1] == "_", n)))


def _described(culprit: Any, error: Exception) -> tuple[str, str]:
    name = getattr(culprit, "__qualname__", "")
    code = getattr(culprit, "__code__", None)
    place = f" at {code.co_filename}:{code.co_firstlineno}" if code is not None else ""
    todo = "Define it with def at the top level of a module; bind its arguments with functools.partial."
    if "<lambda>" in name:
        return f"a lambda{place}", todo
    if "<locals>" in name:
        return f"{name.replace('<locals>.', '')}{place}, which is defined inside a function", todo
    if "<locals>" in type(culprit).__qualname__:
        kind = type(culprit).__name__
        return f"an object of the class {kind}, which is defined inside a function", todo
    reason = " ".join(str(error).split())[:160]
    return f"{type(culprit).__name__} {offenders([reason])}", "Leave out what cannot be pickled."


def _name_of(function: Any) -> str:
    while isinstance(function, functools.partial):
        function = function.func
    return str(getattr(function, "__qualname__", type(function).__qualname__))

"""A penalty that makes what a model says independent of a sensitive variable."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from augsynth.core.errors import AugsynthWarning, DataError, InputTypeError, ParameterError, sentence
from augsynth.core.parameters import check_option
from augsynth.nn.objective import Objective
from augsynth.nn.randomness import forked

__all__ = ["IndependencePenalty", "IndependentNet", "dependence"]

_WHERE = "IndependencePenalty"
MEASURES = ("distance", "hsic")
_LEAST = 4  # rows below which the unbiased estimators do not exist
_EPSILON = 1e-12


def dependence(a: Tensor, b: Tensor, *, measure: str = "distance", normalise: bool = False) -> Tensor:
    """Say how much two variables depend on each other: 0 on average if they do not.

    Parameters
    ----------
    a, b : Tensor (n,) or (n, d)
        Floats are numbers; ints and bools are categories (different ones lie one apart).
    measure : {"distance", "hsic"}
        Squared distance covariance, or the Hilbert-Schmidt independence criterion with
        Gaussian kernels as wide as the median distance (categories: 1 if equal, else 0).
        Both are zero in the population only where the two are independent.
    normalise : bool, default=False
        Divide by the geometric mean of the two variables' own values, which makes a
        (squared distance) correlation of it: at most 1, whatever the scale.

    Returns
    -------
    Tensor, scalar
        Unbiased (unless normalised), so it may be a little below zero. Gradients flow through both.

    Notes
    -----
    Time and memory grow with n squared: meant for batches of some hundred rows.

    References
    ----------
    L. Song et al. (2012), Feature selection via dependence maximization, JMLR 13 (the
    unbiased HSIC). G. Szekely, M. Rizzo (2014), Partial distance correlation with methods
    for dissimilarities, doi:10.1214/14-AOS1255 (U-centring). D. Sejdinovic et al. (2013),
    doi:10.1214/13-AOS1140 (the two are one).

    Examples
    --------
    >>> x = torch.linspace(-1, 1, 101)
    >>> [round(dependence(x, other, normalise=True).item(), 2) for other in (x, x**2)]
    [1.0, 0.22]
    """
    check_option("dependence", "measure", measure, MEASURES)
    _check_tensors("dependence", a=a, b=b)
    n = len(a)
    if len(b) != n:
        raise DataError(sentence("dependence", "a and b must be equally long", f"{n} and {len(b)} rows"))
    if n < _LEAST:
        raise DataError(sentence("dependence", f"there must be at least {_LEAST} rows", str(n)))
    (first, own_size), (second, other_size) = (_scaled(_affinity(each, measure)) for each in (a, b))
    first, second = _centred(first), _centred(second)
    scale = n * (n - 3)
    value = (first * second).sum() / scale
    if not normalise:
        return value * own_size * other_size
    own = (first * first).sum() * (second * second).sum() / scale**2
    return value / torch.sqrt(own + _EPSILON)


def _check_tensors(where: str, **named: Any) -> None:
    """Raise InputTypeError for what is no tensor with a row dimension."""
    for name, each in named.items():
        if not isinstance(each, Tensor) or each.ndim == 0:
            given = "a scalar tensor" if isinstance(each, Tensor) else type(each).__name__
            todo = "Pass torch.as_tensor(values)."
            raise InputTypeError(sentence(where, f"{name} must be a tensor (n,) or (n, d)", given, todo))


def _scaled(values: Tensor) -> tuple[Tensor, Tensor]:
    """Return values of at most 1, and what they were divided by: squares of large ones overflow."""
    size = values.detach().abs().max().clamp_min(1.0)
    return values / size, size


def _affinity(values: Tensor, measure: str) -> Tensor:
    """Return distances (n, n), or minus the kernel: smaller for what is more alike in both."""
    rows = values.reshape(len(values), -1)
    if not torch.is_floating_point(rows):
        return (rows[:, None] != rows[None]).any(dim=2).to(torch.get_default_dtype())
    if rows.shape[1] == 1:
        gaps = (rows - rows.T).abs()  # its slope at zero is zero, and exact elsewhere
    else:
        rows, size = _scaled(rows)
        squares = (rows[:, None] - rows[None]).square().sum(dim=2)
        apart = squares > 0  # the root has no slope at zero: those entries get none
        gaps = torch.where(apart, squares, torch.ones_like(squares)).sqrt() * apart * size
    if measure == "distance":
        return gaps
    with torch.no_grad():
        off = gaps[~torch.eye(len(gaps), dtype=torch.bool, device=gaps.device)]
        positive = off[off > 0]
        width = positive.median() if len(positive) else torch.ones((), device=gaps.device)
    return -torch.exp(-0.5 * (gaps / width).square())


def _centred(affinity: Tensor) -> Tensor:
    """U-centre a matrix (n, n): rows and columns without the diagonal sum to zero."""
    n = len(affinity)
    off = 1.0 - torch.eye(n, dtype=affinity.dtype, device=affinity.device)
    affinity = affinity * off
    rows = affinity.sum(dim=1)
    centred = affinity - (rows[:, None] + rows[None]) / (n - 2) + rows.sum() / ((n - 1) * (n - 2))
    return centred * off


class IndependencePenalty(nn.Module):
    """Add to any torch loss what makes the model's output independent of a variable.

    ``loss + strength * penalty(output, sensitive)``: the penalty is zero where the output
    says nothing about the sensitive variable, in a straight line or otherwise.

    Parameters
    ----------
    measure : {"distance", "hsic"}
        See `dependence`.
    normalise : bool, default=True
        Correlation rather than covariance: from 0 to 1, and a model cannot lower it by
        shrinking its output.

    Notes
    -----
    With ``given=labels`` it is the mean over the classes, by their rows in the batch: the
    output may tell the groups apart as far as the labels do (as in equalised odds).
    Classes with fewer than 4 rows in the batch are left out.

    The unbiased estimators do not reward a model for what small batches seem to show by
    chance, as the usual biased ones do.

    References
    ----------
    See `dependence`. The use as a penalty: J. Kim et al. and A. Perez-Suay et al. (2017),
    Fair kernel learning, arXiv:1710.05578.

    Examples
    --------
    >>> sex = torch.tensor([0, 1] * 50)
    >>> score = sex + torch.linspace(0, 1, 100)
    >>> penalty = IndependencePenalty()
    >>> bool(penalty(score, sex) > 0.5), bool(penalty(score, sex, given=sex) == 0)
    (True, True)
    """

    def __init__(self, measure: str = "distance", *, normalise: bool = True):
        super().__init__()
        check_option(_WHERE, "measure", measure, MEASURES)
        self.measure, self.normalise = measure, normalise
        self._acted = False  # whether a batch has had a penalty, or its lack was told

    def forward(self, output: Tensor, sensitive: Tensor, *, given: Tensor | None = None) -> Tensor:
        """Return the penalty of a batch, a scalar.

        Parameters
        ----------
        output : Tensor (n,) or (n, d)
            What the model says: probabilities, logits, or features.
        sensitive : Tensor (n,) or (n, k)
            Floats are numbers, ints and bools are categories.
        given : Tensor (n,) of int, optional
            Classes within which to be independent.

        Raises
        ------
        InputTypeError, DataError
            For other things than tensors, and different lengths.

        Warns
        -----
        AugsynthWarning
            Once, if the first batch has too few rows (of every class) for a penalty.
        """
        _check_tensors(_WHERE, output=output, sensitive=sensitive)
        if given is not None:
            _check_tensors(_WHERE, given=given)
        if len(output) != len(sensitive) or (given is not None and len(given) != len(output)):
            lengths = [len(each) for each in (output, sensitive, given) if each is not None]
            must = "output, sensitive and given must be equally long"
            raise DataError(sentence(_WHERE, must, " and ".join(map(str, lengths)) + " rows"))
        if not torch.is_floating_point(output):
            raise ParameterError(sentence(_WHERE, "output must be floats", str(output.dtype)))
        alone = given is None
        if given is None:
            given = torch.zeros(len(output), dtype=torch.long, device=output.device)
        total, rows = output.sum() * 0.0, 0
        for level in torch.unique(given):
            inside = given == level
            count = int(inside.sum())
            if count < _LEAST:
                continue
            found = dependence(
                output[inside], sensitive[inside], measure=self.measure, normalise=self.normalise
            )
            total, rows = total + count * found, rows + count
        if not rows and not self._acted:
            must = f"a batch must have {_LEAST} rows, of one class with given"
            told = f"{len(output)} rows" + ("" if alone else f" of {len(torch.unique(given))} classes")
            todo = "The penalty of such batches is 0; use larger batches."
            warnings.warn(sentence(_WHERE, must, told, todo), AugsynthWarning, stacklevel=2)
        self._acted = True
        return total / max(rows, 1)


class IndependentNet(Objective):
    """A small network for classes, trained with the penalty; ``z`` is features, then sensitive columns.

    Parameters
    ----------
    n_features, n_classes : int
    hidden : sequence of int
        Widths of the hidden layers.
    penalty : IndependencePenalty
    strength : float
        Weight of the penalty beside the mean cross-entropy.
    within_classes : bool
        Independence given the label, rather than outright.
    categorical : bool
        Whether the sensitive columns are category codes.
    seed : int
        Of the first weights.
    """

    def __init__(
        self,
        n_features: int,
        n_classes: int,
        *,
        hidden: Sequence[int],
        penalty: IndependencePenalty,
        strength: float,
        within_classes: bool,
        categorical: bool,
        seed: int,
    ):
        super().__init__()
        self.n_features, self.strength = n_features, strength
        self.within_classes, self.categorical = within_classes, categorical
        self.penalty = penalty
        layers: list[nn.Module] = []
        width = n_features
        with forked(seed):
            for size in hidden:
                layers += [nn.Linear(width, size), nn.SiLU()]
                width = size
            layers.append(nn.Linear(width, n_classes))
        self.net = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        """Return logits (n, n_classes) of features (n, n_features)."""
        logits: Tensor = self.net(x)
        return logits

    def losses(
        self, z: Tensor, c: Tensor, w: Tensor | None, *, step: int, generator: torch.Generator
    ) -> Iterable[tuple[str, Tensor]]:
        """Yield the weighted cross-entropy and the penalty, together."""
        logits = self(z[:, : self.n_features])
        loss = F.cross_entropy(logits, c.long(), reduction="none")
        loss = (loss if w is None else loss * w).mean()
        if self.strength > 0 and len(z) >= _LEAST:
            sensitive = z[:, self.n_features :]
            said = logits.softmax(dim=1)[:, 1:]
            given = c if self.within_classes else None
            told = sensitive.long() if self.categorical else sensitive
            loss = loss + self.strength * self.penalty(said, told, given=given)
        yield "model", loss

    def draw(self, c: Tensor, generator: torch.Generator) -> Any:
        """Not a generator: raises."""
        raise NotImplementedError("IndependentNet tells classes; it draws no rows")

"""Normalising flows: rows with an exact likelihood."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import torch

from augsynth.core.errors import DataError, sentence
from augsynth.core.parameters import check_number, check_option
from augsynth.encode.image import ImageLayout
from augsynth.encode.layout import Layout
from augsynth.generate.deep import TorchGenerator
from augsynth.generate.flow_objective import BOUND_DRAWS, TOLD, PixelFlowObjective, RowFlowObjective
from augsynth.generate.flow_rows import FlowRows
from augsynth.nn.backbones import MLPBackbone

__all__ = ["FlowGenerator"]

MOST_PIXELS = 4096


class FlowGenerator(TorchGenerator):
    """New rows from a normalising flow: numbers bent, step by step, out of a normal distribution.

    Each step can be undone and its change of volume is known, so a row's likelihood is
    exact. The class and the groups are told to every layer.

    Parameters
    ----------
    backbone : MLPBackbone, optional
        Size of the networks: of the one of the categories (256 wide, two hidden layers by
        default), and of the one in each coupling (64 wide by default).
    trainer : Trainer, optional
        Budget, batch size, learning rate, device.
    schema : mapping, optional
        Overrides of the inferred column kinds.
    random_state : None, int or Generator
    coupling : {"spline", "affine"}, default="spline"
        What changes a number given the others: a monotone rational-quadratic spline of
        eight pieces, or a shift and a factor.
    n_layers : int, default=6
        Number of couplings.

    Attributes
    ----------
    objective_ : RowFlowObjective or PixelFlowObjective
    history_ : History
    coder_ : FlowRows
        Which values are atoms, and the normal scores.

    Notes
    -----
    Tables: p(row) = p(tokens) p(numbers | tokens). Tokens are the categories and, of
    numeric columns, whether a cell is missing, at one of the values that rows repeat out of
    proportion (zeros, caps, 40 hours), or in between; one network gives each column's
    probabilities after the columns before it. Numbers in between are turned into
    normal scores and follow the flow, which is told all tokens. So repeated values come
    out exactly, and a numeric column of at most 24 repeated values is one of tokens.
    Numbers that are drawn beyond the range seen are put at its end (about one in n).

    ``log_prob`` is exact, a density in data units times the probabilities of tokens, but for
    whole numbers that are no atoms: these are dequantised (spread over the scores that are
    rounded to them), and their probability is the average density over that stretch,
    estimated by 16 draws, in expectation a lower bound of the log. A number that a column
    of tokens alone never had has density zero.

    About 90 CPU-seconds for 32,000 rows of 14 columns, 5 for 500 rows. Longer training
    learns the rows by heart (the density of held-out rows falls behind that of the
    training rows); ``Trainer(options={"patience": 3})`` stops before.

    Small images (8 x 8 up to some 28 x 28; at most 4,096 values): pixels are dequantised
    by uniform noise, and the flow acts on the flat vector of their logits, with no
    notion of neighbours. ``log_prob`` is in nats an image of levels, the bound of 16 draws
    (divide by -log(2) times the pixels for bits per dimension); for continuous pixels it is
    exact, a density in the units of the pixels given.

    Deviation: the published flows are of continuous rows throughout; here the
    categories have a distribution of their own, which comes first.

    References
    ----------
    C. Durkan et al., "Neural Spline Flows", 2019, arXiv:1906.04032. L. Dinh et al.,
    "Density estimation using Real NVP", 2017, arXiv:1605.08803. L. Theis et al., "A note
    on the evaluation of generative models", 2016, arXiv:1511.01844 (dequantisation).
    B. Uria et al., "Neural Autoregressive Distribution Estimation", 2016, arXiv:1605.02226.

    Examples
    --------
    >>> from augsynth.nn.trainer import Trainer
    >>> X = np.random.default_rng(0).normal(size=(60, 3))
    >>> y = np.repeat([0, 1], [50, 10])
    >>> flow = FlowGenerator(trainer=Trainer(steps=5), random_state=0).fit(X, y)
    >>> flow.sample(y=[1, 1]).shape, flow.log_prob(X, y).shape
    ((2, 3), (60,))
    """

    _takes_images: ClassVar[bool] = True
    objective_: Any
    coder_: Any  # FlowRows, or None for images

    def __init__(
        self,
        *,
        backbone: Any = None,
        trainer: Any = None,
        schema: Any = None,
        random_state: Any = None,
        coupling: str = "spline",
        n_layers: int = 6,
    ):
        super().__init__(backbone=backbone, trainer=trainer, schema=schema, random_state=random_state)
        self.coupling = coupling
        self.n_layers = n_layers

    def _check(self) -> None:
        where = type(self).__name__
        super()._check()
        check_option(where, "coupling", self.coupling, ("spline", "affine"))
        check_number(where, "n_layers", self.n_layers, low=1, integer=True)
        if self._sees_images and len(self.layout_) > MOST_PIXELS:
            must = f"images must have at most {MOST_PIXELS:,} values"
            raise DataError(
                sentence(where, must, f"{len(self.layout_):,}", "Shrink them, or use another generator.")
            )

    def _coder(self) -> FlowRows:
        return FlowRows()

    def _rows(self, z: np.ndarray) -> torch.Tensor:
        if self.coder_ is None:
            return torch.as_tensor(z)
        return torch.as_tensor(self.coder_.encode(z), dtype=torch.float32)

    def _decode_rows(self, coded: np.ndarray, rng: np.random.Generator | np.ndarray | None) -> np.ndarray:
        return coded if self.coder_ is None else self.coder_.decode(coded)

    def _build(self, layout: Layout | ImageLayout, n_condition: int) -> Any:
        settings: dict[str, Any] = {"n_layers": self.n_layers, "coupling": self.coupling}
        condition = self._condition(TOLD)
        if isinstance(layout, ImageLayout):
            return PixelFlowObjective(layout.shape, layout.levels, condition, self._backbone(), **settings)
        coder = self.coder_
        couplings = MLPBackbone(64) if self.backbone is None else self.backbone
        return RowFlowObjective(
            coder.sizes_, coder.state_of_score_, condition, (self._backbone(), couplings), **settings
        )

    def _log_prob(self, z: np.ndarray, c: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        seed, cells = int(rng.integers(2**63 - 1)), torch.as_tensor(c)
        if self._sees_images:
            found = self._in_blocks(self.objective_.bound, (torch.as_tensor(z), cells), seed)
            if self.layout_.levels:
                return found.astype(np.float64)
            half = (self.codec_.high - self.codec_.low) / 2.0
            return found.astype(np.float64) - len(self.layout_) * np.log(half)
        draws = BOUND_DRAWS if self.coder_.whole_.any() else 1
        found = self._in_blocks(
            lambda rows, told, generator: self.objective_.log_prob(rows, told, generator, draws=draws),
            (self._rows(z), cells),
            seed,
        )
        return found.astype(np.float64) + self.coder_.log_volume(z)

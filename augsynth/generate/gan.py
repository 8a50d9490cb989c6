"""Conditional generative adversarial networks for tables and images."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from augsynth import registry
from augsynth.core.errors import ParameterError, sentence
from augsynth.core.parameters import check_number, check_option
from augsynth.encode.image import ImageLayout
from augsynth.encode.layout import Layout
from augsynth.generate.deep import TorchGenerator
from augsynth.generate.gan_objective import GANObjective
from augsynth.nn.adversarial import LOSSES, Adversaries
from augsynth.nn.randomness import keyed_generator
from augsynth.nn.stabilise import GradientPenalty, Packing, Stabiliser
from augsynth.nn.tree import dependence_tree

__all__ = ["GANGenerator"]

TOLD = 32  # numbers that an embedding of the condition has
SETTLING = 20  # batches over which batch norm learns its averages anew


class GANGenerator(TorchGenerator):
    """New rows or images from a generator that a discriminator could not tell from real ones.

    Both networks are told the label and the groups, so a new row has exactly the asked
    ones, and rare classes borrow what they share with the others. In every batch real and
    made rows have the same labels and groups; what is learned of each is its own
    distribution, however rare it is.

    Parameters
    ----------
    backbone : MLPBackbone or ConvBackbone, optional
        Size of both networks: a perceptron for tables, convolutions for images.
    trainer : Trainer, optional
        Budget, batch size, learning rate, device.
    schema : mapping, optional
        Overrides of the inferred column kinds.
    random_state : None, int or Generator
    loss : str, optional
        "minimax" (saturating), "non-saturating", "hinge", "least-squares" or
        "wasserstein" (with its gradient penalty, unless ``stabilisers`` bring another one or
        spectral normalisation). By default what suits the data, with its own mild penalty.
    stabilisers : sequence of Stabiliser, names or mappings, default=()
        Parts of :mod:`augsynth.nn.stabilise` that keep the two in balance, such as
        ``(Packing(rows=2), "experience-replay", {"kind": "label-smoothing", "strength": 0.2})``.
    discriminator_steps : int, optional
        Turns of the discriminator before each turn of the generator. A batch is
        divided among them (one of less than 64 rows a turn is shown whole, with fresh fakes).
    noise : {"gaussian", "uniform"} or mapping, default="gaussian"
        What rows are made of; ``{"kind": "uniform", "dim": 32}`` sets the length too.

    Attributes
    ----------
    objective_ : GANObjective
    history_ : History
        Both losses, the norms of both gradients, the mean verdicts D(x) and D(G(z)),
        the coverage and the spread of made rows, and ``alarms``: saturation, imbalance,
        oscillation, divergence and mode collapse, in words.

    Notes
    -----
    Weights are averaged over training (the trainer's option ``ema``); rows are drawn in
    evaluation mode. Patience watches the energy distance of held-out and made rows.

    The labels of ``sample_labelled`` and of rows asked for by number are drawn at their
    true frequencies. ``BalancedConditions`` shows rare cells more often in training, which
    changes how well they are learned, not how often they are drawn.

    Losses in a game do not fall; look at the coverage and at the alarms. A model that
    collapses leaves real rows out: compare with ``augsynth.check`` before use.

    References
    ----------
    I. Goodfellow et al., "Generative Adversarial Nets", 2014, arXiv:1406.2661. M. Mirza,
    S. Osindero, "Conditional Generative Adversarial Nets", 2014, arXiv:1411.1784.
    I. Gulrajani et al., "Improved Training of Wasserstein GANs", 2017, arXiv:1704.00028.
    A. Radford et al., "Unsupervised Representation Learning with Deep Convolutional GANs",
    2016, arXiv:1511.06434.

    Examples
    --------
    >>> import numpy as np
    >>> from augsynth.nn.trainer import Trainer
    >>> X = np.random.default_rng(0).normal(size=(60, 3))
    >>> y = np.repeat([0, 1], [50, 10])
    >>> gan = GANGenerator(trainer=Trainer(steps=5), stabilisers=("packing",), random_state=0).fit(X, y)
    >>> gan.sample(y=[1, 1]).shape
    (2, 3)
    """

    _takes_images: ClassVar[bool] = True
    objective_: GANObjective

    def __init__(
        self,
        *,
        backbone: Any = None,
        trainer: Any = None,
        schema: Any = None,
        random_state: Any = None,
        loss: str | None = None,
        stabilisers: Any = (),
        discriminator_steps: int | None = None,
        noise: Any = "gaussian",
    ):
        super().__init__(backbone=backbone, trainer=trainer, schema=schema, random_state=random_state)
        self.loss = loss
        self.stabilisers = stabilisers
        self.discriminator_steps = discriminator_steps
        self.noise = noise

    def _check(self) -> None:
        super()._check()
        where = type(self).__name__
        if self.loss is not None:
            check_option(where, "loss", self.loss, LOSSES)
        if self.discriminator_steps is not None:
            check_number(where, "discriminator_steps", self.discriminator_steps, low=1, integer=True)
        for stabiliser in self._stabilisers():
            stabiliser.check()
        noise = self.noise
        if isinstance(noise, Mapping):
            unknown = set(noise) - {"kind", "dim"}
            if unknown:
                must = "noise must be a name, or a mapping with 'kind' and 'dim'"
                raise ParameterError(sentence(where, must, repr(dict(noise))))
            if noise.get("dim") is not None:
                check_number(where, "noise['dim']", noise["dim"], low=1, integer=True)
            noise = noise.get("kind", "gaussian")
        check_option(where, "noise", noise, ("gaussian", "uniform"))
        if self._sees_images and self.backbone is not None and not hasattr(self.backbone, "encoder"):
            must = "backbone must be a ConvBackbone for images"
            raise ParameterError(sentence(where, must, repr(self.backbone)))

    def _stabilisers(self) -> list[Stabiliser]:
        given = self.stabilisers
        if given is None:
            return []
        if isinstance(given, (str, Mapping, Stabiliser)):
            given = [given]
        made = [registry.build("stabiliser", s) if isinstance(s, (str, Mapping)) else s for s in given]
        odd = [s for s in made if not isinstance(s, Stabiliser)]
        if odd:
            must = "stabilisers must be names, mappings or objects of augsynth.nn.stabilise"
            raise ParameterError(sentence(type(self).__name__, must, repr(odd[0])))
        return made

    @property
    def _noise(self) -> tuple[bool, int | None]:
        """Whether the noise is uniform, and its length."""
        if isinstance(self.noise, Mapping):
            return self.noise.get("kind", "gaussian") == "uniform", self.noise.get("dim")
        return self.noise == "uniform", None

    def _fit(self, z: np.ndarray, c: np.ndarray, w: np.ndarray | None, rng: np.random.Generator) -> None:
        self._weights = None if w is None else torch.as_tensor(w / w.mean(), dtype=torch.float32)
        self._first: tuple[Tensor, Tensor, Tensor | None] | None = None
        try:
            super()._fit(z, c, w, rng)
        finally:
            del self._first, self._weights

    def _before(self, rows: Tensor, cells: Tensor, rng: np.random.Generator) -> None:
        if self.coder_ is not None:
            self.parents_ = dependence_tree(rows.numpy(), self.coder_.sizes_, rng)
        self._first = rows, cells, self._weights

    def _build(self, layout: Layout | ImageLayout, n_condition: int) -> GANObjective:
        stabilisers = self._stabilisers()
        packing = max([1, *(s.rows for s in stabilisers if isinstance(s, Packing))])
        uniform, dim = self._noise
        pair = self._pair(layout, packing, {} if dim is None else {"noise_dim": int(dim)})
        pair.uniform = uniform
        first = getattr(self, "_first", None)
        if first is not None:  # not where weights are about to be loaded
            pair.start(*first)
        loss = pair.loss if self.loss is None else self.loss
        bounded = any(s.bounds_slope for s in stabilisers)
        if loss == "wasserstein" and not bounded:
            stabilisers.append(GradientPenalty())
        elif loss == pair.loss and pair.penalty is not None and not bounded:
            stabilisers.append(GradientPenalty(**pair.penalty))
        steps = pair.discriminator_steps if self.discriminator_steps is None else self.discriminator_steps
        return GANObjective(
            pair,
            loss=loss,
            stabilisers=stabilisers,
            discriminator_steps=steps,
            counts=self.condition_.counts,
        )

    def _pair(self, layout: Layout | ImageLayout, packing: int, options: dict[str, Any]) -> Adversaries:
        """Return the two untrained networks."""
        if isinstance(layout, ImageLayout):
            from augsynth.nn.adversary_image import ImageAdversaries
            from augsynth.nn.convnets import ConvBackbone

            backbone = ConvBackbone() if self.backbone is None else self.backbone
            return ImageAdversaries(layout, self._condition(TOLD), backbone, packing=packing, **options)
        from augsynth.nn.adversary_table import TableAdversaries
        from augsynth.nn.token_space import TokenSpace

        ordered = [block.is_numeric for block in layout]
        coder: Any = self.coder_
        space = TokenSpace(coder.sizes_.tolist(), self.parents_, ordered)
        return TableAdversaries(space, self._condition(TOLD), self._backbone(), packing=packing, **options)

    def _after(self, rows: Tensor, cells: Tensor, w: Tensor | None, rng: np.random.Generator) -> None:
        generator = keyed_generator(int(rng.integers(2**63 - 1)))
        self._settle_norms(cells, generator)
        device = next(self.objective_.parameters()).device
        weights = None if w is None else w.to(device)
        self.objective_.pair.settle(rows.to(device), cells.to(device), weights, generator=generator)

    @torch.no_grad()
    def _settle_norms(self, cells: Tensor, generator: torch.Generator) -> None:
        """Let batch norm learn its averages again: those of training are not of the averaged weights."""
        pair = self.objective_.pair
        norms = [m for m in pair.maker.modules() if isinstance(m, (nn.BatchNorm1d, nn.BatchNorm2d))]
        if not norms:
            return
        momenta = [norm.momentum for norm in norms]
        device = next(pair.maker.parameters()).device
        for norm in norms:
            norm.reset_running_stats()
            norm.momentum = None  # the plain mean of the batches
        pair.maker.train()
        for _ in range(SETTLING):
            at = torch.randint(len(cells), (min(len(cells), 256),), generator=generator)
            told = cells[at].to(device)
            pair.make(pair.draw_noise(len(told), generator, device), told, generator)
        pair.maker.eval()
        for norm, momentum in zip(norms, momenta, strict=True):
            norm.momentum = momentum

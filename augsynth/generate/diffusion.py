"""Diffusion models: images by denoising, rows of tables by unmasking."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from augsynth.core.errors import DataError, ParameterError, sentence
from augsynth.core.parameters import check_number, check_option
from augsynth.core.random import ItemKeys
from augsynth.encode.image import ImageLayout
from augsynth.encode.layout import Layout
from augsynth.generate.deep import TorchGenerator
from augsynth.generate.denoising import STEPS, DenoisingObjective
from augsynth.generate.masked_diffusion import MaskedDiffusionObjective
from augsynth.nn.backbones import MLPBackbone
from augsynth.nn.objective import Objective
from augsynth.nn.pixels import Pixels
from augsynth.nn.schedules import SCHEDULES, schedule
from augsynth.nn.unet import UNetBackbone

__all__ = ["DiffusionGenerator"]


class DiffusionGenerator(TorchGenerator):
    """New images or rows from a diffusion model: noise is removed step by step.

    A network learns to guess the clean image behind a noisy one; new images start as
    pure noise and follow its guesses. In tables cells are hidden instead of
    blurred, and revealed bit by bit.

    Parameters
    ----------
    backbone : UNetBackbone (images) or MLPBackbone (tables), optional
        Size of the network; by default 16 channels wide for images of up to 16 pixels
        a side, 24 beyond.
    trainer : Trainer, optional
        Budget, batch size, learning rate, device.
    schema : mapping, optional
        Overrides of the inferred column kinds.
    random_state : None, int or Generator
    schedule : {"edm", "cosine", "linear"}, default="edm"
        Which noises images are trained on, and sampled through; tables have none.
    guidance : float, default=0.0
        How much more than its share the label counts in images: 0 draws from the
        learned distribution of the label; 1 to 4 give more typical, less varied images,
        at twice the time. It takes part in training: set it before ``fit``.
    n_steps : int, optional
        Steps of a drawn image or row: 18 for images by default.

    Attributes
    ----------
    objective_ : DenoisingObjective or MaskedDiffusionObjective
    history_ : History

    Notes
    -----
    *How denoising learns the distribution.* The guess with the least squared error is the
    mean of the clean images given the noisy one, D(x; sigma), and Tweedie's formula
    makes a score of it: the gradient of the log-density of noisy images is
    (D(x; sigma) - x) / sigma^2. Following that gradient while the noise falls
    carries noise to images (the probability-flow equation).

    *Cost and quality of images.* On scikit-learn's digits (1,257 of 8 x 8 for training) 2,000
    steps of 32 images take 40 to 70 CPU-seconds, 1,257 new ones 2 to 6; a support-vector
    classifier trained on these alone reached 99 % of the accuracy of one trained on
    the real ones (one seed; 8, 12 or 18 steps of drawing made no difference there,
    but 18 cover more of the test images: .92 against .88). Images of 28 x 28 cost about
    0.12 CPU-seconds a step of 64: nine minutes for the 4,500 steps of 60,000 images.

    ``log_prob`` of tables is a random lower bound: give ``random_state`` for the same
    figure twice. Images have none: use AutoregressiveGenerator or VAEGenerator.

    Deviation: Karras et al. solve with Heun's method, two evaluations a step; here a
    multistep method takes one. Of "linear" and "cosine" the noises are kept, and the
    preconditioning, loss and solver of "edm" are used with them.

    References
    ----------
    J. Ho, A. Jain, P. Abbeel, "Denoising Diffusion Probabilistic Models", 2020,
    arXiv:2006.11239. A. Nichol, P. Dhariwal, 2021, arXiv:2102.09672. T. Karras et al.,
    "Elucidating the Design Space of Diffusion-Based Generative Models", 2022,
    arXiv:2206.00364. J. Ho, T. Salimans, "Classifier-Free Diffusion Guidance", 2022,
    arXiv:2207.12598. C. Lu et al., "DPM-Solver++", 2022, arXiv:2211.01095. Tables:
    S. Sahoo et al., "Simple and Effective Masked Diffusion Language Models", 2024, arXiv:2406.07524.

    Examples
    --------
    >>> import numpy as np
    >>> from augsynth.nn.trainer import Trainer
    >>> images = np.random.default_rng(0).integers(0, 17, (40, 8, 8))
    >>> model = DiffusionGenerator(
    ...     backbone=UNetBackbone(8), trainer=Trainer(steps=2), n_steps=3, random_state=0
    ... )
    >>> model.fit(images, [0, 1] * 20).sample(y=[1, 1]).shape
    (2, 8, 8)
    """

    _takes_images: ClassVar[bool] = True
    coder_: Any

    def __init__(
        self,
        *,
        backbone: Any = None,
        trainer: Any = None,
        schema: Any = None,
        random_state: Any = None,
        schedule: str = "edm",
        guidance: float = 0.0,
        n_steps: int | None = None,
    ):
        super().__init__(backbone=backbone, trainer=trainer, schema=schema, random_state=random_state)
        self.schedule = schedule
        self.guidance = guidance
        self.n_steps = n_steps

    def _check(self) -> None:
        where = type(self).__name__
        super()._check()
        check_option(where, "schedule", self.schedule, tuple(SCHEDULES))
        check_number(where, "guidance", self.guidance, low=0)
        if self.n_steps is not None:
            check_number(where, "n_steps", self.n_steps, low=1, integer=True)
        # A U-Net reads images, a perceptron rows: neither can stand in for the other.
        if self.backbone is not None and self._sees_images != isinstance(self.backbone, UNetBackbone):
            must = "a UNetBackbone for images" if self._sees_images else "a backbone of rows for tables"
            raise ParameterError(sentence(where, f"backbone must be {must}", repr(self.backbone)))

    def _backbone(self) -> Any:
        if self.backbone is None:
            return UNetBackbone() if self._sees_images else MLPBackbone(256, depth=6)
        return self.backbone

    def _before(self, rows: Tensor, cells: Tensor, rng: np.random.Generator) -> None:
        if not isinstance(self.layout_, ImageLayout):
            self._first_rows = rows
            return
        some = Pixels(self.layout_.levels).read(rows[:: max(1, len(rows) // 2000)])
        self.center_, self.spread_ = float(some.mean()), max(float(some.std(correction=0)), 0.01)

    def _build(self, layout: Layout | ImageLayout, n_condition: int) -> Objective:
        backbone = self._backbone()
        if isinstance(layout, ImageLayout):
            return DenoisingObjective(
                layout,
                self._condition(2 * int(backbone.width)),
                backbone,
                schedule=schedule(self.schedule, len(layout)),
                guidance=self.guidance,
                n_steps=self.n_steps or STEPS,
                center=self.center_,
                spread=self.spread_,
            )
        sizes, gaps = self.coder_.sizes_.tolist(), (self.coder_.missing_token_ >= 0).tolist()
        condition = self._condition(min(int(getattr(backbone, "width", 256)), 32))
        objective = MaskedDiffusionObjective(
            sizes,
            gaps,
            condition,
            backbone,
            n_steps=self.n_steps,
            ordered=[block.is_numeric for block in layout],
            smooth=self.coder_.stretches(),
        )
        rows = self.__dict__.pop("_first_rows", None)
        if rows is not None:  # not when a saved model is put together again
            objective.network.start_at(rows)
        return objective

    def _log_prob(self, z: np.ndarray, c: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        if self._sees_images:
            must = "log_prob of a diffusion model must be of a table"
            todo = "AutoregressiveGenerator and VAEGenerator tell it of images."
            raise DataError(sentence(type(self).__name__, must, "images", todo))
        rows, seed = self._rows(z), int(rng.integers(2**63 - 1))
        bound = self._in_blocks(self.objective_.bound, (rows, torch.as_tensor(c)), seed)
        return bound.astype(np.float64) + self.coder_.log_density(z, rows.numpy())

    def _complete(self, z: np.ndarray, observed: np.ndarray, c: np.ndarray, keys: ItemKeys) -> np.ndarray:
        return self._completed(z, observed, c, keys)

"""The base of deep generators: codec, condition, objective and trainer, put together once."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any, ClassVar

import numpy as np
import torch

from augsynth.core.errors import ModelFileError, ParameterError, sentence
from augsynth.core.random import ItemKeys, keyed_rng
from augsynth.encode.bins import Binner
from augsynth.encode.image import ImageLayout
from augsynth.encode.layout import Layout
from augsynth.encode.scores import NormalScores
from augsynth.generate.base import BaseGenerator
from augsynth.generate.completion import middle
from augsynth.nn.backbones import ConditionEmbedding, MLPBackbone
from augsynth.nn.objective import Objective
from augsynth.nn.randomness import RowNoise, forked, keyed_generator
from augsynth.nn.threads import few_threads
from augsynth.nn.trainer import Trainer

__all__ = ["DRAW_IMAGES", "DRAW_ROWS", "TorchGenerator"]

DRAW_ROWS = 256  # networks always see blocks of this height: other heights change the last bits
DRAW_IMAGES = 64


class TorchGenerator(BaseGenerator):
    """A generator whose distribution is a torch model, trained by the one trainer.

    A subclass writes ``_build(layout, n_condition)``, which returns an
    :class:`augsynth.nn.objective.Objective`; everything else is here. ``self.coder_``
    (fitted by then) turns ``z`` into what the objective sees: tokens of 8 or 16 bits,
    or normal scores when ``_coder`` is overridden. Images (``layout`` is an
    :class:`augsynth.encode.image.ImageLayout` then) are seen as the codec left them:
    level codes or numbers in [-1, 1], read by :class:`augsynth.nn.pixels.Pixels`.

    Parameters
    ----------
    backbone : MLPBackbone, ConvBackbone or UNetBackbone, optional
        Size of the networks.
    trainer : Trainer, optional
        Budget, batch size, learning rate and device.
    schema : mapping, optional
        Overrides of the inferred column kinds.
    random_state : None, int or Generator

    Attributes
    ----------
    objective_ : Objective
        The trained model.
    history_ : History
        What training did.
    device_ : str
        Where it was trained.
    """

    _takes_unlabelled: ClassVar[bool] = True
    missing_is_a_value: ClassVar[bool] = True

    def __init__(
        self, *, backbone: Any = None, trainer: Any = None, schema: Any = None, random_state: Any = None
    ):
        self.backbone = backbone
        self.trainer = trainer
        self.schema = schema
        self.random_state = random_state

    @abstractmethod
    def _build(self, layout: Layout | ImageLayout, n_condition: int) -> Objective:
        """Return the untrained objective for rows of this layout and a number of cells."""

    @property
    def _sees_images(self) -> bool:
        return isinstance(self.layout_, ImageLayout)

    def _coder(self) -> Any:
        """Return the unfitted coder of rows: a Binner (tokens) or NormalScores."""
        return Binner()

    def _check(self) -> None:
        """Check the constructor's parameters; a subclass checks its own first."""
        for name, method in (("trainer", "run"), ("backbone", "build")):
            given = getattr(self, name)
            if given is not None and not hasattr(given, method):
                raise ParameterError(
                    sentence(type(self).__name__, f"{name} must have a method {method!r}", repr(given))
                )

    def _backbone(self) -> Any:
        return MLPBackbone() if self.backbone is None else self.backbone

    def _condition(self, width: int) -> ConditionEmbedding | None:
        """Return an untrained embedding of the cells, or None where there is nothing to be told."""
        attributes = self.condition_.attributes
        if not attributes.shape[1]:
            return None
        return ConditionEmbedding(attributes, self.condition_.attribute_sizes, width)

    def _fit(self, z: np.ndarray, c: np.ndarray, w: np.ndarray | None, rng: np.random.Generator) -> None:
        self._check()
        self.coder_ = None if self._sees_images else self._coder().fit(z, self.layout_)
        rows, cells = self._rows(z), torch.as_tensor(c)
        self._before(rows, cells, rng)
        objective = self._make(int(rng.integers(2**63 - 1)))
        weights = None if w is None else torch.as_tensor(w / w.mean(), dtype=torch.float32)
        trainer = Trainer() if self.trainer is None else self.trainer
        self.history_ = trainer.run(objective, rows, cells, w=weights, rng=rng)
        self.device_ = self.history_.device
        self.objective_ = objective
        with few_threads(objective, self._height):
            self._after(rows, cells, weights, rng)

    def _before(self, rows: torch.Tensor, cells: torch.Tensor, rng: np.random.Generator) -> None:
        """Learn from the coded rows what ``_build`` needs (as fitted attributes); nothing by default."""

    def _after(
        self, rows: torch.Tensor, cells: torch.Tensor, w: torch.Tensor | None, rng: np.random.Generator
    ) -> None:
        """Fit what stands on the trained model (a latent prior, say); nothing by default."""

    def _make(self, seed: int) -> Objective:
        with forked(seed):
            return self._build(self.layout_, self.condition_.n_cells)

    @property
    def _height(self) -> int:
        return DRAW_IMAGES if self._sees_images else DRAW_ROWS

    def _rows(self, z: np.ndarray) -> torch.Tensor:
        if self.coder_ is None:
            return torch.as_tensor(z)
        coded = self.coder_.encode(z)
        if isinstance(self.coder_, NormalScores):
            return torch.as_tensor(coded, dtype=torch.float32)
        # torch gathers uint8, but not the larger unsigned types
        return torch.as_tensor(coded if coded.dtype == np.uint8 else coded.astype(np.int32))

    def _sample(self, c: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        seed = int(rng.integers(2**63 - 1))
        coded = self._in_blocks(
            lambda cells, generator: self.objective_.draw(cells, generator), (torch.as_tensor(c),), seed
        )
        return self._decode_rows(coded, keyed_rng(seed, 1))

    def _decode_rows(self, coded: np.ndarray, rng: np.random.Generator | np.ndarray | None) -> np.ndarray:
        if self.coder_ is None:
            return coded
        if isinstance(self.coder_, NormalScores):
            return self.coder_.decode(coded, clip=True)
        return self.coder_.decode(coded, rng)

    def _completed(
        self,
        z: np.ndarray,
        observed: np.ndarray,
        c: np.ndarray,
        keys: ItemKeys,
        *,
        height: int | None = None,
        **options: Any,
    ) -> np.ndarray:
        """Have the objective, one with ``complete``, draw the cells that are not observed."""
        # Cells that are not observed may have no token: any value that has one stands in for them.
        blank = np.zeros_like(z[:1])
        if isinstance(self.coder_, Binner):
            blank = self.coder_.decode(blank, None)
        tensors = (self._rows(np.where(observed, z, blank)), torch.as_tensor(observed), torch.as_tensor(c))
        model: Any = self.objective_
        coded = self._in_blocks(
            lambda *rows: model.complete(*rows, **options), tensors, keys.child(0), height=height
        )
        if coded.shape[1] == z.shape[1]:
            return self._decode_rows(coded, keys.child(1).uniforms(len(self.layout_.numeric)))
        each = np.split(coded, coded.shape[1] // z.shape[1], axis=1)  # several draws a row: their middle
        return middle(np.stack([self._decode_rows(made, None) for made in each]), self.layout_.categorical)

    @torch.no_grad()
    def _in_blocks(
        self,
        function: Any,
        tensors: tuple[torch.Tensor, ...],
        seed: int | ItemKeys,
        *,
        height: int | None = None,
    ) -> np.ndarray:
        """Apply ``function(*rows, noise)`` to zero-padded blocks of a fixed height; join the rows.

        The noise is the block's own generator under a seed, or a RowNoise of its rows' keys.
        """
        height = height or self._height
        device = torch.device(self.device_)
        n, out = len(tensors[0]), []
        with few_threads(self.objective_, height):
            for k, start in enumerate(range(0, n, height)):
                block = [t[start : start + height] for t in tensors]
                rows = len(block[0])
                if rows < height:
                    block = [torch.cat([t, t.new_zeros(height - rows, *t.shape[1:])]) for t in block]
                if isinstance(seed, ItemKeys):
                    noise: Any = RowNoise(seed.take(np.arange(start, start + rows)), height, device)
                else:
                    noise = keyed_generator(seed, (0, k))
                made = function(*(t.to(device) for t in block), noise)
                out.append(made[:rows].cpu().numpy())
        return np.concatenate(out)

    def _state(self) -> dict[str, Any]:
        state = {k: v for k, v in vars(self).items() if k.endswith("_") and not k.startswith("_")}
        if "objective_" in state:
            weights = state.pop("objective_").state_dict()
            state["weights_"] = {name: value.cpu().numpy() for name, value in weights.items()}
        return state

    def __getstate__(self) -> dict[str, Any]:
        # Copies and pickles hold weights, as files do: not every network can be pickled, and a
        # model in training has seen rows that its copies need not carry along.
        state = dict(super().__getstate__())
        objective = state.pop("objective_", None)
        if objective is not None:
            state["weights_"] = {name: value.cpu().numpy() for name, value in objective.state_dict().items()}
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        weights = {"weights_": state.pop("weights_")} if "weights_" in state else {}
        super().__setstate__(state)
        self._set_state(weights)

    def _set_state(self, state: dict[str, Any]) -> None:
        weights = state.pop("weights_", None)
        self.__dict__.update(state)
        if weights is None:
            return
        there = not self.device_.startswith("cuda") or torch.cuda.is_available()
        self.device_ = self.device_ if there else "cpu"
        objective = self._make(0)
        try:
            objective.load_state_dict({name: torch.as_tensor(value) for name, value in weights.items()})
        except RuntimeError as error:
            given = str(error).splitlines()[1].strip() if "\n" in str(error) else str(error)
            raise ModelFileError(
                sentence(f"load({type(self).__name__})", "the weights must fit the model", given)
            ) from error
        self.objective_ = objective.to(self.device_).eval()

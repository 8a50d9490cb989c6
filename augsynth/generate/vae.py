"""Conditional variational autoencoder for tables."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from augsynth.core.errors import DataError, sentence
from augsynth.core.parameters import check_number, check_option
from augsynth.encode.bins import Binner
from augsynth.encode.layout import Layout
from augsynth.encode.scores import NormalScores
from augsynth.generate.deep import TorchGenerator
from augsynth.nn.backbones import ConditionEmbedding
from augsynth.nn.objective import Objective
from augsynth.nn.prior import LatentPrior
from augsynth.nn.randomness import noise
from augsynth.nn.rows import RowEnds
from augsynth.nn.tree import dependence_tree

__all__ = ["VAEGenerator", "VAEObjective"]

WARM_UP = 0.2  # share of the steps over which beta rises
MIN_ROWS = 20  # a cell with fewer rows shares its class's latent mixture
BOUND_ROWS, BOUND_SAMPLES = 64, 64
CODES = 4000  # a small cell gives several posterior draws a row, up to this many codes


class VAEObjective(Objective):
    """The evidence lower bound of a conditional autoencoder, with ``beta`` times its Kullback-Leibler term.

    Parameters
    ----------
    ends : RowEnds
        How rows are read, and the likelihood that the decoder's output stands for.
    condition : ConditionEmbedding or None
        What the encoder and the decoder are told.
    backbone : MLPBackbone
        Size of the encoder and of the decoder.
    latent_dim : int
    beta : float
        0 leaves a plain autoencoder: codes without noise, no Kullback-Leibler term.
    """

    prior: LatentPrior | None = None
    latent_dim: int
    encoder: nn.Module
    decoder: nn.Module

    def __init__(
        self,
        ends: RowEnds,
        condition: ConditionEmbedding | None,
        backbone: Any,
        *,
        width: int,
        latent_dim: int,
        beta: float,
    ):
        super().__init__()
        self.ends, self.condition, self.latent_dim, self.beta = ends, condition, latent_dim, float(beta)
        told = 0 if condition is None else condition.weight.shape[1]
        self.encoder = backbone.build(width, 2 * latent_dim, told)
        self.decoder = backbone.build(latent_dim, ends.n_outputs, told)
        self.planned = 1

    def begin(self, planned_steps: int) -> None:
        """Learn how long the warm-up of beta is."""
        self.planned = planned_steps

    def _told(self, c: Tensor) -> Tensor | None:
        return None if self.condition is None else self.condition(c)

    def encode(self, z: Tensor, c: Tensor) -> tuple[Tensor, Tensor]:
        """Return the mean and the log-variance (n, d) of the codes of rows."""
        out = self.encoder(self.ends.read(z), self._told(c))
        mean, log_variance = out.chunk(2, dim=1)
        return mean, log_variance.clamp(-12.0, 6.0)

    def outputs(self, codes: Tensor, c: Tensor) -> Tensor:
        """Return the decoder's outputs for codes (n, d)."""
        return self.decoder(codes, self._told(c))

    def sample_codes(self, z: Tensor, c: Tensor, generator: torch.Generator) -> Tensor:
        """Draw one code a row from its posterior."""
        mean, log_variance = self.encode(z, c)
        if self.beta == 0:
            return mean
        return mean + noise(mean.shape, generator, mean.device) * (0.5 * log_variance).exp()

    def losses(
        self, z: Tensor, c: Tensor, w: Tensor | None, *, step: int, generator: torch.Generator
    ) -> Iterable[tuple[str, Tensor]]:
        """Yield the one loss: reconstruction plus beta times divergence, in nats a row."""
        mean, log_variance = self.encode(z, c)
        codes, divergence = mean, torch.zeros(())
        if self.beta > 0:
            codes = mean + noise(mean.shape, generator, mean.device) * (0.5 * log_variance).exp()
            divergence = 0.5 * (mean**2 + log_variance.exp() - 1.0 - log_variance).sum(1)
        beta = self.beta * min(1.0, (step + 1) / (WARM_UP * self.planned))
        loss = beta * divergence - self.ends.log_prob(self.outputs(codes, c), z)
        yield "model", loss.mean() if w is None else (w * loss).mean()

    def draw(self, c: Tensor, generator: torch.Generator) -> Tensor:
        """Draw one coded row for each cell."""
        prior = self.prior or LatentPrior.normal(self.latent_dim, 1)
        return self.ends.draw(self.outputs(prior.draw(c, generator), c), generator)

    def bound(self, z: Tensor, c: Tensor, generator: torch.Generator) -> Tensor:
        """Return the importance-weighted bound on the log-probability of coded rows, (n,)."""
        mean, log_variance = self.encode(z, c)
        shape = (BOUND_SAMPLES, *mean.shape)
        e = noise(shape, generator, mean.device)
        codes = (mean + e * (0.5 * log_variance).exp()).flatten(0, 1)
        log_q = -0.5 * (e**2 + log_variance + math.log(2 * math.pi)).sum(2)
        every = c.repeat(BOUND_SAMPLES)
        prior = self.prior or LatentPrior.normal(self.latent_dim, 1)
        density = prior.log_prob(codes.cpu().double().numpy(), every.cpu().numpy())
        log_p = torch.as_tensor(density, dtype=codes.dtype, device=codes.device)
        log_p = log_p + self.ends.log_prob(self.outputs(codes, every), z.repeat(BOUND_SAMPLES, 1))
        return torch.logsumexp(log_p.view(shape[:2]) - log_q, dim=0) - math.log(BOUND_SAMPLES)


class VAEGenerator(TorchGenerator):
    """New rows from a conditional variational autoencoder.

    Rows are squeezed into a few latent numbers and back; new rows are decoded from
    new latent numbers. Encoder and decoder are told every attribute of the condition
    (label and groups), so rare classes borrow what they share with the others.

    Parameters
    ----------
    backbone : MLPBackbone, optional
        Size of the encoder and of the decoder; 256 wide, two hidden layers by default.
    trainer : Trainer, optional
        Budget, batch size, learning rate, device.
    schema : mapping, optional
        Overrides of the inferred column kinds.
    random_state : None, int or Generator
    latent_dim : int, optional
        Latent numbers a row; by default two more than the columns, from 4 to 32.
    likelihood : {"categorical", "gaussian"} or float, default="categorical"
        What the decoder says of a numeric column: probabilities of at most 256
        quantile bins; a normal distribution of its normal score, with a variance that
        is learned, or fixed at the given number. Categorical columns are categorical
        throughout, columns of two values Bernoulli.
    beta : float, default=0.7
        Weight of the divergence from the standard normal, reached after a fifth of
        the steps. 1 is the evidence bound; less reconstructs better and leaves more to
        the fitted prior; 0 is a plain autoencoder.
    prior : {"mixture", "normal"}, default="mixture"
        Where new latent numbers come from: Gaussian mixtures fitted, cell by cell, to
        the latent numbers of the training rows, or the standard normal.

    Attributes
    ----------
    objective_ : VAEObjective
    prior_ : LatentPrior
    history_ : History

    Notes
    -----
    About 80 CPU-seconds for 32,000 rows of 14 columns, 3 for 500 rows. Missing cells are
    values of their own: they are generated as often as they were seen.

    ``log_prob`` is the importance-weighted bound of 64 draws: in expectation a lower
    bound of the log-density, closer than the training objective's. It is itself
    random: give ``random_state`` for the same figure twice. With the categorical
    likelihood it is a probability at repeated values and a density between them; with the
    Gaussian one a density everywhere, that of the scores before they snap to repeated values.

    With the categorical likelihood the decoder's columns are not independent given
    the latent numbers: each column's probabilities are also moved by the value of one
    other column, along the tree of columns with the largest mutual information. Pairs
    that go together exactly (education and years of education) stay so.

    Deviation: the published model decodes numbers from a Gaussian and draws latent
    numbers from the standard normal (``likelihood="gaussian", beta=1, prior="normal"``
    here); on tables quantile bins, linked columns and a fitted prior are much closer to the data.

    References
    ----------
    D. P. Kingma, M. Welling, "Auto-Encoding Variational Bayes", 2014, arXiv:1312.6114.
    K. Sohn et al., "Learning Structured Output Representation using Deep Conditional
    Generative Models", 2015. C. Chow, C. Liu, "Approximating discrete probability distributions
    with dependence trees", 1968, doi:10.1109/TIT.1968.1054142. I. Higgins et al., "beta-VAE",
    2017. Y. Burda et al., "Importance Weighted Autoencoders", 2016, arXiv:1509.00519.

    Examples
    --------
    >>> import numpy as np
    >>> from augsynth.nn.trainer import Trainer
    >>> X = np.random.default_rng(0).normal(size=(60, 3))
    >>> y = np.repeat([0, 1], [50, 10])
    >>> vae = VAEGenerator(trainer=Trainer(steps=5), random_state=0).fit(X, y)
    >>> vae.sample(y=[1, 1]).shape
    (2, 3)
    """

    objective_: VAEObjective

    def __init__(
        self,
        *,
        backbone: Any = None,
        trainer: Any = None,
        schema: Any = None,
        random_state: Any = None,
        latent_dim: int | None = None,
        likelihood: Any = "categorical",
        beta: float = 0.7,
        prior: str = "mixture",
    ):
        super().__init__(backbone=backbone, trainer=trainer, schema=schema, random_state=random_state)
        self.latent_dim = latent_dim
        self.likelihood = likelihood
        self.beta = beta
        self.prior = prior

    def encode(self, X: Any, y: Any = None, *, sensitive_features: Any = None) -> np.ndarray:
        """Return the latent means of rows.

        Parameters
        ----------
        X, y, sensitive_features
            As in ``fit``.

        Returns
        -------
        ndarray, (n, latent_dim)
        """
        _, z, c, _ = self._take_query(X, y, sensitive_features, 0, "encode")
        if not hasattr(self, "objective_"):
            return np.zeros((len(z), 0), dtype=np.float32)
        return self._in_blocks(
            lambda rows, cells, _: self.objective_.encode(rows, cells)[0],
            (self._rows(z), torch.as_tensor(c)),
            0,
        )

    def decode(self, latents: np.ndarray, y: Any = None, *, sensitive_features: Any = None) -> Any:
        """Return the most probable row of each latent code, as ``sample`` would return it.

        Parameters
        ----------
        latents : array, (n, latent_dim)
        y, sensitive_features
            As in ``sample``; labels or groups that are not given are drawn (seed 0).
        """
        where = f"{type(self).__name__}.decode"
        latents = np.asarray(latents, dtype=np.float32)
        dim = self.objective_.latent_dim if hasattr(self, "objective_") else 0
        if latents.ndim != 2 or latents.shape[1] != dim:
            raise DataError(sentence(where, f"latents must have shape (n, {dim})", str(latents.shape)))
        c = self._cells(len(latents), y, sensitive_features, 0)
        if dim == 0:
            return self._decode(np.empty((len(latents), 0)), c)
        coded = self._in_blocks(
            lambda codes, cells, _: self.objective_.ends.mode(self.objective_.outputs(codes, cells)),
            (torch.as_tensor(latents), torch.as_tensor(c)),
            0,
        )
        return self._decode(self._decode_rows(coded, None), c)

    def _coder(self) -> Any:
        return Binner() if self.likelihood == "categorical" else NormalScores()

    def _check(self) -> None:
        where = type(self).__name__
        super()._check()
        if self.latent_dim is not None:
            check_number(where, "latent_dim", self.latent_dim, low=1, integer=True)
        check_number(where, "beta", self.beta, low=0)
        check_option(where, "prior", self.prior, ("mixture", "normal"))
        if isinstance(self.likelihood, str):
            check_option(where, "likelihood", self.likelihood, ("categorical", "gaussian"))
        else:
            check_number(where, "likelihood", self.likelihood, low=0, low_open=True)

    def _before(self, rows: Tensor, cells: Tensor, rng: np.random.Generator) -> None:
        tokens = isinstance(self.coder_, Binner)
        self.parents_ = dependence_tree(rows.numpy(), self.coder_.sizes_, rng) if tokens else None

    def _build(self, layout: Layout, n_condition: int) -> VAEObjective:
        if isinstance(self.coder_, Binner):
            sizes, gaps = self.coder_.sizes_.tolist(), (self.coder_.missing_token_ >= 0).tolist()
        else:
            gaps = [block.missing for block in layout]
            sizes = [b.n_levels + b.missing if b.n_levels else 0 for b in layout]
        variance = None if isinstance(self.likelihood, str) else float(self.likelihood)
        backbone = self._backbone()
        width = int(getattr(backbone, "width", 256))
        attributes = self.condition_.attributes
        condition = None
        if attributes.shape[1]:
            condition = ConditionEmbedding(attributes, self.condition_.attribute_sizes, min(width, 32))
        return VAEObjective(
            RowEnds(sizes, gaps, width=width, variance=variance, parents=self.parents_),
            condition,
            backbone,
            width=width,
            latent_dim=self.latent_dim or int(np.clip(len(layout) + 2, 4, 32)),
            beta=self.beta,
        )

    def _after(self, rows: Tensor, cells: Tensor, w: Tensor | None, rng: np.random.Generator) -> None:
        if self.prior == "normal":
            self._use(LatentPrior.normal(self.objective_.latent_dim, self.condition_.n_cells))
            return
        self.pool_ = pools = self.condition_.pool(MIN_ROWS, where=type(self).__name__)
        members = [tuple(pools.members(cell)) for cell in range(self.condition_.n_cells)]
        codes = {
            family: self._codes(rows, cells, w, np.flatnonzero(np.isin(cells.numpy(), family)), rng)
            for family in sorted(set(members))
        }
        self._use(LatentPrior.fitted(codes, members, rng))

    def _codes(
        self, rows: Tensor, cells: Tensor, w: Tensor | None, own: np.ndarray, rng: np.random.Generator
    ) -> np.ndarray:
        """Draw codes (draws, rows, d) of the rows ``own`` from their posteriors; more draws of fewer rows."""
        if w is not None:  # a mixture knows no weights: take rows in proportion
            share = w[own].double().numpy()
            own = rng.choice(own, len(own), p=share / share.sum())
        draws = 1 if self.beta == 0 else max(1, min(16, CODES // len(own)))
        many = torch.as_tensor(np.tile(own, draws))
        seed = int(rng.integers(2**63 - 1))
        codes = self._in_blocks(self.objective_.sample_codes, (rows[many], cells[many]), seed)
        return codes.reshape(draws, len(own), -1).astype(np.float64)

    def _use(self, prior: LatentPrior) -> None:
        self.prior_ = prior
        self.objective_.prior = prior

    def _set_state(self, state: dict[str, Any]) -> None:
        super()._set_state(state)
        if hasattr(self, "objective_"):
            self.objective_.prior = self.prior_

    def _log_prob(self, z: np.ndarray, c: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        rows = self._rows(z)
        seed = int(rng.integers(2**63 - 1))
        bound = self._in_blocks(self.objective_.bound, (rows, torch.as_tensor(c)), seed, height=BOUND_ROWS)
        if isinstance(self.coder_, NormalScores):
            return bound.astype(np.float64) + self.coder_.log_jacobian(z)
        return bound.astype(np.float64) + self.coder_.log_density(z, rows.numpy())

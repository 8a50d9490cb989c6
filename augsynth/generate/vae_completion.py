"""Missing cells from an autoencoder: codes that fit the observed cells, found by weighing many."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from augsynth.nn.hidden_cells import HiddenCells
from augsynth.nn.prior import LatentPrior
from augsynth.nn.randomness import RowNoise
from augsynth.nn.rows import RowEnds

if TYPE_CHECKING:
    from augsynth.generate.vae_objective import VAEObjective

__all__ = ["complete_rows"]

CODES = 32  # a row and round
ROUNDS = 2  # of codes about the encoder's means, after one of codes of the prior
FILLED = 8  # completions a row that the encoder is shown
SHARE = 0.25  # of the codes of a later round that the prior gives all the same


def complete_rows(
    model: VAEObjective, z: Tensor, observed: Tensor, c: Tensor, noise: RowNoise, *, draws: int = 1
) -> Tensor:
    """Draw the cells that are not observed given those that are, (n, draws, p); never "missing".

    Codes u are drawn from the prior and weigh as much as they make the observed cells
    likely; the hidden ones are summed out exactly along the tree of columns. Some of them, taken
    by weight, are decoded; the encoder reads these rows, and the next codes come from about
    the means that it gives, weighted by p(observed | u) p(u) / q(u). Hidden cells are drawn from
    the decoder at codes taken by weight.

    Parameters
    ----------
    z : Tensor (n, p)
        Coded rows; anything that has a code where hidden.
    observed : Tensor of bool (n, p)
    c : Tensor of int (n,)
    noise : RowNoise

    Notes
    -----
    Cost: 96 passes of the decoder a row and 16 of the encoder. Exact as their number grows. A plain
    autoencoder (beta = 0) has the prior's codes only; a diffusion prior, whose density is not
    known, is replaced by the standard normal one.

    References
    ----------
    Rezende, Mohamed and Wierstra, "Stochastic backpropagation and approximate inference", 2014,
    arXiv:1401.4082. Mattei and Frellsen, "MIWAE: deep generative modelling and imputation", 2019,
    arXiv:1812.02633. Cappe et al., "Population Monte Carlo", 2004, doi:10.1198/106186004X12803.
    """
    cells = _Cells(model.ends, z, observed)  # type: ignore[arg-type]
    prior = model.prior if isinstance(model.prior, LatentPrior) else LatentPrior.normal(model.latent_dim, 1)
    codes = _from_prior(prior, c, noise, CODES)
    log_weight = cells.log_prob(model, codes, c)
    for _ in range(ROUNDS):
        if model.beta == 0.0:
            fresh = _from_prior(prior, c, noise, CODES)
            codes = torch.cat([codes, fresh], dim=1)
            log_weight = torch.cat([log_weight, cells.log_prob(model, fresh, c)], dim=1)
            continue
        filled = cells.draw(model, _taken(codes, log_weight, noise, FILLED), c, noise)
        mean, log_variance = model.encode(filled.flatten(0, 1), c.repeat_interleave(FILLED))
        about = mean.view(len(z), FILLED, -1), log_variance.view(len(z), FILLED, -1)
        codes, log_weight = _reweighed(model, cells, prior, about, c, noise)
    return cells.draw(model, _taken(codes, log_weight, noise, draws), c, noise)


def _reweighed(
    model: VAEObjective,
    cells: _Cells,
    prior: LatentPrior,
    about: tuple[Tensor, Tensor],
    c: Tensor,
    noise: RowNoise,
) -> tuple[Tensor, Tensor]:
    """Draw codes about the encoder's means and from the prior, and weigh them by their mixture."""
    mean, log_variance = about
    n, _, d = mean.shape
    own = round(CODES * SHARE)
    center = torch.arange(CODES - own, device=mean.device) % FILLED
    step = noise.normals((CODES - own) * d).view(n, -1, d)
    near = mean[:, center] + step * (0.5 * log_variance[:, center]).exp()
    codes = torch.cat([near, _from_prior(prior, c, noise, own)], dim=1)
    gap = codes[:, :, None] - mean[:, None]
    each = -0.5 * (gap**2 / log_variance.exp()[:, None] + log_variance[:, None] + math.log(2 * math.pi)).sum(
        3
    )
    log_q = each.double().logsumexp(2) - math.log(FILLED)
    every = c.repeat_interleave(CODES).cpu().numpy()
    density = prior.log_prob(codes.flatten(0, 1).cpu().double().numpy(), every)
    log_p = torch.as_tensor(density, device=codes.device).view(n, CODES)
    log_q = torch.logaddexp(log_q + math.log(1 - own / CODES), log_p + math.log(own / CODES))
    return codes, cells.log_prob(model, codes, c) + log_p - log_q


def _from_prior(prior: LatentPrior, c: Tensor, noise: RowNoise, count: int) -> Tensor:
    """Draw codes (n, count, d) of the rows' cells."""
    normal = noise.normals(count * prior.dim).view(len(c) * count, prior.dim)
    drawn = prior.shaped(c.repeat_interleave(count), noise(count).flatten(), normal)
    return drawn.view(len(c), count, prior.dim)


def _taken(codes: Tensor, log_weight: Tensor, noise: RowNoise, count: int) -> Tensor:
    """Take codes (n, count, d) in proportion to their weights, evenly spread (systematic resampling)."""
    reached = torch.softmax(log_weight, dim=1).cumsum(1)
    points = (torch.arange(count, device=codes.device) + noise(1)) / count
    at = (reached[:, None] <= (points * reached[:, -1:])[:, :, None]).sum(2).clamp(max=codes.shape[1] - 1)
    return codes.gather(1, at[:, :, None].expand(-1, -1, codes.shape[2]))


class _Cells:
    """Observed and hidden cells of rows: numbers, and tokens with the flags of seen numbers."""

    def __init__(self, ends: RowEnds, z: Tensor, observed: Tensor):
        self.ends, self.z = ends, z
        self.tokens, self.numbers, _ = ends._split(z)
        self.tokens = self.tokens.long()
        flags = self.tokens.new_ones(len(z), len(ends.gappy))  # a completed number is there
        self.shown = torch.cat([observed[:, ends.token_columns], flags.bool()], dim=1)
        if ends.gappy:
            self.tokens = torch.cat([self.tokens[:, : len(ends.token_columns)], flags], dim=1)
        self.shown_numbers = observed[:, ends.number_columns]
        self.hidden = None
        if ends.tokens_out is not None:
            last = torch.cat([ends.last, ends.last.new_full((len(ends.gappy),), -1)])
            self.hidden = HiddenCells(ends.tokens_out, last)

    def log_prob(self, model: VAEObjective, codes: Tensor, c: Tensor) -> Tensor:
        """Return the log-probability of the observed cells at codes (n, k, d), (n, k) float64."""
        n, k, _ = codes.shape
        raw = model.outputs(codes.flatten(0, 1), c.repeat_interleave(k))
        total = raw.new_zeros(n * k, dtype=torch.float64)
        if self.hidden is not None:
            part = raw[:, : self.ends.n_token_outputs]
            tokens, shown = (t.repeat_interleave(k, 0) for t in (self.tokens, self.shown))
            total = total + self.hidden.log_prob(part, tokens, shown)
        if self.ends.numbers_out is not None and self.numbers is not None:
            numbers, shown = (t.repeat_interleave(k, 0) for t in (self.numbers, self.shown_numbers))
            total = total + self.ends.numbers_out.log_prob(
                raw[:, self.ends.n_token_outputs :], numbers, shown
            )
        return total.view(n, k)

    def draw(self, model: VAEObjective, codes: Tensor, c: Tensor, noise: RowNoise) -> Tensor:
        """Draw the hidden cells at codes (n, k, d): coded rows (n, k, p)."""
        n, k, _ = codes.shape
        raw = model.outputs(codes.flatten(0, 1), c.repeat_interleave(k))
        tokens, numbers = None, None
        if self.hidden is not None:
            uniform = noise(k * self.tokens.shape[1]).view(n * k, -1)
            part = raw[:, : self.ends.n_token_outputs]
            known, shown = (t.repeat_interleave(k, 0) for t in (self.tokens, self.shown))
            tokens = self.hidden.draw(part, known, shown, uniform)
        if self.ends.numbers_out is not None and self.numbers is not None:
            normal = noise.normals(k * self.numbers.shape[1]).view(n * k, -1)
            drawn = self.ends.numbers_out.draw(raw[:, self.ends.n_token_outputs :], normal)
            known, shown = (t.repeat_interleave(k, 0) for t in (self.numbers, self.shown_numbers))
            numbers = torch.where(shown, known, drawn)
        return self.ends._join(tokens, numbers).view(n, k, -1)

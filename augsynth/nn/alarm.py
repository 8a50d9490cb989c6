"""What goes wrong when two adversaries train, seen in their history and said in words."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

__all__ = ["alarms", "coverage", "spread"]

WINDOW = 0.15  # share of the points so far that count as "now"
FEWEST = 10  # points before anything is said
LOST = 0.1  # coverage below which rows are missing
ALIKE = 0.25  # spread below which rows are alike
SURE = 0.04  # a discriminator that gives fakes less, and real rows one minus this, has won
FAINT = 0.02  # share of its usual gradient at which the generator is stuck
SWING = 0.5  # swings of D(G(z)) beyond this, forth and back, are an oscillation
GROWTH = 30.0  # a loss that many times its early size diverges
TURNS = 4

WORDS = {
    "saturation": "the discriminator rejects every fake and the generator hardly gets a gradient any more. "
    "Use loss='non-saturating', or InstanceNoise.",
    "imbalance": "the discriminator wins, it tells real from fake almost without error. "
    "Use GradientPenalty, SpectralNorm or InstanceNoise, or fewer discriminator_steps.",
    "oscillation": "the two networks chase each other in circles. "
    "Lower the trainer's learning_rate, or use GradientPenalty or ExperienceReplay.",
    "divergence": "the losses grow without end. Lower the trainer's learning_rate, or use GradientPenalty.",
    "mode collapse": "made rows are alike, or leave whole regions of the real rows out. "
    "Use Packing, SimilarityPenalty or Unrolling, or loss='wasserstein'.",
}


def alarms(history: Any, *, probability: bool = False, planned: int = 0) -> list[str]:
    """Say what looks wrong in a history of adversarial training; each kind once.

    Parameters
    ----------
    history : History
        Losses of "generator" and "discriminator"; gradient norms, "D(x)", "D(G(z))",
        "coverage" and "spread" among what was watched.
    probability : bool
        Whether D(x) and D(G(z)) are probabilities; saturation, imbalance and
        oscillation are looked for only then.
    planned : int
        Steps in all: rows that are left out in the first half of them may still be found.

    Returns
    -------
    list of str
        Each begins with its kind: saturation, imbalance, oscillation, divergence or mode collapse.
    """
    said = {text.partition(":")[0] for _, text in history.alarms}
    found = []
    if _diverges(history):
        found.append("divergence")
    if _collapsed(history, planned):
        found.append("mode collapse")
    if probability:
        on_real, on_fake = _values(history.watched, "D(x)"), _values(history.watched, "D(G(z))")
        slope = _values(history.watched, "gradient generator")
        if len(on_fake) >= FEWEST and len(on_real) == len(on_fake):
            lost = _now(on_fake) < SURE
            if lost and slope and _now(slope) < FAINT * max(_peaks(slope), 1e-12):
                found.append("saturation")
            if lost and _now(on_real) > 1.0 - SURE:
                found.append("imbalance")
            if _swings(on_fake):
                found.append("oscillation")
    return [f"{kind}: {WORDS[kind]}" for kind in found if kind not in said]


def _values(points: dict[str, list[tuple[int, float]]], name: str) -> list[float]:
    return [value for _, value in points.get(name, [])]


def _window(values: Sequence[float]) -> int:
    return max(FEWEST // 2, int(WINDOW * len(values)))


def _now(values: Sequence[float]) -> float:
    return statistics.median(values[-_window(values) :])


def _peaks(values: Sequence[float]) -> float:
    """Return a level that a tenth of the values exceed."""
    return sorted(values)[int(0.9 * (len(values) - 1))]


def _diverges(history: Any) -> bool:
    for player in ("generator", "discriminator"):
        sizes = [abs(value) for value in _values(history.losses, player)]
        if len(sizes) < FEWEST:
            continue
        early = statistics.median(sizes[: FEWEST // 2])
        if min(sizes[-FEWEST // 2 :]) > GROWTH * (early + 1.0):
            return True
    return False


def _collapsed(history: Any, planned: int) -> bool:
    for name, least, wait in (("coverage", LOST, 0.5), ("spread", ALIKE, 0.2)):
        points = history.watched.get(name, [])
        enough = len(points) >= 2 * FEWEST and points[-1][0] >= wait * planned
        if enough and _now([value for _, value in points]) < least:
            return True
    return False


def _swings(values: Sequence[float]) -> bool:
    """Whether values go from one end to the other and back, again and again, of late."""
    late = values[-max(4 * FEWEST, _window(values)) :]
    if len(late) < 2 * FEWEST:
        return False
    turns, side = 0, 0
    for value in late:
        now = 1 if value > 0.5 + SWING / 2 else -1 if value < 0.5 - SWING / 2 else 0
        if now and now != side:
            turns, side = turns + (side != 0), now
    return turns >= TURNS


@torch.no_grad()
def coverage(real: Tensor, fake: Tensor, neighbors: int = 5) -> Tensor:
    """Return the share of real rows with a fake among their nearest neighbours.

    Parameters
    ----------
    real, fake : Tensor, (n, ...)
    neighbors : int
        A fake counts if it is nearer than so many other real rows.

    Notes
    -----
    Of two samples of one distribution it is about ``1 - 2 ** -neighbors``.

    References
    ----------
    M. F. Naeem et al., "Reliable Fidelity and Diversity Metrics for Generative Models", 2020,
    arXiv:2002.09797.
    """
    real, fake = real.flatten(1).float(), fake.flatten(1).float()
    k = min(neighbors + 1, len(real))  # a row is its own nearest
    reach = torch.cdist(real, real).kthvalue(k, dim=1).values
    return (torch.cdist(real, fake).amin(1) <= reach).float().mean()


@torch.no_grad()
def spread(real: Tensor, fake: Tensor, c: Tensor) -> Tensor:
    """Return the mean distance of two fakes of one cell over that of two real rows of one cell."""
    alike = (c[:, None] == c[None, :]).float()
    apart = [torch.cdist(x.flatten(1).float(), x.flatten(1).float()) for x in (real, fake)]
    of_real, of_fake = ((a * alike).sum() for a in apart)
    return torch.where(of_real > 0, of_fake / of_real.clamp(min=1e-12), torch.ones_like(of_real))

"""What a training run did, point by point."""

from __future__ import annotations

from dataclasses import dataclass, field

from augsynth.core.persistence import persistent

__all__ = ["History"]


@persistent
@dataclass
class History:
    """What a training run did.

    Attributes
    ----------
    steps, planned : int
        Steps done, and planned; fewer are done when patience ran out.
    losses : dict of str to list of (step, float)
        The loss of each player, some two hundred points.
    holdout : list of (step, float)
        The hold-out loss of the averaged weights, where patience is set.
    best_step : int
        The step whose weights were kept.
    device : str
    seconds : float
        Wall time of this call (a resumed run counts its own part).
    resumed_from : int
        The step at which a checkpoint was picked up; 0 for none.
    watched : dict of str to list of (step, float)
        The norm of each player's gradient, and what the model itself reports (a
        GAN's D(x) and D(G(z)), say), at the steps of ``losses``.
    alarms : list of (step, str)
        What looked wrong, in words, and when it first did.
    """

    planned: int = 0
    steps: int = 0
    losses: dict[str, list[tuple[int, float]]] = field(default_factory=dict)
    holdout: list[tuple[int, float]] = field(default_factory=list)
    best_step: int = 0
    device: str = "cpu"
    seconds: float = 0.0
    resumed_from: int = 0
    watched: dict[str, list[tuple[int, float]]] = field(default_factory=dict)
    alarms: list[tuple[int, str]] = field(default_factory=list)

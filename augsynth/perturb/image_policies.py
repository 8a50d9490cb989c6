"""Ready policies for pictures, by name: weak, medium, strong, and two of torchvision's."""

from __future__ import annotations

from augsynth.perturb.base import Perturbation
from augsynth.perturb.combine import Compose, Maybe, OneOf
from augsynth.perturb.foreign import as_perturbation
from augsynth.perturb.geometry import Fill, FlipLeftRight, Shift
from augsynth.perturb.image import BrightnessContrast, Colour
from augsynth.perturb.image_quality import Blur, Erasing, GaussianNoise, JpegCompression
from augsynth.perturb.warps import Affine

__all__ = ["image_medium", "image_randaugment", "image_strong", "image_trivialaugment", "image_weak"]


def image_weak(*, shift: float = 0.05, tone: float = 0.1, fill: Fill = "edge") -> Compose:
    """Return edits that keep the label of ordinary photos and of digits: a small shift, and light.

    Parameters
    ----------
    shift : float, default=0.05
        Most of the width and of the height that a picture moves (1 pixel of 28).
    tone : float, default=0.1
        Most of the range of the values by which it gets lighter or darker; contrast changes
        by a factor of at most 1 + ``tone``, either way.
    fill : {"edge", "reflect", "wrap"}, number or colour, default="edge"

    Returns
    -------
    Compose
        `Shift`, `BrightnessContrast`. Nothing is mirrored, turned or coloured.

    Examples
    --------
    >>> import numpy as np
    >>> image_weak()(np.zeros((28, 28), dtype=np.uint8), random_state=0).shape
    (28, 28)
    """
    return Compose([Shift((-shift, shift), (-shift, shift), fill=fill), _tone(tone)])


def image_medium(
    *, flip: float = 0.5, degrees: float = 10.0, tone: float = 0.2, fill: Fill = "edge"
) -> Compose:
    """Return edits for photos of things: mirrored, turned a little, scaled, shifted, other light.

    Parameters
    ----------
    flip : float, default=0.5
        Probability that left becomes right: 0 for digits, text, and all that has a side.
    degrees : float, default=10
        Most that a picture is turned, either way.
    tone : float, default=0.2
        As in `image_weak`; hues turn by at most 60 times as many degrees.
    fill : {"edge", "reflect", "wrap"}, number or colour, default="edge"

    Returns
    -------
    Compose
        `FlipLeftRight` (perhaps), `Affine` (scale within 10 %, shear within 5 degrees, shift
        within 6 %), `BrightnessContrast`, `Colour`.
    """
    moved = Affine(
        (-degrees, degrees), scale=(0.9, 1 / 0.9), shear_degrees=(-5, 5), shift=(-0.06, 0.06), fill=fill
    )
    return Compose([Maybe(FlipLeftRight(), p=flip), moved, _tone(tone), _colour(tone)])


def image_strong(
    *,
    flip: float = 0.5,
    degrees: float = 20.0,
    tone: float = 0.3,
    damage: float = 0.5,
    erase: float = 0.5,
    fill: Fill = "edge",
) -> Compose:
    """Return edits that leave a thing just recognisable: look at some before you train on them.

    Parameters
    ----------
    flip, degrees, tone, fill
        As in `image_medium`.
    damage : float, default=0.5
        Probability of one of blur, noise and JPEG compression.
    erase : float, default=0.5
        Probability that a rectangle of up to a fifth of the area is hidden.

    Returns
    -------
    Compose
        `FlipLeftRight` (perhaps), `Affine` (scale within a quarter, shear within 10 degrees,
        shift within 10 %), `BrightnessContrast`, `Colour`, one of `Blur` (up to 1.5 pixels),
        `GaussianNoise` (up to 8 % of the range) and `JpegCompression` (30 to 90) (perhaps),
        `Erasing` (perhaps).
    """
    moved = Affine(
        (-degrees, degrees), scale=(0.8, 1.25), shear_degrees=(-10, 10), shift=(-0.1, 0.1), fill=fill
    )
    damages = OneOf([Blur((0.3, 1.5)), GaussianNoise((0.02, 0.08)), JpegCompression((30, 90))])
    steps = [Maybe(FlipLeftRight(), p=flip), moved, _tone(tone), _colour(tone)]
    return Compose([*steps, Maybe(damages, p=damage), Maybe(Erasing((0.02, 0.2), fill="mean"), p=erase)])


def _tone(tone: float) -> BrightnessContrast:
    return BrightnessContrast((-tone, tone), contrast=(1 / (1 + tone), 1 + tone))


def _colour(tone: float) -> Colour:
    return Colour((-60 * tone, 60 * tone), saturation=(1 / (1 + 2 * tone), 1 + 2 * tone))


def image_randaugment(*, n_steps: int = 2, magnitude: int = 9) -> Perturbation:
    """Return torchvision's RandAugment (v2), drawn by key: n random edits of one strength.

    For pictures without masks, boxes and key points: torchvision moves none with it.

    Parameters
    ----------
    n_steps : int, default=2
    magnitude : int, default=9
        0 to 30.

    References
    ----------
    Cubuk et al., "RandAugment", 2019, arXiv:1909.13719.
    """
    from torchvision.transforms import v2

    return as_perturbation(v2.RandAugment(num_ops=n_steps, magnitude=magnitude))


def image_trivialaugment() -> Perturbation:
    """Return torchvision's TrivialAugmentWide (v2), drawn by key: one random edit of random strength.

    For pictures without masks, boxes and key points: torchvision moves none with it.

    References
    ----------
    Müller and Hutter, "TrivialAugment: tuning-free yet state-of-the-art data augmentation",
    2021, arXiv:2103.10158.
    """
    from torchvision.transforms import v2

    return as_perturbation(v2.TrivialAugmentWide())

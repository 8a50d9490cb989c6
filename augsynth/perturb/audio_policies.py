"""Ready policies for audio clips: weak, medium, strong."""

from __future__ import annotations

from augsynth.perturb.audio import Clipping, Gain, NoiseAtSNR, Polarity, TimeShift
from augsynth.perturb.audio_filters import BandPass, Equalizer
from augsynth.perturb.combine import Compose, Maybe
from augsynth.perturb.stretch import PitchShift, TimeStretch

__all__ = ["audio_medium", "audio_strong", "audio_weak"]


def audio_weak(sample_rate: float = 16000) -> Compose:
    """Return small changes that nobody would call another recording situation.

    Gain within 6 dB, shift within 50 ms, polarity of half of the clips. 60 microseconds
    a second of sound.

    Parameters
    ----------
    sample_rate : float, default=16000
        Of the clips, in hertz.

    Examples
    --------
    >>> import numpy as np
    >>> audio_weak(8000)(np.ones(8000, dtype=np.float32), random_state=0).shape
    (8000,)
    """
    return Compose(
        [
            Gain((-6.0, 6.0)),
            TimeShift((-0.05, 0.05), sample_rate=sample_rate),
            Maybe(Polarity(), p=0.5),
        ]
    )


def audio_medium(sample_rate: float = 16000) -> Compose:
    """Return another take by another speaker in another room.

    Half of the clips up to 12 % faster or slower, half up to two semitones higher or
    lower, half with noise at 15 to 40 dB, half through a mild equalizer; all shifted
    within 100 ms, 9 dB softer to 6 dB louder. A silent clip gets no noise. About 1 ms
    a second of sound at 16 kHz.

    Parameters
    ----------
    sample_rate : float, default=16000
        Of the clips, in hertz.
    """
    return Compose(
        [
            Maybe(TimeStretch((0.89, 1.12), sample_rate=sample_rate), p=0.5),
            Maybe(PitchShift((-2.0, 2.0), sample_rate=sample_rate), p=0.5),
            TimeShift((-0.1, 0.1), sample_rate=sample_rate),
            Maybe(Equalizer((-6.0, 6.0), sample_rate=sample_rate), p=0.5),
            Maybe(NoiseAtSNR((15.0, 40.0), silent="keep"), p=0.5),
            Gain((-9.0, 6.0)),
        ]
    )


def audio_strong(sample_rate: float = 16000) -> Compose:
    """Return a bad recording of somebody else who says the same.

    Most clips up to 25 % faster or slower and up to four semitones higher or lower, with
    noise at 5 to 30 dB; half through a narrow band, half through an equalizer, a fifth
    clipped; all shifted within 150 ms, 12 dB softer to 6 dB louder. A silent clip gets
    no noise. About 2 ms a second of sound at 16 kHz.

    Parameters
    ----------
    sample_rate : float, default=16000
        Of the clips, in hertz.
    """
    return Compose(
        [
            Maybe(TimeStretch((0.8, 1.25), sample_rate=sample_rate), p=0.7),
            Maybe(PitchShift((-4.0, 4.0), sample_rate=sample_rate), p=0.7),
            TimeShift((-0.15, 0.15), sample_rate=sample_rate),
            Maybe(Equalizer((-9.0, 9.0), sample_rate=sample_rate), p=0.5),
            Maybe(BandPass((50.0, 400.0), sample_rate=sample_rate), p=0.5),
            Maybe(Clipping((0.0, 5.0)), p=0.2),
            Maybe(NoiseAtSNR((5.0, 30.0), silent="keep"), p=0.7),
            Gain((-12.0, 6.0)),
            Maybe(Polarity(), p=0.5),
        ]
    )

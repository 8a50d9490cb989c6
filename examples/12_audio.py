"""Clips of sound: a rare class balanced with edited copies, clips of different lengths.

The sounds are made here: a bell (tones that die away) and a siren (a tone that rises and
falls), in noise. Real ones are read with augsynth.encode.audio.read_clip from wav files.
"""

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import balanced_accuracy_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from augsynth import Compose, Maybe, OverSampler, PerturbGenerator, Resampled
from augsynth.encode.audio import write_clip
from augsynth.perturb.audio import Gain, NoiseAtSNR, TimeShift
from augsynth.perturb.stretch import PitchShift, TimeStretch

RATE = 8000
rng = np.random.default_rng(0)


def sound(siren):
    """Return a clip of 0.4 to 0.6 s."""
    time = np.arange(int(rng.uniform(0.4, 0.6) * RATE)) / RATE
    pitch = 600 * 2 ** rng.uniform(-0.5, 0.5)
    sway = 0.15 * np.sin(2 * np.pi * 3 * time + rng.uniform(0, 6)) if siren else 0.0
    tone = np.sin(2 * np.pi * np.cumsum(pitch * (1 + sway) * np.ones_like(time)) / RATE)
    loud = 0.3 if siren else 0.5 * np.exp(-4 * time)
    return (loud * tone + rng.normal(scale=0.2, size=len(time))).astype(np.float32)


y = np.array([0] * 60 + [1] * 6)  # six sirens
clips = [sound(label) for label in y]
y_test = np.array([0, 1] * 60)
test = [sound(label) for label in y_test]
print("clips:", np.bincount(y).tolist(), "of", min(map(len, clips)), "to", max(map(len, clips)), "samples")

# Another take: faster or slower, higher or lower, later, with noise, louder. "audio_medium" is much the same.
policy = Compose(
    [
        Maybe(TimeStretch((0.85, 1.15), sample_rate=RATE), p=0.5),
        Maybe(PitchShift((-3, 3), sample_rate=RATE), p=0.7),
        TimeShift((-0.05, 0.05), sample_rate=RATE),
        Maybe(NoiseAtSNR((10, 30)), p=0.3),
        Gain((-6, 6)),
    ]
)
sampler = OverSampler(PerturbGenerator(policy), random_state=0)
more, more_y = sampler.fit_resample(clips, y)
print("after:", np.bincount(more_y).tolist(), "in a", type(more).__name__, "of", more[-1].dtype)
parent = int(sampler.provenance_["source"].iloc[-1])
print("the last one is an edit of clip", parent, "with as many samples:", len(more[-1]) == len(clips[parent]))
write_clip("siren.wav", more[-1], RATE)


def bands(sounds):
    """Return how loud 20 bands of a spectrogram are, and how that varies over time, in dB."""
    rows = []
    for clip in sounds:
        frames = np.lib.stride_tricks.sliding_window_view(clip, 256)[::128] * np.hanning(256)
        power = np.abs(np.fft.rfft(frames, axis=1))[:, :100].reshape(len(frames), 20, 5).sum(2)
        level = 20 * np.log10(power + 1e-3)
        rows.append(np.concatenate([level.mean(0), level.std(0)]))
    return np.array(rows)


judge = make_pipeline(FunctionTransformer(bands), StandardScaler(), LogisticRegression())
for name, model in {"nothing added": judge, "edited copies": Resampled(judge, sampler)}.items():
    score = balanced_accuracy_score(y_test, model.fit(clips, y).predict(test))
    print(f"balanced accuracy, {name}: {score:.3f}")
print("One split, one seed: an illustration; augsynth.check.compare gives intervals and a verdict.")

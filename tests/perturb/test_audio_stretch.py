"""Tempo and pitch, and masks of spectrograms: what must stay and what must move."""

import numpy as np
import pytest
import torch

from augsynth.core.errors import DataError, InputTypeError, ParameterError
from augsynth.core.random import ItemKeys
from augsynth.perturb.spectrogram import FrequencyMask, SpectrogramMask, TimeMask
from augsynth.perturb.stretch import PitchShift, TimeStretch, shift_pitch, stretch_time
from augsynth.perturb.vocoder import frames_for

RATE = 8000


def tone(hertz, seconds=1.5, rate=RATE):
    return 0.5 * np.sin(2 * np.pi * hertz * np.arange(round(seconds * rate)) / rate)


def hertz_of(clip, rate=RATE):
    """The frequency of a tone: the phase of its analytic signal against time, over the middle."""
    n = len(clip)
    spectrum = np.fft.fft(clip * np.hanning(n))
    spectrum[n // 2 :] = 0
    phase = np.unwrap(np.angle(np.fft.ifft(spectrum)))[n // 4 : -(n // 4)]
    return np.polyfit(np.arange(len(phase)) / rate, phase, 1)[0] / (2 * np.pi)


def cents(a, b):
    return abs(1200 * np.log2(a / b))


@pytest.mark.parametrize("rate", [0.5, 0.8, 1.1, 1.25, 2.0])
def test_a_stretched_tone_keeps_its_pitch_and_level(rate):
    for hertz in (117.3, 440.0, 1711.0):
        made = stretch_time(tone(hertz), rate, sample_rate=RATE)
        assert len(made) == round(1.5 * RATE / rate)
        assert cents(hertz_of(made), hertz) < 0.1
        middle = made[len(made) // 4 : -(len(made) // 4)]
        assert abs(middle.std() / (0.5 / 2**0.5) - 1) < 0.005


@pytest.mark.parametrize("semitones", [-12, -4, -1.37, 0.31, 2, 7.3])
def test_a_shifted_tone_moves_by_as_many_semitones(semitones):
    for hertz in (117.3, 440.0, 1711.0):
        made = shift_pitch(tone(hertz), semitones, sample_rate=RATE)
        assert len(made) == 1.5 * RATE
        assert cents(hertz_of(made), hertz * 2 ** (semitones / 12)) < 0.5
        middle = made[len(made) // 4 : -(len(made) // 4)]
        assert abs(middle.std() / (0.5 / 2**0.5) - 1) < 0.01


def test_frames_have_the_ratio_to_within_some_cents():
    for size in (480, 960, 2646):
        for semitones in np.linspace(-24, 24, 193):
            frames = frames_for(size, 2.0 ** (semitones / 12))
            assert cents(frames.read / frames.written, 2 ** (semitones / 12)) < 4
            assert frames.read % 2 == 0 == frames.written % 2


def test_what_goes_above_half_the_sample_rate_is_gone_and_does_not_fold():
    made = shift_pitch(tone(3000.0), 7, sample_rate=RATE)
    assert np.abs(made[2000:-2000]).max() < 0.5 * 10 ** (-50 / 20)


def test_attacks_stay_sharp_and_come_in_time():
    clip = np.zeros(RATE)
    for at in (2000, 4000, 6500):
        clip[at : at + 24] = np.hanning(24) * np.cos(np.arange(24))
    for rate in (0.8, 1.25):
        made = stretch_time(clip, rate, sample_rate=RATE)
        for at in (2000, 4000, 6500):
            centre = round((at + 12) / rate)
            near = made[centre - 80 : centre + 80]
            assert abs(int(np.argmax(np.abs(near))) - 80) <= 24  # 3 ms
            inside = np.sort(np.abs(near))[::-1]
            assert (inside[:32] ** 2).sum() > 0.95 * (near**2).sum()  # as short as it was
            assert abs(inside[0] / np.abs(clip).max() - 1) < 0.05


def test_channels_keep_where_a_sound_comes_from():
    rng = np.random.default_rng(0)
    left = np.cumsum(rng.normal(size=6000)) * 0.01
    clip = np.stack([left, 0.5 * left, -left])
    for made in (stretch_time(clip, 0.85, sample_rate=RATE), shift_pitch(clip, 3, sample_rate=RATE)):
        assert np.allclose(made[1], 0.5 * made[0], atol=1e-5)
        assert np.allclose(made[2], -made[0], atol=1e-5)


def test_nothing_to_do_returns_a_copy():
    clip = tone(300.0)
    for made in (stretch_time(clip, 1.0, sample_rate=RATE), shift_pitch(clip, 0, sample_rate=RATE)):
        assert (made == clip).all() and made is not clip and not np.shares_memory(made, clip)


def test_levels_far_off_are_no_trouble():
    clip = tone(300.0)
    plain = stretch_time(clip, 0.9, sample_rate=RATE)
    for scale in (1e-12, 1e9):
        made = stretch_time(clip * scale, 0.9, sample_rate=RATE)
        assert np.allclose(made / scale, plain, atol=1e-5)


def test_kept_length_holds_the_loudest_part_or_silence_at_the_end():
    clip = np.zeros(4000)
    clip[2800:] = tone(500.0)[:1200]
    slow = TimeStretch(0.7, sample_rate=RATE)(clip, random_state=0)
    assert slow.shape == clip.shape
    assert (slow**2).sum() > 0.97 * (stretch_time(clip, 0.7, sample_rate=RATE) ** 2).sum()
    fast = TimeStretch(1.25, sample_rate=RATE)(clip, random_state=0)
    assert fast.shape == clip.shape and not fast[3200:].any() and fast[2500:3200].any()
    free = TimeStretch(1.25, sample_rate=RATE, keep_length=False)
    assert [free(tone(500.0)[:n], random_state=0).shape for n in (1, 7, 1000)] == [(1,), (6,), (800,)]


def test_rates_are_drawn_evenly_in_ratio():
    drawn = TimeStretch((0.5, 2.0)).parameters(np.array([[0.0], [0.5], [1.0]]))["rate"]
    assert np.allclose(drawn, [0.5, 1.0, 2.0])
    drawn = PitchShift((-4, 4)).parameters(np.array([[0.0], [0.5], [1.0]]))["semitones"]
    assert np.allclose(drawn, [-4, 0, 4])


# ------------------------------------------------------------------ masks
def stripes(masked, axis):
    return np.flatnonzero((masked == -1).all(axis=1 - axis))


def test_masks_cover_what_they_may():
    spectrogram = np.random.default_rng(0).random((40, 60)).astype(np.float32)
    widths = []
    for seed in range(300):
        masked = FrequencyMask(10, fill=-1)(spectrogram, random_state=seed)
        rows = stripes(masked, 0)
        assert len(rows) <= 10 and (len(rows) == 0 or np.ptp(rows) == len(rows) - 1)
        rest = np.setdiff1d(np.arange(40), rows)
        assert (masked[rest] == spectrogram[rest]).all()
        widths.append(len(rows))
    # Evenly 0 to 10: mean 5, standard error 3.16 / sqrt(300) = 0.18.
    assert abs(np.mean(widths) - 5) < 0.75 and set(widths) == set(range(11))
    covered = np.zeros(60)
    for seed in range(300):
        masked = TimeMask(30, most_share=0.1, n_masks=2, fill=-1)(spectrogram, random_state=seed)
        assert len(stripes(masked, 1)) <= 12
        covered[stripes(masked, 1)] += 1
    assert covered.min() > 0  # also the first and the last frame


def test_both_masks_and_fills():
    spectrogram = np.random.default_rng(0).random((2, 30, 50))
    masked = SpectrogramMask(frequency_width=5, time_width=9, fill=-1.0)(spectrogram, random_state=2)
    assert masked.shape == spectrogram.shape
    assert ((masked[0] == -1) == (masked[1] == -1)).all()  # all channels alike
    assert len(stripes(masked[0], 0)) <= 10 and len(stripes(masked[0], 1)) <= 18
    filled = FrequencyMask(30)(spectrogram, random_state=1)
    assert np.isclose(filled[filled != spectrogram], spectrogram.mean()).all()
    least = FrequencyMask(30, fill="min")(spectrogram, random_state=1)
    assert (least[least != spectrogram] == spectrogram.min()).all()
    tensor = SpectrogramMask()(torch.from_numpy(spectrogram).float(), random_state=0)
    assert tensor.dtype == torch.float32 and tensor.shape == spectrogram.shape


def test_masks_of_a_batch_and_of_one_cell():
    edit = SpectrogramMask(frequency_width=4, time_width=4)
    stack, keys = np.random.default_rng(0).random((9, 12, 20)), ItemKeys(1, 0, np.arange(9))
    together = edit.edit_many(stack, keys)
    for k in range(9):
        assert (together[k] == edit.apply(stack[k], edit.draw(stack[k], keys.at(k)))).all()
    assert SpectrogramMask()(np.ones((1, 1)), random_state=0).shape == (1, 1)


def test_sentences_for_spectrograms():
    for x, error, text in [
        (np.zeros(5), DataError, "Waveforms have edits"),
        (np.zeros((0, 4)), DataError, "not empty"),
        (np.zeros((3, 4), int), InputTypeError, "floats"),
        (None, InputTypeError, "NoneType"),
        (np.full((3, 4), -np.inf), DataError, "12 NaN or infinite cells"),
    ]:
        with pytest.raises(error, match=text):
            FrequencyMask()(x, random_state=0)
    for edit in (
        FrequencyMask(-1),
        TimeMask(most_share=2),
        SpectrogramMask(fill="zero"),
        TimeMask(fill=np.nan),
    ):
        with pytest.raises(ParameterError):
            edit(np.ones((3, 4)), random_state=0)

"""Edits of audio clips: levels, ratios and lengths that have a known true value."""

import numpy as np
import pytest
import torch

from augsynth.core.errors import DataError, InputTypeError, ParameterError
from augsynth.core.random import ItemKeys, item_rng
from augsynth.encode.audio import write_clip
from augsynth.perturb import audio_policies
from augsynth.perturb.audio import Clipping, Gain, NoiseAtSNR, Polarity, TimeShift, white_noise
from augsynth.perturb.audio_filters import BandPass, Equalizer
from augsynth.perturb.background import BackgroundMix
from augsynth.perturb.combine import Maybe
from augsynth.perturb.stretch import PitchShift, TimeStretch
from augsynth.testing import check_perturbation

RATE = 8000
T = np.arange(RATE) / RATE
VOICE = (
    sum(np.sin(2 * np.pi * 130 * k * T) / k for k in range(1, 12)) * 0.2 * np.sin(np.pi * T) ** 2
).astype(np.float32)


def hum():
    return np.random.default_rng(9).normal(size=3000).astype(np.float32)


EDITS = {
    "gain": Gain(),
    "shift": TimeShift(sample_rate=RATE),
    "wrap": TimeShift(sample_rate=RATE, fill="wrap"),
    "polarity": Polarity(),
    "clipping": Clipping(),
    "clipping_db": Clipping((1, 12), unit="db"),
    "white": NoiseAtSNR(),
    "pink": NoiseAtSNR(color="pink", sample_rate=RATE),
    "brown": NoiseAtSNR(color="brown", sample_rate=RATE),
    "background": BackgroundMix([hum(), hum()[:100]], sample_rate=RATE),
    "band": BandPass(sample_rate=RATE),
    "equalizer": Equalizer(sample_rate=RATE),
    "stretch": TimeStretch(sample_rate=RATE),
    "pitch": PitchShift(sample_rate=RATE),
    "weak": audio_policies.audio_weak(RATE),
    "medium": audio_policies.audio_medium(RATE),
    "strong": audio_policies.audio_strong(RATE),
}
AT_SNR = ("white", "pink", "brown", "background")


def db(ratio):
    return 20 * np.log10(ratio)


def snr_of(clip, noisy):
    noise = noisy.astype(np.float64) - clip
    return 10 * np.log10((clip.astype(np.float64) ** 2).mean() / (noise**2).mean())


# ------------------------------------------------------------------ every edit
@pytest.mark.parametrize("name", EDITS)
def test_container_dtype_and_shape_come_back(name):
    edit = EDITS[name]
    stereo = np.stack([VOICE, VOICE[::-1]])
    for clip in (VOICE, VOICE.astype(np.float64), stereo, np.rint(stereo * 2**15).astype(np.int16)):
        before = clip.copy()
        made = edit(clip, random_state=1)
        assert type(made) is np.ndarray and made.dtype == clip.dtype and made.shape == clip.shape
        assert (clip == before).all()  # apply is pure
        tensor = edit(torch.from_numpy(clip), random_state=1)
        assert isinstance(tensor, torch.Tensor) and (tensor.numpy() == made).all()


@pytest.mark.parametrize("name", EDITS)
def test_a_batch_is_to_the_last_bit_what_single_clips_give(name):
    edit, n = EDITS[name], 9
    keys = ItemKeys(3, 1, np.arange(n) * 7, 2)
    clips = np.stack([np.roll(VOICE[:2000], 100 * k) for k in range(n)])
    together = edit.edit_many(clips, keys)
    assert isinstance(together, np.ndarray) and together.dtype == np.float32
    assert isinstance(edit.edit_many(list(clips), keys), list)
    for k in range(n):
        alone = edit.apply(clips[k], edit.draw(clips[k], item_rng(3, 1, 7 * k, 2)))
        assert alone.tobytes() == together[k].tobytes()
    assert len({row.tobytes() for row in together}) == (1 if name == "polarity" else n) or name == "polarity"


@pytest.mark.parametrize("name", EDITS)
def test_contract(name):
    check_perturbation(EDITS[name], VOICE[:3000])


@pytest.mark.parametrize("name", EDITS)
def test_short_silent_and_odd_clips(name):
    edit = EDITS[name]
    for clip in (np.ones(1, np.float32), np.ones((2, 1), np.float32), np.array([0.1, -0.3, 0.2])):
        for seed in range(3):
            made = edit(clip, random_state=seed)
            assert made.shape == clip.shape and np.isfinite(made).all()
    silence = np.zeros(500, np.float32)
    if name in AT_SNR:
        with pytest.raises(DataError, match="must not be silent.*silent='keep'"):
            edit(silence, random_state=0)
    else:
        assert not edit(silence, random_state=0).any()
    tiny = edit(VOICE * np.float32(1e-9), random_state=0)
    assert np.isfinite(tiny).all()
    for bad in (np.nan, np.inf):
        spoilt = VOICE.copy()
        spoilt[77] = bad
        with pytest.raises(DataError, match="finite number; given .* at 77"):
            edit(spoilt, random_state=0)


def test_views_and_odd_layouts_are_clips():
    stereo = np.stack([VOICE, VOICE[::-1]])
    for name, edit in EDITS.items():
        whole = edit(stereo[::-1, ::2].copy(), random_state=2)
        frozen = stereo.copy()
        frozen.setflags(write=False)
        assert (edit(frozen[::-1, ::2], random_state=2) == whole).all(), name
        swapped = edit(stereo[::-1, ::2].astype(">f4"), random_state=2)
        assert swapped.dtype == np.dtype(">f4") and np.allclose(swapped, whole, atol=1e-4), name
    graph = torch.tensor(VOICE, requires_grad=True)
    assert not Gain()(graph, random_state=0).requires_grad


def test_sentences_for_what_is_no_clip():
    for x, error, text in [
        (np.zeros(0, np.float32), DataError, "at least one sample"),
        (np.zeros((2, 0)), DataError, "at least one sample"),
        (np.zeros((2, 3, 4)), DataError, "\\(channels, n\\)"),
        (np.zeros((500, 2)), DataError, "channels first"),
        ([0.1, 0.2], InputTypeError, "given list"),
        (None, InputTypeError, "NoneType"),
        (np.zeros(5, np.int32), InputTypeError, "int32"),
        (np.zeros(5, complex), InputTypeError, "complex128"),
        (torch.zeros(5, dtype=torch.float16), InputTypeError, "float16"),
        (np.full(5, 1e200), DataError, "about full scale.*up to 1e\\+200"),
    ]:
        with pytest.raises(error, match=text):
            Gain()(x, random_state=0)


@pytest.mark.parametrize(
    ("edit", "text"),
    [
        (Gain((3, -3)), "in this order"),
        (Gain("loud"), "a number, or a pair"),
        (Gain(np.nan), "gain_db"),
        (TimeShift(fill="zero"), "'silence' or 'wrap'"),
        (TimeShift(sample_rate=0), "sample_rate"),
        (Clipping(101), "level"),
        (NoiseAtSNR(color="blue"), "'white', 'pink' or 'brown'"),
        (NoiseAtSNR(silent="no"), "'error' or 'keep'"),
        (BandPass((50, 400), high_hz=9000, sample_rate=16000), "half the sample rate"),
        (BandPass((50, 5000), high_hz=4000), "below high_hz"),
        (BandPass(order=3), "even"),
        (Equalizer(bands=0), "bands"),
        (Equalizer(high_hz=9000), "half the sample rate"),
        (TimeStretch(0.1), "rate"),
        (PitchShift(25), "semitones"),
        (BackgroundMix(), "at least one recording"),
    ],
)
def test_sentences_for_parameters(edit, text):
    with pytest.raises((ParameterError, DataError), match=text):
        edit(VOICE, random_state=0)


# ------------------------------------------------------------------ level
def test_gain_is_exact():
    for gain_db in (-12.0, 0.0, 6.0):
        made = Gain(gain_db)(VOICE, random_state=0)
        assert abs(db(np.abs(made).max() / np.abs(VOICE).max()) - gain_db) < 1e-5
    drawn = Gain((-12, 6)).parameters(np.linspace(0, 1, 7)[:, None])["gain_db"]
    assert np.allclose(drawn, np.linspace(-12, 6, 7))
    loud = Gain(12)(np.array([20000, -20000, 5], np.int16), random_state=0)
    assert loud.tolist() == [32767, -32768, 20]


def test_polarity_twice_is_nothing():
    assert (Polarity()(Polarity()(VOICE)) == VOICE).all()
    assert (Polarity()(VOICE) == -VOICE).all()
    whole = np.array([5, -7, 32767], np.int16)
    assert (Polarity()(whole) == -whole).all()


def test_shift_moves_by_whole_samples():
    for shift in (-3, 0, 4, 10, 11, -10):
        clip = np.arange(1.0, 11.0)
        silent = TimeShift(shift / RATE, sample_rate=RATE)(clip, random_state=0)
        expected = [clip[i - shift] if 0 <= i - shift < 10 else 0 for i in range(10)]
        assert silent.tolist() == expected
        wrapped = TimeShift(shift / RATE, sample_rate=RATE, fill="wrap")(clip, random_state=0)
        assert (wrapped == np.roll(clip, shift)).all()


def test_clipping_cuts_the_share_or_the_level_asked_for():
    clip = np.random.default_rng(0).normal(size=10_000)
    cut = Clipping(5)(clip, random_state=0)
    assert (cut != clip).sum() == 500
    assert (np.abs(cut).max() <= np.abs(clip)[cut != clip]).all()
    low = Clipping(6, unit="db")(clip, random_state=0)
    assert abs(db(np.abs(low).max() / np.abs(clip).max()) + 6) < 1e-9


# ------------------------------------------------------------------ noise
@pytest.mark.parametrize("color", ["white", "pink", "brown"])
def test_noise_meets_the_ratio(color):
    for snr in (-10.0, 0.0, 30.0):
        noisy = NoiseAtSNR(snr, color=color, sample_rate=RATE)(VOICE, random_state=5)
        assert abs(snr_of(VOICE, noisy) - snr) < 0.01  # float32 rounding of the sum
    assert (NoiseAtSNR(silent="keep")(np.zeros(9), random_state=0) == 0).all()


def test_noise_is_normal_and_independent():
    # Standard errors at n = 400,000: mean 0.0016, variance 0.0022, kurtosis 0.0077.
    z = white_noise(11, 400_000).astype(np.float64)
    assert abs(z.mean()) < 0.007 and abs((z**2).mean() - 1) < 0.009
    assert abs((z**4).mean() / (z**2).mean() ** 2 - 3) < 0.04
    assert abs((z[1:] * z[:-1]).mean()) < 0.007
    assert abs((np.abs(z) > 2).mean() - 0.0455) < 0.0015
    other = white_noise(12, 400_000)
    assert abs((z * other).mean()) < 0.007
    assert (white_noise(11, 5) == z[:5].astype(np.float32)).all()


def test_colours_fall_as_promised():
    # Decibels an octave, from octave bands of one long noise: white 0, pink -3, brown -6.
    for color, slope in (("white", 0.0), ("pink", -3.01), ("brown", -6.02)):
        clip = np.full(200_000, 1.0)
        noise = NoiseAtSNR(0, color=color, sample_rate=RATE)(clip, random_state=0) - clip
        density = np.abs(np.fft.rfft(noise)) ** 2
        hertz = np.fft.rfftfreq(len(noise), 1 / RATE)
        bands = [10 * np.log10(density[(hertz >= f) & (hertz < 2 * f)].mean()) for f in (100, 200, 400, 800)]
        assert np.abs(np.diff(bands) - slope).max() < 0.25  # standard error of a band 0.06 dB


# ------------------------------------------------------------------ background
def test_background_meets_the_ratio_and_loops_or_cuts(tmp_path):
    tone = np.sin(np.arange(700) * 0.3).astype(np.float32)
    for n in (200, 700, 3000):
        clip = np.cos(np.arange(n) * 0.05)
        noisy = BackgroundMix([tone], snr_db=7)(clip, random_state=n)
        assert abs(snr_of(clip, noisy) - 7) < 1e-3
        behind = noisy - clip
        if n == 3000:
            assert np.allclose(behind[:700], behind[700:1400])
    silent_here = BackgroundMix([np.r_[np.zeros(999), 1.0]])
    clip = np.ones(10)
    assert (silent_here(clip, random_state=0) == clip).all()
    with pytest.raises(DataError, match="1 silent of 2, the first is number 1"):
        BackgroundMix([tone, np.zeros(5)])(clip)
    with pytest.raises(DataError, match="at 0"):
        BackgroundMix([np.array([np.nan])])(clip)


def test_background_files(tmp_path):
    tone = (0.5 * np.sin(2 * np.pi * 440 * np.arange(16000) / 16000)).astype(np.float32)
    write_clip(tmp_path / "inner" / "b.wav", tone, 16000)
    write_clip(tmp_path / "a.wav", np.stack([tone, -tone]), 16000)
    mix = BackgroundMix(tmp_path, sample_rate=RATE).fit()
    assert [r.shape for r in mix.recordings_] == [(2, 8000), (1, 8000)]  # resampled
    assert np.argmax(np.abs(np.fft.rfft(mix.recordings_[1][0]))) == 440
    (tmp_path / "broken.wav").write_bytes(b"RIFF....")
    with pytest.raises(DataError, match="broken.wav.*must be readable audio"):
        BackgroundMix(str(tmp_path))(VOICE)
    with pytest.raises(DataError, match="No such file"):
        BackgroundMix([tmp_path / "missing.wav"])(VOICE)
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="none in 'empty'"):
        BackgroundMix(tmp_path / "empty")(VOICE)


# ------------------------------------------------------------------ filters
def response(edit, hertz, rate):
    clip = np.sin(2 * np.pi * hertz * np.arange(4 * rate) / rate)
    made = edit(clip, random_state=0)
    return db(made[2 * rate :].std() / clip[2 * rate :].std())


@pytest.mark.parametrize("order", [2, 4])
def test_band_pass_attenuates_as_butterworth_does(order):
    rate, low, high = 16000, 300.0, 3000.0
    edit = BandPass(low, high_hz=high, order=order, sample_rate=rate)

    def warped(f):
        return np.tan(np.pi * f / rate)

    for f in (50, 150, 300, 1000, 3000, 6000):
        sides = (warped(low) / warped(f)) ** (2 * order), (warped(f) / warped(high)) ** (2 * order)
        truth = -10 * sum(np.log10(1 + side) for side in sides)
        assert abs(response(edit, f, rate) - truth) < 0.02


def test_equalizer_raises_where_it_is_asked_to():
    rate = 16000
    edit = Equalizer(6, bands=1, low_hz=1000, high_hz=1000, width_octaves=1, sample_rate=rate)
    assert abs(response(edit, 1000, rate) - 6) < 0.01
    assert abs(response(edit, 1000 / 2**0.5, rate) - 3) < 0.35  # half of the gain at the edges
    assert abs(response(edit, 50, rate)) < 0.05
    drawn = Equalizer(sample_rate=rate).parameters(np.random.default_rng(0).random((50, 6)))
    assert (np.diff(drawn["hz"], axis=1) > 0).all() and drawn["hz"].max() < 0.42 * rate
    assert np.allclose(Equalizer(0)(VOICE, random_state=0), VOICE, atol=1e-6)


# ------------------------------------------------------------------ policies
def test_policies_differ_in_strength_and_replay():
    clip = VOICE
    distance = {}
    for name in ("weak", "medium", "strong"):
        policy = EDITS[name]
        made = [policy(clip, random_state=seed) for seed in range(24)]
        assert (policy(clip, random_state=3) == made[3]).all()
        spectra = [np.log10(np.abs(np.fft.rfft(m)) + 1e-2) for m in made]
        distance[name] = np.mean(np.abs(np.array(spectra) - np.log10(np.abs(np.fft.rfft(clip)) + 1e-2)))
    assert distance["weak"] < distance["medium"] < distance["strong"]


def test_polarity_of_some():
    keys = ItemKeys(0, 0, np.arange(400))
    made = Maybe(Polarity(), p=0.5).edit_many(np.ones((400, 3), np.float32), keys)
    assert abs((made[:, 0] < 0).mean() - 0.5) < 0.1  # standard error 0.025

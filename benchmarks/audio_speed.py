"""Speed and quality of the edits of audio clips, beside audiomentations in one run.

    python benchmarks/audio_speed.py            # about 4 minutes
    python benchmarks/audio_speed.py --quick    # few repeats: shows that it runs
    python benchmarks/audio_speed.py --only speed

speed       clips of one second at 16 and 8 kHz, float32, one thread, contestants in turns;
            each call draws its own parameters, from keyed streams as a Dataset does. The
            ratio is the peer's CPU-seconds by ours, pair by pair. Time stretch and pitch
            shift run at the peer's default ranges (rate 0.8 to 1.25, +-4 semitones)
quality     time stretch and pitch shift of signals whose edited form is known: log-spectral
            distance to it (see audio_measures.py), and the error and purity of a tone
round trip  spoken digits stretched by r and then 1/r, shifted by k and then -k semitones:
            log-spectral distance to the original

Peers: audiomentations (its default, Signalsmith Stretch in C++, and its librosa phase
vocoder). Where they are not installed, the script says so and measures ours alone.
"""

from __future__ import annotations

import harness  # first: pins the threads

# isort: split
import functools
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from audio_measures import SIGNALS, log_spectral_distance, tone_error
from data import _loader, data_folder
from harness import NotHere, Results, say, side_by_side, table

from augsynth.core.random import Streams
from augsynth.perturb.audio import Clipping, Gain, NoiseAtSNR, Polarity, TimeShift
from augsynth.perturb.audio_filters import BandPass, Equalizer
from augsynth.perturb.stretch import PitchShift, TimeStretch, shift_pitch, stretch_time

OURS, SIGNALSMITH, LIBROSA = "augsynth", "audiomentations", "audiomentations, librosa"
PARTS = ("speed", "quality", "round trip")
SAMPLE_RATES = (16_000, 8_000)
RATES, SEMITONES = (0.8, 0.9, 1.1, 1.25), (-4.0, -1.7, 1.7, 4.0)
Clip = np.ndarray
Edit = Callable[[Clip], Clip]


def peers() -> Any:
    """Return the audiomentations package."""
    try:
        import audiomentations
    except ImportError:
        raise NotHere("audiomentations is not installed (pip install augsynth[audio])") from None
    return audiomentations


# ------------------------------------------------------------------ speed
def contestants(sample_rate: int) -> dict[str, dict[str, Edit]]:
    """Return the edits, each with the ways to do it."""
    ours = {
        "time stretch": TimeStretch(sample_rate=sample_rate),
        "pitch shift": PitchShift(sample_rate=sample_rate),
        "gain": Gain(),
        "time shift": TimeShift((-0.5, 0.5), sample_rate=sample_rate, fill="wrap"),
        "polarity": Polarity(),
        "noise at SNR": NoiseAtSNR((5, 40)),
        "band-pass": BandPass(sample_rate=sample_rate),
        "band-pass, order 4": BandPass(sample_rate=sample_rate, order=4),
        "equalizer, 3 bands": Equalizer(sample_rate=sample_rate),
        "equalizer, 7 bands": Equalizer(bands=7, sample_rate=sample_rate),
        "clipping": Clipping((0, 40)),
    }
    streams = Streams(0)

    def keyed(edit: Any) -> Edit:
        numbers = iter(range(10**9))
        return lambda clip: edit.apply(clip, edit.draw(clip, streams.at(0, next(numbers))))

    found: dict[str, dict[str, Edit]] = {name: {OURS: keyed(edit)} for name, edit in ours.items()}
    try:
        a = peers()
    except NotHere as reason:
        say(f"peers left out: {reason}")
        return found
    top = 0.45 * sample_rate
    theirs: dict[str, dict[str, Any]] = {
        "time stretch": {
            SIGNALSMITH: a.TimeStretch(p=1),
            LIBROSA: a.TimeStretch(method="librosa_phase_vocoder", p=1),
        },
        "pitch shift": {
            SIGNALSMITH: a.PitchShift(p=1),
            LIBROSA: a.PitchShift(method="librosa_phase_vocoder", p=1),
        },
        "gain": {SIGNALSMITH: a.Gain(p=1)},
        "time shift": {SIGNALSMITH: a.Shift(p=1)},
        "polarity": {SIGNALSMITH: a.PolarityInversion(p=1)},
        "noise at SNR": {SIGNALSMITH: a.AddGaussianSNR(p=1)},
        # 12 decibels an octave are an order of 2, 24 one of 4.
        "band-pass": {
            SIGNALSMITH: a.BandPassFilter(max_center_freq=top / 2, min_rolloff=12, max_rolloff=12, p=1)
        },
        "band-pass, order 4": {
            SIGNALSMITH: a.BandPassFilter(max_center_freq=top / 2, min_rolloff=24, max_rolloff=24, p=1)
        },
        "equalizer, 7 bands": {SIGNALSMITH: a.SevenBandParametricEQ(p=1)},
        "clipping": {SIGNALSMITH: a.ClippingDistortion(p=1)},
    }
    for name, ways in theirs.items():
        for method, transform in ways.items():
            found[name][method] = lambda clip, transform=transform: transform(clip, sample_rate)
    return found


def repeated(edit: Edit, clip: Clip, calls: int) -> None:
    """Edit a clip so many times."""
    for _ in range(calls):
        edit(clip)


def speed(results: Results, *, quick: bool) -> None:
    """Measure throughput: clips a CPU-second, and the ratio of each peer's time to ours."""
    for sample_rate in SAMPLE_RATES:
        clip = SIGNALS[3].heard(sample_rate)[:sample_rate].copy()
        for name, ways in contestants(sample_rate).items():
            for edit in ways.values():
                for _ in range(3):
                    edit(clip)
            slow = name in ("time stretch", "pitch shift")
            calls, repeats = (20, 3) if quick else (60, 15) if slow else (300, 9)
            blocks = {method: functools.partial(repeated, edit, clip, calls) for method, edit in ways.items()}
            measured = side_by_side(blocks, repeats=repeats)
            for method in ways:
                seconds = [cost["cpu_s"] for cost in measured["costs"][method]]
                results.add({
                    "part": "speed", "name": name, "sample_rate": sample_rate, "method": method,
                    "clips_per_s": calls / float(np.median(seconds)),
                    "clips_per_s_best": calls / min(seconds),
                    "ours_is_faster_by": measured[f"ratio_to_{OURS}"][method],
                })  # fmt: skip
            say(f"speed {name} {sample_rate}: done")


# ------------------------------------------------------------------ quality
def ways(sample_rate: int) -> dict[str, tuple[Callable[..., Clip], Callable[..., Clip]]]:
    """Return each method's (stretch(clip, rate), shift(clip, semitones))."""
    found: dict[str, tuple[Callable[..., Clip], Callable[..., Clip]]] = {
        OURS: (
            lambda clip, rate: stretch_time(clip, rate, sample_rate=sample_rate),
            lambda clip, k: shift_pitch(clip, k, sample_rate=sample_rate),
        )
    }
    try:
        a = peers()
    except NotHere as reason:
        say(f"peers left out: {reason}")
        return found
    for method, inner in ((SIGNALSMITH, "signalsmith_stretch"), (LIBROSA, "librosa_phase_vocoder")):
        found[method] = (
            lambda clip, rate, inner=inner: a.TimeStretch(
                rate, rate, leave_length_unchanged=False, method=inner, p=1
            )(clip, sample_rate),
            lambda clip, k, inner=inner: a.PitchShift(k, k, method=inner, p=1)(clip, sample_rate),
        )
    return found


def quality(results: Results) -> None:
    """Measure distances to signals whose edited form is known."""
    for sample_rate in SAMPLE_RATES:
        for method, (stretch, shift) in ways(sample_rate).items():
            for signal in SIGNALS:
                clip = signal.heard(sample_rate)
                stretched = [
                    log_spectral_distance(signal.heard(sample_rate, rate=r), stretch(clip, r), sample_rate)
                    for r in RATES
                ]
                shifted = [
                    log_spectral_distance(
                        signal.heard(sample_rate, pitch=2 ** (k / 12)), shift(clip, k), sample_rate
                    )
                    for k in SEMITONES
                ]
                row: dict[str, Any] = {
                    "part": "quality", "name": signal.name, "sample_rate": sample_rate, "method": method,
                    "stretch_db": float(np.mean(stretched)), "shift_db": float(np.mean(shifted)),
                }  # fmt: skip
                if signal.name == "tone":
                    errors = [tone_error(stretch(clip, r), 440.0, sample_rate) for r in RATES]
                    row["stretch_cents"], row["stretch_purity_db"] = _worst(errors)
                    errors = [tone_error(shift(clip, k), 440 * 2 ** (k / 12), sample_rate) for k in SEMITONES]
                    row["shift_cents"], row["shift_purity_db"] = _worst(errors)
                results.add(row)
        say(f"quality {sample_rate}: done")


def _worst(errors: list[tuple[float, float]]) -> tuple[float, float]:
    return max(e[0] for e in errors), min(e[1] for e in errors)


def round_trip(results: Results, *, quick: bool, folder: Path | None) -> None:
    """Measure how far spoken digits are from themselves after an edit and its opposite."""
    clips, _, info = _loader(data_folder(folder)).load_audio("fsdd_subset", limit=20 if quick else 120)
    sample_rate = info["rate"]
    for method, (stretch, shift) in ways(sample_rate).items():
        stretched, shifted = [], []
        for i, clip in enumerate(clips):
            clip = np.asarray(clip, dtype=np.float32)
            rate, k = RATES[i % 4], SEMITONES[i % 4]
            stretched.append(log_spectral_distance(clip, stretch(stretch(clip, rate), 1 / rate), sample_rate))
            shifted.append(log_spectral_distance(clip, shift(shift(clip, k), -k), sample_rate))
        results.add({
            "part": "round trip", "name": "spoken digits", "sample_rate": sample_rate, "method": method,
            "clips": len(clips), "stretch_db": float(np.mean(stretched)), "shift_db": float(np.mean(shifted)),
            "stretch_se": float(np.std(stretched) / len(clips) ** 0.5),
            "shift_se": float(np.std(shifted) / len(clips) ** 0.5),
        })  # fmt: skip
    say("round trip: done")


# ------------------------------------------------------------------ report
def write_report(results: Results) -> None:
    """Write the tables beside the JSON."""
    rows = results.rows()
    run = results.read()["runs"][-1]
    known = ", ".join(f"{k} {v}" for k, v in run["versions"].items() if k not in ("pandas", "torch"))
    text = [
        "# Edits of audio clips: speed and quality", "",
        f"One second a clip, float32, one thread; {run['cpu']}, {run['cores']} cores, load "
        f"{run['load_average']}; Python {run['python']}, {known}.",
        "audiomentations stretches and shifts with Signalsmith Stretch (C++), or with librosa.", "",
        "## Speed: clips a CPU-second", "",
        "Median over blocks; the ratio is how many times longer the peer takes, pair by pair",
        "",
    ]  # fmt: skip
    cells = []
    for row in (r for r in rows if r["part"] == "speed"):
        ratio = row["ours_is_faster_by"]
        beside = (
            ""
            if row["method"] == OURS
            else f"{ratio['median']:.2f} ({ratio['min']:.2f} to {ratio['max']:.2f})"
        )
        cells.append(
            [
                row["name"],
                f"{row['sample_rate'] // 1000} kHz",
                row["method"],
                f"{row['clips_per_s']:,.0f}",
                beside,
            ]
        )
    text += [table(["edit", "rate", "method", "clips/s", "times ours"], cells, markdown=True), ""]
    text += [
        "## Quality: log-spectral distance in dB to the signal as it should be", "",
        f"Mean of rates {', '.join(map(str, RATES))} and of {', '.join(map(str, SEMITONES))} semitones;",
        "less is better. Purity: power of the best fitting sinusoid over that of the rest.", "",
    ]  # fmt: skip
    header = ["edit", "rate", "method", *(s.name for s in SIGNALS), "mean", "tone: cents", "tone: purity dB"]
    cells = []
    for edit in ("stretch", "shift"):
        for sample_rate in SAMPLE_RATES:
            for method in (OURS, SIGNALSMITH, LIBROSA):
                mine = {
                    r["name"]: r for r in rows
                    if (r["part"], r["sample_rate"], r["method"]) == ("quality", sample_rate, method)
                }  # fmt: skip
                if len(mine) < len(SIGNALS):
                    continue
                values = [mine[s.name][f"{edit}_db"] for s in SIGNALS]
                tone = mine["tone"]
                cells.append([
                    {"stretch": "time stretch", "shift": "pitch shift"}[edit],
                    f"{sample_rate // 1000} kHz", method,
                    *(f"{v:.2f}" for v in values), f"{np.mean(values):.2f}",
                    f"{tone[edit + '_cents']:.3f}", f"{tone[edit + '_purity_db']:.0f}",
                ])  # fmt: skip
    text += [table(header, cells, markdown=True), ""]
    found = [r for r in rows if r["part"] == "round trip"]
    cells = [
        [r["method"], *(f"{r[k + '_db']:.2f} ± {r[k + '_se']:.2f}" for k in ("stretch", "shift"))]
        for r in found
    ]  # fmt: skip
    if cells:
        text += [
            "## There and back: spoken digits, log-spectral distance in dB to the original", "",
            f"{found[0]['clips']} clips, stretched by r and then 1/r, shifted by k and then -k semitones;",
            "mean ± standard error.", "",
            table(["method", "time stretch", "pitch shift"], cells, markdown=True), "",
        ]  # fmt: skip
    results.path.with_suffix(".md").write_text("\n".join(text), encoding="utf-8")
    say("\n".join(text))


def main() -> None:
    """Run what the command line asks for."""
    arguments = harness.parser(__doc__ or "", seeds=1, methods=PARTS).parse_args()
    warnings.filterwarnings("ignore", module="audiomentations|librosa")
    harness.LIBRARIES = (*harness.LIBRARIES[:4], "audiomentations", "librosa", "python-stretch")
    results = Results(
        arguments.out / "audio_speed.json",
        key=("part", "name", "sample_rate", "method"),
        protocol={
            "clip_s": 1.0,
            "rates": RATES,
            "semitones": SEMITONES,
            "ranges": "rate 0.8-1.25, +-4 semitones",
        },
    )
    asked = arguments.only or PARTS
    if "speed" in asked:
        speed(results, quick=arguments.quick)
    if "quality" in asked:
        quality(results)
    if "round trip" in asked:
        round_trip(results, quick=arguments.quick, folder=arguments.data)
    write_report(results)


if __name__ == "__main__":
    main()

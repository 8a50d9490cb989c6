"""Do perturbed copies help? Small training sets of pictures, clips and texts, and every ready policy.

    python benchmarks/perturb_value.py                   # everything that is missing in the result file
    python benchmarks/perturb_value.py --only audio      # one set: images, digits, audio or texts
    python benchmarks/perturb_value.py --report          # only write the tables again

images   Fashion-MNIST, 200 training images a class, the 10,000 test images of the origin;
         image_measures.SmallCNN, 1,000 steps of 128 images for every way of training. Originals and
         COPIES["images"] perturbed copies of each, so that few images are seen twice.
digits   scikit-learn's digits, 3 training images a class, the rest as test; a support vector
         classifier (radial kernel, scikit-learn's defaults). The policies do not mirror
audio    spoken digits, 8 kHz, 6 speakers: 4 training clips of each digit and speaker (240), the
         300 test clips of the copy; log-mel pictures (32 bands, 24 frames), a support vector
         classifier (radial kernel, scikit-learn's defaults). Groups: speakers
texts    SMS spam: 300 training texts, drawn in classes, and the rest as test; TF-IDF of words and
         pairs, logistic regression with balanced class weights. Groups: thirds of the texts by length

Ways: *none*; the ready policies (copies and originals); *pad*: for n = 4 and 8, n independent
and n stratified copies of the policy ``medium``, the same training otherwise. The seed draws
the training rows, the copies and the first weights, and is the same for all ways, so differences
are paired. Intervals: 95 % t intervals over the seeds; the tables say "helps" or "hurts" where
the interval, widened for the number of ways (Bonferroni), leaves out zero. The test part is the
same for all seeds of images and clips: nothing is said about other sets.

score     images and audio: accuracy; texts: balanced accuracy (13 % are spam)
worst class, worst group    the least recall of a class; the least score of a group
"""

from __future__ import annotations

import harness  # first: pins the threads
from harness import say

# isort: split
import os
import statistics
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from data import _loader, data_folder
from image_data import fashion
from image_measures import cnn_outputs, fit_cnn
from scipy import stats

from augsynth.datasets import PerturbedDataset
from augsynth.perturb import (
    LearnedNeighbours,
    as_perturbation,
    audio_medium,
    audio_strong,
    audio_weak,
    image_medium,
    image_strong,
    image_weak,
    text_medium,
)

torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))

COPIES = {"images": 12, "digits": 8, "audio": 8, "texts": 4}
POLICIES: dict[str, dict[str, Any]] = {
    "images": {
        "weak": "image_weak",
        "medium": "image_medium",
        "strong": "image_strong",
        "randaugment": "image_randaugment",
        "trivialaugment": "image_trivialaugment",
    },
    "digits": {"weak": image_weak(), "medium": image_medium(flip=0), "strong": image_strong(flip=0)},
    "audio": {"weak": audio_weak(8000), "medium": audio_medium(8000), "strong": audio_strong(8000)},
    "texts": {
        "weak": "text_weak",
        "medium": "text_medium",
        "neighbours": text_medium(LearnedNeighbours()),
        "strong": "text_strong",
    },
}
PAIRS = [f"{kind} {n}" for n in (4, 8) for kind in ("independent", "stratified")]
SETS = {"images": 5, "digits": 30, "audio": 20, "texts": 40}  # and their seeds
IMAGES_A_CLASS, CNN_STEPS, DIGITS_A_CLASS, CLIPS, TEXTS = 200, 1000, 3, 4, 300
MEL_BANDS, MEL_FRAMES = 32, 24
PROTOCOL = {"what": __doc__, "copies": COPIES, "seeds": SETS, "cnn_steps": CNN_STEPS}


# ------------------------------------------------------------------ data
class Sets:
    """The three sets, each read once."""

    def __init__(self, folder: Any):
        self.folder = data_folder(folder)
        self.loader = _loader(self.folder)
        self._found: dict[str, Any] = {}

    def __getitem__(self, name: str) -> Any:
        if name not in self._found:
            self._found[name] = getattr(self, f"_{name}")()
        return self._found[name]

    def _images(self) -> Any:
        split = fashion(0, folder=self.folder)
        return split.X_train, split.y_train, split.X_test, split.y_test

    def _digits(self) -> Any:
        from sklearn.datasets import load_digits

        found = load_digits()
        return (found.images * 15).astype(np.uint8), found.target

    def _audio(self) -> Any:
        clips, labels, info = self.loader.load_audio("fsdd_subset")
        train = info["split"] == "train"
        return clips, labels, info["group"], np.flatnonzero(train), np.flatnonzero(~train)

    def _texts(self) -> Any:
        texts, labels, _ = self.loader.load_text("sms_spam")
        lengths = texts.str.len().to_numpy()
        bands = np.digitize(lengths, np.quantile(lengths, [1 / 3, 2 / 3]))
        return list(texts), labels.to_numpy(dtype=str), np.array(["short", "middle", "long"])[bands]


def drawn(labels: np.ndarray, each: int | float, rng: np.random.Generator, rows: np.ndarray) -> np.ndarray:
    """Return rows drawn from each label: so many, or that share."""
    chosen = []
    for label in np.unique(labels[rows]):
        of_label = rows[labels[rows] == label]
        n = each if isinstance(each, int) else round(each * len(of_label))
        chosen.append(rng.permutation(of_label)[:n])
    return np.concatenate(chosen)


def enlarged(xs: Sequence[Any], y: np.ndarray, way: str, of: str, seed: int) -> tuple[list[Any], np.ndarray]:
    """Return the training samples of a way, originals first."""
    if way == "none":
        return list(xs), y
    kind, _, n = way.partition(" ")
    policy = POLICIES[of]["medium"] if n else POLICIES[of][way]
    copies = int(n) if n else COPIES[of]
    base = list(zip(xs, y.tolist(), strict=True))
    train = PerturbedDataset(
        base,
        as_perturbation(policy),
        copies=copies,
        keep_originals=True,
        stratified=kind == "stratified",
        labels=y,
        seed=seed,
    )
    items = [item for start in range(0, len(train), 256) for item in train.at_many(_part(start, train))]
    return [x for x, _ in items], np.array([label for _, label in items])


def _part(start: int, train: PerturbedDataset) -> range:
    return range(start, min(start + 256, len(train)))


# ------------------------------------------------------------------ one run each
def run_images(sets: Sets, way: str, seed: int) -> dict[str, float]:
    """Train the small network on the images of a way; return its scores."""
    X, y, X_test, y_test = sets["images"]
    rows = drawn(y, IMAGES_A_CLASS, np.random.default_rng(seed), np.arange(len(y)))
    xs, labels = enlarged(list(X[rows]), y[rows], way, "images", seed)
    model = fit_cnn(np.stack(xs), labels, top=255.0, seed=seed, steps=CNN_STEPS)
    return scores(cnn_outputs(model, X_test, top=255.0).argmax(1), y_test)


def run_digits(sets: Sets, way: str, seed: int) -> dict[str, float]:
    """Fit the classifier on the pixels of the digits of a way; return its scores."""
    from sklearn.svm import SVC

    X, y = sets["digits"]
    rows = drawn(y, DIGITS_A_CLASS, np.random.default_rng(seed), np.arange(len(y)))
    test = np.setdiff1d(np.arange(len(y)), rows)
    xs, labels = enlarged(list(X[rows]), y[rows], way, "digits", seed)
    model = SVC().fit(np.stack(xs).reshape(len(xs), -1) / 255, labels)
    return scores(model.predict(X[test].reshape(len(test), -1) / 255), y[test])


def run_audio(sets: Sets, way: str, seed: int) -> dict[str, float]:
    """Fit the classifier on log-mel pictures of the clips of a way; return its scores."""
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler
    from sklearn.svm import SVC

    clips, y, speakers, train, test = sets["audio"]
    cells = np.array([f"{label} {speaker}" for label, speaker in zip(y, speakers, strict=True)])
    rows = drawn(cells, CLIPS, np.random.default_rng(seed), train)
    xs, labels = enlarged([clips[i] for i in rows], y[rows], way, "audio", seed)
    model = make_pipeline(StandardScaler(), SVC()).fit(log_mels(xs), labels)
    return scores(model.predict(log_mels([clips[i] for i in test])), y[test], groups=speakers[test])


def run_texts(sets: Sets, way: str, seed: int) -> dict[str, float]:
    """Fit the classifier on the texts of a way; return its scores."""
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    texts, y, bands = sets["texts"]
    rng = np.random.default_rng(seed)
    rows = drawn(y, TEXTS / len(y), rng, np.arange(len(y)))
    test = np.setdiff1d(np.arange(len(y)), rows)
    xs, labels = enlarged([texts[i] for i in rows], y[rows], way, "texts", seed)
    vectors = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True)
    model = make_pipeline(vectors, LogisticRegression(C=10.0, class_weight="balanced", max_iter=2000))
    model.fit(xs, labels)
    predicted = model.predict([texts[i] for i in test])
    return scores(predicted, y[test], groups=bands[test], balanced=True)


RUNS = {"images": run_images, "digits": run_digits, "audio": run_audio, "texts": run_texts}


def scores(
    predicted: np.ndarray, y: np.ndarray, *, groups: np.ndarray | None = None, balanced: bool = False
) -> dict[str, float]:
    """Return the score, the least recall of a class, and the least score of a group."""

    def of(rows: np.ndarray) -> float:
        right = predicted[rows] == y[rows]
        if not balanced:
            return float(right.mean())
        return float(np.mean([right[y[rows] == label].mean() for label in np.unique(y[rows])]))

    recalls = [float((predicted[y == label] == label).mean()) for label in np.unique(y)]
    found = {"score": of(np.ones(len(y), bool)), "worst class": min(recalls)}
    if groups is not None:
        found["worst group"] = min(of(groups == group) for group in np.unique(groups))
    return found


def log_mels(clips: Sequence[np.ndarray]) -> np.ndarray:
    """Return log-mel pictures (n, bands * frames) of clips at 8 kHz, stretched to one length in time."""
    size, hop = 256, 80
    edges = 700 * (10 ** (np.linspace(0, 2595 * np.log10(1 + 4000 / 700), MEL_BANDS + 2) / 2595) - 1)
    bins = np.fft.rfftfreq(size, 1 / 8000)
    rising = (bins[:, None] - edges[:-2]) / (edges[1:-1] - edges[:-2])
    falling = (edges[2:] - bins[:, None]) / (edges[2:] - edges[1:-1])
    bank = np.clip(np.minimum(rising, falling), 0, None)
    out = []
    for clip in clips:
        clip = np.pad(np.asarray(clip, float), (0, max(0, size + hop - len(clip))))
        frames = np.lib.stride_tricks.sliding_window_view(clip, size)[::hop] * np.hanning(size)
        energy = np.log(np.abs(np.fft.rfft(frames)) ** 2 @ bank + 1e-6)
        places = np.linspace(0, len(energy) - 1, MEL_FRAMES)
        low = np.floor(places).astype(int)
        share = (places - low)[:, None]
        high = np.minimum(low + 1, len(energy) - 1)
        out.append(((1 - share) * energy[low] + share * energy[high]).ravel())
    return np.stack(out)


# ------------------------------------------------------------------ tables
def compared(
    rows: list[dict], of: str, way: str, base: str, field: str, comparisons: int
) -> tuple[str, str] | None:
    """Return the mean difference with its interval, and the verdict, over the seeds that both have."""
    found = {(r["way"], r["seed"]): r for r in rows if r["set"] == of}
    seeds = sorted(s for w, s in found if w == way and (base, s) in found)
    differences = [found[way, s][field] - found[base, s][field] for s in seeds if field in found[way, s]]
    if len(differences) < 2:
        return None
    mean, sd, n = statistics.fmean(differences), statistics.stdev(differences), len(differences)
    half, wide = (float(stats.t.ppf(1 - 0.025 / m, n - 1)) * sd / n**0.5 for m in (1, comparisons))
    verdict = "helps" if mean > wide else "hurts" if mean < -wide else "no evidence"
    return f"{mean:+.3f} ± {half:.3f}", verdict


def report(rows: list[dict], runs: list[dict]) -> str:
    """Write the tables."""
    parts = ["# Do perturbed copies help?", __doc__.split("\n\n", 2)[2].strip().replace("*pad*: ", "")]
    for of in SETS:
        ways = ["none", *POLICIES[of]]
        mine = [r for r in rows if r["set"] == of]
        if not mine:
            continue
        fields = [f for f in ("score", "worst class", "worst group") if f in mine[0]]
        n = len({r["seed"] for r in mine})
        parts.append(f"## {of}: {n} seeds, {COPIES[of]} copies and the originals")
        lines = []
        for way in ways:
            of_way = [r for r in mine if r["way"] == way]
            line = [way]
            for field in fields:
                line.append(harness.mean_sd([r[field] for r in of_way]))
                told = None if way == "none" else compared(rows, of, way, "none", field, len(ways) - 1)
                line += list(told) if told else ["", ""]
            line.append(harness.mean_sd([r["cpu_s"] for r in of_way], 1))
            lines.append(line)
        header = ["way", *(h for f in fields for h in (f, "against none", "verdict")), "CPU-s"]
        parts.append(harness.table(header, lines, markdown=True))
        lines = []
        for n_copies in (4, 8):
            a, b = f"stratified {n_copies}", f"independent {n_copies}"
            line = [f"{n_copies} copies"]
            for field in fields:
                line.append(harness.mean_sd([r[field] for r in mine if r["way"] == b]))
                line.append(harness.mean_sd([r[field] for r in mine if r["way"] == a]))
                line += list(compared(rows, of, a, b, field, 2) or ("", ""))
            lines.append(line)
        header = ["medium", *(h for f in fields for h in (f, "stratified", "difference", "verdict"))]
        parts.append("Stratified against independent copies:")
        parts.append(harness.table(header, lines, markdown=True))
    cpu = ", ".join(sorted({run["cpu"] for run in runs}))
    parts.append(f"{cpu}, one thread; CPU-s: making the copies, training and testing.")
    return "\n\n".join(parts) + "\n"


def main() -> None:
    """Run what the command line asks for."""
    p = harness.parser(__doc__, seeds=0, methods=list(SETS), resumable=True)
    p.add_argument("--report", action="store_true", help="only write the tables again")
    arguments = p.parse_args()
    results = harness.Results(
        arguments.out / "perturb_value.json", key=("set", "way", "seed"), protocol=PROTOCOL
    )
    sets = Sets(arguments.data)
    for of in [] if arguments.report else [s for s in SETS if s in (arguments.only or SETS)]:
        n_seeds = arguments.seeds or (1 if arguments.quick else SETS[of])
        for seed in range(arguments.first_seed, arguments.first_seed + n_seeds):
            for way in ["none", *POLICIES[of], *PAIRS]:

                def make_row(of: str = of, way: str = way, seed: int = seed) -> dict[str, float]:
                    found, cost = harness.measured(RUNS[of], sets, way, seed)
                    return {**found, "cpu_s": cost.cpu_s}

                row = results.run_missing(
                    {"set": of, "way": way, "seed": seed}, make_row, redo=arguments.redo
                )
                if row:
                    say(f"{of} {way} {seed}: {row['score']:.4f} ({row['cpu_s']:.1f} CPU-s)")
    content = results.read()
    (arguments.out / "perturb_value.md").write_text(
        report(content["rows"], content["runs"]), encoding="utf-8"
    )


if __name__ == "__main__":
    main()

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from augsynth.check import label_preservation
from augsynth.check.preservation.evaluation import _folds
from augsynth.check.preservation.realism import Places, detect, shuffled
from augsynth.check.preservation.result import matched_interval
from augsynth.core.errors import DataError, ParameterError
from augsynth.perturb import FlipLeftRight, Gain, Maybe, Rotate, ScaledJitter, image_weak
from augsynth.perturb.base import Perturbation

RNG = np.random.default_rng(0)


def bars(n=120, size=12):
    """Pictures with a noisy bar: class "down" stands, class "across" lies."""
    y = np.where(np.arange(n) % 2, "down", "across")
    X = RNG.normal(60, 12, (n, size, size))
    for k in range(n):
        at = RNG.integers(3, size - 4)
        X[k, :, at : at + 2] += 120 if y[k] == "down" else 0
        X[k, at : at + 2, :] += 120 if y[k] == "across" else 0
    return X.clip(0, 255).astype(np.uint8), y


def same(x):
    return x


def quarter_turn(x):
    return np.ascontiguousarray(np.rot90(x))


def snow(x, rng):
    return rng.integers(0, 256, x.shape).astype(x.dtype)


X, Y = bars()


@pytest.fixture(scope="module")
def found():
    policies = {"same": same, "turned": quarter_turn, "snow": snow, "mirrored": FlipLeftRight()}
    groups = np.where(np.arange(len(Y)) % 3 == 0, "old", "new")
    return label_preservation(X, Y, policies, sensitive_features=groups, random_state=0)


def test_an_edit_that_makes_one_class_the_other_is_named(found):
    assert found.accuracy > 0.95
    assert found.verdicts["turned"] == "changes labels"
    turned = found.to_frame("class").loc["turned"]
    assert (turned["lost"] > 0.9).all() and (turned["among"] > 0.5).all()
    assert turned.loc["down", "into"] == "across" and turned.loc["across", "into"] == "down"
    assert "turned changes labels" in str(found) and "down into across" in str(found)


def test_an_edit_that_changes_nothing_keeps_labels(found):
    row = found.to_frame().loc["same"]
    assert row["verdict"] == "keeps labels" and row["change"] == 0 == row["lost"]
    assert row["realism_low"] <= 0.5 <= row["realism_high"] and row["realism"] == "not told from real ones"


def test_a_mirrored_bar_is_a_bar(found):
    assert found.verdicts["mirrored"] == "keeps labels"
    assert found.to_frame().loc["mirrored", "realism_auc"] < 0.65


def test_noise_is_harder_to_read_and_no_other_label(found):
    row = found.to_frame().loc["snow"]
    assert row["verdict"] == "harder to read" and row["after"] < 0.7
    assert row["realism_auc"] > 0.95 and row["realism"] == "plainly not like real ones"
    # Two classes: all lost reads go into the other one, but nothing lies there.
    assert (found.to_frame("class").loc["snow", "among"].fillna(0) < 0.1).all()


def test_figures_are_counts(found):
    frame, classes = found.to_frame(), found.to_frame("class")
    reading = found.readings["turned"].after.argmax(2)
    codes = np.unique(Y, return_inverse=True)[1]
    assert frame.loc["turned", "after"] == pytest.approx((reading == codes).mean())
    assert classes.loc[("turned", "down"), "n"] == 60
    assert frame.loc["turned", "change"] == pytest.approx(frame.loc["turned", "after"] - found.accuracy)
    groups = found.to_frame("group")
    assert groups["n"].tolist() == [40, 80] * 4 and set(groups.index.get_level_values(1)) == {"old", "new"}
    with pytest.raises(ValueError, match="by must be"):
        found.to_frame("row")


def test_controls_frame_the_detector(found):
    null, gross = found.controls.values()
    low, high = null.bounds(0.999)
    assert low <= 0 <= high and gross.mean > 0.4


def test_pictures_are_drawn(found, tmp_path):
    found.plot(tmp_path / "plot.png")
    figure = found.contact_sheet(tmp_path / "sheet.png", rows=4)
    assert len(figure.axes) == 4 * 5
    with Image.open(tmp_path / "sheet.png") as sheet:
        assert sheet.size[0] > 300
    assert (tmp_path / "plot.png").stat().st_size > 5000
    titles = [axis.get_title() for axis in figure.axes]
    assert "down read as across" in titles and "across read as down" in titles


def test_copies_are_shown_on_the_scale_of_the_originals(found):
    shown = [axis.images[0].get_clim() for axis in found.contact_sheet(rows=3).axes]
    assert len(set(shown)) == 1 and shown[0][0] >= 0 and shown[0][1] <= 255


def test_half_a_turn_makes_a_six_a_nine():
    data = load_digits()
    some = np.isin(data.target, [0, 1, 6, 9])
    policies = {"half a turn": Rotate((180, 180)), "weak": image_weak()}
    found = label_preservation(data.images[some], data.target[some], policies, copies=1, cv=3, random_state=0)
    assert found.verdicts.to_dict() == {"half a turn": "changes labels", "weak": "keeps labels"}
    six = found.to_frame("class").loc[("half a turn", 6)]
    assert six["verdict"] == "changes labels" and six["into"] == 9 and six["lost"] > 0.9


def test_few_rows_are_no_proof_that_labels_are_kept():
    found = label_preservation(X[:20], Y[:20], {"same": same}, cv=2, random_state=0)
    row = found.to_frame().loc["same"]
    assert row["change"] == 0 and row["verdict"] == "no evidence"  # 20 rows: up to 9 % could be lost
    assert row["low"] == pytest.approx(-2.086 / 22, abs=1e-3) and row["high"] == -row["low"]


def test_intervals_of_matched_shares_cover():
    truth, covered = np.array([0.02, 0.05, 0.93]), 0
    rng = np.random.default_rng(3)
    for _ in range(400):
        low, high = matched_interval(rng.choice([1.0, -1.0, 0.0], 150, p=truth)).bounds()
        covered += low <= -0.03 <= high
    assert 0.92 <= covered / 400 <= 0.995  # 95 % with a standard error of 1.1 %, and a little wide on purpose


def test_equal_rows_stay_in_one_fold():
    doubled = np.concatenate([X[:60], X[:60]])
    labels = np.tile(np.arange(60) % 2, 2)
    for train, test in _folds(doubled, labels, 3, seed=0):
        assert sorted([*train, *test]) == list(range(120)) and set(test % 60) & set(train % 60) == set()


def test_a_copy_lies_among_another_class_only_if_nearer_to_it():
    rows = np.concatenate([RNG.normal(0, 1, (200, 2)), RNG.normal((9, 0), 1, (200, 2))])
    places = Places(FunctionTransformer(), rows, np.repeat([0, 1], 200))
    copies = np.array([[9.0, 0.0], [0.0, 0.0], [4.5, 0.0], [9.0, 40.0]])  # there, at home, between, far off
    assert places.near(copies, np.ones(4, int), np.zeros(4, int)).tolist() == [True, False, False, False]


def test_an_edit_that_makes_all_classes_one_is_no_change_into_it():
    data = load_digits()
    one = data.images[data.target == 1][0]
    found = label_preservation(data.images[:400], data.target[:400], {"ones": Always(one)}, copies=1, cv=2)
    assert found.verdicts["ones"] == "harder to read"


class Always(Perturbation):
    """Every picture becomes this one."""

    modality = "image"

    def __init__(self, picture):
        self.picture = picture

    def draw(self, x, rng):
        return {}

    def apply(self, x, params):
        return self.picture.copy()


def test_same_seed_same_figures():
    once, again = (
        label_preservation(X[:60], Y[:60], {"half": Maybe(FlipLeftRight())}, cv=3, random_state=4)
        for _ in range(2)
    )
    assert once.to_frame().equals(again.to_frame())


def test_texts_and_a_policy_by_name():
    spam = [f"win a free prize now call {k}" for k in range(40)]
    ham = [f"see you at home tonight around {k}" for k in range(40)]
    texts = pd.Series(spam + ham, index=range(5, 85))
    labels = ["spam"] * 40 + ["ham"] * 40
    found = label_preservation(texts, labels, ["text_weak"], cv=3, random_state=0)
    assert found.modality == "text" and found.verdicts["text_weak"] == "keeps labels"
    found.contact_sheet(rows=2)


def test_clips_of_several_lengths():
    def tone(pitch, k):
        n = 3000 + 20 * k
        return (0.3 * np.sin(2 * np.pi * pitch * np.arange(n) / 8000) + RNG.normal(0, 0.02, n)).astype(
            np.float32
        )

    clips = [tone(300 if k % 2 else 1500, k) for k in range(40)]
    policies = {"louder": Gain((-6, 6)), "octaves": Octaves(), "weak": "audio_weak"}
    found = label_preservation(clips, np.arange(40) % 2, policies, cv=3, sample_rate=8000, random_state=0)
    assert found.modality == "audio" and found.accuracy == 1
    assert found.verdicts["louder"] == "keeps labels" and found.verdicts["octaves"] != "keeps labels"


class Octaves(Maybe):
    """Play a clip five times slower: a high tone becomes a low one."""

    modality = "audio"
    needs_x = False

    def __init__(self):
        super().__init__(p=1)

    stream_name = "Octaves"
    learns = per_row = False

    def fit(self, X, y=None):
        return self

    def draw(self, x, rng):
        return {}

    def apply(self, x, params):
        return np.interp(np.arange(len(x)) / 5, np.arange(len(x)), x).astype(x.dtype)

    def edit_many(self, xs, keys):
        return [self.apply(x, {}) for x in xs]


def test_tables_with_holes():
    frame = pd.DataFrame({"a": RNG.normal(size=90), "b": RNG.choice(["x", "y"], 90)})
    y = np.where(frame["a"] > 0, 1, 0)
    frame.loc[::9, "b"] = None
    found = label_preservation(frame, y, {"jitter": ScaledJitter(0.01)}, cv=3, random_state=0)
    assert found.modality == "table" and found.to_frame().loc["jitter", "change"] > -0.1


def test_your_own_reader():
    reader = make_pipeline(FunctionTransformer(flat), LogisticRegression(max_iter=300))
    found = label_preservation(X, Y, {"turned": quarter_turn}, estimator=reader, cv=3, random_state=0)
    assert found.to_frame().loc["turned", "after"] < found.accuracy
    with pytest.raises(ParameterError, match="estimator must be a classifier with predict_proba"):
        label_preservation(X, Y, {"same": same}, estimator=FunctionTransformer())


def flat(X):
    return np.asarray(X, dtype=float).reshape(len(X), -1) / 255


def test_the_detector_of_equal_sets_is_at_chance():
    rows = RNG.normal(size=(300, 4))
    folds = [(np.arange(150), np.arange(150, 300)), (np.arange(150, 300), np.arange(150))]
    area = detect(LogisticRegression(), rows, RNG.normal(size=(300, 4)), folds)
    assert abs(area.mean) < 4 * np.sqrt(1 / (12 * 150) * 2)  # four standard errors of a Mann-Whitney area


def test_shuffling_keeps_the_parts():
    assert sorted(shuffled(X[:1], "image", np.random.default_rng(0))[0].ravel()) == sorted(X[0].ravel())
    assert shuffled(pd.Series(["ab cd"]), "text", np.random.default_rng(0))[0] in ("ba dc", "dc ba")


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"y": None}, "y must be given"),
        ({"y": Y[:5]}, r"y must have one entry a row of X \(120\); given 5"),
        ({"y": [None, *Y[1:]]}, "y must not be missing; given none in row 0"),
        ({"y": ["a"] * 120}, "at least two classes"),
        ({"y": ["b", *["a"] * 119]}, "every class must have two rows or more; given 'b'"),
        ({"policies": {}}, "policies must be a mapping of names"),
        ({"policies": "image_weak"}, "policies must be a mapping of names"),
        ({"policies": [same]}, "a list must hold names"),
        ({"policies": ["image_wek"]}, "image_weak"),
        ({"policies": {"l": lambda x: x}}, "lambda"),
        ({"copies": 0}, "copies must be a whole number"),
        ({"cv": 1}, "cv must be a whole number"),
        ({"sensitive_features": ["a"] * 3}, r"one entry a row of X \(120\)"),
    ],
)
def test_bad_input(change, sentence):
    given = {"y": Y, "policies": {"same": same}, **change}
    with pytest.raises((DataError, ParameterError), match=sentence):
        label_preservation(X, given.pop("y"), given.pop("policies"), **given)

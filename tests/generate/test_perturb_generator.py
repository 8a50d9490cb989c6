"""Perturbed copies of pictures, clips and texts: whose rows, which edits, in which container."""

import numpy as np
import pandas as pd
import pytest
from imblearn.pipeline import Pipeline as SamplerPipeline
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline

from augsynth.check import compare
from augsynth.compose import Resampled, TrainOnly
from augsynth.core.errors import DataError, InputTypeError, ParameterError
from augsynth.core.persistence import load, save
from augsynth.generate.bootstrap import BootstrapGenerator
from augsynth.generate.perturbed import PerturbGenerator
from augsynth.generate.smote import SmoteGenerator
from augsynth.perturb import Compose, ParametricPerturbation, Perturbation
from augsynth.perturb.audio import Gain
from augsynth.perturb.letters import CaseChange, Typos
from augsynth.perturb.text import RandomDelete
from augsynth.resample.over import OverSampler

Y = np.array([0] * 20 + [1] * 5)
TEXTS = [
    f"here is text number {k} with {['apples', 'pears'][y]}, {['apple', 'pear'][y]} trees"
    for k, y in enumerate(Y)
]


class Add(ParametricPerturbation):
    """Adds a number drawn for the row: the edit can be read off the row."""

    def parameters(self, u):
        return {"by": 1 + np.floor(50 * u[:, 0])}

    def apply(self, x, params):
        return (x + params["by"]).astype(x.dtype)


class Mark(Perturbation):
    """Marks a text, and remembers what it was fitted on."""

    def fit(self, X, y=None):
        self.seen_ = dict(zip(X, y, strict=True))
        return self

    def draw(self, x, rng):
        return {"n": int(rng.integers(1, 9))}

    def apply(self, x, params):
        return x + "!" * params["n"]


def balanced(X, policy, y=Y, seed=0):
    sampler = OverSampler(PerturbGenerator(policy), random_state=seed)
    X_new, y_new = sampler.fit_resample(X, y)
    assert np.bincount(np.asarray(y_new)).tolist() == [20, 20]
    provenance = sampler.provenance_
    assert (provenance["kind"][:25] == "real").all() and (provenance["kind"][25:] == "perturbed").all()
    assert provenance["source"].iloc[25:].between(20, 24).all()  # only the asked class is copied
    return X_new, provenance["source"].iloc[25:].to_numpy(dtype=int)


@pytest.mark.parametrize("shape", [(25, 4, 6), (25, 4, 6, 3), (25, 3, 8, 6), (25, 1, 1)])
@pytest.mark.parametrize("dtype", [np.uint8, np.float32, np.float64, np.int64])
def test_arrays_keep_shape_dtype_and_the_edit_of_each_row_is_its_own(shape, dtype):
    X = np.broadcast_to(np.arange(25, dtype=dtype).reshape(25, *[1] * (len(shape) - 1)), shape)
    assert not X.flags.writeable
    new, source = balanced(X, Add())
    assert new.shape == (40, *shape[1:]) and new.dtype == dtype
    np.testing.assert_array_equal(new[:25], X)
    added = new[25:] - X[source]
    by = added.reshape(15, -1)[:, 0]
    assert (added == by.reshape(15, *[1] * (len(shape) - 1))).all()
    assert by.min() >= 1 and len(set(by.tolist())) > 5


@pytest.mark.parametrize("policy", ["image_weak", "weak", "image_medium", None])
def test_pictures_of_every_container(policy):
    import torch
    from PIL import Image

    pixels = np.random.default_rng(0).integers(0, 256, (25, 8, 6, 3)).astype(np.uint8)
    array, source = balanced(pixels, policy)
    assert (array[25:] != pixels[source]).any(axis=(1, 2, 3)).all()
    listed, same = balanced([Image.fromarray(x) for x in pixels], policy)
    assert (same == source).all() and all(x.size == (6, 8) and x.mode == "RGB" for x in listed)
    for new, x in zip(listed[25:], array[25:], strict=True):
        np.testing.assert_array_equal(np.asarray(new), x)  # the container changes nothing
    first = np.ascontiguousarray(pixels.transpose(0, 3, 1, 2))
    np.testing.assert_array_equal(balanced(first, policy)[0], array.transpose(0, 3, 1, 2))
    tensor, _ = balanced(torch.from_numpy(first), policy)
    assert tensor.dtype == torch.uint8
    np.testing.assert_array_equal(tensor.numpy(), array.transpose(0, 3, 1, 2))


def test_pictures_of_several_sizes_and_of_one_pixel():
    from PIL import Image

    sizes = [(1 + k % 3, 1 + k % 2) for k in range(25)]
    pictures = [Image.new("L", size, 100) for size in sizes]
    new, source = balanced(pictures, "image_medium")
    assert [x.size for x in new[25:]] == [sizes[k] for k in source]


def test_clips_of_one_length_and_of_several():
    import torch

    rng = np.random.default_rng(0)
    clips = rng.normal(size=(25, 300)).astype(np.float32)
    array, source = balanced(clips, Gain((-6.0, 6.0)))
    assert array.dtype == np.float32
    ratio = array[25:] / clips[source]
    np.testing.assert_allclose(ratio, ratio[:, :1].repeat(300, axis=1), rtol=1e-5)
    assert (np.abs(ratio[:, 0] - 1) > 1e-4).all() and (np.abs(20 * np.log10(ratio[:, 0])) <= 6.01).all()
    np.testing.assert_array_equal(balanced(torch.from_numpy(clips), Gain((-6.0, 6.0)))[0].numpy(), array)
    np.testing.assert_array_equal(np.stack(balanced(list(clips), Gain((-6.0, 6.0)))[0]), array)

    ragged = [rng.normal(size=300 + k).astype(np.float32) for k in range(25)]
    objects = np.empty(25, dtype=object)
    objects[:] = ragged
    for X in (ragged, objects, pd.Series(ragged)):
        new, source = balanced(X, "audio_weak")
        new = list(new)
        assert [len(x) for x in new[25:]] == [300 + k for k in source]
        assert all(x.dtype == np.float32 for x in new)
        assert all((x != ragged[k]).any() for x, k in zip(new[25:], source, strict=True))


def arrow(kind):
    import pyarrow as pa

    return kind(pa)


TEXT_CONTAINERS = {
    "list": lambda: list(TEXTS),
    "tuple": lambda: tuple(TEXTS),
    "U": lambda: np.array(TEXTS),
    "object": lambda: np.array(TEXTS, dtype=object),
    "StringDType": lambda: np.array(TEXTS, dtype=np.dtypes.StringDType()),
    "str Series": lambda: pd.Series(TEXTS, name="text"),
    "object Series": lambda: pd.Series(TEXTS, dtype=object),
    "string[pyarrow]": lambda: pd.Series(TEXTS, dtype="string[pyarrow]"),
    "ArrowDtype": lambda: arrow(lambda pa: pd.Series(TEXTS, dtype=pd.ArrowDtype(pa.string()))),
    "pandas array": lambda: pd.array(TEXTS, dtype="string"),
    "pyarrow": lambda: arrow(lambda pa: pa.array(TEXTS)),
    "pyarrow chunks": lambda: arrow(lambda pa: pa.chunked_array([TEXTS[:9], TEXTS[9:]])),
}


@pytest.mark.parametrize("name", TEXT_CONTAINERS)
def test_texts_of_every_container(name):
    X = TEXT_CONTAINERS[name]()
    new, source = balanced(X, Mark())
    assert type(new) is (list if name == "tuple" else type(X))
    if name != "U":
        assert getattr(new, "dtype", None) == getattr(X, "dtype", None)
    assert getattr(new, "name", None) == getattr(X, "name", None)
    texts = new.to_pylist() if hasattr(new, "to_pylist") else list(new)
    assert texts[:25] == TEXTS
    # longer than any text before: nothing is cut off
    assert [text.rstrip("!") for text in texts[25:]] == [TEXTS[k] for k in source]
    marks = [len(text) - len(TEXTS[k]) for text, k in zip(texts[25:], source, strict=True)]
    assert min(marks) >= 1 and len(set(marks)) > 3


def test_labels_reach_the_fit_and_a_row_depends_on_the_seed_and_its_place_alone():
    words = np.array(["no", "yes"])[Y]
    g = PerturbGenerator(Mark(), random_state=3).fit(TEXTS, words)
    assert g.perturbation_.seen_ == dict(zip(TEXTS, words, strict=True))
    many = g.sample(y=["yes"] * 30)
    assert g.sample(y=["yes"] * 7) == many[:7]
    assert g.sample(y=["yes"] * 30, random_state=4) != many
    X = np.random.default_rng(0).random((25, 6, 5))
    g = PerturbGenerator("image_medium", random_state=0).fit(X, Y)
    many = g.sample(y=[0] * 5000)  # more than a block
    np.testing.assert_array_equal(g.sample(y=[0] * 9), many[:9])
    np.testing.assert_array_equal(g.sample(y=[0] * 4500), many[:4500])


def test_a_class_of_one_text_an_index_and_groups():
    X = pd.Series(["one two three four"] + ["other words"] * 4, index=list("abcde"))
    sampler = OverSampler(PerturbGenerator(Mark()), random_state=0)
    new, y = sampler.fit_resample(X, pd.Series(["r", "c", "c", "c", "c"], name="label"))
    assert new.index.tolist() == list(range(8)) and y.name == "label"
    assert all(text.startswith("one two three four!") for text in new[5:])
    assert sampler.provenance_["source"].tolist() == ["a", "b", "c", "d", "e", "a", "a", "a"]
    group = np.array(["f", "m"] * 12 + ["f"])
    sampler = OverSampler(PerturbGenerator(Mark()), by="class+group", random_state=0)
    new, _ = sampler.fit_resample(TEXTS, Y, sensitive_features=group)
    assert set(sampler.target_counts_) == {10} and len(new) == 40
    for text, wanted in zip(new[25:], sampler.sensitive_features_[25:], strict=True):
        assert group[TEXTS.index(text.rstrip("!"))] == wanted


def test_the_default_by_kind_of_row():
    assert type(PerturbGenerator().fit(TEXTS, Y).perturbation_).__name__ == "OneOf"
    pictures = PerturbGenerator().fit(np.zeros((25, 8, 8), dtype=np.uint8), Y).perturbation_
    assert [type(step).__name__ for step in pictures.perturbations] == ["Shift", "BrightnessContrast"]
    table = PerturbGenerator().fit(np.random.default_rng(0).random((25, 3)), Y).perturbation_
    assert [type(step).__name__ for step in table.perturbations] == ["ScaledJitter", "CategoryFlip"]


@pytest.mark.parametrize(
    ("policy", "X", "error", "match"),
    [
        (None, np.zeros((25, 2, 9000)), ParameterError, "may be clips"),
        (None, [np.zeros(5 + k) for k in range(25)], ParameterError, "may be clips"),
        ("image_weak", np.zeros((25, 64)), ParameterError, r"X.reshape\(-1, h, w\)"),
        ("image_weak", TEXTS, ParameterError, "rows must be pictures"),
        ("audio_weak", TEXTS, ParameterError, "rows must be clips"),
        ("audio_weak", pd.DataFrame(np.zeros((25, 9))), ParameterError, r"X.to_numpy\(\)"),
        ("typos", np.zeros((25, 9)), ParameterError, "texts to edit must be"),
        ("typos", pd.DataFrame({"text": TEXTS}), ParameterError, r"X\['text'\]"),
        ("jitter", TEXTS, ParameterError, "must be a table"),
        ("typos", [None, float("nan"), *TEXTS[2:]], DataError, r"None, nan in row 0, 1 \(2 in all\)"),
        ("typos", pd.Series(TEXTS).where(Y == 0), DataError, r"\(5 in all\). Drop those rows"),
        ("typos", pd.Series(TEXTS, dtype="category"), InputTypeError, r"X.astype\(str\)"),
        ("typo", TEXTS, ParameterError, "Did you mean 'typos'"),
        ("medium", [np.zeros(5 + k) for k in range(25)], ParameterError, "needs a modality"),
        ("weak", np.zeros((25, 90)), ParameterError, "needs a modality.*Use one of image_weak, audio_weak"),
        (lambda x: x, TEXTS, ParameterError, "lambda"),
        (Typos, TEXTS, ParameterError, "the class Typos"),
    ],
)
def test_what_does_not_fit_gets_its_sentence(policy, X, error, match):
    with pytest.raises(error, match=match):
        OverSampler(PerturbGenerator(policy)).fit_resample(X, Y)
    with pytest.raises(error, match=match):
        TrainOnly(policy).fit_transform(X, Y)


def first_half(x):
    return x[: len(x) // 2]


def as_float(x):
    return x / 255


def as_array(x):
    return np.asarray(x)


def test_edits_that_change_shape_or_type_get_their_sentence():
    from PIL import Image

    pictures = np.zeros((25, 8, 8), dtype=np.uint8)
    with pytest.raises(DataError, match=r"keep their shape; given \(4, 8\) from \(8, 8\)"):
        OverSampler(PerturbGenerator(first_half)).fit_resample(pictures, Y)
    with pytest.raises(DataError, match="keep their dtype; given float64 from uint8"):
        OverSampler(PerturbGenerator(as_float)).fit_resample(pictures, Y)
    with pytest.raises(InputTypeError, match="a ndarray from a PIL image"):
        OverSampler(PerturbGenerator(as_array)).fit_resample([Image.fromarray(x) for x in pictures], Y)
    halves, _ = OverSampler(PerturbGenerator(first_half)).fit_resample(list(pictures), Y)
    assert [x.shape for x in halves[24:27]] == [(8, 8), (4, 8), (4, 8)]  # a list may hold what it likes


def test_a_clip_of_nan_is_named():
    clips = np.ones((25, 50), dtype=np.float32)
    clips[21, 7] = np.nan
    with pytest.raises(DataError, match="nan at 7"):
        OverSampler(PerturbGenerator("gain"), random_state=0).fit_resample(clips, Y)


def test_saved_and_loaded(tmp_path):
    clips = [np.ones(10 + k, dtype=np.float32) for k in range(25)]
    for X, policy in ((TEXTS, RandomDelete(0.5)), (pd.Series(TEXTS), "text_weak"), (clips, "audio_weak")):
        g = PerturbGenerator(policy).fit(X, Y)
        save(g, tmp_path / "model.safetensors")
        again = load(tmp_path / "model.safetensors")
        for a, b in zip(*(each.sample(y=[1] * 6, random_state=5) for each in (g, again)), strict=True):
            np.testing.assert_array_equal(a, b)


def judge(resampler=None):
    model = make_pipeline(TfidfVectorizer(), LogisticRegression(C=100.0))
    return model if resampler is None else Resampled(model, resampler)


@pytest.mark.parametrize("name", ["list", "U", "object", "str Series", "string[pyarrow]"])
def test_texts_through_pipelines(name):
    X = TEXT_CONTAINERS[name]()
    sampler = OverSampler(PerturbGenerator(Typos(p=0.2)), random_state=0)
    model = judge(sampler).fit(X, Y)
    assert model.predict(X).tolist() == Y.tolist()
    assert model.resampler_.provenance_["kind"].value_counts()["perturbed"] == 15
    steps = [("more", sampler), ("words", TfidfVectorizer()), ("model", LogisticRegression())]
    assert SamplerPipeline(steps).fit(X, Y).predict(X).tolist() == Y.tolist()
    assert make_pipeline(TrainOnly("typos"), judge()).fit(X, Y).score(X, Y) == 1


def test_a_grid_search_over_the_policy_and_its_parameters():
    search = GridSearchCV(
        judge(OverSampler(PerturbGenerator(Typos()), random_state=0)),
        {"resampler__generator__perturbation__p": [0.0, 0.5]},
        cv=2,
        error_score="raise",
    ).fit(pd.Series(TEXTS), Y)
    assert len(search.cv_results_["params"]) == 2
    grid = {"resampler__generator__perturbation": ["text_weak", Typos(), Compose([CaseChange(), Typos()])]}
    search = GridSearchCV(search.estimator, grid, cv=2, error_score="raise").fit(TEXTS, Y)
    assert search.best_estimator_.predict(TEXTS).tolist() == Y.tolist()


def test_a_comparison_of_texts_pictures_and_clips():
    from sklearn.preprocessing import FunctionTransformer

    methods = {
        "copies": OverSampler(BootstrapGenerator()),
        "edited": OverSampler(PerturbGenerator("text_medium")),
    }
    for X in (TEXTS, pd.Series(TEXTS)):
        result = compare(judge(), methods, X, Y, cv=2, n_repeats=1, random_state=0)
        assert result.failures.empty and set(result.verdicts.index) == set(methods)
    ragged = [np.full(50 + k, 1.0 + y, dtype=np.float32) for k, y in enumerate(Y)]
    flat = make_pipeline(FunctionTransformer(_loudness), LogisticRegression())
    result = compare(
        flat, OverSampler(PerturbGenerator("gain")), ragged, Y, cv=2, n_repeats=1, random_state=0
    )
    assert result.failures.empty


def _loudness(clips):
    return np.array([[np.abs(clip).mean()] for clip in clips])


def test_train_only_edits_every_training_row_once_and_no_other():
    step = TrainOnly(Mark(), random_state=0)
    edited = step.fit_transform(pd.Series(TEXTS, index=range(5, 30)), Y)
    assert edited.index.tolist() == list(range(5, 30))
    assert [text.rstrip("!") for text in edited] == TEXTS and all(text.endswith("!") for text in edited)
    assert step.perturbation_.seen_[TEXTS[-1]] == 1
    assert step.transform(TEXTS[:3]) == TEXTS[:3]
    ragged = [np.ones(5 + k, dtype=np.float32) for k in range(4)]
    step = TrainOnly("gain", random_state=0)
    assert [len(clip) for clip in step.fit_transform(ragged)] == [5, 6, 7, 8]
    assert step.transform(ragged[2:]) == ragged[2:]


def test_generators_of_tables_say_which_ones_take_texts():
    for X in (TEXTS, pd.Series(TEXTS), np.array(TEXTS)):
        with pytest.raises(DataError, match=r"given 25 texts. Generators that copy or edit rows"):
            OverSampler(SmoteGenerator()).fit_resample(X, Y)

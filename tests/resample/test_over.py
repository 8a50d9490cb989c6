"""OverSampler: exact counts, real rows untouched, types kept, passports true."""

import numpy as np
import pandas as pd
import pytest
from imblearn.pipeline import make_pipeline
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.utils.estimator_checks import check_estimator_cloneable

from augsynth.core.errors import (
    AugsynthWarning,
    ConditionError,
    DataError,
    InputTypeError,
    ParameterError,
    ThinCellWarning,
)
from augsynth.generate.base import BaseGenerator, Drawn
from augsynth.generate.bootstrap import BootstrapGenerator
from augsynth.generate.function import FunctionGenerator
from augsynth.generate.independent import IndependentGenerator
from augsynth.generate.kde import KDEGenerator
from augsynth.generate.perturbed import PerturbGenerator
from augsynth.resample.over import OverSampler

GENERATORS = [BootstrapGenerator(), IndependentGenerator(), PerturbGenerator()]


class MidpointGenerator(BaseGenerator):
    """Rows half-way between the first two rows of a cell: parents known by hand."""

    _kind = "interpolated"

    def __init__(self, *, schema=None, random_state=None):
        self.schema = schema
        self.random_state = random_state

    def _fit(self, z, c, w, rng):
        self.z_ = z
        self.first_ = np.array([np.flatnonzero(c == k)[[0, -1]] for k in range(self.condition_.n_cells)])

    def _sample(self, c, rng):
        parents = self.first_[c]
        return Drawn(self.z_[parents].mean(axis=1), parents)


def mixed_table(n=12):
    """One column of every dtype that must come back as it went in."""
    days = pd.date_range("2024-01-01", periods=n, freq="D")
    return pd.DataFrame(
        {
            "number": np.linspace(-1.5, 2.5, n),
            "small": np.arange(n, dtype=np.int8),
            "nullable": pd.array([None, *range(1, n)], dtype="Int64"),
            "flag": np.arange(n) % 2 == 0,
            "nullable_flag": pd.array([True, None, False] * (n // 3), dtype="boolean"),
            "level": pd.Categorical(list("abc") * (n // 3), categories=list("cabz")),
            "ordered": pd.Categorical(list("lmh") * (n // 3), categories=list("lmh"), ordered=True),
            "day": days,
            "text": ["x", "y", None] * (n // 3),
            "arrow": pd.array(range(n), dtype="int32[pyarrow]"),
            "arrow_text": pd.array(["u", "v", "w"] * (n // 3), dtype="string[pyarrow]"),
            "float32": np.linspace(0, 1, n).astype(np.float32),
        }
    )


@pytest.mark.parametrize("generator", GENERATORS, ids=lambda g: type(g).__name__)
@pytest.mark.parametrize(
    "index", [None, [5] * 6 + [7] * 6, list("abcdefghijkl")], ids=["range", "duplicate", "text"]
)
def test_frames_come_back_as_they_went_in(generator, index):
    X = mixed_table()
    if index is not None:
        X.index = index
    y = pd.Series(["n"] * 9 + ["p"] * 3, name="label", dtype="category", index=X.index)
    sampler = OverSampler(generator, random_state=0)
    X_new, y_new = sampler.fit_resample(X, y)
    pd.testing.assert_frame_equal(X_new.iloc[:12], X.reset_index(drop=True))
    assert X_new.dtypes.to_dict() == X.dtypes.to_dict()
    assert list(X_new.columns) == list(X.columns)
    assert isinstance(X_new.index, pd.RangeIndex)
    assert y_new.dtype == y.dtype
    assert y_new.name == "label"
    assert y_new.value_counts().to_dict() == {"n": 9, "p": 9}
    assert sampler.provenance_["source"].tolist()[:12] == X.index.tolist()
    assert len(sampler.provenance_) == 18


@pytest.mark.parametrize(
    "container",
    [
        list,
        np.array,
        lambda y: np.array(y).reshape(-1, 1),
        lambda y: pd.Series(y, name="t", dtype="category"),
        lambda y: pd.Series(y, name="t", dtype="string[pyarrow]"),
        lambda y: pd.DataFrame({"t": y}),
        lambda y: np.array(y, dtype=object),
    ],
)
def test_labels_come_back_as_they_went_in(container):
    y = container(["a"] * 4 + ["b"] * 2)
    _, y_new = OverSampler(BootstrapGenerator(), random_state=0).fit_resample(
        np.arange(12.0).reshape(6, 2), y
    )
    assert type(y_new) is type(y)
    assert np.asarray(y_new).ravel().tolist() == ["a"] * 4 + ["b"] * 4
    for attribute in ("dtype", "name", "ndim"):
        assert getattr(y_new, attribute, None) == getattr(y, attribute, None)


def test_one_vs_all_comes_back_as_one_vs_all():
    y = np.eye(3, dtype=int)[[0, 0, 0, 1, 1, 2]]
    sampler = OverSampler(BootstrapGenerator(), random_state=0)
    _, y_new = sampler.fit_resample(np.arange(6.0).reshape(-1, 1), y)
    assert y_new.sum(axis=0).tolist() == [3, 3, 3]
    assert (y_new.sum(axis=1) == 1).all()
    assert dict(sampler.sampling_strategy_) == {1: 1, 2: 2}


def test_float32_lists_and_images():
    X = np.arange(6 * 2 * 2, dtype=np.float32).reshape(6, 2, 2)
    y = [0, 0, 0, 0, 1, 1]
    sampler = OverSampler(BootstrapGenerator(), random_state=0)
    X_new, y_new = sampler.fit_resample(X, y)
    assert X_new.dtype == np.float32
    assert X_new.shape == (8, 2, 2)
    assert y_new == [0, 0, 0, 0, 1, 1, 1, 1]
    np.testing.assert_array_equal(X_new[6:], X[sampler.provenance_["source"][6:].to_numpy(int)])
    listed, _ = OverSampler(BootstrapGenerator(), random_state=0).fit_resample(X[:, 0].tolist(), y)
    assert isinstance(listed, list)
    np.testing.assert_array_equal(listed, X_new[:, 0])


def test_texts_are_rows_too():
    texts = ["a", "b", "c", "d"]
    sampler = OverSampler(BootstrapGenerator(), random_state=0)
    assert sampler.fit_resample(texts, [0, 0, 0, 1]) == (["a", "b", "c", "d", "d", "d"], [0, 0, 0, 1, 1, 1])
    assert sampler.fit(texts, [0, 0, 0, 1]) is sampler


def test_unlisted_classes_are_left_alone_and_totals_are_exact():
    X, y = np.arange(20.0).reshape(10, 2), np.array([0] * 6 + [1] * 3 + [2])
    sampler = OverSampler(BootstrapGenerator(), sampling_strategy={2: 7}, random_state=0)
    _, y_new = sampler.fit_resample(X, y)
    assert np.bincount(y_new).tolist() == [6, 3, 7]
    assert sampler.target_counts_.to_dict() == {0: 6, 1: 3, 2: 7}
    assert dict(sampler.sampling_strategy_) == {2: 6}


def test_nothing_to_add():
    X, y = np.arange(4.0).reshape(2, 2), [0, 1]
    sampler = OverSampler(BootstrapGenerator(), random_state=0)
    X_new, y_new = sampler.fit_resample(X, y, sample_weight=[1, 2])
    np.testing.assert_array_equal(X_new, X)
    assert X_new is not X
    assert y_new == y
    assert sampler.sample_weight_.tolist() == [1, 2]
    assert (sampler.provenance_["kind"] == "real").all()


def test_same_seed_same_bytes_and_real_rows_are_not_shared():
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(60, 3)), np.array([0] * 50 + [1] * 10)
    first, _ = OverSampler(KDEGenerator(), random_state=3).fit_resample(X, y)
    again, _ = OverSampler(KDEGenerator(), random_state=3).fit_resample(X, y)
    other, _ = OverSampler(KDEGenerator(), random_state=4).fit_resample(X, y)
    assert first.tobytes() == again.tobytes()
    assert first.tobytes() != other.tobytes()
    # the generator's own seed wins where it is set
    mine = [OverSampler(KDEGenerator(random_state=9), random_state=s).fit_resample(X, y)[0] for s in (3, 4)]
    assert mine[0].tobytes() == mine[1].tobytes()
    state = np.random.get_state()[1].copy()  # noqa: NPY002
    OverSampler(KDEGenerator()).fit_resample(X, y)
    assert (np.random.get_state()[1] == state).all()  # noqa: NPY002


def test_the_generator_given_is_not_touched():
    generator = IndependentGenerator()
    sampler = OverSampler(generator, random_state=0)
    sampler.fit_resample(np.arange(12.0).reshape(6, 2), [0, 0, 0, 0, 1, 1])
    assert not hasattr(generator, "condition_")
    assert generator.random_state is None
    assert sampler.generator_ is not generator
    check_estimator_cloneable("OverSampler", sampler)


def test_passport_of_interpolated_rows_and_their_weights():
    X = pd.DataFrame({"v": [0.0, 2.5, 4.0, 10.0, 20.5]}, index=[100, 101, 102, 103, 104])
    sampler = OverSampler(MidpointGenerator(), random_state=11)
    X_new, _ = sampler.fit_resample(X, [0, 0, 0, 1, 1], sample_weight=[1, 1, 4, 2, 5])
    assert X_new["v"].iloc[5] == 15.25
    passport = sampler.provenance_
    assert passport.columns.tolist() == ["kind", "source", "source_2", "generator", "seed", "pooled"]
    assert passport["kind"].tolist() == ["real"] * 5 + ["interpolated"]
    assert passport["source"].tolist() == [100, 101, 102, 103, 104, 103]
    assert passport["source_2"].isna().tolist() == [True] * 5 + [False]
    assert passport["source_2"].iloc[5] == 104
    assert passport["generator"].iloc[5] == "MidpointGenerator"
    assert passport["generator"].isna().sum() == 5
    assert passport["seed"].isna().sum() == 5
    assert not passport["pooled"].any()
    assert sampler.sample_weight_.tolist() == [1, 1, 4, 2, 5, 3.5]  # the parents' mean


def test_generated_rows_carry_their_cells_mean_weight():
    X, y = np.linspace(0, 1, 7).reshape(-1, 1), [0, 0, 0, 0, 0, 1, 1]
    sampler = OverSampler(IndependentGenerator(), random_state=0)
    sampler.fit_resample(X, y, sample_weight=[1, 1, 1, 1, 1, 2, 6])
    assert sampler.sample_weight_[7:].tolist() == [4, 4, 4]
    assert sampler.provenance_["source"][7:].isna().all()
    sampler.fit_resample(X, y)
    assert sampler.sample_weight_ is None
    assert sampler.sensitive_features_ is None


def test_weights_that_choose_the_parents_do_not_count_twice():
    X, y = np.arange(8.0).reshape(-1, 1), [0, 0, 0, 0, 0, 0, 1, 1]
    sampler = OverSampler(KDEGenerator(bandwidth=[1e-9]), random_state=0, sampling_strategy={1: 402})
    with pytest.warns(ThinCellWarning):
        X_new, _ = sampler.fit_resample(X, y, sample_weight=[1, 1, 1, 1, 1, 1, 1, 9])
    assert abs((X_new[8:] > 6.5).mean() - 0.9) < 4 * (0.9 * 0.1 / 400) ** 0.5  # drawn by weight
    assert (sampler.sample_weight_[8:] == 5).all()  # and then worth the mean of the cell


def test_the_seed_in_the_passport_draws_the_rows_again():
    rng = np.random.default_rng(1)
    X, y = rng.normal(size=(40, 2)), np.array([0] * 30 + [1] * 10)
    sampler = OverSampler(KDEGenerator(), random_state=5)
    X_new, _ = sampler.fit_resample(X, y)
    again = sampler.generator_.sample(y=[1] * 20, random_state=int(sampler.provenance_["seed"].iloc[-1]))
    np.testing.assert_array_equal(X_new[40:], again)


# class 0: 4 f, 4 m; class 1: 1 f, 3 m
GROUPED_Y = np.array([0] * 8 + [1] * 4)
GROUPS = np.array(list("ffffmmmm") + list("fmmm"))
GROUPED_X = np.arange(24.0).reshape(12, 2) + 0.25


@pytest.mark.parametrize(
    ("by", "strategy", "expected"),
    [
        # each class keeps its mix of groups: 8 * 1/4 = 2 f, 6 m in class 1
        ("class", "auto", {(0, "f"): 4, (0, "m"): 4, (1, "f"): 2, (1, "m"): 6}),
        # f has 5 rows, m has 7: f grows to 7 with its mix 4:1 kept: 5.6, 1.4 -> 6, 1
        ("group", "auto", {(0, "f"): 6, (0, "m"): 4, (1, "f"): 1, (1, "m"): 3}),
        ("class+group", "auto", {(0, "f"): 4, (0, "m"): 4, (1, "f"): 4, (1, "m"): 4}),
        ("class+group", "minority", {(0, "f"): 4, (0, "m"): 4, (1, "f"): 4, (1, "m"): 3}),
        ("class+group", {(1, "m"): 5}, {(0, "f"): 4, (0, "m"): 4, (1, "f"): 1, (1, "m"): 5}),
        ("group", 1.0, {(0, "f"): 6, (0, "m"): 4, (1, "f"): 1, (1, "m"): 3}),
    ],
)
@pytest.mark.parametrize(
    "generator", [BootstrapGenerator(), IndependentGenerator()], ids=["copies", "learns"]
)
def test_cells_by_hand(by, strategy, expected, generator):
    sampler = OverSampler(generator, by=by, sampling_strategy=strategy, random_state=0)
    X_new, y_new = sampler.fit_resample(GROUPED_X, GROUPED_Y, sensitive_features=GROUPS)
    groups_new = sampler.sensitive_features_
    assert isinstance(groups_new, np.ndarray)
    got = pd.Series(list(zip(y_new.tolist(), groups_new.tolist(), strict=True))).value_counts().to_dict()
    assert got == expected
    assert len(X_new) == sum(expected.values())
    sources = sampler.provenance_["source"]
    if sources.notna().all():  # copies come from their own cell
        parents = sources.to_numpy(int)
        assert (GROUPED_Y[parents] == y_new).all()
        assert (GROUPS[parents] == groups_new).all()


def test_group_columns_name_columns_of_X():
    X = pd.DataFrame({"v": GROUPED_X[:, 0], "sex": GROUPS})
    for generator in (BootstrapGenerator(), IndependentGenerator(), PerturbGenerator()):
        sampler = OverSampler(generator, by="class+group", group_columns=("sex",), random_state=0)
        X_new, y_new = sampler.fit_resample(X, GROUPED_Y)
        assert X_new.groupby([y_new, X_new["sex"]]).size().tolist() == [4, 4, 4, 4]
        pd.testing.assert_series_equal(sampler.sensitive_features_["sex"], X_new["sex"])
        assert sampler.target_counts_.index.names == ["class", "sex"]


def test_a_cell_that_was_never_seen_is_named():
    groups = ["f"] * 8 + ["m"] * 4
    sampler = OverSampler(BootstrapGenerator(), by="class+group", random_state=0)
    with pytest.warns(AugsynthWarning, match=r"\(0, 'm'\), \(1, 'f'\)"):
        _, y_new = sampler.fit_resample(GROUPED_X, GROUPED_Y, sensitive_features=groups)
    assert np.bincount(y_new).tolist() == [8, 8]
    sampler.set_params(sampling_strategy={(1, "f"): 3})
    with pytest.raises(ParameterError, match=r"\(1, 'f'\)"):
        sampler.fit_resample(GROUPED_X, GROUPED_Y, sensitive_features=groups)


def test_frozen_generator_is_used_as_it_is():
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(40, 2)), np.array([0] * 30 + [1] * 10)
    elsewhere = rng.normal(size=(40, 2)) + 100
    fitted = BootstrapGenerator().fit(elsewhere, y)
    sampler = OverSampler(FrozenEstimator(fitted), random_state=0)
    X_new, y_new = sampler.fit_resample(X, y)
    assert np.bincount(y_new).tolist() == [30, 30]
    assert (X_new[40:] > 50).all()
    assert sampler.generator_ is fitted
    assert sampler.provenance_["source"][40:].isna().all()  # its parents are not rows of X
    with pytest.raises(ConditionError, match="2"):
        sampler.fit_resample(X, np.where(y == 1, 2, 0))
    with pytest.raises(InputTypeError, match="DataFrame"):
        sampler.fit_resample(pd.DataFrame(X), y)
    with pytest.raises(ValueError, match="features"):
        sampler.fit_resample(X[:, :1], y)
    with pytest.raises(Exception, match="not fitted"):
        OverSampler(FrozenEstimator(BootstrapGenerator())).fit_resample(X, y)


@pytest.mark.parametrize(
    "generator",
    [BootstrapGenerator(), IndependentGenerator(), PerturbGenerator(), KDEGenerator()],
    ids=lambda g: type(g).__name__,
)
@pytest.mark.parametrize("frame", [True, False], ids=["frame", "array"])
def test_target_bins(generator, frame):
    rng = np.random.default_rng(0)
    y = np.concatenate([rng.uniform(0, 1, 80), rng.uniform(9, 10, 12)])
    X = np.column_stack([2 * y + 0.01 * rng.normal(size=92), rng.normal(size=92)])
    given = pd.DataFrame(X, columns=["a", "b"]) if frame else X
    sampler = OverSampler(generator, by="target_bins", random_state=0)
    X_new, y_new = sampler.fit_resample(given, pd.Series(y, name="t") if frame else y)
    assert type(X_new) is type(given)
    assert X_new.shape[1] == 2
    y_new = np.asarray(y_new)
    np.testing.assert_array_equal(y_new[:92], y)
    bins = sampler.target_counts_.index
    for key, total in sampler.target_counts_.items():
        inside = (
            (y_new >= key.left) & (y_new <= key.right)
            if key == bins[0]
            else (y_new > key.left) & (y_new <= key.right)
        )
        assert inside.sum() == total
    assert (sampler.target_counts_ == sampler.target_counts_.max()).all()
    if isinstance(generator, BootstrapGenerator):
        parents = sampler.provenance_["source"].to_numpy(int)
        np.testing.assert_array_equal(np.asarray(X_new), X[parents])
        np.testing.assert_array_equal(y_new, y[parents])


def test_target_bins_need_a_generator_that_knows_the_target():
    def noise(y, rng):
        return rng.normal(size=(len(y), 1))

    X, y = np.arange(40.0).reshape(-1, 1), np.concatenate([np.linspace(0, 1, 32), np.linspace(9, 10, 8)])
    with pytest.raises(ParameterError, match="parent"):
        OverSampler(FunctionGenerator(noise), by="target_bins").fit_resample(X, y)
    with pytest.raises(ParameterError, match="frozen"):
        frozen = FrozenEstimator(BootstrapGenerator().fit(X, y > 5))
        OverSampler(frozen, by="target_bins").fit_resample(X, y)


def test_more_numeric_labels_than_would_be_taken_for_a_continuous_target():
    y = np.concatenate([np.arange(150), np.arange(150), [3, 4]])
    X = y[:, None].astype(float)
    X_new, y_new = OverSampler(BootstrapGenerator(), random_state=0).fit_resample(X, y)
    assert (X_new[:, 0] == y_new).all()
    assert (np.bincount(y_new) == 3).all()


@pytest.mark.parametrize(
    ("X", "y", "kwargs", "message"),
    [
        ([[1.0], [2.0]], [0.5, 1.7], {}, "Unknown label type"),
        ([[1.0], [2.0]], [[1, 1], [0, 1]], {}, "Multilabel and multioutput"),
        ([[1.0], [2.0]], [1, 1], {}, "1 class"),
        ([[1.0], [2.0]], None, {}, "requires y to be passed"),
        ([[1.0], [2.0]], [1, 2, 3], {}, r"one entry a row of X \(2\); given 3"),
        ([[1.0], [2.0]], [1.0, np.nan], {}, "Input y contains NaN"),
        ([[1.0], [2.0]], ["a", None], {}, "missing values"),
        ([[1.0], [2.0]], [0, 1], {"sensitive_features": ["f"]}, "sensitive_features must have one entry"),
        ([[1.0], [2.0]], [0, 1], {"sample_weight": [1]}, r"shape \(2,\)"),
        ([[1.0], [2.0]], [0, 1], {"sample_weight": [-1, 1]}, "-1.0"),
        ([[1.0], [2.0]], [0, 1], {"sample_weight": [0, 0]}, "all zero"),
        ([1.0, 2.0], [0, 1], {}, "Reshape"),
    ],
)
def test_bad_input_gets_one_sentence(X, y, kwargs, message):
    with pytest.raises(DataError, match=message) as caught:
        OverSampler(BootstrapGenerator()).fit_resample(X, y, **kwargs)
    assert str(caught.value).startswith("OverSampler: ")


def test_bad_parameters_get_one_sentence():
    X, y = [[1.0], [2.0], [3.0]], [0, 0, 1]
    for generator in (None, BootstrapGenerator, LogisticRegression()):
        with pytest.raises(ParameterError, match="generator must be an augsynth generator"):
            OverSampler(generator).fit_resample(X, y)
    with pytest.raises(ParameterError, match="by must be"):
        OverSampler(BootstrapGenerator(), by="sex").fit_resample(X, y)
    with pytest.raises(DataError, match="needs the group"):
        OverSampler(BootstrapGenerator(), by="group").fit_resample(X, y)
    with pytest.raises(ParameterError, match="both"):
        OverSampler(BootstrapGenerator(), group_columns=[0]).fit_resample(X, y, sensitive_features=y)
    with pytest.raises(DataError, match="'sex'"):
        OverSampler(BootstrapGenerator(), group_columns=["sex"]).fit_resample(X, y)
    with pytest.raises(InputTypeError, match="sparse"):
        from scipy.sparse import csr_array

        OverSampler(BootstrapGenerator()).fit_resample(csr_array(np.eye(3)), y)


def test_sits_in_an_imbalanced_learn_pipeline_and_sleeps_at_predict():
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(80, 2)), np.array([0] * 70 + [1] * 10)
    model = make_pipeline(OverSampler(BootstrapGenerator(), random_state=0), LogisticRegression())
    model.fit(X, y)
    assert model.predict(X[:7]).shape == (7,)
    assert len(model[0].provenance_) == 140


def test_memory_stays_within_one_input():
    import tracemalloc

    rng = np.random.default_rng(0)
    X = rng.normal(size=(400_000, 20))
    y = np.zeros(400_000, dtype=np.int64)
    y[:20_000] = 1
    sampler = OverSampler(BootstrapGenerator(), random_state=0)
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    X_new, _ = sampler.fit_resample(X, y)
    peak = tracemalloc.get_traced_memory()[1] - before
    tracemalloc.stop()
    assert peak - X_new.nbytes <= X.nbytes


@pytest.mark.parametrize("kind", ["smote", "kde", "gmm"])
def test_rows_of_pooled_cells_are_marked(kind):
    from augsynth import registry
    from augsynth.core.errors import ThinCellWarning

    rng = np.random.default_rng(0)
    X = rng.normal(size=(93, 2))
    y = np.array([0] * 60 + [1] * 33)
    groups = np.array(["f", "m"] * 30 + ["m"] * 30 + ["f"] * 3)  # three rows of (1, "f")
    sampler = OverSampler(registry.build("generator", kind), by="class+group", random_state=0)
    with pytest.warns(ThinCellWarning):
        _, y_new = sampler.fit_resample(X, y, sensitive_features=groups)
    thin = (
        (y_new == 1)
        & (sampler.sensitive_features_ == "f")
        & (sampler.provenance_["kind"] != "real").to_numpy()
    )
    assert thin.sum() == 27
    assert sampler.provenance_["pooled"][thin].all()
    assert not sampler.provenance_["pooled"][~thin].any()


def test_a_function_of_the_user_makes_the_rows():
    def simulate(y, rng, groups=None):
        shift = 0 if groups is None else 10 * (np.asarray(groups) == "f")
        return (np.asarray(y) + shift)[:, None] + 100.0

    sampler = OverSampler(FunctionGenerator(simulate), random_state=0)
    X_new, y_new = sampler.fit_resample(GROUPED_X[:, :1], GROUPED_Y)
    assert (X_new[12:, 0] == 101).all()
    assert np.bincount(y_new).tolist() == [8, 8]
    sampler.set_params(by="class+group")
    X_new, _ = sampler.fit_resample(GROUPED_X[:, :1], GROUPED_Y, sensitive_features=GROUPS)
    assert sorted(X_new[12:, 0].tolist()) == [101.0] + [111.0] * 3


def test_tensors_come_back_as_tensors():
    import torch

    X = torch.arange(12, dtype=torch.float32).reshape(6, 2)
    y = torch.tensor([0, 0, 0, 0, 1, 1])
    for generator in (BootstrapGenerator(), IndependentGenerator()):
        X_new, y_new = OverSampler(generator, random_state=0).fit_resample(X, y)
        assert isinstance(X_new, torch.Tensor)
        assert X_new.dtype == torch.float32
        assert torch.equal(X_new[:6], X)
        assert y_new.tolist() == [0, 0, 0, 0, 1, 1, 1, 1]

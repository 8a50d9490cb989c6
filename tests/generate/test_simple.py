"""Bootstrap, independent, function and perturbed generators, and what the base class does for all."""

import numpy as np
import pandas as pd
import pytest

from augsynth import (
    BaseGenerator,
    BootstrapGenerator,
    FunctionGenerator,
    IndependentGenerator,
    KDEGenerator,
    PerturbGenerator,
    SmoteGenerator,
)
from augsynth.core.errors import ConditionError, DataError, ParameterError
from augsynth.generate.cells import CellRows
from augsynth.perturb import Missingness, Perturbation, ScaledJitter, ValueSwap
from augsynth.testing import toy_table


def test_bootstrap_copies_rows_of_the_asked_cell_only():
    X, y = toy_table()
    g = BootstrapGenerator(random_state=0).fit(X, y, sensitive_features=X["sex"])
    drawn = g.draw(g.condition_.encode(["yes"] * 50, ["f"] * 50))
    originals = X.iloc[drawn.source[:, 0]].reset_index(drop=True)
    pd.testing.assert_frame_equal(drawn.rows, originals)
    assert (originals["sex"] == "f").all() and (y.iloc[drawn.source[:, 0]] == "yes").all()


def test_bootstrap_takes_rows_of_any_kind():
    images = np.arange(4 * 3 * 3 * 2, dtype=np.uint8).reshape(4, 3, 3, 2)
    new = BootstrapGenerator(random_state=0).fit(images, [0, 0, 1, 1]).sample(y=[1, 0])
    assert new.shape == (2, 3, 3, 2) and new.dtype == np.uint8 and new[1].max() < 36
    texts = BootstrapGenerator(random_state=0).fit(["good", "bad"], [1, 0]).sample(y=[0, 1, 0])
    assert texts == ["bad", "good", "bad"]


def test_weights_are_the_odds_of_a_row():
    X = np.arange(4.0)[:, None]
    g = BootstrapGenerator(random_state=0).fit(X, [0, 0, 1, 1], sample_weight=[1, 3, 1, 0])
    new = g.sample(y=[0] * 4000)
    assert abs(new.mean() - 0.75) < 4 * (0.75 * 0.25 / 4000) ** 0.5
    assert (g.sample(y=[1] * 100) == 2).all()


def test_a_row_of_another_group_than_it_says_has_no_density():
    X = pd.DataFrame({"sex": ["f", "m"] * 20, "x": np.random.default_rng(0).normal(size=40)})
    g = KDEGenerator().fit(X, sensitive_features=X["sex"])
    assert np.isfinite(g.log_prob(X)).all() and np.isfinite(g.log_prob(X, sensitive_features=X["sex"])).all()
    assert np.isneginf(g.log_prob(X, sensitive_features=X["sex"][::-1].to_numpy())).all()


def test_rows_of_a_cell_without_weight_count_alike():
    X = np.column_stack([np.arange(8.0), np.tile([0.0, 1.0], 4)])
    y, w = np.repeat([0, 1], 4), np.repeat([2.0, 0.0], 4)
    generators = [BootstrapGenerator(), IndependentGenerator(), SmoteGenerator(k_neighbors=1)]
    for g in (each.set_params(random_state=0).fit(X, y, sample_weight=w) for each in generators):
        drawn = g.sample(y=[1] * 800)[:, 0]
        assert drawn.min() >= 4 and abs(drawn.mean() - 5.5) < 4 * (1.25 / 800) ** 0.5
        assert set(g.sample_labelled(50).y) == {0}


def test_cell_rows_draw_uniformly():
    rows = CellRows(np.array([1, 0, 1, 1]), 2)
    assert sorted(rows.rows(1)) == [0, 2, 3]
    picked = rows.pick(np.ones(6000, dtype=int), np.random.default_rng(0))
    assert np.abs(np.bincount(picked, minlength=4) / 6000 - [1 / 3, 0, 1 / 3, 1 / 3]).max() < 0.025


def test_independent_keeps_marginals_and_loses_relations():
    rng = np.random.default_rng(0)
    x = rng.normal(size=5000)
    X = np.stack([x, x], axis=1)
    new = IndependentGenerator(random_state=1).fit(X).sample(5000)
    assert abs(np.corrcoef(new.T)[0, 1]) < 4 / 5000**0.5
    assert np.isin(new, X).all()


def test_function_gets_labels_groups_and_a_stream():
    def simulate(y, rng, groups):
        return np.stack([np.asarray(y), np.asarray(groups), rng.random(len(y))], axis=1)

    g = FunctionGenerator(simulate).fit(np.ones((4, 3)), [0, 0, 1, 1], sensitive_features=[5, 6, 5, 6])
    new = g.sample(y=[0, 1, 1], sensitive_features=[6, 5, 6], random_state=0)
    assert new[:, :2].tolist() == [[0, 6], [1, 5], [1, 6]]
    again = g.sample(y=[0, 1, 1], sensitive_features=[6, 5, 6], random_state=0)
    assert (new == again).all()


@pytest.mark.parametrize(
    ("function", "says"),
    [
        (lambda y, rng: np.ones((1, 2)), "must return 3 rows; given 1"),
        (lambda y, rng: np.ones((3, 5)), r"rows of shape \(2,\); given \(5,\)"),
    ],
)
def test_function_that_returns_something_else_is_told(function, says):
    with pytest.raises(DataError, match=says):
        FunctionGenerator(function).fit(np.ones((2, 2)), [0, 1]).sample(y=[0, 1, 1])


def test_function_must_be_callable():
    with pytest.raises(ParameterError, match="function must be callable; given None"):
        FunctionGenerator().fit(np.ones((2, 2)))


def test_function_frames_are_cast_and_ordered():
    X, y = toy_table()
    g = FunctionGenerator(lambda y, rng: X.iloc[: len(y), ::-1].astype({"age": float})).fit(X, y)
    new = g.sample(y=["yes", "no"])
    assert new.dtypes.equals(X.dtypes) and list(new.columns) == list(X.columns)


def test_perturbed_copies_never_touch_a_conditioned_column():
    X, y = toy_table(missing=False)
    g = PerturbGenerator(ValueSwap(1.0), random_state=0).fit(X, y, sensitive_features=X["sex"])
    new = g.sample(y=["yes"] * 40, sensitive_features=["f"] * 40)
    assert (new["sex"] == "f").all() and new["job"].nunique() > 1


def test_perturbed_copies_of_images_are_edited_one_by_one():
    class Shift(Perturbation):
        def draw(self, x, rng):
            return {"by": int(rng.integers(0, x.shape[1]))}

        def apply(self, x, params):
            return np.roll(x, params["by"], axis=1)

    images = np.zeros((2, 4, 8), dtype=np.uint8)
    images[:, :, 0] = [[1], [2]]
    new = PerturbGenerator(Shift(), random_state=0).fit(images, [0, 1]).sample(y=[1] * 30)
    assert new.dtype == np.uint8 and (new.max(axis=(1, 2)) == 2).all()
    assert len({int(image[0].argmax()) for image in new}) > 4


class Ones(BaseGenerator):
    """The smallest generator there can be."""

    def __init__(self, *, random_state=None):
        self.random_state = random_state

    def _fit(self, z, c, w, rng):
        self.seen_ = z.shape

    def _sample(self, c, rng):
        return np.ones((len(c), len(self.layout_)))


def test_a_new_generator_is_two_hooks():
    X, y = toy_table()
    g = Ones().fit(X, y)
    assert g.seen_ == (120, 8)
    assert not hasattr(g, "log_prob") and not hasattr(g, "complete")
    new = g.sample(y=["yes", "no"])
    assert new["job"].tolist() == ["clerk"] * 2 and new["country"].tolist() == ["here"] * 2
    assert new.dtypes.equals(X.dtypes)


def test_nothing_varies_nothing_to_learn():
    X = pd.DataFrame({"a": [1, 1, 1], "b": ["x"] * 3})
    new = Ones().fit(X, [0, 1, 1]).sample(y=[1, 0])
    pd.testing.assert_frame_equal(new, X.iloc[:2])


@pytest.mark.parametrize("kind", ["list", "array", "float32", "tensor"])
def test_containers_come_back(kind):
    X = [[1.0, 2.5], [3.0, 4.5], [5.0, 0.5]]
    if kind == "tensor":
        import torch

        X = torch.tensor(X)
    elif kind != "list":
        X = np.array(X, dtype="float32" if kind == "float32" else "float64")
    for g in (IndependentGenerator(), BootstrapGenerator()):
        new = g.fit(X, [0, 1, 1]).sample(y=[0, 1])
        assert type(new) is type(X) and getattr(new, "dtype", None) == getattr(X, "dtype", None)


def test_read_only_arrays_work():
    X = np.arange(10.0).reshape(5, 2)
    X.setflags(write=False)
    assert IndependentGenerator().fit(X, [0, 0, 1, 1, 1]).sample(3).shape == (3, 2)


def test_empty_requests_return_empty_tables():
    X, y = toy_table()
    for g in (IndependentGenerator(), BootstrapGenerator()):
        new = g.fit(X, y).sample(0)
        assert len(new) == 0 and new.dtypes.equals(X.dtypes)
        assert len(g.sample(y=[])) == 0


@pytest.mark.parametrize(
    ("arguments", "error", "says"),
    [
        ({}, ParameterError, "n or an array y must say how many rows"),
        ({"n": -1}, ParameterError, "n must be a whole number >= 0; given -1"),
        ({"n": 3, "y": [1, 0]}, DataError, "must agree in length"),
        ({"y": ["never"]}, ConditionError, "given 'never'"),
        (
            {"n": 2, "sensitive_features": ["f", "m"]},
            ConditionError,
            "sensitive_features must have the 0 columns",
        ),
    ],
)
def test_bad_requests_get_a_sentence(arguments, error, says):
    g = BootstrapGenerator().fit(np.ones((2, 1)), [0, 1])
    with pytest.raises(error, match=says):
        g.sample(**arguments)


def test_a_scalar_label_is_asked_of_every_row():
    X = np.array([[0.0], [1.0]])
    assert BootstrapGenerator().fit(X, [0, 1]).sample(3, y=1).ravel().tolist() == [1, 1, 1]


def test_sample_labelled_follows_the_fitted_frequencies():
    X, y = toy_table(400)
    drawn = IndependentGenerator(random_state=0).fit(X, y).sample_labelled(2000)
    assert abs((drawn.y == "yes").mean() - 0.2) < 4 * (0.16 / 2000) ** 0.5
    assert drawn.y.name == "label" and drawn.sensitive_features is None


def test_jitter_scale_range_and_missing():
    X = pd.DataFrame({"a": [0.0, 10.0, np.nan] * 300, "n": [1, 2, 3] * 300, "t": ["x"] * 900})
    new = ScaledJitter(0.1).fit(X)(X, random_state=0)
    assert new["a"].isna().equals(X["a"].isna()) and new["a"].min() >= 0 and new["a"].max() <= 10
    assert new["n"].dtype == X["n"].dtype and new["t"].equals(X["t"])


def test_missingness_of_an_integer_column_gets_a_sentence():
    X = pd.DataFrame({"n": [1, 2, 3], "a": [0.5, 1.5, 2.5]})
    with pytest.raises(ParameterError, match="dtype that can be missing; given int64"):
        Missingness(columns=["n"]).fit(X)
    new = Missingness(1.0).fit(X)(X, random_state=0)
    assert new["a"].isna().all() and new["n"].equals(X["n"])


@pytest.mark.parametrize("made", [None, 3, np.nan, 2.5, "text"], ids=str)
def test_a_function_may_not_return_other_rows_than_those_of_fit(made):
    whole = made is None or np.ndim(made) == 0 and isinstance(made, int)
    array = FunctionGenerator(lambda y, rng: made if whole else np.full((len(y), 1), made))
    with pytest.raises(DataError, match="FunctionGenerator: function must return"):
        array.fit(np.array([[1], [2]]), [0, 1]).sample(y=[0, 1])
    table = FunctionGenerator(lambda y, rng: made if whole else pd.DataFrame({"a": [made] * len(y)}))
    with pytest.raises(DataError, match="FunctionGenerator: function must return"):
        table.fit(pd.DataFrame({"a": [1, 2]}), [0, 1]).sample(y=[0, 1])

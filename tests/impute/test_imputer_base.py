import numpy as np
import pandas as pd
import pytest
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from augsynth.core.errors import AugsynthWarning, DataError, InputTypeError, LeakError, ParameterError
from augsynth.impute.base import BaseImputer
from augsynth.impute.cells import content_keys
from augsynth.impute.self_check import column_starts

pytestmark = pytest.mark.filterwarnings("ignore:.*did no better than the column mean")


class MeanImputer(BaseImputer):
    """Means and modes; draws are observed cells of the column."""

    def __init__(self, *, use_target=False, add_indicator=False, schema=None, random_state=None):
        self.use_target = use_target
        self.add_indicator = add_indicator
        self.schema = schema
        self.random_state = random_state

    def _fit(self, z, rng):
        self.starts_ = column_starts(z, self.layout_)
        self.pools_ = [z[~np.isnan(z[:, j]), j] for j in range(z.shape[1])]

    def _point(self, z):
        return np.where(np.isnan(z), self.starts_, z)

    def _draw(self, z, keys, rng):
        u = keys.uniforms(z.shape[1])
        cells = [pool[(u[:, j] * len(pool)).astype(int)] for j, pool in enumerate(self.pools_)]
        return np.where(np.isnan(z), np.column_stack(cells), z)


def mixed_table():
    n = 40
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(
        {
            "float": rng.normal(size=n),
            "small": rng.normal(size=n).astype(np.float32),
            "whole": rng.integers(0, 9, n).astype(float),
            "Int": pd.array(rng.integers(0, 90, n), dtype="Int64"),
            "truth": pd.array(rng.integers(0, 2, n).astype(bool), dtype="boolean"),
            "text": rng.choice(["a", "b", "c"], n),
            "object": rng.choice(["u", "v"], n).astype(object),
            "level": pd.Categorical(
                rng.choice(["low", "mid", "high"], n), ["low", "mid", "high"], ordered=True
            ),
            "when": pd.to_datetime("2024-01-01") + pd.to_timedelta(rng.integers(0, 90, n), "D"),
            "span": pd.to_timedelta(rng.integers(0, 90, n), "h"),
            "arrow": pd.array(rng.integers(0, 90, n), dtype="int64[pyarrow]"),
            "arrow_text": pd.array(rng.choice(["x", "y"], n), dtype="string[pyarrow]"),
        },
        index=rng.permutation(n) + 100,
    )
    for j, name in enumerate(frame.columns):
        frame.loc[frame.index[rng.permutation(n)[: 5 + j % 3]], name] = None
    return frame


def test_every_dtype_comes_back_filled():
    table = mixed_table()
    given = table.copy(deep=True)
    imputer = MeanImputer(random_state=0).fit(table)
    for done in (imputer.transform(table), *imputer.impute(table, 2)):
        assert done.dtypes.equals(table.dtypes)
        assert done.index.equals(table.index)
        assert not done.isna().any().any()
        for name in table:
            seen = table[name].notna()
            assert (done.loc[seen, name] == table.loc[seen, name]).all()
    pd.testing.assert_frame_equal(table, given)


def test_point_means_are_not_rounded_but_draws_are_whole():
    X = np.array([[1.0, 2.0], [2.0, 5.0], [np.nan, 4.0], [4.0, 7.0]])
    imputer = MeanImputer(random_state=0).fit(X)
    assert imputer.transform(X)[2, 0] == pytest.approx(7 / 3)
    assert all(done[2, 0] in (1.0, 2.0, 4.0) for done in imputer.impute(X, 8))


def test_containers():
    torch = pytest.importorskip("torch")
    X = np.array([[1.5, np.nan], [2.5, 5.0], [np.nan, 4.0]])
    imputer = MeanImputer().fit(X)
    whole = imputer.transform(X)
    assert isinstance(imputer.transform(X.tolist()), np.ndarray)
    assert isinstance(imputer.transform(torch.tensor(X)), torch.Tensor)
    np.testing.assert_allclose(imputer.transform(X.tolist()), whole)
    assert imputer.transform(X.astype(np.float32)).dtype == np.float32


def test_draws_do_not_depend_on_other_rows_or_on_m():
    X = np.random.default_rng(0).normal(size=(50, 3))
    X[np.random.default_rng(1).random(X.shape) < 0.3] = np.nan
    imputer = MeanImputer().fit(X)
    five, three = imputer.impute(X, 5, random_state=3), imputer.impute(X, 3, random_state=3)
    assert all(np.array_equal(a, b) for a, b in zip(five[:3], three, strict=True))
    some = np.array([30, 4, 11, 17])
    part = imputer.impute(X[some], 5, random_state=3)
    assert all(np.array_equal(a, b[some]) for a, b in zip(part, five, strict=True))
    assert not np.array_equal(five[0], five[1])


def test_equal_rows_get_draws_of_their_own():
    X = np.column_stack([np.arange(40.0) + 0.5, np.zeros(40)])
    X[:30, 0] = np.nan
    drawn = MeanImputer().fit(X).impute(X, 1, random_state=0)[0][:30, 0]
    assert len(set(drawn)) > 3
    key, before = content_keys(np.array([[1.0, np.nan], [1.0, np.nan], [0.0, 2.0], [-0.0, 2.0]]))
    assert key[0] == key[1] != key[2] == key[3]
    assert before.tolist() == [0, 1, 0, 1]


def test_unseen_category_is_named_and_kept():
    train = pd.DataFrame({"a": ["x", "y", "x", None], "b": [1.0, 2.0, np.nan, 3.0]})
    new = pd.DataFrame({"a": ["z", None, "y"], "b": [np.nan, 1.0, 2.0]})
    imputer = MeanImputer().fit(train)
    with pytest.warns(AugsynthWarning, match="'a': 'z'"):
        done = imputer.transform(new)
    assert done["a"].tolist() == ["z", "x", "y"]
    assert done["b"].tolist() == [2.0, 1.0, 2.0]
    levels = new.assign(a=pd.Categorical(new["a"]))
    with pytest.warns(AugsynthWarning, match="'a': 'z'"):
        assert imputer.transform(levels)["a"].tolist() == ["z", "x", "y"]


def test_column_missing_only_later_and_constants():
    train = pd.DataFrame({"n": [1, 2, 3], "one": [7, 7, 7], "t": ["a", "b", "b"]})
    new = pd.DataFrame({"n": [np.nan, 2.0], "one": [np.nan, 7.0], "t": [None, "a"]})
    done = MeanImputer().fit(train).transform(new)
    assert done.to_dict("list") == {"n": [2.0, 2.0], "one": [7.0, 7.0], "t": ["b", "a"]}


def test_empty_column_stays_and_is_named():
    X = pd.DataFrame({"a": [1.0, np.nan, 2.5], "nothing": [np.nan] * 3})
    with pytest.warns(AugsynthWarning, match="'nothing'"):
        imputer = MeanImputer().fit(X)
    done = imputer.transform(X)
    assert done["nothing"].isna().all()
    assert done["a"].notna().all()


def test_indicators():
    X = pd.DataFrame({"a": [1.0, np.nan, 2.5], "b": [1.0, 2.0, 3.5]})
    imputer = MeanImputer(add_indicator=True).fit(X)
    done = imputer.transform(X)
    assert (
        done.columns.tolist() == imputer.get_feature_names_out().tolist() == ["a", "b", "missingindicator_a"]
    )
    assert done["missingindicator_a"].tolist() == [False, True, False]
    assert imputer.fit(X.to_numpy()).transform(X.to_numpy())[:, 2].tolist() == [0.0, 1.0, 0.0]
    framed = MeanImputer(add_indicator=True).set_output(transform="pandas").fit_transform(X.to_numpy())
    assert framed.columns.tolist() == ["x0", "x1", "missingindicator_x0"]


def test_pipeline_and_target():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(60, 3))
    y = X[:, 0] > 0
    X[rng.random(X.shape) < 0.2] = np.nan
    assert np.isfinite(make_pipeline(MeanImputer(), StandardScaler()).fit(X, y).transform(X)).all()
    told = MeanImputer(use_target=True).fit(X, y)
    assert told.has_target_
    assert len(told.layout_) == 4
    assert np.isfinite(told.transform(X)).all()
    assert np.isfinite(told.fill(X, y)).all()
    with pytest.raises(ParameterError, match="y is only of use"):
        MeanImputer().fit(X, y).fill(X, y)
    with pytest.raises(DataError, match="needs the target"):
        MeanImputer(use_target=True).fit(X)
    with pytest.raises(DataError, match="60 values"):
        told.impute(X, 1, y=y[:5])


def test_target_among_the_columns_is_refused():
    X = pd.DataFrame({"a": [1.0, np.nan, 2.5, 3.0], "income": [0, 1, 0, 1]})
    with pytest.raises(LeakError, match="column 'income', of the name of y"):
        MeanImputer().fit(X, X["income"])
    with pytest.raises(LeakError, match="equal to y"):
        MeanImputer(use_target=True).fit(X, X["income"].to_numpy())


def test_hostile_input():
    with pytest.raises(DataError, match="finite"):
        MeanImputer().fit(np.array([[1.0, np.inf], [2.0, 3.0]]))
    from scipy import sparse

    with pytest.raises(InputTypeError, match="dense"):
        MeanImputer().fit(sparse.eye(3).tocsr())
    read_only = np.array([[1.5, np.nan], [2.5, 3.0]])
    read_only.setflags(write=False)
    assert np.isfinite(MeanImputer().fit(read_only).transform(read_only)).all()
    row = MeanImputer().fit(np.array([[1.0, 2.0]])).transform(np.array([[np.nan, 2.0]]))
    assert row.tolist() == [[1.0, 2.0]]


def test_no_better_than_the_mean_is_said():
    X = np.random.default_rng(0).normal(size=(400, 4))
    X[np.random.default_rng(1).random(X.shape) < 0.2] = np.nan
    with pytest.warns(AugsynthWarning, match="every cell got its column's mean"):
        MeanImputer().fit(X)


def numbers_and(**columns):
    return pd.DataFrame({"a": [1.5, 2.5, 3.5, np.nan], **columns})


def test_a_column_without_a_value_gets_the_dtype_of_fit():
    when = pd.to_datetime(["2024-01-01", "2024-01-03", "2024-01-05", None])
    train = numbers_and(c=["x", "y", "y", None], t=when, n=[1, 2, 4, 5], b=[True, True, False, True])
    imputer = MeanImputer().fit(train)
    new = pd.DataFrame([{"a": 1.0, "c": np.nan, "t": np.nan, "n": np.nan, "b": pd.NaT}])
    done = imputer.transform(new)
    assert done.dtypes.equals(train.dtypes)
    assert done.iloc[0].tolist() == [1.0, "y", pd.Timestamp("2024-01-03"), 3, True]


def test_a_batch_of_another_integer_dtype():
    imputer = MeanImputer().fit(numbers_and(n=[1.0, 2.5, 900.0, np.nan]))
    for dtype in ("Int64", "Int8", "UInt8", "int64[pyarrow]"):
        new = numbers_and(n=pd.array([3, 4, 5, None], dtype=dtype))
        done = imputer.transform(new)
        assert done["n"].dtype == dtype
        assert int(done["n"].iloc[3]) == {"Int8": 127, "UInt8": 255}.get(dtype, 301)


def test_another_kind_of_column_is_refused():
    train = numbers_and(t=pd.to_datetime(["2024-01-01", "2024-01-03", "2024-01-05", None]))
    imputer = MeanImputer().fit(train)
    with pytest.raises(DataError, match="'a' must be of the kind it had in fit"):
        imputer.transform(train.assign(a=pd.Timestamp("2020-01-01")))
    with pytest.raises(DataError, match="'t' must be of the kind it had in fit"):
        imputer.transform(train.assign(t=[1.0, 2.0, np.nan, 3.0]))


def test_decimals_python_integers_zones_and_small_floats():
    import decimal

    money = pd.Series(
        [decimal.Decimal("1.5"), decimal.Decimal("2.5"), None, decimal.Decimal(2)], dtype=object
    )
    done = MeanImputer().fit_transform(numbers_and(d=money))
    assert float(sum(done["d"])) == pytest.approx(8)
    big = pd.Series([2**70, 2**70 + 2**60, None, 2**70], dtype=object)
    assert isinstance(MeanImputer().fit_transform(numbers_and(d=big))["d"].iloc[2], int)
    pa = pytest.importorskip("pyarrow")
    zoned = pd.to_datetime(["2024-01-01", "2024-01-03", None, "2024-01-02"]).tz_localize("Europe/Berlin")
    zone = pd.Series(zoned).astype(pd.ArrowDtype(pa.timestamp("us", tz="Europe/Berlin")))
    done = MeanImputer().fit_transform(numbers_and(d=zone))["d"]
    assert done.dtype == zone.dtype
    assert done.iloc[2] == pd.Timestamp("2024-01-02", tz="Europe/Berlin")
    half = np.array([[60000.0], [65000.0], [np.nan]], dtype=np.float16)
    imputer = MeanImputer().fit(half.astype(float) * 2)
    assert np.isfinite(imputer.transform(half)).all()


def test_names_of_indicators_must_be_free_and_m_positive():
    table = numbers_and(missingindicator_a=[1.0, 2.0, 2.0, 5.0])
    with pytest.raises(DataError, match="names of indicators must be free"):
        MeanImputer(add_indicator=True).fit(table)
    imputer = MeanImputer().fit(table)
    with pytest.raises(ParameterError, match="m must be"):
        imputer.iter_imputed(table, 0)
    with pytest.raises(InputTypeError, match="MeanImputer.transform"):
        imputer.transform(None)


def test_a_constant_target_tells_nothing_and_is_no_error():
    X = np.array([[1.0, 2.0], [np.nan, 3.0], [4.0, 5.5]])
    imputer = MeanImputer(use_target=True).fit(X, ["a", "a", "a"])
    assert not imputer.has_target_
    assert np.isfinite(imputer.fill(X, ["a", "a", "a"])).all()
    with pytest.raises(DataError, match="y must have a value"):
        MeanImputer(use_target=True).fit(X, [np.nan] * 3)


def test_half_precision_tensors_come_back_as_they_came():
    torch = pytest.importorskip("torch")
    X = torch.randn(60, 3, generator=torch.Generator().manual_seed(0)).to(torch.bfloat16)
    X[::4, 1] = float("nan")
    y = (torch.arange(60) % 5).to(torch.bfloat16)
    imputer = MeanImputer(random_state=0, use_target=True).fit(X, y)
    for filled in (imputer.transform(X), imputer.fill(X, y), *imputer.impute(X, 2, y=y)):
        assert filled.dtype == torch.bfloat16 and not torch.isnan(filled).any()
        seen = ~torch.isnan(X)
        assert torch.equal(filled[seen], X[seen])
    with pytest.raises(InputTypeError, match="dense tensor of a type that numpy knows"):
        imputer.transform(X.to(torch.float8_e5m2))


def test_a_fit_that_fails_leaves_nothing():
    from sklearn.exceptions import NotFittedError

    imputer = MeanImputer().fit(np.array([[1.0, 2.0], [np.nan, 3.5]]))
    with pytest.raises(DataError):
        imputer.fit(np.array([[np.inf, 2.0]]))
    with pytest.raises(NotFittedError):
        imputer.transform(np.array([[1.0, 2.0]]))

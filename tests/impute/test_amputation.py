"""Cells that go missing on purpose: how many, and depending on what."""

import warnings

import numpy as np
import pandas as pd
import pytest
from scipy import sparse, stats

from augsynth.core.errors import AugsynthWarning, DataError, InputTypeError, ParameterError
from augsynth.impute.amputation import MECHANISMS, SHAPES, ampute


def normals(n=4000, p=5, seed=0, rho=0.5):
    rng = np.random.default_rng(seed)
    return np.sqrt(rho) * rng.normal(size=(n, 1)) + np.sqrt(1 - rho) * rng.normal(size=(n, p))


def mixed(n=600, seed=0):
    rng = np.random.default_rng(seed)
    return pd.DataFrame(
        {
            "number": rng.normal(size=n),
            "whole": rng.integers(0, 9, n),
            "truth": rng.random(n) < 0.3,
            "level": pd.Categorical(rng.choice(list("xyz"), n)),
            "text": rng.choice(["u", "v"], n),
            "day": pd.date_range("2020", periods=n),
            "nullable": pd.array(rng.integers(0, 9, n), dtype="Int64"),
            "arrow": pd.array(rng.normal(size=n), dtype="double[pyarrow]"),
            "small": rng.normal(size=n).astype("float32"),
        },
        index=np.arange(n)[::-1] * 3,
    )


@pytest.mark.parametrize("mechanism", MECHANISMS)
@pytest.mark.parametrize("share", [0.05, 0.3, 0.6])
def test_share_of_every_column_and_of_the_table(mechanism, share):
    holes = np.isnan(ampute(normals(), mechanism, share, random_state=1))
    # patterns fix the number of rows to within one each, so binomial error is a loose bound
    assert abs(holes.mean() - share) < 0.002
    error = np.sqrt(share * (1 - share) / len(holes))
    assert np.abs(holes.mean(axis=0) - share).max() < 4 * error
    assert not holes.all(axis=1).any()


@pytest.mark.parametrize("mechanism", MECHANISMS)
def test_share_of_rows(mechanism):
    holes = np.isnan(ampute(normals(), mechanism, 0.25, by="rows", random_state=1))
    assert abs(holes.any(axis=1).mean() - 0.25) < 0.002


@pytest.mark.parametrize("mechanism", MECHANISMS)
@pytest.mark.parametrize("share", [0.1, 0.3, 0.5])
def test_share_of_the_observed_cells_where_there_are_holes_already(mechanism, share):
    X = normals(n=2000)
    X[np.random.default_rng(0).random(X.shape) < 0.3] = np.nan
    seen = ~np.isnan(X)
    left = ~np.isnan(ampute(X, mechanism, share, random_state=1))
    # a few rows of each of at most five patterns
    assert abs((seen & ~left).sum() / seen.sum() - share) < 0.005
    assert (left.any(axis=1) == seen.any(axis=1)).all()
    rows = ampute(X, mechanism, 0.25, by="rows", random_state=1)
    assert abs((seen & np.isnan(rows)).any(axis=1).mean() - 0.25) < 0.005


@pytest.mark.parametrize("mechanism", MECHANISMS)
def test_a_share_out_of_reach_is_said(mechanism):
    X = normals(n=200, p=3)
    X[:150, 1:] = np.nan  # 300 cells are left, 200 of which rows keep
    warnings.simplefilter("ignore", AugsynthWarning)  # and with all rows losing cells, scores hardly matter
    with pytest.warns(AugsynthWarning, match=r"only 0\.3[23]\d* of the observed cells can go, not the 0.6"):
        left = ampute(X, mechanism, 0.6, random_state=0)
    assert not np.isnan(left).all(axis=1).any()


def test_nine_tenths_of_a_table():
    with pytest.warns(AugsynthWarning, match="hardly depends"):
        holes = np.isnan(ampute(normals(p=20), "MAR", 0.94, random_state=0))
    assert abs(holes.mean() - 0.94) < 0.002 and not holes.all(axis=1).any()
    holes = np.isnan(ampute(normals(p=20), "MCAR", 0.9, random_state=0))
    assert abs(holes.mean() - 0.9) < 0.002 and not holes.all(axis=1).any()


def test_mcar_depends_on_nothing():
    X = normals(n=20_000)
    holes = np.isnan(ampute(X, "MCAR", 0.3, random_state=2))
    # 25 correlations, each with standard error 1 / sqrt(n); Bonferroni at 1 in 1,000
    found = np.corrcoef(holes.T, X.T)[:5, 5:]
    assert np.abs(found).max() < stats.norm.isf(0.0005 / 25) / np.sqrt(len(X))
    among = np.corrcoef(holes.T)[np.triu_indices(5, 1)]
    assert np.abs(among).max() < 0.03  # rows may not lose all cells, which ties columns a little


def regression_on(hidden, *predictors):
    """Return coefficients and their z values in a linear regression of the holes."""
    design = np.column_stack([np.ones(len(hidden)), *predictors])
    inverse = np.linalg.inv(design.T @ design)
    coefficients = inverse @ design.T @ hidden
    rest = hidden - design @ coefficients
    error = np.sqrt(np.diag(inverse) * (rest @ rest) / (len(hidden) - design.shape[1]))
    return coefficients, coefficients / error


def test_mar_depends_on_what_stays_and_given_that_not_on_what_goes():
    X = normals(n=30_000, p=3, rho=0.6)
    holes = np.isnan(ampute(X, "MAR", 0.4, patterns=[[0]], random_state=3))
    assert not holes[:, 1:].any()
    score = (X[:, 1] - X[:, 1].mean()) / X[:, 1].std() + (X[:, 2] - X[:, 2].mean()) / X[:, 2].std()
    # the chance is a function of the score: within narrow bins of it, the own value says nothing more
    bins = np.argsort(np.argsort(score)) // 300
    centred = [x - (np.bincount(bins, x) / np.bincount(bins))[bins] for x in (X[:, 0], holes[:, 0] * 1.0)]
    z = np.corrcoef(*centred)[0, 1] * np.sqrt(len(X))
    assert abs(z) < 4
    _, told = regression_on(holes[:, 0], score)
    assert told[1] > 20
    # without the score the own value does say something, for it goes along with the others
    _, alone = regression_on(holes[:, 0], X[:, 0])
    assert alone[1] > 10


def test_logistic_slope_is_the_one_asked_for():
    x = normals(n=40_000, p=2, rho=0.0)
    for strength in (1.0, 2.5):
        holes = np.isnan(ampute(x, "MAR", 0.3, patterns=[[0]], strength=strength, random_state=0))[:, 0]
        score = (x[:, 1] - x[:, 1].mean()) / x[:, 1].std()
        log_odds = [
            np.log(part.mean() / (1 - part.mean()))
            for part in (holes[np.abs(score - s) < 0.1] for s in (-1, 0, 1))
        ]
        # about 1,900 rows a bin: a log odds has standard error < .09
        assert np.allclose(np.diff(log_odds), strength, atol=0.4)


def test_mnar_shifts_what_is_left():
    X = normals(n=20_000, p=2, rho=0.0)
    left = ampute(X, "MNAR", 0.3, patterns=[[0]], random_state=0)
    shift = np.nanmean(left, axis=0) - X.mean(axis=0)
    assert shift[0] < -0.2 and shift[1] == 0
    # exact value: the mean of z where 1 - logistic(z + b) keeps it, by quadrature
    z = np.linspace(-8, 8, 20_001)
    density = stats.norm.pdf(z)
    shifts = np.linspace(-3, 1, 4001)
    taken = np.array([np.trapezoid(density / (1 + np.exp(-z - b)), z) for b in shifts[::10]])
    b = shifts[::10][np.abs(taken - 0.3).argmin()]
    keep = density * (1 - 1 / (1 + np.exp(-z - b)))
    exact = np.trapezoid(z * keep, z) / np.trapezoid(keep, z)
    assert abs(shift[0] - exact) < 4 / np.sqrt(0.7 * len(X)) + 0.01


def test_shapes_say_which_scores_go():
    X = normals(n=20_000, p=2, rho=0.0)
    gone = {
        shape: X[np.isnan(ampute(X, "MNAR", 0.3, patterns=[[0]], shape=shape, random_state=0))[:, 0], 0]
        for shape in SHAPES
    }
    assert gone["right"].mean() > 0.3 and gone["left"].mean() < -0.3
    assert abs(gone["mid"].mean()) < 0.05 and abs(gone["tail"].mean()) < 0.05
    assert gone["mid"].std() < 0.9 < 1.1 < gone["tail"].std()


def test_weights_choose_what_the_score_depends_on():
    X = normals(n=20_000, p=3, rho=0.0)
    frame = pd.DataFrame(X, columns=list("abc"))
    holes = ampute(frame, "MAR", 0.3, patterns=[["a"]], weights={"b": 1}, random_state=0)["a"].isna()
    _, z = regression_on(holes.to_numpy(dtype=float), X[:, 1], X[:, 2])
    assert z[1] > 20 and abs(z[2]) < 4


def test_y_may_drive_mar():
    X = normals(n=5000, p=2, rho=0.0)
    y = np.repeat(["a", "b"], [4000, 1000])  # the rarer label scores high
    holes = np.isnan(ampute(X[:, :1], "MAR", 0.2, y=y, random_state=0))[:, 0]
    assert holes[4000:].mean() > 1.5 * holes[:4000].mean()
    with pytest.raises(ParameterError, match="MAR needs a column that stays"):
        ampute(X[:, :1], "MAR", 0.2, random_state=0)


def test_y_may_be_a_frame_of_one_column():
    X, y = normals(n=60), np.repeat([0, 1], 30)
    first = np.isnan(ampute(X, "MAR", 0.2, y=y, random_state=0))
    for same in (pd.DataFrame({"y": y}), y[:, None], pd.Series(y, index=np.arange(60)[::-1])):
        assert (np.isnan(ampute(X, "MAR", 0.2, y=same, random_state=0)) == first).all()
    with pytest.raises(DataError, match=r"one entry a row of X \(60\); given shape \(60, 2\)"):
        ampute(X, "MAR", y=np.column_stack([y, y]))


def test_patterns_go_together_as_often_as_asked():
    frame = pd.DataFrame(normals(), columns=list("abcde"))
    holes = ampute(frame, "MAR", 0.2, patterns={("a", "b"): 3, ("c",): 1}, random_state=0).isna()
    assert (holes["a"] == holes["b"]).all() and not holes[["d", "e"]].any().any()
    assert abs(holes["a"].sum() / holes["c"].sum() - 3) < 0.02
    assert abs(holes[["a", "b", "c"]].to_numpy().mean() - 0.2) < 0.002


@pytest.mark.parametrize("mechanism", MECHANISMS)
def test_types_come_back(mechanism):
    frame = mixed()
    out = ampute(frame, mechanism, 0.3, random_state=0)
    assert out.index.equals(frame.index) and list(out) == list(frame)
    kept = {name: dtype for name, dtype in frame.dtypes.items() if name not in ("whole", "truth")}
    assert kept == {name: out.dtypes[name] for name in kept}
    assert out["whole"].dtype == np.float64 and out["truth"].dtype == "boolean"
    for name in frame:
        seen = out[name].notna()
        assert (out[name][seen] == frame[name][seen]).all()
        assert abs((~seen).mean() - 0.3) < 0.08
    assert not frame.isna().any().any()


def test_containers():
    X = normals(n=50)
    X.setflags(write=False)
    assert isinstance(ampute(X.tolist(), random_state=0), list)
    assert ampute(X.astype(np.float32), random_state=0).dtype == np.float32
    assert ampute((X * 10).astype(int), random_state=0).dtype == np.float64
    words = np.array([["a", "b"], ["c", "d"], ["e", "f"]])
    out = ampute(words, share=0.3, random_state=0)
    assert out.dtype == object and pd.isna(out).any()
    big = pd.DataFrame({"a": np.arange(20) + 2**60, "b": np.arange(20)})
    out = ampute(big, "MAR", 0.3, random_state=0)
    assert out["a"].dtype == "Int64" and set(out["a"].dropna()) <= set(big["a"])
    thin = pd.DataFrame({"a": pd.arrays.SparseArray(np.eye(30)[0]), "b": np.arange(30.0)})
    assert isinstance(ampute(thin, share=0.3, random_state=0)["a"].dtype, pd.SparseDtype)


def test_seeds():
    X = normals(n=200)
    for mechanism in MECHANISMS:
        first, again, other = (np.isnan(ampute(X, mechanism, 0.3, random_state=s)) for s in (1, 1, 2))
        assert (first == again).all() and (first != other).any()


@pytest.mark.parametrize("mechanism", MECHANISMS)
def test_never_empties_a_column_or_a_row(mechanism):
    rng = np.random.default_rng(0)
    for seed in range(20):
        X = rng.normal(size=(6, 3))
        X[rng.random(X.shape) < 0.3] = np.nan
        X[0], X[:2, 0] = 1.0, 1.0
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", AugsynthWarning)  # few rows: constant scores
            left = ~np.isnan(ampute(X, mechanism, 0.6, random_state=seed))
        seen = ~np.isnan(X)
        assert (left.any(axis=1) == seen.any(axis=1)).all()
        assert (left.any(axis=0) == seen.any(axis=0)).all()
        assert not (left & ~seen).any()


def test_a_pattern_of_all_columns_may_empty_rows():
    holes = np.isnan(ampute(normals(), "MNAR", 0.3, patterns=[[0, 1, 2, 3, 4]], random_state=0))
    assert abs(holes.all(axis=1).mean() - 0.3) < 0.002


def test_nothing_and_one_row():
    X = normals(n=30)
    assert np.array_equal(ampute(X, "MAR", 0.0, random_state=0), X)
    assert not np.isnan(ampute(X[:1], "MCAR", 0.5, random_state=0)).all()


def test_constant_scores_are_said():
    X = np.column_stack([normals(n=100, p=1), np.ones(100)])
    with pytest.warns(AugsynthWarning, match="nothing to depend on"):
        holes = np.isnan(ampute(X, "MAR", 0.3, patterns=[[0]], random_state=0))
    assert abs(holes[:, 0].mean() - 0.3) < 0.02


def test_what_cannot_be_is_said():
    X = normals(n=50)
    with pytest.raises(ParameterError, match="mechanism must be 'MCAR', 'MAR' or 'MNAR'"):
        ampute(X, "mcar")
    with pytest.raises(ParameterError, match="share must be a number"):
        ampute(X, share=1.0)
    with pytest.raises(ParameterError, match="every row of 5 columns keeps a cell"):
        ampute(X, share=0.85)
    with pytest.raises(ParameterError, match="columns must name columns of X; given 'z'"):
        ampute(pd.DataFrame(X, columns=list("abcde")), columns=["z"])
    with pytest.raises(ParameterError, match="patterns must stay within columns"):
        ampute(X, columns=[0], patterns=[[0, 1]])
    with pytest.raises(ParameterError, match="share must be at most 0.5"):
        ampute(X, share=0.7, patterns=[[0], [1]])
    with pytest.raises(ParameterError, match="patterns must be a list"):
        ampute(X, patterns="a")
    with pytest.raises(ParameterError, match="weights must be finite"):
        ampute(X, "MAR", weights=[1, 2])
    named = pd.DataFrame(X, columns=list("abcde"))
    for value in ("x", np.inf, None):
        with pytest.raises(ParameterError, match=r"weights\['a'\] must be a number"):
            ampute(named, "MAR", weights={"a": value})
    for value in ("x", [1, 2, 3, 4, np.nan]):
        with pytest.raises(ParameterError, match="weights must be finite.*given ('x'|nan)"):
            ampute(named, "MAR", weights=value)
    with pytest.raises(DataError, match="finite numbers; given inf in 2"):
        ampute(np.where(np.arange(5) == 2, np.inf, X))
    with pytest.raises(DataError, match="y must have one entry a row"):
        ampute(X, "MAR", y=[1, 2])
    with pytest.raises(InputTypeError, match="sparse input is not supported"):
        ampute(sparse.eye_array(4).tocsr())

"""Hot deck: worked examples, closed forms, real values that belong together, groups, hostile tables."""

import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import load_breast_cancer
from sklearn.impute import KNNImputer

from augsynth.core import persistence
from augsynth.core.errors import ParameterError, ThinCellWarning
from augsynth.encode.layout import Block, Layout
from augsynth.impute.donor_metric import associations
from augsynth.impute.donor_pool import kernel
from augsynth.impute.donors import DonorImputer


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def with_holes(x, share, rng):
    return np.where(rng.random(x.shape) < share, np.nan, x)


# ------------------------------------------------------------------ what columns tell of each other
def test_association_of_two_numbers_is_the_squared_correlation(rng):
    x = rng.multivariate_normal([0, 0], [[1, 0.6], [0.6, 1]], 4000)
    x[rng.random(4000) < 0.3, 0] = np.nan
    shares = associations((x - np.nanmean(x, 0)) / np.nanstd(x, 0), Layout((Block("a"), Block("b"))))
    both = x[~np.isnan(x[:, 0])]
    r2 = np.corrcoef(both.T)[0, 1] ** 2
    assert shares[0, 1] == pytest.approx(1 - (1 - r2) * (len(both) - 1) / (len(both) - 2), abs=1e-9)
    assert shares[1, 0] == pytest.approx(shares[0, 1], abs=1e-12)


def test_association_of_a_number_and_a_category_is_the_correlation_ratio():
    level = np.repeat([0, 1, 2], 100)
    noise = np.tile([-1.0, 1.0], 150)
    x = 2.0 * level + noise  # between: 4 * 2/3, within: 1
    shares = associations(np.column_stack([x, level]), Layout((Block("x"), Block("c", n_levels=3))))
    eta2 = (8 / 3) / (8 / 3 + 1)
    assert shares[0, 1] == pytest.approx(1 - (1 - eta2) * 299 / 297)


def test_association_of_two_categories_is_tau():
    # Counts 40 10 / 10 40: tau = 0.36 both ways (the squared phi coefficient of a 2 x 2 table).
    a = np.repeat([0, 0, 1, 1], [40, 10, 10, 40])
    b = np.repeat([0, 1, 0, 1], [40, 10, 10, 40])
    layout = Layout((Block("a", n_levels=2), Block("b", n_levels=2)))
    shares = associations(np.column_stack([a, b]).astype(float), layout)
    assert shares[0, 1] == pytest.approx(1 - 0.64 * 99 / 98)


def test_association_of_unrelated_columns_is_near_nought_however_many_the_levels(rng):
    z = np.column_stack([rng.standard_normal(1000), rng.integers(0, 200, 1000), rng.integers(0, 3, 1000)])
    shares = associations(z, Layout((Block("x"), Block("c", n_levels=200), Block("d", n_levels=3))))
    assert shares.max() < 0.03  # the standard error of an adjusted share here is at most 0.01


def test_kernel_falls_off_and_takes_ties_at_nought():
    weight = kernel(np.array([[0.0, 1.0, 2.0], [0.0, 0.0, 0.0], [np.inf] * 3]))
    assert weight[0] == pytest.approx(np.exp([0.0, -0.5, -2.0]))
    assert (weight[1] == 1).all() and (weight[2] == weight[2, 0]).all()


# ------------------------------------------------------------------ the point completion
def test_what_another_column_decides_is_found(rng):
    kind = rng.integers(0, 3, 300)
    table = pd.DataFrame(
        {
            "kind": pd.Categorical.from_codes(kind, ["a", "b", "c"]),
            "price": np.array([1.0, 5.0, 20.0])[kind],
            "noise": rng.standard_normal(300),
            "more": rng.standard_normal(300),
        }
    )
    holed = table.copy()
    holed.loc[:59, "price"] = np.nan
    holed.loc[60:119, "kind"] = np.nan
    filled = DonorImputer(random_state=0).fit_transform(holed)
    np.testing.assert_allclose(filled["price"], table["price"], rtol=1e-12)
    assert (filled["kind"] == table["kind"]).all()


def test_mean_of_donors_nears_the_conditional_mean(rng):
    n = 3000
    x = rng.standard_normal(n)
    others = rng.standard_normal((n, 6))
    y = np.sin(2 * x) + 0.1 * x + 0.3 * rng.standard_normal(n)
    holed = np.column_stack([x, others, y])
    holed[:1000, -1] = np.nan
    error = {}
    for weights in ("learned", "equal"):
        filled = DonorImputer(weights=weights, random_state=0).fit_transform(holed)
        error[weights] = np.sqrt(((filled[:1000, -1] - np.sin(2 * x[:1000]) - 0.1 * x[:1000]) ** 2).mean())
    assert error["learned"] < 0.2  # the noise alone has 0.3; the column 0.75
    assert error["learned"] < 0.6 * error["equal"]


def test_beats_neighbours_by_plain_distance(rng):
    x = load_breast_cancer().data
    x = x / x.std(0)
    holed = with_holes(x, 0.3, rng)
    holes = np.isnan(holed)
    ours = DonorImputer(random_state=0).fit_transform(holed)
    theirs = KNNImputer().fit_transform(holed)
    error, plain = (np.sqrt(((filled - x)[holes] ** 2).mean()) for filled in (ours, theirs))
    assert error < 0.9 * plain  # measured: 0.53 and 0.63


@pytest.mark.filterwarnings("ignore:.*no better than the column mean")
def test_no_row_is_its_own_donor_in_the_self_check(rng):
    imputer = DonorImputer(random_state=0).fit(with_holes(rng.standard_normal((400, 5)), 0.1, rng))
    assert imputer.self_check_["error"].mean() > 0.9  # pure noise; own cells would give about 0.3


def test_rows_are_on_their_own(rng):
    x = load_breast_cancer().data[:200, :8]
    holed = with_holes(x, 0.4, rng)
    holed[5] = np.nan
    imputer = DonorImputer(random_state=0).fit(holed)
    whole, drawn = imputer.transform(holed), imputer.impute(holed, 2)
    order = rng.permutation(200)
    for some in (order, order[:7], np.array([3])):
        np.testing.assert_array_equal(imputer.transform(holed[some]), whole[some])
        for part, full in zip(imputer.impute(holed[some], 2), drawn, strict=True):
            np.testing.assert_array_equal(part, full[some])


def test_max_donors_bounds_the_pool_and_keeps_rare_columns(rng):
    x = rng.standard_normal((2000, 3))
    x[:, 1] += x[:, 0]
    x[30:, 2] = np.nan  # seen in 30 rows: all of them lend
    imputer = DonorImputer(max_donors=200, random_state=0).fit(with_holes(x, 0.1, rng))
    assert 200 <= len(imputer.pool_.z) <= 200 / 0.8 + 60
    assert (~np.isnan(imputer.pool_.z[:, 2])).sum() >= 20


# ------------------------------------------------------------------ draws
def test_draws_are_real_values_that_belong_together(rng):
    n = 300
    a = rng.permutation(n).astype(float)  # every value once: a names its donor
    table = pd.DataFrame({"x": rng.standard_normal(n), "a": a, "b": a**2, "c": [f"n{int(v)}" for v in a % 7]})
    holed = table.copy()
    holed.loc[:99, ["a", "b", "c"]] = np.nan
    for drawn in DonorImputer(random_state=0).fit(holed).impute(holed, 3):
        np.testing.assert_array_equal(drawn["b"], drawn["a"] ** 2)
        assert (drawn["c"] == [f"n{int(v)}" for v in drawn["a"] % 7]).all()
        assert drawn["a"][:100].isin(holed["a"]).all()


def test_draws_keep_the_spread_that_means_lose(rng):
    n = 2000
    x = rng.standard_normal(n)
    y = 0.6 * x + 0.8 * rng.standard_normal(n)
    holed = np.column_stack([x, y])
    holed[:1000, 1] = np.nan
    imputer = DonorImputer(random_state=0).fit(holed)
    drawn = imputer.impute(holed, 1)[0][:1000, 1]
    assert drawn.std() == pytest.approx(1.0, abs=0.12)  # standard errors of both halves: 0.03
    assert np.corrcoef(x[:1000], drawn)[0, 1] == pytest.approx(0.6, abs=0.1)  # 0.03 as well
    assert imputer.transform(holed)[:1000, 1].std() < 0.75


def test_empty_rows_are_drawn_as_the_bootstrap_of_the_donors_says(rng):
    """The mean of n empty rows has variance s^2 / n + s^2 / m over the draws, m donors in the pool."""
    donors, n, draws = 50, 100, 300
    y = rng.exponential(size=donors)
    x = np.concatenate([y, np.full(n, np.nan)])
    table = np.column_stack([x, x, x])
    table[:donors, 2] = np.arange(donors)
    imputer = DonorImputer(5, random_state=0).fit(table)
    drawn = np.array([t[donors:, 0].mean() for t in imputer.impute(table, draws)])
    expected = y.var() * (1 / n + 1 / donors)
    assert drawn.mean() == pytest.approx(y.mean(), abs=4 * np.sqrt(expected / draws))
    assert drawn.var() == pytest.approx(expected, rel=4 * np.sqrt(2 / draws))
    np.testing.assert_allclose(imputer.transform(table)[donors:, 0], y.mean())


def test_cells_that_no_near_donor_has_come_from_further_ones(rng):
    x = rng.standard_normal((400, 3))
    x[:, 1] += 2 * x[:, 0]
    x[10:, 2] = np.nan
    drawn = DonorImputer(5, random_state=0).fit(x).impute(x, 2)
    for table in drawn:
        assert np.isin(table[:, 2], x[:10, 2]).all()
        assert len(set(table[10:, 2])) > 3


# ------------------------------------------------------------------ groups
def grouped(rng, n=200):
    sex = np.where(np.arange(n) < n - 5, "m", "f")
    sex[: n // 2] = "f"
    x = rng.standard_normal(n)
    return pd.DataFrame({"sex": sex, "x": x, "y": x + 100.0 * (sex == "f")})


def test_donors_agree_within_groups(rng):
    table = grouped(rng)
    table.loc[::4, "y"] = np.nan
    imputer = DonorImputer(10, within=("sex",), weights={"sex": 0.0}, random_state=0).fit(table)
    for filled in (imputer.transform(table), *imputer.impute(table, 2)):
        assert ((filled["y"] > 50) == (filled["sex"] == "f")).all()
    assert imputer.groups_["n"].tolist() == [105, 95]


def test_a_saved_imputer_fills_and_draws_the_same(rng, tmp_path):
    table = grouped(rng)
    table.loc[::4, "y"] = np.nan
    imputer = DonorImputer(10, within=("sex",), weights={"x": 2.0}, random_state=0).fit(table)
    persistence.save(imputer, tmp_path / "donors.safetensors")
    again = persistence.load(tmp_path / "donors.safetensors")
    pd.testing.assert_frame_equal(again.transform(table), imputer.transform(table))
    pd.testing.assert_frame_equal(again.impute(table, 1)[0], imputer.impute(table, 1)[0])


def test_thin_groups_borrow_and_are_named(rng):
    table = grouped(rng)
    table["sex"] = np.where(np.arange(200) < 4, "x", table["sex"])
    table.loc[::3, "y"] = np.nan
    with pytest.warns(ThinCellWarning, match="sex='x' \\(2 donors\\)"):
        imputer = DonorImputer(10, within=("sex",), random_state=0).fit(table)
    assert imputer.transform(table).notna().all(axis=None)
    row = table.iloc[[10]].assign(sex=None, y=np.nan)  # a missing group: any donor
    assert imputer.transform(row).notna().all(axis=None)


def test_within_the_class_where_it_is_told(rng):
    y = np.repeat(["no", "yes"], 100)
    table = pd.DataFrame({"x": rng.standard_normal(200), "v": rng.standard_normal(200) + 50.0 * (y == "yes")})
    holed = table.copy()
    holed.loc[::5, "v"] = np.nan
    imputer = DonorImputer(within=("target",), use_target=True, random_state=0).fit(holed, y)
    told = imputer.fill(holed, y)
    assert ((told["v"] > 25) == (y == "yes")).all()
    for drawn in imputer.impute(holed, 2, y=y):
        assert ((drawn["v"] > 25) == (y == "yes")).all()
    assert imputer.transform(holed).notna().all(axis=None)


# ------------------------------------------------------------------ hostile tables and parameters
def test_hostile_columns(rng):
    n = 300
    x = rng.standard_normal(n)
    table = pd.DataFrame(
        {
            "name": [f"id{i}" for i in range(n)],  # as many categories as rows
            "once": [1.0] + [np.nan] * (n - 1),
            "same": np.where(rng.random(n) < 0.2, np.nan, 7.0),
            "huge": (x + 0.1 * rng.standard_normal(n)) * 1e145,
            "x": x,
        }
    )
    table.loc[::7, ["huge", "name"]] = None
    table.loc[3] = [None] + [np.nan] * 4
    imputer = DonorImputer(random_state=0).fit(table)
    for filled in (imputer.transform(table), *imputer.impute(table, 2)):
        assert filled.notna().all(axis=None)
        assert (filled["same"] == 7.0).all() and (filled["once"] == 1.0).all()
        assert np.isfinite(filled["huge"]).all()


def test_thousands_of_categories_and_ties(rng):
    n = 12_000
    size = rng.integers(0, 3, n) * 1.0
    table = pd.DataFrame({"town": rng.integers(0, 10_000, n).astype(str), "size": size, "rooms": size})
    table.loc[rng.random(n) < 0.02, "size"] = np.nan
    filled = DonorImputer(max_donors=2_000, random_state=0).fit(table).transform(table)
    np.testing.assert_allclose(filled["size"], size, atol=1e-9)


def test_one_column_and_few_rows():
    filled = DonorImputer(random_state=0).fit_transform(np.array([[1.0], [np.nan], [3.0]]))
    assert filled.ravel().tolist() == [1.0, 2.0, 3.0]
    drawn = DonorImputer(random_state=0).fit(np.array([[1.0, 2.0], [np.nan, 5.0]]))
    assert drawn.impute(np.array([[np.nan, 4.0]]), 1)[0].tolist() == [[1.0, 4.0]]


def test_equal_rows_are_ranked_by_place():
    table = np.array([[0.0, 1.0], [0.0, 2.0], [0.0, 3.0], [1.0, 9.0]] * 5 + [[0.0, np.nan]])
    one, two = (DonorImputer(3, random_state=4).fit(table).transform(table) for _ in range(2))
    np.testing.assert_array_equal(one, two)
    assert 1.0 <= one[-1, 1] <= 3.0


@pytest.mark.parametrize(
    ("parameters", "words"),
    [
        ({"n_neighbors": 0}, "n_neighbors must be a whole number >= 1"),
        ({"max_donors": 3}, "max_donors must be a whole number >= 20"),
        ({"within": "sex"}, "within must be a sequence"),
        ({"within": None}, "within must be a sequence of column names; given None"),
        ({"within": 5}, "within must be a sequence of column names; given 5"),
        ({"within": ("age",)}, "within must name columns of X; given 'age'"),
        ({"within": ("target",)}, "within must name columns of X; given 'target'"),
        ({"weights": "none"}, "weights must be 'learned' or 'equal'"),
        ({"weights": {"q": 1.0}}, "weights must name columns of X; given 'q'"),
        ({"weights": {"x": -1.0}}, "must be a number >= 0"),
    ],
)
def test_parameters_that_make_no_sense(parameters, words, rng):
    with pytest.raises(ParameterError, match=words):
        DonorImputer(**parameters).fit(grouped(rng))


def test_a_weight_of_nought_keeps_a_column_out(rng):
    table = grouped(rng)
    table.loc[::4, "y"] = np.nan
    imputer = DonorImputer(weights={"sex": 0.0}, random_state=0).fit(table)
    twin = table.assign(sex=np.where(table["sex"] == "f", "m", "f"))
    np.testing.assert_array_equal(imputer.transform(table)["y"][::4], imputer.transform(twin)["y"][::4])


def test_a_row_does_not_lend_to_itself():
    table = pd.DataFrame({"sex": ["m", "f", "f", "f"], "x": [1.0, 2.0, 3.0, 4.0], "y": [9.0, 1.0, 2.0, 3.0]})
    pool = DonorImputer(n_neighbors=1, within=("sex",), random_state=0).fit(table).pool_
    hidden = pool.z.copy()
    hidden[:, 2] = np.nan
    filled = pool.completed(hidden, pool.group, exclude=np.arange(4))[:, 2]
    alone = pool.z[:, 2] == 9.0  # the one man
    assert filled[alone] == pool.starts[2] == pytest.approx(3.75)
    assert (filled[~alone] <= 3.0).all() and (filled[~alone] != pool.z[~alone, 2]).all()
    other = pool.completed(hidden, pool.group, exclude=np.full(4, np.flatnonzero(~alone)[0]))[:, 2]
    assert other[alone] == 9.0

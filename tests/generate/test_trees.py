import numpy as np
import pandas as pd
import pytest
from sklearn.tree import DecisionTreeRegressor

from augsynth import TreeGenerator, load
from augsynth.core.errors import ParameterError
from augsynth.encode.tree_routes import RoutingTree
from augsynth.generate.tree_leaves import LeafTable
from augsynth.generate.tree_scale import CONTINUOUS, ColumnScale
from augsynth.testing import toy_table

RNG = np.random.default_rng(0)


def test_routing_agrees_with_scikit_learn():
    X = RNG.normal(size=(800, 5)).astype(np.float32)
    X[RNG.random(X.shape) < 0.15] = np.nan
    y = np.nansum(X, axis=1) + np.isnan(X[:, 0])
    learnt = DecisionTreeRegressor(min_samples_leaf=3, random_state=0).fit(X, y)
    fresh = RNG.normal(size=(500, 5)).astype(np.float32)
    fresh[RNG.random(fresh.shape) < 0.15] = np.nan
    routes = RoutingTree(learnt.tree_)
    for rows in (X, fresh):
        assert (routes.apply(rows) == learnt.apply(rows)).all()


def test_groups_are_ancestors_with_enough_rows():
    X = RNG.normal(size=(300, 2)).astype(np.float32)
    learnt = DecisionTreeRegressor(min_samples_leaf=5, random_state=0).fit(X, X[:, 0])
    routes = RoutingTree(learnt.tree_)
    group = routes.groups(20)
    leaves = np.unique(routes.apply(X))
    assert (routes.n_rows[group[leaves]] >= 20).all()
    assert len(np.unique(group[leaves])) < len(leaves)


def test_a_scale_keeps_atoms_and_never_repeats_other_values():
    x = np.concatenate([np.zeros(50), RNG.lognormal(size=500), [np.nan] * 5])
    scale = ColumnScale(x, integer=False, atom_rows=20)
    assert scale.atoms.tolist() == [0.0]
    present = x[~np.isnan(x)]
    np.testing.assert_allclose(scale.decode(scale.encode(present)), present, rtol=1e-9)
    drawn = scale.decode(RNG.random(2000))
    assert not np.isin(drawn, present).any() and drawn.min() >= 0 and drawn.max() <= present.max()
    grid = (scale.values[1:] + scale.values[:-1]) / 2
    assert (scale.slope(grid) * np.diff(scale.values)).sum() == pytest.approx(1)


def leaves(x, leaf, integer=False):
    scale = ColumnScale(x, integer=integer, atom_rows=8)
    table = LeafTable(
        leaf, int(leaf.max()) + 1, scale.code(x), np.nan_to_num(scale.encode(x)), np.ones(len(x)), scale=scale
    )
    return scale, table


@pytest.mark.parametrize("integer", [False, True])
def test_leaves_are_distributions_and_draws_follow_them(integer):
    x = RNG.normal(5, 3, 200)
    x = np.rint(x) if integer else x
    x[:20] = np.nan
    x[20:40] = 0.0
    leaf = RNG.integers(0, 4, 200)
    scale, table = leaves(x, leaf, integer)
    ones = np.ones(4)
    for k in range(4):
        here = np.full(len(scale.atoms) + 1, k)
        atoms = table.atom_mass(here, np.arange(-1, len(scale.atoms))).sum()
        pieces = table.piece_mass_below(np.array([k]), ones[:1])[0]
        assert atoms + pieces == pytest.approx(1)
        assert table.missing[k] == pytest.approx(np.isnan(x[leaf == k]).mean())
    n = 20_000
    is_piece, value = table.draw(np.full(n, 2), RNG.random(n), RNG.random(n))
    below = table.piece_mass_below(np.array([2]), np.array([0.5]))[0]
    assert abs((is_piece & (value < 0.5)).mean() - below) < 4 * (below * (1 - below) / n) ** 0.5
    is_piece, value = table.draw(np.full(n, 2), RNG.random(n), RNG.random(n), missing=False)
    assert not (~is_piece & (value == -1)).any()


def test_density_in_one_dimension_integrates_to_one():
    x = np.concatenate([np.zeros(60), RNG.gamma(2, size=240)])
    g = TreeGenerator(min_samples_leaf=5).fit(x[:, None], np.arange(300) % 3 == 0)
    at = np.linspace(x.min(), x.max(), 200_001)[1:]
    for label in (True, False):
        density = np.exp(g.log_prob(at[:, None], np.full(len(at), label)))
        mass = np.exp(g.log_prob(np.zeros((1, 1)), [label]))[0]
        assert density.mean() * (at[-1] - at[0]) + mass == pytest.approx(1, abs=2e-3)
    assert np.isneginf(g.log_prob([[x.max() + 1]], [True]))[0]


def discrete_table(n=3000):
    a = RNG.integers(0, 3, n)
    b = np.where(RNG.random(n) < 0.8, a, RNG.integers(0, 3, n))
    k = np.where(RNG.random(n) < 0.7, (a + b) % 3, RNG.integers(0, 3, n))
    return pd.DataFrame({"a": a, "b": b, "k": k}).astype("category")


def all_cells(table):
    grid = pd.MultiIndex.from_product([[0, 1, 2]] * 3, names=table.columns).to_frame(index=False)
    return grid.astype(table.dtypes.to_dict())


def test_probabilities_of_a_discrete_table_sum_to_one_and_match_the_draws():
    table = discrete_table()
    g = TreeGenerator(random_state=0).fit(table)
    grid = all_cells(table)
    p = np.exp(g.log_prob(grid))
    assert p.sum() == pytest.approx(1)
    n = 30_000
    counts = g.sample(n, random_state=1).value_counts().reindex(pd.MultiIndex.from_frame(grid), fill_value=0)
    error = np.sqrt(p * (1 - p) / n)
    assert (np.abs(counts.to_numpy() / n - p) < 4.5 * error + 1e-9).all()


def test_integers_have_masses_that_sum_to_one_and_match_the_draws():
    x = RNG.poisson(6, 2000)
    g = TreeGenerator(random_state=0).fit(x[:, None])
    at = np.arange(x.min(), x.max() + 1)
    p = np.exp(g.log_prob(at[:, None]))
    assert p.sum() == pytest.approx(1)
    drawn = g.sample(20_000, random_state=1).ravel()
    share = np.array([(drawn == v).mean() for v in at])
    assert (np.abs(share - p) < 4.5 * np.sqrt(p * (1 - p) / 20_000) + 1e-9).all()


@pytest.mark.parametrize("hole", ["a", "b", "k"])
def test_completion_follows_the_exact_conditional(hole):
    """Earlier and later columns count: the truth is the joint mass, renormalised."""
    table = discrete_table()
    g = TreeGenerator(random_state=0).fit(table)
    grid = all_cells(table)
    grid["p"] = np.exp(g.log_prob(grid))
    others = [name for name in table.columns if name != hole]
    known = {others[0]: 1, others[1]: 2}
    rows = grid[(grid[others[0]] == 1) & (grid[others[1]] == 2)]
    truth = (rows.set_index(hole)["p"] / rows["p"].sum()).to_numpy()
    n = 3000
    asked = pd.DataFrame({name: [known.get(name)] * n for name in table.columns}).astype(
        table.dtypes.to_dict()
    )
    done = g.complete(asked, random_state=0)
    share = done[hole].value_counts().sort_index().reindex([0, 1, 2], fill_value=0).to_numpy() / n
    # 24 candidates leave a bias of the order 1 / 24 of the largest mass at most
    assert (np.abs(share - truth) < 4 * np.sqrt(truth * (1 - truth) / n) + 0.03).all()


def test_missing_cells_come_back_with_their_pattern():
    X, y = toy_table(2000)
    new = TreeGenerator(random_state=0).fit(X, y).sample(2000)
    for name in ("visits", "income", "job"):
        p = X[name].isna().mean()
        assert abs(new[name].isna().mean() - p) < 4 * (2 * p * (1 - p) / 2000) ** 0.5
    pattern = pd.DataFrame({"a": RNG.normal(size=1000), "b": RNG.normal(size=1000)})
    pattern.loc[pattern["a"] > 0, "b"] = np.nan
    new = TreeGenerator(random_state=0).fit(pattern).sample(1000)
    assert ((new["a"] > 0) == new["b"].isna()).mean() > 0.97


def test_continuous_values_are_not_copied():
    X = RNG.normal(size=(1000, 3))
    new = TreeGenerator(random_state=0).fit(X, X[:, 0] > 1).sample(3000)
    assert not np.isin(new, X).any()


def test_a_smaller_leaf_follows_the_rows_more_closely():
    X = RNG.normal(size=(600, 6))
    fit, held_out = X[:300], X[300:]

    def closer(leaf):
        new = TreeGenerator(min_samples_leaf=leaf, random_state=0).fit(fit).sample(1500)
        near = [np.sqrt(((new[:, None] - rows[None]) ** 2).sum(2)).min(1) for rows in (fit, held_out)]
        return (near[0] < near[1]).mean()

    tight, loose = closer(1), closer(50)
    assert loose < 0.58 < tight  # standard error 0.013


def test_the_rare_class_keeps_its_own_distribution():
    y = np.arange(5000) % 100 == 0
    X = np.where(y[:, None], RNG.normal(3, 1, (5000, 3)), RNG.normal(0, 1, (5000, 3)))
    new = TreeGenerator(random_state=0).fit(X, y).sample(y=np.ones(500, dtype=bool))
    error = X[y].std(axis=0) / 50**0.5
    assert (np.abs(new.mean(axis=0) - X[y].mean(axis=0)) < 4 * error).all()


def test_order_changes_what_is_drawn_first():
    X, y = toy_table()
    g = TreeGenerator(order=["sex", "age", "country"]).fit(X, y)
    names = [g.codec_.names[form.position] for form in g.forms_]
    assert names[:2] == ["sex", "age"] and sorted(names) == sorted(g.codec_.names)
    with pytest.raises(ParameterError, match="order must name columns of X, each once; given 'colour'"):
        TreeGenerator(order=["colour"]).fit(X, y)


@pytest.mark.parametrize("bad", [{"min_samples_leaf": 0}, {"smoothing": -1}])
def test_bad_parameters_get_a_sentence(bad):
    with pytest.raises(ParameterError, match=f"TreeGenerator: {next(iter(bad))} must be"):
        TreeGenerator(**bad).fit(np.eye(3))


def test_weights_count():
    X = np.repeat([[0.0], [1.0]], 200, axis=0)
    g = TreeGenerator(random_state=0).fit(X, sample_weight=np.repeat([1.0, 3.0], 200))
    assert abs(g.sample(4000).mean() - 0.75) < 0.03
    g = TreeGenerator(random_state=0).fit(X, sample_weight=np.repeat([1.0, 0.0], 200))
    assert g.sample(100).mean() == 0


def test_ten_thousand_levels_stay_cheap(tmp_path):
    n = 20_000
    group = RNG.integers(0, 10, n)
    table = pd.DataFrame(
        {
            "g": group,
            "id": [f"c{i}" for i in group * 1000 + RNG.integers(0, 1000, n)],
            "x": group + RNG.random(n),
        }
    )
    g = TreeGenerator(random_state=0).fit(table)
    new = g.sample(2000)
    assert (new["id"].str[1:].astype(int) // 1000 == new["g"]).mean() > 0.7
    g.save(tmp_path / "m.safetensors")
    assert (tmp_path / "m.safetensors").stat().st_size < 20e6
    assert load(tmp_path / "m.safetensors").sample(50, random_state=3).equals(g.sample(50, random_state=3))


def test_continuous_marker_is_not_an_atom():
    scale = ColumnScale(np.arange(10.0) + 0.5, integer=False, atom_rows=2)
    assert (scale.code(np.array([0.5, np.nan])) == [CONTINUOUS, -1]).all()


def test_queries_keep_observed_cells_and_find_changed_constants():
    X = pd.DataFrame({"n": [1, 2, 3, 4] * 20, "x": RNG.normal(size=80), "k": 5, "t": ["u", "v"] * 40})
    g = TreeGenerator(random_state=0).fit(X)
    asked = X.head(4).astype({"n": float, "k": float})
    asked["n"] = [2.5, np.nan, 3.0, 4.0]
    asked.loc[2, "k"] = np.nan
    done = g.complete(asked, random_state=0)
    assert done["n"].iloc[0] == 2.5 and done["n"].iloc[1] in (1, 2, 3, 4) and done["k"].tolist() == [5] * 4
    assert np.isneginf(g.log_prob(X.head(3).assign(k=[5, 6, 5]))).tolist() == [False, True, False]


def test_arrays_may_be_asked_of_a_model_of_a_frame():
    X = pd.DataFrame(RNG.normal(size=(60, 2)), columns=["a", "b"])
    g = TreeGenerator(random_state=0).fit(X)
    with pytest.warns(UserWarning, match="feature names"):
        density = g.log_prob(X.to_numpy())
    assert (density == g.log_prob(X)).all()


def test_the_density_of_unseen_rows_is_not_that_of_single_training_values():
    """The truth is two independent standard normals; pieces between single values would cost some nats."""
    rng = np.random.default_rng(1)
    fit, fresh = rng.normal(size=(2000, 2)), rng.normal(size=(4000, 2))
    fresh = fresh[((fresh > fit.min(axis=0)) & (fresh < fit.max(axis=0))).all(axis=1)]
    truth = -0.5 * (fresh**2).sum(axis=1) - np.log(2 * np.pi)
    assert (truth - TreeGenerator(random_state=0).fit(fit).log_prob(fresh)).mean() < 0.6


def test_wide_integers_and_dates_have_a_density():
    rng = np.random.default_rng(0)
    when = pd.Timestamp("2020-01-01") + pd.to_timedelta(rng.integers(0, 10**15, 400), unit="ns")
    table = pd.DataFrame({"id": rng.integers(0, 2**62, 400), "when": when})
    g = TreeGenerator(random_state=0).fit(table)
    assert np.isfinite(g.log_prob(table)).all() and np.isfinite(g.log_prob(g.sample(400))).all()
    # far from the edges of pieces, the mass of an integer is about its share of the range
    x = rng.integers(0, 10**7, 5000)
    at = np.array([[2.5e6], [5e6], [7.5e6]])
    assert np.abs(TreeGenerator(random_state=0).fit(x[:, None]).log_prob(at) + np.log(1e7)).max() < 0.7


def test_weights_that_leave_a_column_or_a_class_empty():
    X = RNG.normal(size=(60, 2))
    X[:30, 1] = np.nan
    g = TreeGenerator(random_state=0).fit(X, sample_weight=np.arange(60) < 30)
    assert np.isnan(g.sample(50)[:, 1]).all()
    assert np.isfinite(g.complete(X[:5], random_state=0)).all()
    y = np.arange(60) % 3
    g = TreeGenerator(random_state=0).fit(X[:, :1], y, sample_weight=y < 2)
    assert g.sample(y=[2, 2, 0]).shape == (3, 1)


@pytest.mark.parametrize("n", [2, 3, 7])
def test_a_handful_of_rows_is_enough_to_fit(n):
    X = pd.DataFrame({"x": RNG.normal(size=n), "k": list("abcdefg")[:n], "flat": [1.5] + [2.5] * (n - 1)})
    y = np.arange(n) % 2
    g = TreeGenerator(random_state=0).fit(X, y)
    new = g.sample(y=[0, 1] * 100)
    assert set(new["k"]) <= set(X["k"]) and new["x"].between(X["x"].min(), X["x"].max()).all()
    assert np.isfinite(g.log_prob(X, y)).all() and np.isfinite(g.log_prob(new, [0, 1] * 100)).all()


def test_a_column_that_is_constant_or_missing_in_one_class_stays_so():
    y = np.repeat([0, 1], 400)
    X = pd.DataFrame({"x": RNG.normal(size=800), "only": np.where(y == 1, 7.5, RNG.normal(size=800))})
    X["never"] = np.where(y == 0, np.nan, RNG.normal(size=800))
    new = TreeGenerator(random_state=0).fit(X, y).sample(y=y)
    assert (new["only"][y == 1] == 7.5).mean() > 0.95 and (new["only"][y == 0] == 7.5).mean() < 0.05
    assert new["never"].isna()[y == 0].mean() > 0.95 and new["never"].notna()[y == 1].mean() > 0.95


def test_whole_numbers_that_are_one_float_are_one_value():
    rng = np.random.default_rng(0)
    X = pd.DataFrame({"a": [2**70 + k for k in range(60)], "b": rng.normal(size=60)}, dtype=object)
    X.loc[::5, "a"] = None
    model = TreeGenerator(random_state=0).fit(X)
    made = model.sample(30, random_state=0)
    assert set(made["a"].dropna().astype(float)) == {float(2**70)} and made["a"].isna().any()
    filled = model.complete(X, random_state=0)["a"]
    assert set(filled.astype(float)) == {float(2**70)}
    assert (filled[X["a"].notna()] == X["a"].dropna()).all()  # what was there stays exact

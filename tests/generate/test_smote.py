"""SMOTE: rows on segments, votes, the right parents, for every kind of table."""

from __future__ import annotations

import pickle
import warnings

import numpy as np
import pandas as pd
import pytest
from imblearn.over_sampling import SMOTE, SMOTENC

import augsynth
from augsynth.core.errors import AugsynthWarning, ParameterError, ThinCellWarning
from augsynth.generate.smote import SmoteGenerator
from augsynth.resample.over import OverSampler


def blobs(seed=0, n=300, m=40, p=3):
    rng = np.random.default_rng(seed)
    X = np.vstack([rng.normal(size=(n, p)), rng.normal(1.5, 1.0, size=(m, p))])
    return X, np.repeat([0, 1], [n, m])


def mixed_table(seed=0, n=240):
    rng = np.random.default_rng(seed)
    y = rng.integers(0, 3, n)
    return pd.DataFrame(
        {
            "age": rng.integers(18, 80, n) + 5 * y,
            "wage": rng.lognormal(size=n) * (1 + y),
            "job": pd.Categorical(np.array(["cook", "clerk", "smith"])[(y + (rng.random(n) < 0.3)) % 3]),
            "size": pd.Categorical(rng.choice(["S", "M", "L"], n), ["S", "M", "L"], ordered=True),
            "left": rng.random(n) < 0.2,
        }
    ), pd.Series(np.array(["a", "b", "c"])[y], name="y")


def drawn_of(generator, y):
    """Encoded new rows and their parents."""
    c = generator.condition_.encode(y)
    return generator._sample(c, np.random.default_rng(0))


def nearest(points, i, k):
    d = ((points - points[i]) ** 2).sum(axis=1)
    d[i] = np.inf
    return set(np.argsort(d)[:k])


def test_rows_lie_between_a_parent_and_one_of_its_nearest():
    X, y = blobs()
    g = SmoteGenerator(k_neighbors=4, standardize=False, random_state=0).fit(X, y)
    drawn = drawn_of(g, np.repeat([1, 0], [300, 50]))
    wanted = np.repeat([1, 0], [300, 50])
    assert (y[drawn.source] == wanted[:, None]).all()
    a, b = X[drawn.source[:, 0]], X[drawn.source[:, 1]]
    step = ((drawn.rows - a) * (b - a)).sum(axis=1) / ((b - a) ** 2).sum(axis=1)
    assert ((step >= 0) & (step <= 1)).all()
    np.testing.assert_allclose(drawn.rows, a + step[:, None] * (b - a), atol=1e-12)
    assert abs(step.mean() - 0.5) < 4 * (1 / 12 / 350) ** 0.5
    rare = np.flatnonzero(y == 1)
    for parent, partner in drawn.source[:300]:
        place = np.searchsorted(rare, parent)
        assert partner in set(rare[list(nearest(X[rare], place, 4))])


def test_standardized_columns_count_alike():
    """In data units the second column alone decides who is near."""
    X = np.array([[0.0, 0], [0.1, 5000], [9, 100], [9.1, 4900]])
    X = np.vstack([X, X + [0.01, 1]])
    y = np.zeros(8, dtype=int)
    plain = SmoteGenerator(k_neighbors=2, standardize=False, random_state=0).fit(X, y)
    source = drawn_of(plain, np.zeros(200, dtype=int)).source
    assert set(map(tuple, source[source[:, 0] == 0])) == {(0, 4), (0, 2)}
    X[:, 0] *= 3
    scaled = SmoteGenerator(k_neighbors=2, random_state=0).fit(X[[0, 1, 2, 4, 5, 6]], y[:6])
    source = drawn_of(scaled, np.zeros(200, dtype=int)).source
    spread = X[[0, 1, 2, 4, 5, 6]] / X[[0, 1, 2, 4, 5, 6]].std(axis=0)
    for parent, partner in source:
        assert partner in nearest(spread, parent, 2)


def test_categories_are_votes_and_numbers_keep_their_kind():
    X, y = mixed_table()
    g = SmoteGenerator(random_state=0).fit(X, y)
    c = g.condition_.encode(["b"] * 200)
    drawn = g._sample(c, np.random.default_rng(1))
    family = g._families[int(c[0])]
    for row, (parent, partner) in zip(drawn.rows, drawn.source, strict=True):
        near = family.pool[family.partners[np.searchsorted(family.parents, parent)]]
        assert partner in near
        for j in g.layout_.categorical:
            values, counts = np.unique(g.z_[near, j], return_counts=True)
            best = set(values[counts == counts.max()])
            assert row[j] in best
            if g.z_[parent, j] in best:
                assert row[j] == g.z_[parent, j]
    new = g.sample(y=["b"] * 50)
    assert (new.dtypes == X.dtypes).all()
    assert new["age"].between(18, 90).all() and new["wage"].between(X["wage"].min(), X["wage"].max()).all()


def test_neighbours_follow_the_penalty_of_smote_nc():
    """Median standard deviation 1.5: a differing category costs more than 1.4, less than 1.6."""
    x = np.array([0.0, 1.4, 1.6, 50, 51])
    x = (x - x[0]) * 1.0
    X = pd.DataFrame({"x": [0.0, 3.0, 1.4, 1.6], "c": pd.Categorical(["u", "v", "u", "u"])})
    spread = X["x"].std(ddof=0)
    g = SmoteGenerator(k_neighbors=1, standardize=False, random_state=0).fit(X, [0] * 4)
    family = g._family(0)
    near = family.partners_of(np.arange(4), g.z_)
    assert family.index.distance.penalty == pytest.approx(spread)
    assert near[:, 0].tolist() == [2, 3, 3, 2]


@pytest.mark.parametrize("selection", ["regular", "borderline", "adasyn"])
def test_class_counts_are_exact_for_any_number_of_classes(selection):
    X, y = mixed_table(n=300)
    keep = np.r_[np.flatnonzero(y == "a")[:80], np.flatnonzero(y == "b")[:30], np.flatnonzero(y == "c")[:9]]
    sampler = OverSampler(SmoteGenerator(selection=selection), random_state=0)
    X_new, y_new = sampler.fit_resample(X.iloc[keep], y.iloc[keep])
    assert y_new.value_counts().to_dict() == {"a": 80, "b": 80, "c": 80}
    new = sampler.provenance_["kind"] == "interpolated"
    parents = sampler.provenance_.loc[new, "source"]
    assert (y.loc[parents].to_numpy() == y_new[new].to_numpy()).all() and len(X_new) == 240


# Ten rows of the rare class on a line, the other class around three of them: row 0 is
# surrounded (noise), rows 1 and 2 are in danger, the others are safe.
def line():
    rare = np.array([0.0, 10.0, 10.5, 100, 101, 102, 103, 104, 105, 106])
    other = np.array([-0.2, -0.1, 0.1, 0.2, 9.9, 10.1, 10.6, 10.7, 500, 501, 502, 503])
    x = np.concatenate([rare, other])
    filler = np.zeros_like(x)
    filler[0] = 1e-6  # a second column that says nothing
    return np.stack([x, filler], axis=1), np.repeat([1, 0], [10, 12])


def test_borderline_parents_are_the_rows_in_danger():
    X, y = line()
    g = SmoteGenerator(
        selection="borderline", k_neighbors=3, n_neighbors=4, standardize=False, random_state=0
    )
    source = drawn_of(g.fit(X, y), np.ones(200, dtype=int)).source
    assert set(source[:, 0]) == {1, 2}
    assert set(source[:, 1]) <= set(range(10))


def test_adasyn_chances_are_the_shares_of_other_classes():
    X, y = line()
    g = SmoteGenerator(selection="adasyn", n_neighbors=4, standardize=False, random_state=0).fit(X, y)
    source = drawn_of(g, np.ones(4000, dtype=int)).source
    share = np.bincount(source[:, 0], minlength=10) / 4000
    hard = np.array([4, 3, 3, 0, 0, 0, 0, 0, 0, 0]) / 10
    assert (share[hard == 0] == 0).all()
    assert np.abs(share - hard).max() < 4 * (0.25 / 4000) ** 0.5


@pytest.mark.parametrize("selection", ["borderline", "adasyn"])
def test_selection_without_a_candidate_warns_and_uses_all_rows(selection):
    X = np.concatenate([np.arange(20.0), 1000 + np.arange(20.0)])[:, None]
    y = np.repeat([0, 1], 20)
    g = SmoteGenerator(selection=selection, k_neighbors=2, random_state=0).fit(X, y)
    with pytest.warns(AugsynthWarning, match="all its rows are parents alike"):
        new = g.sample(y=[1] * 300)
    assert (new >= 1000).all() and len(np.unique(drawn_of(g, [1] * 300).source[:, 0])) == 20


def energy_distance_p_value(a, b, rng, permutations=200):
    """Permutation p-value of the energy distance between two samples."""
    both = np.vstack([a, b])
    d = np.sqrt(((both[:, None] - both[None]) ** 2).sum(axis=2))
    sign = np.repeat([1.0 / len(a), -1.0 / len(b)], [len(a), len(b)])
    energy = [-(s @ d @ s) for s in [sign] + [rng.permutation(sign) for _ in range(permutations)]]
    return np.mean(np.array(energy[1:]) >= energy[0])


def test_distribution_equals_that_of_imbalanced_learn():
    X, y = blobs(n=440, m=40)
    ours = OverSampler(SmoteGenerator(standardize=False), random_state=1).fit_resample(X, y)[0][480:]
    theirs = SMOTE(random_state=1).fit_resample(X, y)[0][480:]
    assert energy_distance_p_value(ours, theirs, np.random.default_rng(0)) > 0.001
    # Power: copies of the real rows are told apart.
    copies = X[440:][np.random.default_rng(2).integers(0, 40, 400)]
    assert energy_distance_p_value(copies + 0.3, theirs, np.random.default_rng(0)) < 0.01


def test_mixed_distribution_is_near_that_of_imbalanced_learn():
    X, y = mixed_table(n=600)
    X = X[["age", "wage", "job"]].astype({"age": float})
    keep = np.r_[np.flatnonzero(y == "a"), np.flatnonzero(y == "c")[:60]]
    X, y = X.iloc[keep].reset_index(drop=True), y.iloc[keep].reset_index(drop=True)
    n = len(X)
    generator = SmoteGenerator(standardize=False)
    ours = OverSampler(generator, random_state=0).fit_resample(X, y)[0].iloc[n:]
    theirs = SMOTENC(categorical_features=["job"], random_state=0).fit_resample(X, y)[0].iloc[n:]
    share = [
        t["job"].value_counts(normalize=True).reindex(["cook", "clerk", "smith"]) for t in (ours, theirs)
    ]
    # Rows of one parent share their vote: the standard error is that of 60 parents.
    assert (share[0] - share[1]).abs().max() < 3 * (0.25 / 60) ** 0.5
    for column in ("age", "wage"):
        assert abs(ours[column].mean() - theirs[column].mean()) < 3 * theirs[column].std() / 60**0.5


def test_missing_cells_are_kept_where_a_parent_is_missing():
    X, y = blobs(p=4)
    rng = np.random.default_rng(0)
    X[rng.random(X.shape) < 0.2] = np.nan
    g = SmoteGenerator(random_state=0).fit(X, y)
    drawn = drawn_of(g, [1] * 300)
    a, b = X[drawn.source[:, 0]], X[drawn.source[:, 1]]
    np.testing.assert_array_equal(np.isnan(drawn.rows), np.isnan(a))
    only_a = ~np.isnan(a) & np.isnan(b)
    np.testing.assert_array_equal(drawn.rows[only_a], a[only_a])
    both = ~np.isnan(a) & ~np.isnan(b)
    low, high = np.minimum(a, b)[both], np.maximum(a, b)[both]
    assert ((drawn.rows[both] >= low) & (drawn.rows[both] <= high)).all()


def test_missing_categories_vote():
    X = pd.DataFrame({"x": np.arange(6.0), "c": ["u", None, None, None, None, "u"]})
    g = SmoteGenerator(k_neighbors=3, random_state=0).fit(X, [0] * 6)
    assert g.sample(y=[0] * 30)["c"].isna().all()


def test_tables_of_categories_only():
    rng = np.random.default_rng(0)
    y = rng.integers(0, 2, 400)
    X = pd.DataFrame({f"c{j}": pd.Categorical((y + rng.integers(0, 2, 400)) % 3) for j in range(4)})
    g = SmoteGenerator(random_state=0).fit(X, y)
    drawn = drawn_of(g, [1] * 50)
    assert (drawn.source[:, 1] == -1).all() and (y[drawn.source[:, 0]] == 1).all()
    new = g.sample(y=[1] * 50)
    assert (new.dtypes == X.dtypes).all() and new.isin([1, 2]).mean().mean() > 0.9


def test_a_class_of_one_is_copied_and_a_thin_one_uses_its_rows():
    X = np.vstack([np.random.default_rng(0).normal(size=(30, 2)), [[7.0, 8.0]], [[20, 1], [21, 3]]])
    y = np.repeat([0, 1, 2], [30, 1, 2])
    with pytest.warns(ThinCellWarning, match="y=1"):
        g = SmoteGenerator(random_state=0).fit(X, y)
    assert g.sample(y=[1, 1]).tolist() == [[7.0, 8.0]] * 2
    assert drawn_of(g, [1, 1]).source.tolist() == [[30, -1]] * 2
    two = g.sample(y=[2] * 40)
    np.testing.assert_allclose((two[:, 0] - 20) * 2, two[:, 1] - 1, atol=1e-12)


def test_a_thin_group_finds_partners_in_its_class_only():
    X, y = blobs(n=60, m=60)
    group = np.repeat(["f", "m", "f", "m"], [30, 30, 57, 3])
    with pytest.warns(ThinCellWarning, match="use all of their class"):
        g = SmoteGenerator(random_state=0).fit(X, y, sensitive_features=group)
    drawn = g.draw(g.condition_.encode([1] * 80, ["m"] * 80), random_state=0)
    assert set(drawn.source[:, 0]) == {117, 118, 119}
    assert (y[drawn.source[:, 1]] == 1).all() and (group[drawn.source[:, 1]] == "f").any()


def test_duplicates_make_copies_and_no_trouble():
    X = np.repeat([[1.0, 2.0], [5.0, 6.0]], [20, 30], axis=0)
    g = SmoteGenerator(random_state=0).fit(X, np.repeat([0, 1], [20, 30]))
    assert (g.sample(y=[1] * 10) == [5.0, 6.0]).all()


def test_weights_are_the_odds_of_a_parent():
    X, y = blobs(n=20, m=20)
    weights = np.ones(40)
    weights[20:30] = 0
    weights[30] = 11
    g = SmoteGenerator(random_state=0).fit(X, y, sample_weight=weights)
    share = np.bincount(drawn_of(g, [1] * 3000).source[:, 0], minlength=40)[20:] / 3000
    expected = np.r_[np.zeros(10), 11, np.ones(9)] / 20
    assert np.abs(share - expected).max() < 4 * (0.25 / 3000) ** 0.5


def test_numbers_as_large_as_a_table_may_hold():
    big = 1e150  # the largest that a table may hold
    X = np.array([[-big, 1.0], [big, 2.0], [big / 2, 1.5], [-big / 3, 1.1]])
    g = SmoteGenerator(k_neighbors=3, random_state=0).fit(X, [0] * 4)
    new = g.sample(y=[0] * 200)
    assert np.isfinite(new).all() and new[:, 0].std() > 0


def test_seeds_chunks_save_and_pickle(tmp_path):
    X, y = mixed_table()
    g = SmoteGenerator(selection="adasyn", random_state=3).fit(X, y)
    fresh = pickle.loads(pickle.dumps(g))
    assert not hasattr(fresh, "_families")
    asked = np.random.default_rng(0).choice(["a", "b", "c"], 9000)
    new = g.sample(y=asked, random_state=5)
    assert new.equals(g.sample(y=asked, random_state=5))
    assert not new.equals(g.sample(y=asked, random_state=6))
    c = g.condition_.encode(asked)
    in_chunks = pd.concat([d.rows for d in g.iter_drawn(c, random_state=5)], ignore_index=True)
    assert new.equals(in_chunks) and new.equals(fresh.sample(y=asked, random_state=5))
    g.save(tmp_path / "smote.safetensors")
    loaded = augsynth.load(tmp_path / "smote.safetensors")
    assert new.equals(loaded.sample(y=asked, random_state=5))


def test_a_second_fit_forgets_the_first():
    X, y = blobs()
    g = SmoteGenerator(random_state=0).fit(X, y)
    g.sample(y=[1])
    assert (g.fit(X + 100, y).sample(y=[1] * 20) > 90).all()


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"k_neighbors": 0}, "k_neighbors must be a whole number >= 1"),
        ({"n_neighbors": 1.5}, "n_neighbors must be a whole number >= 1"),
        ({"selection": "svm"}, "selection must be 'regular'"),
        ({"standardize": "yes"}, "standardize must be"),
    ],
)
def test_bad_parameters_get_one_sentence(given, message):
    with warnings.catch_warnings(), pytest.raises(ParameterError, match=message):
        SmoteGenerator(**given).fit(*blobs())


def test_there_is_no_density():
    g = SmoteGenerator().fit(*blobs())
    assert not hasattr(g, "log_prob") and not hasattr(g, "complete")

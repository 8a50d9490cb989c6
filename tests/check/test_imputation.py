"""What imputers are worth: scores against hand counts, verdicts on tables whose answer is known."""

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from sklearn.compose import ColumnTransformer, make_column_transformer
from sklearn.frozen import FrozenEstimator
from sklearn.impute import KNNImputer, SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder

from augsynth.check import imputation
from augsynth.check.imputers.scores import (
    EnergyDistance,
    column_scores,
    coverage,
    group_scores,
    nominal_coverage,
)
from augsynth.check.imputers.trial import Hidden, Task, Trial, hide
from augsynth.core.errors import DataError, InputTypeError, LeakError, ParameterError
from augsynth.encode.schema import Schema
from augsynth.encode.table import TableCodec
from augsynth.impute.amputation import ampute
from augsynth.impute.donors import DonorImputer


def related(n=300, p=4, seed=0, noise=0.3):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, 1)) + noise * rng.normal(size=(n, p))


def mixed(n=240, seed=0):
    x = related(n, 3, seed)
    rng = np.random.default_rng(seed + 1)
    return pd.DataFrame(
        {
            "a": x[:, 0],
            "b": np.rint(5 * x[:, 1]).astype(int),
            "level": pd.Categorical(np.where(x[:, 2] > 0.5, "high", np.where(x[:, 2] < -0.5, "low", "mid"))),
            "sex": rng.choice(["f", "m"], n),
        }
    )


def task_of(frame, share=0.3, seed=0):
    codec = TableCodec().fit(frame, Schema.infer(frame))
    z = np.array(codec.encode(frame))
    scale = np.where([b.is_numeric for b in codec.layout], z.std(axis=0), 1.0)
    task = Task(frame, codec, z, scale, None, 0)
    rows = np.arange(len(frame))
    hidden = hide(task, ampute(frame, share=share, random_state=seed), rows[::2], rows[1::2], 0)
    return task, hidden


# Scores


def test_column_scores_by_hand():
    task, hidden = task_of(mixed())
    cells = hidden.starts[hidden.columns].copy()
    numeric = hidden.columns == 0
    cells[numeric] = hidden.truth[numeric] + 0.5 * task.scale[0]
    level = np.flatnonzero(hidden.columns == 2)
    cells[level] = hidden.truth[level]
    cells[level[:3]] = (hidden.truth[level[:3]] + 1) % 3
    found = column_scores(task, hidden, Trial("x", 0, cells)).set_index("column")
    assert found.loc["a", "error"] == pytest.approx(0.5) == found.loc["a", "mae"]
    assert found.loc["level", "error"] == pytest.approx(3 / len(level))
    assert found["moved"].tolist() == [True, False, True, False]
    exact = column_scores(task, hidden, Trial("x", 0, hidden.truth.copy()))
    assert (exact["error"] == 0).all() and (exact["shape"] == 0).all()
    # one level for all: the total variation distance is the share of all others
    plain = found.loc["sex"]
    truth = hidden.truth[hidden.columns == 3]
    assert plain["shape"] == pytest.approx((truth != hidden.starts[3]).mean()) == plain["error"]


def test_energy_distance_is_that_of_all_pairs():
    task, hidden = task_of(mixed(60))
    distance = EnergyDistance(task, hidden, np.random.default_rng(0))
    assert distance(hidden.truth) == pytest.approx(0.0, abs=1e-12)
    made = task.z.copy()
    made[hidden.rows, hidden.columns] = cells = hidden.starts[hidden.columns]

    def mean(a, b):
        total = 0.0
        for u in a:
            for v in b:
                numbers = (u[:2] - v[:2]) / task.scale[:2]
                total += np.sqrt(numbers @ numbers + (u[2:] != v[2:]).sum())
        return total / len(a) / len(b)

    expected = 2 * mean(made, task.z) - mean(made, made) - mean(task.z, task.z)
    assert distance(cells) == pytest.approx(expected) and expected > 0


def test_coverage_of_exact_draws_is_nominal():
    assert nominal_coverage(19) == (1, 0.9) and nominal_coverage(99) == (5, 0.9)
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(rng.normal(size=(400, 40)))
    task, hidden = task_of(frame, 0.5)
    k = len(hidden.truth)
    found = coverage(task, hidden, Trial("x", 0, hidden.truth, rng.normal(size=(19, k)) * 1.0))
    assert abs(found["cells"] - 0.9) < 4 * np.sqrt(0.09 / k)
    hits = 0
    for _ in range(10):
        fresh = replace(hidden, truth=rng.normal(size=k))
        hits += coverage(task, fresh, Trial("x", 0, fresh.truth, rng.normal(size=(7, k))))["hits"]
    assert abs(hits / 400 - 0.9) < 4 * np.sqrt(0.09 / 400)  # 400 independent intervals
    narrow = coverage(task, hidden, Trial("x", 0, hidden.truth, 0.3 * rng.normal(size=(19, k))))
    assert narrow["cells"] < 0.5
    # whole numbers: of many ties with the truth, as many count as chance would put inside
    coarse = replace(hidden, truth=np.rint(rng.normal(size=k)))
    tied = coverage(task, coarse, Trial("x", 0, coarse.truth, np.rint(rng.normal(size=(19, k)))))
    assert abs(tied["cells"] - 0.9) < 4 * np.sqrt(0.09 / k)


def hidden_cells(n, per_row, rng):
    rows = np.repeat(np.arange(n), per_row)
    empty = np.empty(0)
    return Hidden(0, None, rows, rng.integers(0, 5, len(rows)), empty, empty, empty, empty)


def test_groups_that_do_not_differ_are_not_named():
    rng = np.random.default_rng(0)
    groups = pd.DataFrame({"g": np.repeat(["a", "b", "c"], [40, 100, 160])})
    named = 0
    for _ in range(100):
        hidden = hidden_cells(300, 3, rng)
        common = np.repeat(rng.exponential(size=300), 3)  # cells of a row are hard or easy together
        loss = common * rng.exponential(size=900)
        named += (group_scores(groups, [loss], [hidden])["verdict"] != "no evidence").any()
    # at most 5 % of 100 by Holm (standard error 2.2 %); skewed losses in a group of 40 cost a little
    assert named / 100 < 0.13


def test_a_group_that_is_imputed_worse_is_named():
    rng = np.random.default_rng(0)
    groups = pd.DataFrame({"g": np.repeat(["a", "b", "few"], [80, 214, 6])})
    hidden = hidden_cells(300, 2, rng)
    loss = rng.exponential(size=600) * np.where(np.arange(600) < 160, 1.6, 1.0)
    found = group_scores(groups, [loss, loss], [hidden, hidden]).set_index("group")
    assert found.loc["a", "verdict"] == "imputed worse" and found.loc["few", "verdict"] == "too few"
    assert found.loc["a", "error"] == pytest.approx(loss[:160].mean())
    assert found.loc["a", "rest"] == pytest.approx(loss[160:].mean())
    assert found.loc["a", "low"] > 0


def test_cells_of_the_group_column_itself_do_not_count():
    rng = np.random.default_rng(0)
    groups = pd.DataFrame({"g": np.repeat(["a", "b"], [40, 260])})
    hidden = hidden_cells(300, 3, rng)
    loss = rng.exponential(size=900)
    loss[(hidden.columns == 2) & (hidden.rows < 40)] = 20.0  # a rare group is a poor guess
    assert "imputed worse" in group_scores(groups, [loss], [hidden])["verdict"].tolist()
    found = group_scores(groups, [loss], [hidden], ["u", "v", "g", "x", "y"])
    assert found["verdict"].tolist() == ["no evidence"] * 2
    assert found["cells"].sum() == (hidden.columns != 2).sum()


# Verdicts


class Noise(SimpleImputer):
    """Fills in noise."""

    def transform(self, X):
        made = np.array(X, dtype=float)
        holes = np.isnan(made)
        made[holes] = 3 * np.random.default_rng(0).normal(size=holes.sum())
        return made


class Broken(SimpleImputer):
    """Fails."""

    def fit(self, X, y=None):
        raise RuntimeError("out of luck")


class Lazy(SimpleImputer):
    """Leaves holes."""

    def transform(self, X):
        return np.array(X, dtype=float)


def test_verdicts_on_tables_whose_answer_is_known():
    imputers = {
        "knn": KNNImputer(),
        "mean": SimpleImputer(),
        "noise": Noise(),
        "broken": Broken(),
        "lazy": Lazy(),
    }
    report = imputation(imputers, related(), n_repeats=4, random_state=0)
    assert report.verdicts.to_dict() == {
        "knn": "beats the column mean",
        "mean": "changed nothing",
        "noise": "worse than the column mean",
        "broken": "failed",
        "lazy": "changed nothing",
    }
    text = str(report)
    assert "mean changed nothing: it filled in the column mean" in text
    assert "broken failed: repeat 0: RuntimeError: out of luck" in text
    assert "hidden cells missing; they count as the column mean" in text
    frame = report.to_frame()
    # regression of one of four on the mean of the others: error sd sqrt(noise^2 (1 + 1/3)) of sd sqrt(1.09)
    assert 0.3 < frame.loc["knn", "numeric"] < 0.55
    assert frame.loc["column mean", "numeric"] == pytest.approx(1.0, abs=0.06)
    assert frame.loc["knn", "energy"] < frame.loc["column mean", "energy"] < frame.loc["noise", "energy"]


def test_nothing_to_learn_is_no_evidence():
    X = np.random.default_rng(0).normal(size=(300, 4))
    report = imputation(KNNImputer(n_neighbors=60), X, n_repeats=4, random_state=0)
    assert report.verdicts["KNNImputer"] != "beats the column mean"
    assert report.to_frame("column")["verdict"].ne("beats the column mean").all()


@pytest.fixture(scope="module")
def report():
    frame = mixed()
    y = (frame["a"] + 0.5 * np.random.default_rng(5).normal(size=len(frame)) > 0).map(
        {True: "yes", False: "no"}
    )
    imputers = [DonorImputer(), SimpleImputer(strategy="most_frequent")]
    return imputation(imputers, frame, y, group_columns="sex", n_repeats=3, random_state=0)


def test_report_on_a_mixed_table(report):
    assert report.verdicts["DonorImputer"] == "beats the column mean"
    row = report.to_frame().loc["DonorImputer"]
    assert np.isfinite(
        row[["numeric", "categorical", "energy", "energy_draw", "covered", "score"]].astype(float)
    ).all()
    assert row["means"] == 2 and row["nominal"] == 0.9
    assert set(report.controls) == {"before hiding", "no imputation"}
    groups = report.to_frame("group")
    assert set(groups["imputer"]) == {"DonorImputer", "SimpleImputer", "column mean"}
    assert groups["verdict"].isin(["no evidence", "imputed worse", "imputed better"]).all()
    columns = report.to_frame("column").set_index(["imputer", "column"])
    assert columns.loc[("DonorImputer", "sex"), "verdict"] != "beats the column mean"  # a coin
    assert report.to_frame("repeat")["repeat"].nunique() == 3
    # the most frequent level of categories is the baseline itself
    assert (
        columns.loc[("SimpleImputer", "level"), "error"]
        == columns.loc[("SimpleImputer", "level"), "baseline"]
    )


def test_words_and_json(report):
    text = str(report)
    for part in (
        "20% of the cells of 240 rows hidden (MCAR)",
        "ROC AUC",
        "would be right",
        "sex: f",
        "try mechanism='MNAR'",
    ):
        assert part in text
    assert "DonorImputer beats the column mean: it saves" in report.summary()
    json.dumps(report.to_dict(), allow_nan=False)
    assert "beats the column mean" in repr(report)
    with pytest.raises(ParameterError, match="by must be"):
        report.to_frame("cell")


def test_pictures(report, tmp_path):
    assert len(report.plot(tmp_path / "error.png").axes) == 2
    assert len(report.plot(tmp_path / "values.svg", kind="values").axes) >= 4
    assert (tmp_path / "error.png").stat().st_size > 10_000 and (tmp_path / "values.svg").exists()
    with pytest.raises(ParameterError, match="kind must be"):
        report.plot(kind="pie")


def test_seed():
    X = related(80, 3)
    one, two, other = (
        imputation(KNNImputer(), X, n_repeats=2, random_state=s).to_frame("repeat") for s in (1, 1, 2)
    )
    pd.testing.assert_frame_equal(one, two)
    assert not one["error"].equals(other["error"])


def test_a_large_table_is_sampled_and_that_is_said():
    result = imputation(SimpleImputer(), related(500), n_repeats=2, max_rows=100, random_state=0)
    assert result.settings["rows"] == 100 and "a sample of 100 of 500 rows" in str(result)


def test_users_estimator_and_target():
    frame = mixed(120)
    y = np.where(frame["a"] > 0, 1, 0)
    dummies = make_column_transformer(
        (OneHotEncoder(handle_unknown="ignore"), ["level", "sex"]), remainder="passthrough"
    )
    model = make_pipeline(dummies, LogisticRegression(max_iter=500))
    result = imputation(
        DonorImputer(use_target=True),
        frame,
        y,
        estimator=model,
        scoring="accuracy",
        n_repeats=2,
        m=3,
        random_state=0,
    )
    assert set(result.controls) == {"before hiding"}  # logistic regression takes no holes
    assert 0.5 < result.to_frame().loc["DonorImputer", "score"] <= 1
    assert "accuracy" in str(result)


def test_foreign_transformers_that_reorder_columns():
    frame = mixed(120)
    pieces = ColumnTransformer(
        [
            ("words", SimpleImputer(strategy="most_frequent"), ["level", "sex"]),
            ("numbers", KNNImputer(), ["a", "b"]),
        ]
    )
    found = imputation(pieces, frame, n_repeats=2, random_state=0)
    columns = found.to_frame("column").set_index("column")
    assert columns.loc["a", "error"] < 0.8 and columns.loc["sex", "verdict"] == "changed nothing"
    assert not found.notes
    coded = imputation(KNNImputer(), frame, n_repeats=2, random_state=0)
    assert "given numbers and level codes" in str(coded)


def test_hostile_tables():
    frame = mixed(100)
    frame["same"], frame["none"] = 1.0, np.nan
    frame["day"] = pd.date_range("2020", periods=100)
    frame["nullable"] = pd.array(np.arange(100) % 7, dtype="Int64")
    frame["huge"] = frame["a"] * 1e120
    frame.loc[:20, "a"] = np.nan
    frame.loc[3:9, "level"] = None
    frame.index = np.arange(100)[::-1]
    with np.errstate(over="raise"):
        found = imputation(
            [DonorImputer(), SimpleImputer(strategy="most_frequent")], frame, n_repeats=2, m=3, random_state=0
        )
    assert list(found.failures) == []
    columns = found.to_frame("column")
    assert not set(columns["column"]) & {"same", "none"}
    assert np.isfinite(columns["error"]).all()
    json.dumps(found.to_dict(), allow_nan=False)


def test_what_cannot_be_is_said():
    X = related(60)
    with pytest.raises(ParameterError, match="at least one imputer"):
        imputation([], X)
    with pytest.raises(InputTypeError, match="must have fit and transform"):
        imputation(KNNImputer, X)
    with pytest.raises(ParameterError, match="stands beside them anyway"):
        imputation({"column mean": KNNImputer()}, X)
    with pytest.raises(LeakError, match="already fitted"):
        imputation(FrozenEstimator(SimpleImputer().fit(X)), X)
    with pytest.raises(DataError, match="at least 20 rows"):
        imputation(SimpleImputer(), X[:5])
    with pytest.raises(DataError, match="an estimator needs y"):
        imputation(SimpleImputer(), X, estimator=LogisticRegression())
    with pytest.raises(DataError, match="one label a row"):
        imputation(SimpleImputer(), X, [1, 2])
    with pytest.raises(ParameterError, match="group_columns must name columns"):
        imputation(SimpleImputer(), X, group_columns=["sex"])
    with pytest.raises(DataError, match="at most 50 groups"):
        imputation(SimpleImputer(), X, sensitive_features=X[:, 0])
    with pytest.raises(DataError, match="column that varies"):
        imputation(SimpleImputer(), np.ones((30, 2)))
    with pytest.raises(ParameterError, match="scoring must be"):
        imputation(SimpleImputer(), X, X[:, 0] > 0, scoring="best")

"""The three samples in one form, fair pairs of them, exact permutations, controls and the family of verdicts."""

import warnings

import numpy as np
import pandas as pd
import pytest

from augsynth.check.controls import make_controls
from augsynth.check.evidence import match_cells
from augsynth.check.finding import CONTROLS, COPY, INDEPENDENT, SMOTE, Finding, frame_of, judge
from augsynth.check.gathering import gather
from augsynth.check.permutation import permutation_p_value, swapped_labels
from augsynth.check.surrogates import spelled_out
from augsynth.core.errors import AugsynthWarning, DataError, InputTypeError, LeakError, ParameterError

N = 90


def table(seed, n=N):
    rng = np.random.default_rng(seed)
    age = rng.normal(40, 10, n).round(1)
    age[rng.random(n) < 0.1] = np.nan
    return pd.DataFrame(
        {
            "age": age,
            "twice": 2 * np.nan_to_num(age, nan=40.0) + rng.normal(size=n),
            "town": pd.Categorical(rng.choice(["x", "y", "z"], n)),
            "when": pd.to_datetime("2024-01-01") + pd.to_timedelta(rng.integers(0, 400, n), "D"),
            "visits": pd.array(rng.integers(0, 5, n), dtype="Int64"),
            "name": [f"person {rng.integers(10**9)}" for _ in range(n)],
            "sex": rng.choice(["f", "m"], n),
        }
    )


def labels(seed, n=N):
    return np.random.default_rng(seed).integers(0, 2, n)


def samples(**options):
    return gather(
        table(0),
        labels(0),
        table(1),
        labels(1),
        holdout=(table(2), labels(2)),
        **({"group_columns": ["sex"]} | options),
    )


def test_tables_are_gathered():
    evidence = samples()
    assert list(evidence.classes) == ["0", "1"]
    assert list(evidence.cells) == ["0, f", "0, m", "1, f", "1, m"]
    assert evidence.left_out == ["name"]
    assert (len(evidence.train), len(evidence.made), len(evidence.holdout)) == (N, N, N)
    assert [block.name for block in evidence.layout] == ["age", "twice", "town", "when", "visits", "sex"]
    assert evidence.joint(evidence.made).shape == (N, 7)


def test_a_single_group_column_may_be_a_name():
    assert list(samples(group_columns="sex").groups) == ["f", "m"]


def test_classes_that_nobody_knows_are_named():
    evidence = gather(table(0), labels(0), table(1), labels(1) + 7)
    assert evidence.notes == ["No training row is of class '7', '8': such new rows are not compared."]


def test_a_matched_pair_has_equal_cells():
    new, real = samples().matched
    assert (new.cells == real.cells).all()
    assert len(new) == len(real) > 0.6 * N


def test_match_cells_caps_in_proportion():
    a = np.repeat([0, 1, 2], [1000, 100, 1])
    b = np.repeat([0, 1, 2], [2000, 50, 5])
    first, second = match_cells(a, b, 105)
    assert (a[first] == b[second]).all()
    assert np.bincount(a[first]).tolist() == [100, 5, 1] or len(first) <= 106
    assert len(np.unique(first)) == len(first)


def test_an_enlarged_table_counts_without_its_real_rows():
    real = table(0)
    whole = pd.concat([real, table(1)], ignore_index=True)
    evidence = gather(real, labels(0), whole, np.concatenate([labels(0), labels(1)]))
    assert len(evidence.made) == N
    assert "opens with the 90 real rows" in evidence.notes[0]
    with pytest.warns(AugsynthWarning, match="the real rows, unchanged"):
        gather(real, labels(0), real, labels(0))


@pytest.mark.parametrize("kind", ["number", "none", "class"])
def test_targets(kind):
    y = {"number": lambda s: np.random.default_rng(s).normal(size=N), "none": lambda s: None}.get(
        kind, labels
    )
    evidence = gather(table(0), y(0), table(1), y(1), holdout=(table(2), y(2)))
    assert evidence.target_kind == kind
    assert evidence.joint(evidence.train).shape[1] == 6 + (kind != "none")
    controls, notes = make_controls(evidence)
    assert set(controls) == set(CONTROLS)
    assert not notes


def test_labels_of_other_types_are_the_same_labels():
    evidence = gather(table(0), labels(0), table(1), labels(1).astype(float), holdout=(table(2), labels(2)))
    assert list(evidence.classes) == ["0", "1"]


def test_design_keeps_what_is_beyond_the_real_range():
    far = table(1).assign(twice=[1000.0] * N)
    evidence = gather(table(0), labels(0), far, labels(1))
    inside, outside = evidence.design(evidence.train), evidence.design(evidence.made)
    assert np.isfinite(outside).all()
    assert outside.max() > 2 * inside.max()


def test_controls_behave():
    evidence = samples()
    controls, _ = make_controls(evidence)
    assert np.isin(controls[COPY].made.keys, evidence.train.keys).all()
    for name in (COPY, INDEPENDENT, SMOTE):
        assert (controls[name].made.cells == evidence.made.cells).all()
    real, mixed = (each.made.z[:, :2] for each in (controls[COPY], controls[INDEPENDENT]))
    correlation = [np.corrcoef(z[~np.isnan(z).any(axis=1)].T)[0, 1] for z in (real, mixed)]
    assert correlation[0] > 0.9
    assert abs(correlation[1]) < 0.4


@pytest.mark.parametrize(
    ("kind", "rows"),
    [
        ("image", lambda s: np.random.default_rng(s).random((30, 8, 8))),
        (
            "text",
            lambda s: [f"word{w} and word{w + 1}" for w in np.random.default_rng(s).integers(0, 40, 30)],
        ),
        ("audio", lambda s: [np.random.default_rng(s + k).normal(size=4000 + k) for k in range(30)]),
    ],
)
def test_other_modalities(kind, rows):
    evidence = gather(rows(0), labels(0, 30), rows(1), labels(1, 30), holdout=(rows(2), labels(2, 30)))
    assert evidence.modality == kind
    assert np.isfinite(evidence.train.z).all()
    mine = gather(rows(0), labels(0, 30), rows(1), labels(1, 30), features=lambda X: np.ones((len(X), 3)))
    assert mine.modality == "features"


def test_swaps_stay_within_cells():
    cells = np.array([0, 0, 0, 1, 4, 4])
    made = swapped_labels(cells, 300, np.random.default_rng(0))
    both = np.concatenate([cells, cells])
    for cell in (0, 1, 4):
        assert (made[:, both == cell].sum(axis=1) == (cells == cell).sum()).all()
    # each row is new in half of the labellings; the standard error is .029
    assert np.abs(made.mean(axis=0) - 0.5).max() < 4 * 0.029


def test_the_smallest_p_value_counts_the_one_seen():
    assert permutation_p_value(9.0, np.zeros(99)) == 0.01
    assert permutation_p_value(0.0, np.zeros(99)) == 1.0


def test_family_of_checks():
    rng = np.random.default_rng(0)
    alarms = 0
    for _ in range(400):  # 20 checks of a perfect generator; the standard error is .011
        found = [Finding("fidelity", f"{k}", "", 0.0, p_value=p) for k, p in enumerate(rng.random(20))]
        alarms += any(each.status == "failed" for each in judge(found))
    assert alarms / 400 < 0.05 + 3 * 0.011
    shown = judge([Finding("fidelity", "shown", "", 0.0)])[0]
    assert shown.status == "not judged"
    frame = frame_of(found)
    assert list(frame["name"]) == [str(k) for k in range(20)]
    assert set(CONTROLS) <= set(frame.columns)


@pytest.mark.parametrize(
    ("change", "error", "told"),
    [
        (
            lambda: gather(table(0), labels(0), table(1).drop(columns="age"), labels(1)),
            DataError,
            "lacks 'age'",
        ),
        (
            lambda: gather(table(0), labels(0), table(1).assign(age="a"), labels(1)),
            DataError,
            "same kind of values",
        ),
        (lambda: gather(table(0), labels(0), table(1).assign(age=np.inf), labels(1)), DataError, "finite"),
        (lambda: gather(table(0), labels(0), table(1), None), DataError, "for all samples or for none"),
        (lambda: gather(table(0), labels(0, 5), table(1), labels(1)), DataError, "one label a row"),
        (lambda: gather(table(0), labels(0), table(1)[:0], labels(1, 0)), DataError, "X_new"),
        (
            lambda: gather(table(0), labels(0), table(1), labels(1), holdout=table(2)),
            InputTypeError,
            "holdout must",
        ),
        (lambda: gather(None, None, table(1), labels(1)), InputTypeError, "X must be rows"),
        (lambda: samples(max_rows=-5), ParameterError, "max_rows"),
        (lambda: samples(group_columns=["gender"]), DataError, "must name columns of X"),
        (
            lambda: gather(table(0), labels(0), table(1), labels(1), sensitive_features=table(0)["sex"]),
            DataError,
            "sensitive_features of X_new",
        ),
    ],
)
def test_what_does_not_fit_gets_a_sentence(change, error, told):
    with warnings.catch_warnings(), pytest.raises(error, match=told):
        warnings.simplefilter("error")
        change()


def test_held_out_rows_that_were_seen_are_refused():
    real, rows = table(0), np.arange(N)
    with pytest.raises(LeakError, match="of its 90 rows are training rows"):
        gather(real, labels(0), table(1), labels(1), holdout=(real, labels(0)))
    with pytest.raises(LeakError, match="40 of 90 new rows are rows of holdout"):
        seen = pd.concat([table(1)[:50], table(2)[:40]], ignore_index=True)
        gather(real, labels(0), seen, labels(1), holdout=(table(2), labels(2)))
    two = gather(
        real, labels(0), pd.concat([table(1)[2:], table(2)[:2]]), labels(1), holdout=(table(2), labels(2))
    )
    assert two.notes == ["2 of the new rows are rows of the hold-out to the letter."]
    coarse = pd.DataFrame({"a": rows % 3, "b": rows % 2})
    assert len(gather(coarse, labels(0), coarse[::-1], labels(1), holdout=(coarse, labels(2))).holdout) == N


def test_a_row_that_is_made_again_and_again_is_one_find():
    """A generator that collapsed may hit one held-out row by chance, and then hits it every time."""
    rng = np.random.default_rng(0)
    rows = pd.DataFrame(rng.integers(0, 9, size=(900, 3)), columns=list("abc")).drop_duplicates()
    train, held = rows[:200].reset_index(drop=True), rows[200:400].reset_index(drop=True)
    made = pd.concat([rows[400:405]] + [held[:1]] * 40, ignore_index=True)
    found = gather(train, None, made, None, holdout=(held, None))
    assert found.notes == ["40 of the new rows are rows of the hold-out to the letter."]


def test_labels_of_another_kind_get_a_sentence():
    X = pd.DataFrame({"a": np.arange(40.0)})
    with pytest.raises(DataError, match="labels must be numbers in all samples.*'x'.*in X_new"):
        gather(X, np.arange(40) % 2, X + 0.5, ["x", "1"] * 20)
    found = gather(X, np.arange(40) % 2, X + 0.5, ["0.0", "1"] * 20)
    assert list(found.classes) == ["0", "1"]


def test_groups_that_are_whole_numbers_may_come_as_floats():
    X, groups = pd.DataFrame({"a": np.arange(40.0)}), pd.DataFrame({"district": [1, 2] * 20})
    y = np.arange(40) % 2
    found = gather(X, y, X + 0.5, y, sensitive_features=groups, sensitive_features_new=groups.astype(float))
    assert list(found.groups) == ["1", "2"] and len(found.matched[0]) == 40


HALF = "a\ud800"  # of a surrogate pair
ODD = [
    HALF,
    "a\\ud800",
    "a\\\\ud800",
    "a\\" + "\ud800",
    "a\\\\" + "\ud800",
    "ud800",
    "a\\uD800",
    "b\\n",
    "\u00e9",
]


def test_texts_that_cannot_be_written_stay_different():
    told = spelled_out(ODD)
    assert len(set(told)) == len(ODD) and all(each.encode() for each in told)
    assert told[0] == "a\\ud800" and told[-4:] == ODD[-4:]
    for held in (np.array(ODD), np.array(ODD, dtype=object), pd.Series(ODD, dtype=object)):
        assert list(spelled_out(held)) == told
    text = pd.StringDtype("python")
    assert list(spelled_out(pd.Series([*ODD, None], dtype=text)))[:-1] == told
    assert spelled_out(pd.Series([*ODD, None], dtype=text)).dtype == text
    levels = pd.Categorical.from_codes(range(len(ODD)), categories=pd.Index(ODD, dtype=object))
    assert list(spelled_out(pd.Series(levels))) == told


def test_names_of_several_levels_that_cannot_be_written_keep_them():
    names = pd.MultiIndex.from_arrays([pd.Index(["a", HALF], dtype=object), pd.Index(["b", "c"])])
    made = spelled_out(pd.DataFrame(np.eye(2), columns=names))
    assert isinstance(made.columns, pd.MultiIndex) and list(made.columns) == [("a", "b"), ("a\\ud800", "c")]
    assert spelled_out(pd.Series([1], name=("a", HALF))).name == ("a", "a\\ud800")
    frame = pd.DataFrame(
        [["a\ud800", 1]], columns=pd.MultiIndex.from_tuples([("a", "b"), ("a", "c")]), dtype=object
    )
    assert isinstance(spelled_out(frame).columns, pd.MultiIndex)

"""The yardsticks of the benchmarks measure what they say, and the harness keeps its word."""

from __future__ import annotations

import itertools
import json
import platform
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "benchmarks"))

import budget
import data
import gpu
import gpu_probe
import harness
import image_data
import image_measures
import image_methods
import images
import measures
import methods
import rare_class
import rare_image
import rare_report
import tables
from measures import Coded, Yardstick

NUMERIC2 = np.array([False, False])


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def coded(X, y=None):
    X = np.asarray(X, np.float32)
    return Coded(X, np.zeros(len(X), np.int64) if y is None else np.asarray(y))


def toy_split(rng, n=400):
    def part(n):
        y = rng.integers(0, 2, n)
        X = pd.DataFrame({"x": rng.normal(size=n) + y, "k": pd.Categorical(rng.choice(["a", "b", "c"], n))})
        X.loc[::17, "k"] = np.nan
        return X, y

    return data.Split("toy", *part(n), *part(n), "made up", ("k",), ("k",))


# ------------------------------------------------------------------ measures
def test_ks_distance_is_scipys_and_counts_missing_as_smallest(rng):
    a, b = rng.normal(size=80), rng.normal(0.3, 1, size=121)
    assert measures.ks_distance(a, b) == pytest.approx(stats.ks_2samp(a, b).statistic)
    some = np.array([np.nan, np.nan, 1.0, 2.0])
    assert measures.ks_distance(some, np.array([1.0, 2.0])) == pytest.approx(0.5)


def test_total_variation_by_hand():
    a, b = np.array([0.0, 0, 1, np.nan]), np.array([0.0, 1, 1, 2])
    # shares .5 .25 0 .25(missing) against .25 .5 .25 0
    assert measures.total_variation(a, b) == pytest.approx(0.5)


def test_cramers_v_of_perfect_and_of_no_association(rng):
    assert measures.cramers_v(np.array([[50, 0], [0, 50]])) == pytest.approx(1.0, abs=0.01)
    assert measures.cramers_v(np.outer([30, 60], [20, 40])) == 0.0
    assert measures.cramers_v(np.array([[5, 0], [5, 0]])) == 0.0


def test_pairs_of_broken_association_by_hand():
    x = np.repeat([0, 1], 500)
    real, broken = coded(np.column_stack([x, x])), coded(np.column_stack([x, np.tile([0, 1], 500)]))
    kinds = np.array([True, True])
    found = measures.pairs(broken, real, kinds, label=False)
    # (1/2, 0, 0, 1/2) against four quarters
    assert found["pair"] == pytest.approx(0.5)
    assert found["association"] == pytest.approx(1.0, abs=0.01)
    same = measures.pairs(real, real, kinds, label=False)
    assert same == {"pair": 0.0, "association": 0.0}


def test_nearest_agrees_with_brute_force_with_missing_cells(rng):
    kinds = np.array([False, True, False])
    a, b = (np.column_stack([rng.random(n), rng.integers(0, 3, n), rng.random(n)]) for n in (70, 40))
    a[::5, 0], b[::3, 2], b[::4, 1] = np.nan, np.nan, np.nan
    qa, qb = measures.scaled(np.concatenate([a, b]), kinds, a.astype(np.float32), b.astype(np.float32))
    expected = []
    for q, raw_q in zip(qa, a, strict=True):
        distances = []
        for r, raw_r in zip(qb, b, strict=True):
            total = 0.0
            for j, category in enumerate(kinds):
                if np.isnan(raw_q[j]) or np.isnan(raw_r[j]):
                    total += float(np.isnan(raw_q[j]) != np.isnan(raw_r[j]))
                else:
                    total += float(q[j] != r[j]) if category else abs(float(q[j]) - float(r[j]))
            distances.append(total)
        expected.append(min(distances))
    np.testing.assert_allclose(measures.nearest(qa, qb, kinds, block=16), expected, atol=1e-5)


def test_closer_share_of_copies_fresh_rows_and_ties(rng):
    train, held_out, fresh = (coded(rng.normal(size=(1500, 2))) for _ in range(3))
    assert measures.closer(train, train, held_out, NUMERIC2) == 1.0
    assert measures.closer(held_out, train, held_out, NUMERIC2) == 0.0
    # three standard errors of a share, widened for the shared references
    assert measures.closer(fresh, train, held_out, NUMERIC2) == pytest.approx(0.5, abs=5 * 0.5 / 1500**0.5)
    one_value = coded(np.ones((10, 2)))
    assert measures.closer(one_value, one_value, one_value, NUMERIC2) == 0.5


def test_copies_counts_equal_rows_with_missing_cells_and_label():
    train = coded([[1, np.nan], [2, 3]], [0, 1])
    made = coded([[1, np.nan], [2, 3], [2, 3], [5, 5]], [0, 1, 0, 0])
    assert measures.copies(made, train) == 0.5


def test_c2st_of_the_same_and_of_another_distribution(rng):
    pytest.importorskip("xgboost")
    a, b = coded(rng.normal(size=(600, 2))), coded(rng.normal(size=(600, 2)))
    # standard error of an AUC of 600 against 600 under the null: sqrt(1201 / (12 * 600**2)) = 0.017
    assert measures.c2st(a, b) == pytest.approx(0.5, abs=4 * 0.017)
    assert measures.c2st(coded(a.X + 6), b) > 0.99


def test_tstr_learns_from_true_rows_and_not_from_shuffled_labels(rng):
    pytest.importorskip("xgboost")
    y = rng.integers(0, 2, 800)
    rows = coded(np.column_stack([y * 3 + rng.normal(size=800), rng.normal(size=800)]), y)
    train, test = rows.take(np.arange(400)), rows.take(np.arange(400, 800))
    assert measures.tstr(train, test)["tstr_auc"] > 0.95
    assert measures.tstr(Coded(train.X, 1 - train.y), test)["tstr_auc"] < 0.05
    assert measures.tstr(train.of_class(1), test)["tstr_auc"] == 0.5


def test_codes_are_fixed_and_strangers_get_their_own():
    real = pd.DataFrame({"k": pd.Categorical(["b", "a", None]), "x": [1.0, np.nan, 3.0]})
    yard = Yardstick(real)
    X = pd.DataFrame({"k": pd.Categorical(["a", "zebra", None]), "x": [3.0, 1.0, np.nan]})
    np.testing.assert_array_equal(yard.code(X, [0, 1, 0]).X, [[0, 3], [2, 1], [np.nan, np.nan]])
    with pytest.raises(ValueError, match="columns differ"):
        yard.code(X[["x", "k"]], [0, 1, 0])


# ------------------------------------------------------------------ data and methods
def test_thinned_draws_are_nested_and_leave_the_test_rows(rng):
    split = toy_split(rng)
    small, large = (data.thinned(split, n, 60, seed=3) for n in (20, 50))
    assert (small.y_train.sum(), (small.y_train == 0).sum()) == (20, 60)
    assert set(small.X_train["x"]) <= set(large.X_train["x"])
    assert small.X_test is split.X_test
    left = rare_class.left_out_positives(split, large, 500, 3)
    assert not set(left["x"]) & set(large.X_train["x"])
    assert len(left) == split.y_train.sum() - 50


def test_controls_return_the_labels_asked_for(rng):
    split = toy_split(rng)
    X, y = split.X_train, split.y_train
    wanted = np.tile([1, 0, 1], 100)
    by_x = pd.Series(y, index=X["x"])
    copy = methods.make("copy", X, y, wanted, 0)
    assert (by_x.loc[copy.X["x"]].to_numpy() == wanted).all()
    assert copy.X["x"].value_counts().max() <= 2
    for kind in ("independent_columns", "imblearn_smote"):
        made = methods.make(kind, X, y, wanted, 0)
        assert len(made.X) == len(wanted)
        assert made.X["k"].cat.categories.tolist() == ["a", "b", "c"]
        # the classes are one unit apart; the standard error of the difference is 0.13
        assert made.X["x"][wanted == 1].mean() - made.X["x"][wanted == 0].mean() == pytest.approx(1, abs=0.5)


def test_an_unknown_generator_is_left_out_with_a_reason():
    with pytest.raises(methods.NotHere, match="registry"):
        methods.generator("no such thing", 0)


# ------------------------------------------------------------------ rare classes
def test_best_cut_is_the_best_of_all_cuts(rng):
    score, y = np.round(rng.random(60), 1), rng.integers(0, 2, 60)

    def balanced(cut):
        said = score > cut
        return said[y == 1].mean() + (~said)[y == 0].mean()

    best = max(balanced(c) for c in [-1.0, *(s + 1e-6 for s in score)])
    assert balanced(rare_class.best_cut(score, y)) == pytest.approx(best)


def test_interval_is_the_paired_t_interval():
    differences = [0.1, 0.3, 0.2, 0.25, 0.05]
    mean, half = rare_report.interval(differences)
    low, high = stats.t.interval(0.95, 4, np.mean(differences), stats.sem(differences))
    assert (mean - half, mean + half) == pytest.approx((low, high))


def test_scores_by_hand():
    y, score = np.array([1, 1, 0, 0]), np.array([0.9, 0.2, 0.8, 0.1])
    found = rare_class.scores_of(score, 0.5, y, prevalence=0.5)
    assert found["recall"] == 0.5
    assert found["balanced_accuracy"] == 0.5
    assert found["average_precision"] == pytest.approx((1 + 2 / 3) / 2)
    assert found["average_precision_rare"] == pytest.approx((1 + 2 / 3) / 2)
    rare = rare_class.scores_of(score, 0.5, y, prevalence=0.1)["average_precision_rare"]
    assert rare == pytest.approx((1 + 0.1 / (0.1 + 0.45)) / 2)  # half of the negatives weigh .45


def test_rare_class_end_to_end(rng, tmp_path):
    pytest.importorskip("xgboost")
    full = toy_split(rng)
    yard = Yardstick(pd.concat([full.X_train, full.X_test]))
    results = harness.Results(tmp_path / "r.json", key=("data", "positives", "seed", "method"), protocol={})
    for seed, method in itertools.product((0, 1), ("nothing", "weights", "threshold", "copies", "real")):
        thin = data.thinned(full, 20, 60, seed)
        results.add(rare_class.run_one(method, full, thin, yard, seed))
    content = results.read()
    rows = {(r["method"], r["seed"]): r for r in content["rows"]}
    assert rows["copies", 0]["class_closer"] == 1.0
    assert rows["copies", 0]["made"] == 40
    for model in rare_class.MODELS:
        untouched, tuned = (rows[m, 0][model]["average_precision"] for m in ("nothing", "threshold"))
        assert untouched == tuned
    text = rare_class.report(content["rows"], content["runs"])
    assert "| threshold " in text and "95 % t interval" in text


# ------------------------------------------------------------------ harness
def test_machine_names_nothing_private():
    said = json.dumps(harness.machine())
    assert platform.node() not in said
    assert str(Path.home()) + "/" not in said
    assert harness.machine()["versions"]["numpy"] == np.__version__


def test_results_merge_replace_and_forget_old_runs(tmp_path):
    path = tmp_path / "results.json"
    first = harness.Results(path, key=("method", "seed"), protocol={"a": 1})
    first.add({"method": "x", "seed": 0, "value": 1})
    first.add({"method": "y", "seed": 0, "value": np.float64(2)})
    second = harness.Results(path, key=("method", "seed"), protocol={"a": 1})
    second.run["arguments"] = ["--again"]
    second.add({"method": "x", "seed": 0, "value": 3})
    assert [(r["method"], r["value"]) for r in second.rows()] == [("x", 3), ("y", 2.0)]
    assert len(second.read()["runs"]) == 2
    second.add({"method": "y", "seed": 0, "value": 4})
    assert [run["arguments"] for run in second.read()["runs"]] == [["--again"]]
    assert second.has(method="y", seed=0) and not second.has(method="y", seed=1)
    assert [p.name for p in tmp_path.iterdir()] == ["results.json"]


def test_a_failed_write_leaves_the_old_file(tmp_path):
    path = tmp_path / "x.json"
    harness.write_json(path, {"old": 1})
    with pytest.raises(TypeError):
        harness.write_json(path, {"new": object()})
    assert json.loads(path.read_text()) == {"old": 1}
    assert len(list(tmp_path.iterdir())) == 1


def test_side_by_side_takes_turns_and_pairs_ratios():
    calls = []

    def fake(function):
        function()
        return None, harness.Cost(cpu_s=2.0 if calls[-1] == "b" else 4.0, wall_s=0.0)

    contestants = {"a": lambda: calls.append("a"), "b": lambda: calls.append("b")}
    found = harness.side_by_side(contestants, repeats=3, measure=fake)
    assert calls == list("ababab")
    assert found["ratio_to_a"]["b"] == {"min": 0.5, "median": 0.5, "max": 0.5}


def _fill(prepared):
    return len(bytearray(b"x" * (96 << 20)))


def _hold(megabytes):
    return bytearray(b"x" * (megabytes << 20))


def _fail():
    raise OSError("full")


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="peak memory is read from /proc")
def test_isolated_peak_counts_the_call_and_not_its_input():
    result, cost = harness.measured_isolated(_fill, 64, setup=_hold)
    assert result == 96 << 20
    # b"x" * n and its copy are both alive: 192 MB on top of the 64 MB of input
    assert 185 <= cost.extra_mb <= 205
    assert cost.rss_before_mb > 64
    with pytest.raises(RuntimeError, match="OSError: full"):
        harness.measured_isolated(_fail)


def test_tables_align():
    plain = harness.table(["name", "a"], [["x", "1.0"], ["longer", "10.0"]])
    assert len({len(line) for line in plain.splitlines()}) == 1
    assert harness.table(["n", "a"], [["x", "1"]], markdown=True).splitlines()[1].startswith("| -")
    assert harness.mean_sd([1.0, 3.0], 1) == "2.0 ± 1.4"
    assert harness.mean_sd([None]) == "-"


# ------------------------------------------------------------------ images
def test_prdc_by_hand():
    real, made = np.array([[0.0], [1.0], [3.0]]), np.array([[0.5], [10.0], [11.0]])
    # k = 1: balls of the real ones reach 1, 1 and 2; of the made ones 9.5, 1 and 1
    found = image_measures.prdc(made, real, k=1)
    assert found == {
        "precision": pytest.approx(1 / 3),  # 0.5 alone lies in a ball
        "density": pytest.approx(2 / 3),  # in two of them
        "coverage": pytest.approx(2 / 3),
        "recall": 1.0,  # the wide ball around 0.5 holds every real one
    }


def test_prdc_of_the_same_and_of_far_images(rng):
    a, b = rng.normal(size=(400, 3)), rng.normal(size=(400, 3))
    same = image_measures.prdc(a, b)
    assert same["precision"] > 0.9 and same["recall"] > 0.9 and same["coverage"] > 0.9
    # each real row holds the k made rows that its k-th real neighbour lets in, on average: sd measured 0.05
    assert same["density"] == pytest.approx(1, abs=0.25)
    assert set(image_measures.prdc(a + 50, b).values()) == {0.0}


def test_images_closer_share_ties_and_copies(rng):
    train, held_out, fresh = (rng.integers(0, 17, (300, 6)).astype(np.float32) for _ in range(3))
    assert image_measures.closer(train, train, held_out) == 1.0
    assert image_measures.closer(fresh, train, train.copy()) == 0.5
    # three standard errors of a share, widened for the shared references
    assert image_measures.closer(fresh, train, held_out) == pytest.approx(0.5, abs=5 * 0.5 / 300**0.5)
    mixed = np.concatenate([train[:3], train[:1] + 0.5])
    assert image_measures.copies(mixed, train) == 0.75


def test_thinned_images_are_nested_and_leave_the_rest_out():
    full = image_data.digits(0)
    thin, left = rare_image.thinned(full, 6, 10, 50, 3)
    counts = np.bincount(thin.y_train)
    assert counts[6] == 10 and set(np.delete(counts, 6)) == {50} and len(left) == 40
    kept = {x.tobytes() for x in thin.X_train}
    assert not kept & {x.tobytes() for x in left}
    wider, _ = rare_image.thinned(full, 6, 20, 50, 3)
    assert kept <= {x.tobytes() for x in wider.X_train}


def test_a_shifted_picture_by_hand():
    x = np.arange(9).reshape(3, 3)
    move = image_methods.Shift(1, True).apply
    np.testing.assert_array_equal(
        move(x, {"down": 1, "right": -1, "flip": False}), [[0, 0, 0], [1, 2, 0], [4, 5, 0]]
    )
    np.testing.assert_array_equal(
        move(x, {"down": 0, "right": 0, "flip": True}), [[2, 1, 0], [5, 4, 3], [8, 7, 6]]
    )


def test_class_scores_by_hand():
    probability = np.array([[0.9, 0.1], [0.2, 0.8], [0.4, 0.6], [0.3, 0.7]])
    found = rare_image.class_scores(probability, np.array([0, 0, 1, 1]), 1)
    assert (found["recall"], found["precision"], found["balanced_accuracy"]) == (1.0, 2 / 3, 0.75)
    assert found["average_precision"] == pytest.approx((1 / 2 + 2 / 3) / 2)


def quick(script, monkeypatch, folder, *arguments):
    monkeypatch.setattr(sys, "argv", [script.__name__, "--quick", "--out", str(folder), *arguments])
    script.main()


def test_images_end_to_end_and_resumed(monkeypatch, tmp_path, capsys):
    quick(images, monkeypatch, tmp_path, "--only", "copy", "perturbed", "vae", "--steps", "2")
    rows = {r["method"]: r for r in json.loads((tmp_path / "images_digits_quick.json").read_text())["rows"]}
    assert set(rows) == {"real", "copy", "perturbed", "vae"}
    assert rows["copy"]["copies"] == 1.0 and rows["real"]["copies"] == 0.0
    assert rows["vae"]["steps"] == 2 and rows["vae"]["within_90_s"] and rows["vae"]["made"] == 300
    shares = {r["method"]: r["share_svc"] for r in images.with_shares(list(rows.values()))}
    assert shares["real"] == 1.0 and shares["copy"] > 0.9
    assert "| copy " in (tmp_path / "images_digits_quick.md").read_text()
    capsys.readouterr()
    quick(images, monkeypatch, tmp_path, "--only", "copy")
    assert "digits copy 0: in the file already" in capsys.readouterr().out


def test_rare_image_end_to_end(monkeypatch, tmp_path):
    quick(rare_image, monkeypatch, tmp_path, "--seeds", "2", "--only", "nothing", "weights", "copy", "real")
    content = json.loads((tmp_path / "rare_image_quick.json").read_text())
    rows = {(r["method"], r["seed"]): r for r in content["rows"]}
    assert len(rows) == 8 and rows["copy", 0]["made"] == rows["real", 1]["made"] == 20
    differences = rare_image.paired(content["rows"], "copy", "nothing", "recall")
    assert differences == [rows["copy", s]["recall"] - rows["nothing", s]["recall"] for s in (0, 1)]
    assert "95 % t intervals over the seeds only" in (tmp_path / "rare_image_quick.md").read_text()


# ------------------------------------------------------------------ budgets and the GPU script
def test_the_probe_trains_and_counts(rng, monkeypatch):
    from augsynth import Trainer, VAEGenerator

    X, y = gpu.stand_in_table(200)
    assert X.shape == (200, 14) and y.mean() == pytest.approx(0.24, abs=3 * (0.24 * 0.76 / 200) ** 0.5)
    trainer = gpu_probe.ProbeTrainer(device="cpu")
    trainer.seconds_timed, trainer.steps_profiled, trainer.warm_up = 0.05, 2, 1
    VAEGenerator(trainer=trainer, random_state=0).fit(X, y)
    assert trainer.found["planned_steps"] == Trainer().planned_steps(200)
    assert trainer.found["steps_per_s"] > 0 and trainer.found["flops_per_step"] > 1e6
    # without a GPU every step reads its loss
    assert trainer.found["reads_per_step"] >= 1 and trainer.found["waits_per_step"] == 0


def test_a_plain_stand_in_of_fabric_trains_the_same(monkeypatch):
    from augsynth import Trainer, VAEGenerator

    X, y = gpu.stand_in_table(60)
    made = []
    for fabric in (None, gpu_probe.PlainFabric):
        if fabric is not None:
            monkeypatch.setattr("lightning_fabric.Fabric", fabric)
        model = VAEGenerator(trainer=Trainer(steps=3, device="cpu"), random_state=0).fit(X, y)
        made.append(model.sample(y=[0, 1], random_state=0))
    pd.testing.assert_frame_equal(*made)


def test_gpu_script_says_so_without_a_gpu(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    monkeypatch.setattr(sys, "argv", ["gpu", "--out", str(tmp_path)])
    gpu.main()
    assert capsys.readouterr().out.startswith("There is no GPU here")
    assert not list(tmp_path.iterdir())


def test_gpu_report_keeps_what_it_had_and_says_what_it_left_out(tmp_path):
    report = gpu.Report(tmp_path / "gpu.json", 1.0, {"device": "cpu", "quick": True})
    report.add("table", "a", lambda: {"kind": "a", "steps_per_s": float("nan")})
    report.add("table", "b", lambda: 1 / 0)
    report.add("table", "c", dict, needs_s=1e6)
    content = json.loads((tmp_path / "gpu.json").read_text())
    assert content["table"] == [{"kind": "a", "steps_per_s": None}]
    assert ["ZeroDivisionError" in text for text in content["left_out"]] == [True, False]
    assert gpu.judge_targets(report)["gan"]["met"] is None


def test_estimate_counts_planned_steps_and_fits_others_once():
    X, y = gpu.stand_in_table(60)
    found = budget.estimate(methods.generator("vae", 0), X, y, rows=120)
    assert found.steps == 300 and found.cpu_s > 0
    assert budget.estimate(methods.generator("bootstrap", 0), X, y, rows=120).steps is None


WRITER = """
import sys, harness, pathlib
results = harness.Results(pathlib.Path(sys.argv[1]), key=("method", "seed"), protocol={})
for seed in range(20):
    results.add({"method": sys.argv[2], "seed": seed})
"""


def test_two_processes_write_one_file_without_losing_rows(tmp_path):
    path, here = str(tmp_path / "results.json"), Path(harness.__file__).parent
    writers = [subprocess.Popen([sys.executable, "-c", WRITER, path, method], cwd=here) for method in "ab"]
    assert [writer.wait() for writer in writers] == [0, 0]
    rows = json.loads(Path(path).read_text())["rows"]
    assert sorted((r["method"], r["seed"]) for r in rows) == list(itertools.product("ab", range(20)))


def test_finished_rows_are_skipped_unless_asked_or_stale(tmp_path, capsys):
    results = harness.Results(tmp_path / "r.json", key=("method",), protocol={})
    key = {"method": "x"}
    assert results.run_missing(key, lambda: {"value": 1}) == {"method": "x", "value": 1}
    assert results.run_missing(key, lambda: {"value": 2}) is None
    assert results.run_missing(key, lambda: {"value": 3}, fresh=lambda row: row["value"] > 1)["value"] == 3
    assert results.run_missing(key, lambda: {"value": 4}, redo=True)["value"] == 4
    assert results.run_missing({"method": "y"}, lambda: 1 / 0) is None
    assert "y: FAILED: ZeroDivisionError" in capsys.readouterr().out
    assert [row["value"] for row in results.rows()] == [4]


def test_tables_show_the_share_of_ctgans_time():
    cost = {"fit_cpu_s": 9.0, "sample_cpu_s": 1.0}
    rows = [{"data": "d", "method": "ctgan", "seed": 0, "fit_cpu_s": 90.0, "sample_cpu_s": 10.0}]
    rows += [{"data": "d", "method": "gan", "seed": s, **cost} for s in range(2)]
    last = {line.split()[0]: line.split()[-1] for line in tables.print_table(rows, "d").splitlines()[2:]}
    assert last == {"ctgan": "1.000", "gan": "0.100"}

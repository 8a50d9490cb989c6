"""``augsynth impute``: what comes out to the letter, what is said, and what is refused."""

import os
import signal

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from augsynth.cli import app

QUICK = ["--set", "method=bayes", "--set", "n_rounds=1"]


def call(*arguments):
    done = CliRunner().invoke(app, [str(each) for each in arguments])
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    return done


def people(n=60, seed=0):
    """Return a table of texts, as a file has them; "" is a hole."""
    rng = np.random.default_rng(seed)
    age = rng.integers(18, 90, n)
    frame = pd.DataFrame(
        {
            "id": [f"{k:05d}" for k in range(n)],
            "age": age.astype(str),
            "income": [f"{1000 + 20 * a + rng.normal() * 50:.2f}" for a in age],
            "zip": np.where(age > 50, "01234", "56789"),
            "member": np.where(age > 40, "TRUE", "FALSE"),
            "town": np.where(age > 50, "Ulm, Donau", "Bonn"),
            "ill": np.where(age + rng.normal(size=n) > 45, "yes", "no"),
        }
    )
    holes = rng.random(frame.shape) < 0.2
    holes[:2] = holes[:, 0] = False
    return frame.mask(holes, "")


@pytest.fixture
def source(tmp_path):
    path = tmp_path / "holes.csv"
    people(200).to_csv(path, index=False)
    return path


def cells(path, **options):
    return pd.read_csv(path, dtype=str, keep_default_na=False, **options)


def test_cells_that_were_there_stay_to_the_letter_and_the_others_look_like_them(source, tmp_path):
    out = tmp_path / "filled.csv"
    done = call("impute", source, "--out", out, "--ignore", "id", "--target", "ill", *QUICK)
    assert done.exit_code == 0, done.stderr
    before, after = cells(source), cells(out)
    assert list(after) == list(before) and len(after) == len(before)
    seen = (before != "").to_numpy()
    assert (before.to_numpy()[seen] == after.to_numpy()[seen]).all()
    filled = after.drop(columns="ill")
    assert (filled != "").all().all()
    assert after["ill"].equals(before["ill"])  # the labels keep their holes
    assert after["age"].str.fullmatch(r"\d+").all()  # whole numbers stay whole
    assert set(after["zip"]) == {"01234", "56789"}  # a code is no number
    assert set(after["member"]) == {"TRUE", "FALSE"} and set(after["town"]) == {"Ulm, Donau", "Bonn"}
    assert "200 rows x 5 columns" in done.stderr and "fitted in" in done.stderr
    line = next(line for line in done.stdout.splitlines() if line.split()[:1] == ["income"])
    assert line.split()[1] == str((before["income"] == "").sum())
    assert float(line.split()[-2]) < float(line.split()[-1])  # the error, beside the column mean's
    assert f"written: {out}" in done.stdout


def test_draws_go_to_numbered_files_and_follow_the_seed(source, tmp_path):
    out = tmp_path / "filled.csv.gz"
    assert call("impute", source, "-o", out, "--draws", 2, *QUICK).exit_code == 0
    assert sorted(os.listdir(tmp_path)) == ["filled_1.csv.gz", "filled_2.csv.gz", "holes.csv"]
    first = [(tmp_path / f"filled_{k}.csv.gz").read_bytes() for k in (1, 2)]
    assert first[0] != first[1]
    assert call("impute", source, "-o", out, "-n", 2, *QUICK).exit_code == 4
    assert call("impute", source, "-o", out, "-n", 3, "--force", *QUICK).exit_code == 0
    again = [(tmp_path / f"filled_{k}.csv.gz").read_bytes() for k in (1, 2)]
    assert again == first  # the first draws do not depend on how many there are
    assert call("impute", source, "-o", out, "-n", 2, "--force", "--seed", 1, *QUICK).exit_code == 0
    assert (tmp_path / "filled_1.csv.gz").read_bytes() != first[0]
    assert (cells(tmp_path / "filled_1.csv.gz") != "").all().all()


def test_another_table_can_be_learned_from(tmp_path):
    """Rows alone come out as among others; an empty column has the type that it has there."""
    train, few, many = (tmp_path / name for name in ("train.csv", "few.csv", "many.csv"))
    people().to_csv(train, index=False)
    later = people(20, seed=1).assign(age="", ill="no")
    later.to_csv(many, index=False)
    later.iloc[:3].to_csv(few, index=False)
    shared = ["--fit-on", train, "--target", "ill", "--ignore", "id", *QUICK]
    for name in (few, many):
        done = call("impute", name, "-o", tmp_path / f"o_{name.name}", *shared)
        assert done.exit_code == 0, done.stderr
    a, b = cells(tmp_path / "o_few.csv"), cells(tmp_path / "o_many.csv")
    assert a.equals(b.iloc[:3]) and b["age"].str.fullmatch(r"\d+").all()
    later.drop(columns="ill").to_csv(few, index=False)  # rows to predict have no labels
    assert call("impute", few, "-o", tmp_path / "p.csv", "--use-target", *shared).exit_code == 0
    assert "ill" not in cells(tmp_path / "p.csv")
    later.assign(extra="1").to_csv(few, index=False)
    wrong = call("impute", few, "-o", tmp_path / "q.csv", *shared)
    assert wrong.exit_code == 3 and "'extra' in" in wrong.stderr


def test_the_labels_are_used_only_if_asked_for(tmp_path):
    """A column that hangs on the labels alone is filled well with them, and not without."""
    rng = np.random.default_rng(0)
    y = np.arange(80) % 2
    frame = pd.DataFrame({"a": 10.0 * y + rng.normal(size=80), "b": rng.normal(size=80), "y": y})
    frame.loc[frame.index[::4], "a"] = np.nan
    frame.to_csv(tmp_path / "t.csv", index=False)
    errors = {}
    for name, extra in {"without": [], "with": ["--use-target"]}.items():
        out = tmp_path / f"{name}.csv"
        assert call("impute", tmp_path / "t.csv", "-o", out, "-t", "y", *extra, *QUICK).exit_code == 0
        filled = pd.read_csv(out)
        assert filled["y"].tolist() == y.tolist()
        errors[name] = np.abs(filled["a"] - 10 * y)[::4].mean()
    assert errors["with"] < 2 < 4 < errors["without"]
    missing = call("impute", tmp_path / "t.csv", "-o", tmp_path / "x.csv", "--use-target")
    assert missing.exit_code == 2 and "--target" in missing.stderr


def test_parquet_keeps_its_types(tmp_path):
    rng = np.random.default_rng(0)
    n = 50
    holed = rng.random((6, n)) < 0.2
    x = rng.normal(size=n)
    columns = {
        "i8": pa.array(np.rint(3 * x).astype(np.int8), mask=holed[0]),
        "f4": pa.array(x.astype(np.float32), mask=holed[1]),
        "day": pa.array(np.datetime64("2024-01-01") + np.rint(9 * x).astype(int), mask=holed[2]),
        "word": pa.array(np.where(x > 0, "a", "b").astype(object), mask=holed[3]),
        "level": pa.array(np.where(x > 0, "u", "v").astype(object), mask=holed[4]).dictionary_encode(),
        "true": pa.array(x > 0, mask=holed[5]),
    }
    table = pa.table(columns)
    pq.write_table(table, tmp_path / "t.parquet")
    out = tmp_path / "o.parquet"
    done = call("impute", tmp_path / "t.parquet", "-o", out, *QUICK)
    assert done.exit_code == 0, done.stderr
    made = pq.read_table(out)
    for name in columns:
        assert made.schema.field(name).type == table.schema.field(name).type, name
        assert made[name].null_count == 0 < table[name].null_count
        seen = ~np.asarray(table[name].is_null())
        assert np.asarray(made[name].to_pylist(), object)[seen].tolist() == [
            cell for cell in table[name].to_pylist() if cell is not None
        ]
    assert call("impute", tmp_path / "t.parquet", "-o", tmp_path / "o.csv", *QUICK).exit_code == 0
    assert pd.read_csv(tmp_path / "o.csv")["i8"].dtype == np.int64


def test_other_separators_dates_and_words_for_missing(tmp_path):
    days = pd.date_range("2024-01-01", periods=40).strftime("%Y-%m-%d")
    frame = pd.DataFrame({"day": days, "x": [str(k) for k in range(40)]})
    frame.loc[3::9, "day"] = "?"
    frame.loc[5::9, "x"] = "?"
    frame.to_csv(tmp_path / "t.csv", index=False, sep=";")
    told = ["--set", "data.separator=';'", "--set", "data.missing=['?']", "--set", "data.dates=[day]"]
    done = call("impute", tmp_path / "t.csv", "-o", tmp_path / "o.csv", *told, *QUICK)
    assert done.exit_code == 0, done.stderr
    made = cells(tmp_path / "o.csv", sep=";")
    assert made["day"].str.fullmatch(r"2024-\d\d-\d\d").all()
    assert (made["x"].astype(int) - np.arange(40)).abs().max() <= 2  # the day tells the number


def test_columns_that_tell_nothing_and_tables_without_holes_are_named(tmp_path):
    rng = np.random.default_rng(0)
    X = pd.DataFrame(rng.normal(size=(300, 3)), columns=list("abc"))
    X.to_csv(tmp_path / "whole.csv", index=False)
    done = call("impute", tmp_path / "whole.csv", "-o", tmp_path / "o.csv", *QUICK)
    assert done.exit_code == 0 and "No cell is missing" in done.stdout
    assert (tmp_path / "o.csv").read_bytes() == (tmp_path / "whole.csv").read_bytes()
    X.mask(rng.random(X.shape) < 0.2).assign(empty=np.nan).to_csv(tmp_path / "t.csv", index=False)
    done = call("impute", tmp_path / "t.csv", "-o", tmp_path / "p.csv", *QUICK)
    assert done.exit_code == 0 and done.stdout.count("no better than the column mean") >= 1
    assert "left as it is" in done.stdout and "column 'empty'" in done.stdout


def test_large_whole_numbers_and_a_nameless_index(tmp_path):
    rng = np.random.default_rng(0)
    x = rng.normal(size=60)
    big = [str(2**63 + 1000 * int(each)) for each in 20 + 5 * x]
    frame = pd.DataFrame({"big": big, "x": x.round(3)}, index=np.arange(60) + 100)
    frame.loc[frame.index[::7], "big"] = ""
    frame.to_csv(tmp_path / "t.csv")
    done = call("impute", tmp_path / "t.csv", "-o", tmp_path / "o.csv", *QUICK)
    assert done.exit_code == 0 and "9 missing cells" in done.stderr, done.stderr
    said = " ".join(done.stdout.split())
    assert "column 'Unnamed: 0' has another value in every row" in said and "--ignore" in said
    before, after = (pd.read_csv(tmp_path / name, dtype=str, index_col=0) for name in ("t.csv", "o.csv"))
    assert (tmp_path / "o.csv").read_text().startswith(",big,x\n") and after.index.equals(before.index)
    assert after["big"].str.fullmatch(r"\d{19}").all()
    seen = before["big"].notna()
    assert (after["big"][seen] == before["big"][seen]).all()


def test_a_table_of_one_column(tmp_path):
    (tmp_path / "t.csv").write_text("a\n" + "1\n3\n\n" * 10)
    done = call("impute", tmp_path / "t.csv", "-o", tmp_path / "o.csv", *QUICK)
    assert done.exit_code == 0 and "10 missing cells" in done.stderr, done.stderr
    assert cells(tmp_path / "o.csv")["a"].tolist() == ["1", "3", "2"] * 10
    (tmp_path / "t.csv").write_text("a;b\n" + "1;\n3;2\n" * 10)
    assert "separator" in call("impute", tmp_path / "t.csv", "-o", tmp_path / "p.csv", *QUICK).stderr


def test_words_for_missing_and_codes_are_pointed_out(tmp_path):
    """The settings that the notes name do what they say."""
    rng = np.random.default_rng(0)
    a = rng.normal(size=80)
    frame = pd.DataFrame({"a": a.round(2).astype(str), "b": (a + 1).round(2).astype(str)})
    frame["pain"] = np.clip(np.rint(a + 3), 1, 5).astype(int).astype(str)
    frame.loc[::7, "a"], frame.loc[2::9, "b"], frame.loc[3::9, "pain"] = "?", "unknown", ""
    frame.to_csv(tmp_path / "t.csv", index=False)
    done = call("impute", tmp_path / "t.csv", "-o", tmp_path / "o.csv", "-m", "bayes", "-n", 2)
    said = " ".join(done.stdout.split())
    assert "columns 'a', 'b' hold '?', 'unknown', which may stand for missing" in said
    missing, schema = "data.missing=['', 'NA', '?', 'unknown']", "schema={pain: categorical}"
    assert f'--set "{missing}"' in said and f'--set "{schema}"' in said
    assert "draw 1 of 2\ndraw 2 of 2" in done.stderr
    told = ["-m", "pmm", "--set", missing, "--set", schema]
    again = call("impute", tmp_path / "t.csv", "-o", tmp_path / "p.csv", *told)
    assert again.exit_code == 0 and "may stand for" not in again.stdout, again.stderr
    made = pd.read_csv(tmp_path / "p.csv")
    assert made["a"].dtype == made["b"].dtype == float and set(made["pain"]) <= {1, 2, 3, 4, 5}


def test_what_is_refused_leaves_nothing(source, tmp_path):
    out = tmp_path / "o.csv"
    before = source.read_bytes()
    for arguments, code, told in [
        (["-o", source, "--force"], 4, "overwrite the run's own input"),
        (["-o", tmp_path / "none" / ".." / "holes.csv", "--force"], 4, "own input"),
        (["-o", tmp_path], 2, "a table goes to a file"),
        (["-o", tmp_path / "o.docx"], 3, "must end in a known format"),
        (["-o", out, "-m", "chaind"], 2, "did you mean 'chained'"),
        (["-o", out, "-m", "gan"], 2, "'gan' does not fill missing cells; there are: chained"),
        (["-o", out, "--set", "n_rouns=3"], 2, "--set n_rouns: unknown key; did you mean 'n_rounds'"),
        (["-o", out, "--set", "data.separators=;"], 2, "did you mean 'separator'"),
        (["-o", out, "-t", "il"], 3, "Did you mean 'ill'?"),
        (["-o", out, "--ignore", "ids"], 3, "Did you mean 'id'?"),
        (["-o", out, "--fit-on", tmp_path / "no.csv"], 3, "no such file"),
        (["-o", out, "--group", "town"], 2, "--group: this method does not impute within groups"),
        (["-o", out, "--draws", 0], 2, "--draws"),
    ]:
        done = call("impute", source, *arguments)
        assert done.exit_code == code and told in done.stderr, done.stderr
    assert os.listdir(tmp_path) == ["holes.csv"] and source.read_bytes() == before


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_stopped_run_leaves_no_file(source, tmp_path, monkeypatch, number):
    from augsynth.impute.base import BaseImputer

    original, drawn = BaseImputer._give, []

    def stop(self, *arguments, **options):
        drawn.append(1)
        if len(drawn) == 2:
            os.kill(os.getpid(), number)
        return original(self, *arguments, **options)

    monkeypatch.setattr(BaseImputer, "_give", stop)
    done = call("impute", source, "-o", tmp_path / "o.csv", "--draws", 3, *QUICK)
    assert (
        done.exit_code == 130
        and done.stderr.splitlines()[-1] == "Interrupted. No file was written or changed."
    )
    assert os.listdir(tmp_path) == ["holes.csv"]

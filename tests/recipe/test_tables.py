"""Files in and out: formats, files that are no tables, outputs that are whole or absent."""

import errno
import os

import numpy as np
import pandas as pd
import pytest

from augsynth.core.errors import DataError, OutputExistsError
from augsynth.recipe.tables import FORMATS, Destination, read_source, read_table, table_format, write_table

FRAME = pd.DataFrame({"a": [1.5, np.nan, 3.0], "b": ["x", "y, z", None], "c": [1, 2, 3]})


@pytest.mark.parametrize("style", FORMATS)
def test_every_format_comes_back(tmp_path, style):
    write_table(FRAME, tmp_path / f"t.{style}")
    pd.testing.assert_frame_equal(read_table(tmp_path / f"t.{style}"), FRAME, check_dtype=False)
    again = (tmp_path / f"t.{style}").read_bytes()
    write_table(FRAME, tmp_path / f"t.{style}")
    assert (tmp_path / f"t.{style}").read_bytes() == again
    assert [path.name for path in tmp_path.iterdir()] == [f"t.{style}"]


@pytest.mark.parametrize("style", FORMATS)
def test_rubbish_is_refused_in_one_sentence(tmp_path, style):
    path = tmp_path / f"t.{style}"
    path.write_bytes(b"\x89PNG\r\n\0\0 nonsense")
    with pytest.raises(DataError) as caught:
        read_table(path)
    assert str(path) in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "empty"),
        ("a,b\n", "needs rows"),
        ("a\n1\n", "at least two columns"),
        ("a;b\n1;2\n", "separator"),
        ("a,b,a\n1,2,3\n", "'a' more than once"),
        ("a,b\n1,2\n1,2,3\n", "more fields than the header: 3 in line 3, 2 in the header"),
        ("a,b\n3,4,5\n", "more fields than the header"),
        ('a,b\n"1,2\n3,4\n', "a quoted cell does not end"),
        ("a,b\n1,2,3\n4,5,6\n", "more fields than the header"),
        (b"a,b\n\xe9,2\n", "encoded in UTF-8; given byte 0xe9"),
        ("a,b\n1,2\n".encode("utf-16"), "UTF-16"),
    ],
)
def test_text_that_is_no_table(tmp_path, text, told):
    (tmp_path / "t.csv").write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(DataError, match=told):
        read_table(tmp_path / "t.csv")


def test_files_that_are_not_there_or_have_no_known_name(tmp_path):
    with pytest.raises(DataError, match="no such file"):
        read_source(str(tmp_path / "none.csv"))
    with pytest.raises(DataError, match="directory"):
        read_source(str(tmp_path))
    with pytest.raises(DataError, match="known format"):
        table_format("notes.docx")


def test_missing_texts_and_separators(tmp_path):
    (tmp_path / "t.csv").write_text("a;b\n?;NA\n1;x\n")
    frame = read_table(tmp_path / "t.csv", missing=["?"], separator=";")
    assert frame["a"].isna().tolist() == [True, False] and frame["b"].tolist() == ["NA", "x"]


def test_bundled_sets_have_named_classes():
    frame = read_source("sklearn:breast_cancer")
    assert frame.shape == (569, 31)
    assert frame["target"].value_counts().to_dict() == {"benign": 357, "malignant": 212}


def test_outputs_appear_together_or_not_at_all(tmp_path):
    place = Destination(tmp_path / "out")
    with pytest.raises(KeyboardInterrupt), place.staged() as folder:
        (folder / "a.txt").write_text("half")
        raise KeyboardInterrupt
    assert list(tmp_path.iterdir()) == []
    with place.staged() as folder:
        (folder / "a.txt").write_text("new")
        (folder / "b.txt").write_text("new")
        assert not (tmp_path / "out").exists()
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["a.txt", "b.txt"]
    assert os.listdir(tmp_path) == ["out"]


def test_existing_outputs_and_inputs_are_guarded(tmp_path):
    (tmp_path / "a.txt").write_text("old")
    (tmp_path / "other.txt").write_text("mine")
    with pytest.raises(OutputExistsError, match="--force"):
        Destination(tmp_path).check(["a.txt"])
    forced = Destination(tmp_path, force=True)
    with pytest.raises(OutputExistsError, match="own input"):
        forced.check(["a.txt"], inputs=[tmp_path / "a.txt"])
    with forced.staged() as folder:
        (folder / "a.txt").write_text("new")
    assert (tmp_path / "a.txt").read_text() == "new" and (tmp_path / "other.txt").read_text() == "mine"
    with pytest.raises(OutputExistsError, match="is a file"):
        Destination(tmp_path / "a.txt" / "deeper").check([])


def test_a_full_disk_leaves_the_old_file(tmp_path, monkeypatch):
    write_table(FRAME, tmp_path / "t.csv")
    before = (tmp_path / "t.csv").read_bytes()

    def full(*args, **kwargs):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        write_table(FRAME.head(1), tmp_path / "t.csv")
    assert (tmp_path / "t.csv").read_bytes() == before and os.listdir(tmp_path) == ["t.csv"]


def test_one_column_where_it_is_plainly_one(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("a\n1\n\n3\n")
    assert read_table(path, least_columns=1)["a"].isna().tolist() == [False, True, False]
    with pytest.raises(DataError, match="at least two columns; given 1 column, 'a'.$"):
        read_table(path)
    path.write_text("a;b\n1;2\n")
    with pytest.raises(DataError, match="Is the separator another one"):
        read_table(path, least_columns=1)


def test_whole_numbers_beyond_64_signed_bits_keep_their_gaps(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text(f"a,b\n{2**63 + 1},1\n,{-5}\nNA,\n{2**63 + 3},{2**63}\n")
    frame = read_table(path)
    assert frame["a"].dtype == "UInt64" and frame["a"].isna().tolist() == [False, True, True, False]
    assert frame["a"][0] == 2**63 + 1
    assert frame["b"].isna().tolist() == [False, False, True, False]
    assert [int(each) for each in frame["b"].dropna()] == [1, -5, 2**63]
    path.write_text(f"a,b\n{2**63 + 1},1\n?,2\n")
    assert read_table(path, missing=["?"])["a"].isna().tolist() == [False, True]


def test_integers_with_gaps_are_written_as_they_were_given(tmp_path):
    text = "age,pay,none\n3,1.5,\n,2.0,\n-40,,\n"
    (tmp_path / "in.csv").write_text(text)
    frame = read_table(tmp_path / "in.csv")
    write_table(frame, tmp_path / "out.csv")
    assert (tmp_path / "out.csv").read_text() == text
    pd.testing.assert_frame_equal(read_table(tmp_path / "out.csv"), frame)
    huge = pd.DataFrame({"a": [1e300, np.nan], "b": [np.inf, np.nan]})
    write_table(huge, tmp_path / "huge.csv")
    pd.testing.assert_frame_equal(read_table(tmp_path / "huge.csv"), huge)

import os

import numpy as np
import pytest

from augsynth.core.errors import AugsynthError, ParameterError, RecipeError, offenders, sentence
from augsynth.core.files import atomic_path
from augsynth.core.parameters import check_number, check_option


def test_a_sentence_has_four_parts():
    assert sentence("where", "x must hold", "y", "Do z.") == "where: x must hold; given y. Do z."


def test_offenders_are_counted():
    assert offenders([1, 2]) == "1, 2"
    assert offenders(range(5), 2) == "0, 1 (5 in all)"


@pytest.mark.parametrize("bad", [0, -1, 1.5, "1", True, None, float("nan"), float("inf")])
def test_check_number_refuses(bad):
    with pytest.raises(ParameterError, match="k must be a whole number >= 1"):
        check_number("C", "k", bad, low=1, integer=True)


def test_check_option_does_not_confuse_one_with_true():
    with pytest.raises(ParameterError):
        check_option("C", "o", 1, [True, "a"])
    check_option("C", "o", True, [True, "a"])


def test_recipe_errors_list_every_problem():
    error = RecipeError(["a", "b"])
    assert error.problems == ["a", "b"] and isinstance(error, AugsynthError)


def test_atomic_path_leaves_the_old_file_when_the_writer_fails(tmp_path):
    target = tmp_path / "out.txt"
    target.write_text("old")
    with pytest.raises(OSError), atomic_path(target) as temporary:
        temporary.write_text("half")
        raise OSError("No space left on device")
    assert target.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["out.txt"]


def test_atomic_path_leaves_nothing_after_ctrl_c(tmp_path):
    with pytest.raises(KeyboardInterrupt), atomic_path(tmp_path / "out.txt") as temporary:
        temporary.write_text("half")
        raise KeyboardInterrupt
    assert not list(tmp_path.iterdir())


def test_atomic_path_never_replaces_a_device_or_a_directory(tmp_path):
    pipe, inner = tmp_path / "pipe", tmp_path / "folder"
    os.mkfifo(pipe)
    inner.mkdir()
    for target, says in ((pipe, "a device or a pipe"), (inner, "a directory")):
        with pytest.raises(OSError, match=says), atomic_path(target) as temporary:
            temporary.write_text("new")
    assert pipe.is_fifo() and sorted(tmp_path.iterdir()) == [inner, pipe]


def test_atomic_path_follows_a_link_and_takes_long_names(tmp_path):
    link, real = tmp_path / "link", tmp_path / ("r" * 250)
    link.symlink_to(real)
    with atomic_path(link) as temporary:
        temporary.write_text("new")
    assert link.is_symlink() and real.read_text() == "new"


def test_offenders_are_shown_as_the_user_wrote_them():
    assert offenders(np.array([0.5, 2.0])) == "0.5, 2.0"
    assert offenders(np.array(["a"])) == "'a'" and offenders([np.int8(3), None]) == "3, None"

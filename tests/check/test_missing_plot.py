"""Pictures of holes: what they show, and the sentences for what cannot be drawn."""

import numpy as np
import pandas as pd
import pytest

from augsynth.check import filled_plot, pattern_plot, trace_plot
from augsynth.core.errors import DataError, InputTypeError, ParameterError
from augsynth.impute.amputation import ampute


def table(n=60, seed=0):
    rng = np.random.default_rng(seed)
    return pd.DataFrame(
        {
            "number": rng.normal(size=n),
            "level": rng.choice(list("abcdefghij"), n),
            "day": pd.date_range("2020", periods=n),
            "truth": rng.random(n) < 0.5,
        }
    )


def words(figure):
    return " ".join(t.get_text() for axis in figure.axes for t in axis.texts) + " ".join(
        t.get_text() for t in figure.texts
    )


def test_patterns_are_counted(tmp_path):
    frame = pd.DataFrame(
        {"a": [1.0, np.nan, np.nan, 4.0, 5.0, 6.0], "b": [1.0, 2, 3, None, 5, 6], "c": [1.0, 2, 3, 4, 5, 6]}
    )
    figure = pattern_plot(frame, tmp_path / "pattern.png")
    grid, rows, columns = figure.axes
    assert [t.get_text() for t in grid.get_xticklabels()] == ["c", "b", "a"]
    assert [t.get_text() for t in grid.get_yticklabels()] == ["complete", "1 missing", "1 missing"]
    assert [bar.get_width() for bar in rows.patches] == [3, 2, 1]
    assert np.allclose([bar.get_height() for bar in columns.patches], [0, 1 / 6, 1 / 3])
    assert "6 rows, 3 columns, 16.7% of the cells missing; 50% of the rows are complete" in words(figure)
    assert (tmp_path / "pattern.png").exists()


def test_many_patterns_and_columns_are_cut_and_that_is_said():
    X = ampute(np.random.default_rng(0).normal(size=(200, 40)), share=0.4, random_state=0)
    figure = pattern_plot(X, max_patterns=5, max_columns=8)
    assert len(figure.axes[0].get_xticklabels()) == 8
    assert "and 195 patterns more, of 98% of the rows" in words(figure)
    assert len(pattern_plot(np.ones((3, 2))).axes) == 3  # no hole at all


def test_traces():
    lines = [(c, r, name, float(r), 1.0) for c in (0, 1) for r in (1, 2, 3) for name in ("a", "b")]
    trace = pd.DataFrame(lines, columns=["chain", "round", "column", "mean", "sd"])
    figure = trace_plot(trace)
    assert len(figure.axes) == 4
    assert figure.axes[0].lines[0].get_ydata().tolist() == [1, 2, 3]
    assert len(figure.axes[0].lines) == 2
    assert len(trace_plot(trace, columns=["b"]).axes) == 2
    with pytest.raises(ParameterError, match="columns must be in the trace; given 'z'"):
        trace_plot(trace, columns=["z"])
    with pytest.raises(InputTypeError, match="trace must be a DataFrame with the columns"):
        trace_plot([1, 2])
    with pytest.raises(DataError, match="must have rounds"):
        trace_plot(trace.iloc[:0])


def test_observed_against_filled_in():
    truth = table()
    holes = ampute(truth, share=0.3, random_state=0)
    figure = filled_plot(holes, {"truth": truth, "twice": [truth, truth]})
    assert len(figure.axes) == 6  # two are not used
    assert sum(axis.get_visible() for axis in figure.axes) == 4
    assert [t.get_text() for t in figure.legends[0].get_texts()] == ["observed", "truth", "twice"]
    levels = next(axis for axis in figure.axes if axis.get_title(loc="left").strip() == "level")
    assert levels.get_xticklabels()[-1].get_text() == "others"
    assert len(filled_plot(holes, truth, max_columns=1).axes) == 1
    assert filled_plot(holes.to_numpy(), truth.to_numpy()).axes
    with pytest.raises(DataError, match="must have holes"):
        filled_plot(truth, truth)
    with pytest.raises(DataError, match="must have the shape of X"):
        filled_plot(holes, truth.iloc[:5])


def test_few_whole_numbers_are_bars_and_long_names_stay_apart(tmp_path):
    long = ["abdominocentesis_of_the_horse_appearance", "abdominocentesis_of_the_pony_appearance"]
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({long[0]: rng.integers(1, 4, 40).astype(float), long[1]: rng.normal(size=40)})
    frame.iloc[:10] = np.nan
    figure = filled_plot(frame, frame.fillna(2.2))
    bars, curve = figure.axes
    assert [t.get_text() for t in bars.get_xticklabels()] == ["1", "2", "3"]
    assert [bar.get_height() for bar in bars.patches][3:] == [0, 1, 0]  # 2.2 counts as 2
    titles = [axis.get_title(loc="left") for axis in figure.axes]
    assert len(set(titles)) == 2 and all(title.endswith("appearance") for title in titles)
    line, *_ = curve.lines
    assert line.get_ydata()[[0, -1]].max() < 0.01 * line.get_ydata().max()
    with pytest.raises(ParameterError, match="must end in a format of pictures; given '.html'. Known: .*png"):
        filled_plot(frame, frame.fillna(2.2), tmp_path / "x.html")


def test_traces_show_the_columns_with_most_holes():
    lines = [(0, r, f"c{k}", 1.0, 1.0) for r in (1, 2) for k in range(10)]  # visited by ascending holes
    figure = trace_plot(pd.DataFrame(lines, columns=["chain", "round", "column", "mean", "sd"]))
    assert [axis.get_ylabel() for axis in figure.axes[::2]] == [f"c{k}" for k in range(9, 1, -1)]

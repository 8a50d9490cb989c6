"""The conditional mean: exact least squares, and what averaging does."""

import numpy as np
import pandas as pd
from sklearn.datasets import load_digits
from sklearn.linear_model import LinearRegression
from sklearn.preprocessing import OneHotEncoder

from augsynth import RegressionGenerator


def test_it_is_the_least_squares_regression_on_the_condition():
    rng = np.random.default_rng(0)
    y, w = rng.integers(4, size=200), rng.random(200)
    X = rng.normal(size=(200, 3)) + y[:, None]
    hot = OneHotEncoder().fit(y[:, None])
    expected = LinearRegression(fit_intercept=False).fit(hot.transform(y[:, None]), X, sample_weight=w)
    found = RegressionGenerator().fit(X, y, sample_weight=w).sample(y=y)
    np.testing.assert_allclose(found, expected.predict(hot.transform(y[:, None])), atol=1e-9)


def test_between_two_blobs_its_rows_lie_where_no_data_are():
    rng = np.random.default_rng(0)
    X = np.concatenate([rng.normal(-5, 0.5, (500, 2)), rng.normal(5, 0.5, (500, 2))])
    made = RegressionGenerator().fit(X).sample(50)
    assert (made.std(axis=0) == 0).all()  # nothing is drawn
    nearest = np.linalg.norm(made[:1] - X, axis=1).min()
    assert nearest > 4.0  # eight standard deviations from either blob
    assert not hasattr(RegressionGenerator(), "log_prob")


def test_categories_missing_cells_and_whole_numbers():
    X = pd.DataFrame(
        {
            "kind": ["a", "b", "b", "a", None, None],
            "count": pd.array([1, 2, 2, 10, 20, 30], dtype="Int64"),
            "gap": [1.0, 3.0, np.nan, np.nan, np.nan, 5.0],
            "day": pd.to_datetime(["2020-01-01", "2020-01-03", "2020-01-05"] * 2),
        }
    )
    made = RegressionGenerator().fit(X, [0, 0, 0, 1, 1, 1]).sample(y=[0, 1])
    assert made["kind"][0] == "b"
    assert pd.isna(made["kind"][1])  # missing in two rows of three
    assert made["count"].tolist() == [2, 20]
    assert made["gap"][0] == 2.0
    assert np.isnan(made["gap"][1])
    assert made["day"].tolist() == [pd.Timestamp("2020-01-03")] * 2


def test_images_are_blurs():
    X, y = load_digits(return_X_y=True)
    images = X.reshape(-1, 8, 8)
    made = RegressionGenerator().fit(images, y).sample(y=np.arange(10))
    expected = np.stack([images[y == k].mean(axis=0) for k in range(10)])
    assert made.shape == (10, 8, 8)
    assert np.abs(made - expected).max() <= 0.5
    assert made.var() < 0.75 * images.var()
    bright = RegressionGenerator().fit(images / 16 + 0.001 * np.pi * images**2).sample(1)
    assert bright.shape == (1, 8, 8)  # continuous pixels too

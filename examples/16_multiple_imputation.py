"""A coefficient with an honest interval although cells are missing, and predictions of rows with holes.

One completed table pretends to know its filled cells, so its intervals are too narrow. Several random
completions, analysed one by one and pooled by Rubin's rules, are not.
"""

import numpy as np
import pandas as pd
from sklearn.datasets import load_diabetes
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.linear_model import LinearRegression
from sklearn.model_selection import cross_val_score

from augsynth import ChainedImputer, MultipleImputed, ampute, pool
from augsynth.impute.coefficients import coefficients_of, covariance_of

X, y = load_diabetes(return_X_y=True, as_frame=True, scaled=False)
X = X[["age", "bmi", "bp", "s5"]]
# Patients of high blood pressure and high outcome often have no bmi: missing at random, given both.
holes = ampute(X, "MAR", 0.4, columns=["bmi"], weights={"bp": 1}, y=y, random_state=0)
print("missing:", holes.isna().sum().to_dict(), "of", len(X))


def alone(rows, target):
    """Return the slope of bmi and its 95 % interval from one table, as if it were complete."""
    fit = LinearRegression().fit(rows, target)
    slope = coefficients_of(fit)["bmi"]
    half = 1.97 * np.sqrt(covariance_of(fit, rows, target)[2, 2])
    return {"estimate": slope, "low": slope - half, "high": slope + half}


# For a coefficient, the outcome belongs in the imputation model: use_target=True.
told = ChainedImputer("pmm", use_target=True, random_state=0)
model = MultipleImputed(LinearRegression(), told, m=20, covariance="model", random_state=0).fit(holes, y)
pooled = model.pooled()
seen = holes["bmi"].notna()
rows = {
    "nothing missing (not known)": alone(X, y),
    "complete rows only": alone(X[seen], y[seen]),
    "filled once, without y": alone(ChainedImputer("pmm", random_state=0).fit_transform(holes), y),
    "pooled over 20 draws": pooled.to_frame().loc["bmi", ["estimate", "low", "high"]],
}
print(pd.DataFrame(rows).T.assign(width=lambda t: t["high"] - t["low"]).round(2).to_string())
print(pooled)
test = pooled.test(["bmi", "bp", "s5"])
print(f"bmi, bp and s5 at once: F({test.dof[0]}, {test.dof[1]:.0f}) = {test.statistic:.1f}")

# Anything with an estimate and a squared standard error pools, such as a mean or a share.
draws = model.imputer_.impute(holes, m=20, y=y, random_state=1)
bmi = [draw["bmi"] for draw in draws]
mean = pool([b.mean() for b in bmi], [b.var() / len(b) for b in bmi], n_rows=len(X))
print(
    f"mean bmi {mean.estimate:.2f} ({mean.low:.2f} to {mean.high:.2f}), {X['bmi'].mean():.2f} in truth,",
    end=" ",
)
print(f"{holes['bmi'].mean():.2f} of complete rows; information missing: {mean.missing_information:.0%}")
print("One table, one pattern of holes: an illustration.")

# For predictions keep the label out (the default): new rows come without one.
trees = HistGradientBoostingRegressor(max_iter=30, random_state=0)
predictor = MultipleImputed(trees, ChainedImputer("pmm"), m=3, random_state=0)
print(f"R2 of predictions, cross-validated: {cross_val_score(predictor, holes, y, cv=3).mean():.3f}")
predictor.fit(holes, y)
new = holes.iloc[:6]
shown = new.assign(predicted=predictor.predict(new), spread=predictor.spread(new))
print(shown.round(1).to_string())
print("spread: how far the completions disagree; where nothing is missing, only the training rows' do")

"""Holes, few rows of the rare class, and an honest test: fill, then make rows, then train, in every fold.

Imputation comes before resampling, and both learn from training rows only. Two spellings:
augsynth's Pipeline takes imputer and resampler as plain steps; a recipe has a section for each.
"""

import numpy as np
from sklearn.datasets import load_breast_cancer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold, cross_val_score
from sklearn.preprocessing import StandardScaler

import augsynth
from augsynth import ChainedImputer, OverSampler, SmoteGenerator
from augsynth.impute.amputation import ampute
from augsynth.recipe import parse
from augsynth.recipe.run import run

# Breast cancer: three of four malignant cases left out, and a quarter of the cells gone.
X, y = load_breast_cancer(return_X_y=True, as_frame=True)
rare = np.flatnonzero(y == 0)
kept = np.sort(np.concatenate([np.flatnonzero(y == 1), rare[::4]]))
X, y = X.iloc[kept, :10].reset_index(drop=True), y.iloc[kept].reset_index(drop=True)
X = ampute(X, "MAR", 0.25, random_state=0)
print(
    f"{len(X)} rows, {int((y == 0).sum())} malignant, {X.isna().to_numpy().mean():.0%} of the cells missing"
)

# As steps: in every fold the imputer sees training rows alone, and made rows are made from whole ones.
folds = StratifiedKFold(5, shuffle=True, random_state=0)
for name, imputer in {
    "column means": SimpleImputer().set_output(transform="pandas"),
    "chained": ChainedImputer(method="bayes", n_rounds=2, random_state=0),
}.items():
    model = augsynth.make_pipeline(
        imputer,
        OverSampler(SmoteGenerator(), random_state=0),
        StandardScaler(),
        LogisticRegression(max_iter=1000),
    )
    scores = cross_val_score(model, X, y, cv=folds, scoring="balanced_accuracy")
    print(f"{name}, then SMOTE: balanced accuracy {scores.mean():.3f} (sd over folds {scores.std():.3f})")

# As a recipe: `imputer:` before `generator:`. The verdict is on the made rows: both sides are filled alike.
recipe = parse(
    {
        "name": "fill_then_balance",
        "data": {
            "path": "sklearn:breast_cancer",
            "thin": {"malignant": 40},
            "holes": {"share": 0.25, "mechanism": "MAR"},
        },
        "imputer": {"kind": "donors"},
        "generator": {"kind": "smote"},
        "compare": {"folds": 3, "repeats": 1, "rows": 200, "scoring": "roc_auc"},
    }
)
done = run(recipe, directory="fill_then_balance")
print(done.notes[1])
print("holes left in the enlarged table:", int(done.X.isna().to_numpy().sum()))
print("verdict:", done.comparison.summary())

"""Parity over groups: as many rows of every class in every group, before the encoder of a mixed table.

The generator sees the raw table (texts, numbers, gaps), not its dummies, and it returns
exactly the class and group that is asked for.
"""

import numpy as np
import pandas as pd
from sklearn.compose import make_column_transformer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from augsynth import IndependentGenerator, KDEGenerator, OverSampler, Resampled, compare, target_counts

# Made-up people: one group is small, and its positive class smaller.
rng = np.random.default_rng(0)
n = 800
group = rng.choice(["A", "B"], n, p=[0.85, 0.15])
hours = rng.normal(40, 8, n).round()
skill = rng.normal(0, 1, n)
job = rng.choice(["clerk", "cook", "nurse"], n)
score = 0.06 * (hours - 40) + skill + 0.5 * (job == "nurse") - 0.7 * (group == "B")
y = pd.Series(np.where(score + rng.normal(0, 0.7, n) > 0.6, "yes", "no"), name="hired")
X = pd.DataFrame({"group": group, "hours": hours, "skill": skill, "job": job})
X.loc[::25, "job"] = None

print("rows now:\n", pd.crosstab(y, X["group"]), sep="")
print("rows wanted:", target_counts(y, X["group"], by="class+group").to_dict())

sampler = OverSampler(KDEGenerator(), by="class+group", group_columns=["group"], random_state=0)
X_more, y_more = sampler.fit_resample(X, y)
print("rows then:\n", pd.crosstab(y_more, X_more["group"]), sep="")

encode = make_column_transformer(
    (OneHotEncoder(handle_unknown="ignore"), ["group", "job"]), (StandardScaler(), ["hours", "skill"])
)
classifier = make_pipeline(encode, LogisticRegression())
model = Resampled(classifier, sampler).fit(X, y)
print("predictions:", dict(zip(*np.unique(model.predict(X), return_counts=True), strict=True)))

# Did it help, and whom? The control draws each column by itself: a generator must beat that, too.
result = compare(
    classifier,
    {
        "kernel density": OverSampler(KDEGenerator(), by="class+group"),
        "independent columns": OverSampler(IndependentGenerator(), by="class+group"),
    },
    X,
    y,
    sensitive_features=X["group"],
    scoring="balanced_accuracy",
    cv=3,
    n_repeats=1,
    random_state=0,
)
print(result)

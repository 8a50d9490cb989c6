"""A table of every kind of column, with holes: filled once with the best guess, or several times at random.

The best guess (transform) is for models that want a complete table; draws (impute) keep the spread
of the data, and say by how they differ what is not known. Types, index and seen cells stay as they are.
"""

import numpy as np
import pandas as pd
from sklearn.compose import make_column_selector, make_column_transformer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from augsynth import ChainedImputer, ampute

rng = np.random.default_rng(0)
n = 400
age = rng.integers(20, 70, n)
job = rng.choice(["nurse", "driver", "clerk"], n)
pay = 1500 + 40 * age + 600 * (job == "nurse") + rng.normal(scale=300, size=n)
truth = pd.DataFrame(
    {
        "age": pd.array(age, dtype="Int64"),
        "job": pd.Categorical(job),
        "pay": pay,
        "joined": pd.Timestamp("2024-01-01") - pd.to_timedelta(age * 100 + rng.integers(0, 900, n), unit="D"),
    }
)
ill = (rng.random(n) < 1 / (1 + np.exp(-(age - 45) / 6))).astype(int)

# A third of the pay is missing, more often of the old (MAR); a tenth of the rest, by chance.
table = ampute(truth, "MAR", 0.33, columns=["pay"], weights={"age": 1}, random_state=0)
table = ampute(table, "MCAR", 0.1, columns=["age", "job", "joined"], random_state=1)
print(table.isna().sum().to_dict(), "of", n)

imputer = ChainedImputer("pmm", random_state=0).fit(table)
filled = imputer.transform(table)
draws = imputer.impute(table, m=5)
print("types as before:", filled.dtypes.equals(table.dtypes), "- holes left:", int(filled.isna().sum().sum()))
print(pd.concat({"with holes": table.iloc[:4], "filled": filled.iloc[:4]}).to_string())

# Guesses are closest to the truth, draws have its spread: which one is asked for depends on what follows.
gone = table["pay"].isna()
for name, one in {"best guess": filled, "one draw": draws[0]}.items():
    error = np.sqrt(((one["pay"] - truth["pay"])[gone] ** 2).mean())
    print(f"pay, {name}: error {error:.0f}, standard deviation {one.loc[gone, 'pay'].std():.0f}", end="; ")
print(f"of the truth {truth.loc[gone, 'pay'].std():.0f}")
print("one person, five draws of the pay:", [round(float(draw.loc[gone, "pay"].iloc[0])) for draw in draws])

# How good it was on cells that were hidden on purpose, beside the column mean or most frequent level:
print(imputer.self_check_.round(3).to_string(index=False))

# A step of a pipeline: fitted on training rows only, and new rows are filled one by one.
encode = make_column_transformer(
    (OneHotEncoder(handle_unknown="ignore"), ["job"]),
    (StandardScaler(), make_column_selector(dtype_include="number")),
)
model = make_pipeline(ChainedImputer("pmm", add_indicator=True, random_state=0), encode, LogisticRegression())
score = cross_val_score(model, table, ill, cv=3, scoring="roc_auc").mean()
print(f"AUC of a model of illness, holes filled: {score:.3f};", end=" ")
complete = make_pipeline(encode, LogisticRegression())
print(f"if nothing were missing: {cross_val_score(complete, truth, ill, cv=3, scoring='roc_auc').mean():.3f}")

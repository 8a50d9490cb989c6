"""One page that says what new rows are worth, for whom, and whether they look real, varied and not copied.

Two ways of making rows of a rare class stand beside each other: copies with a little noise, and trees. The
report finds out which is which, on real rows that neither of them has seen.
"""

import pandas as pd
from sklearn.datasets import load_breast_cancer
from sklearn.model_selection import train_test_split

from augsynth import KDEGenerator, OverSampler, TreeGenerator
from augsynth.check.report import report

X, y = load_breast_cancer(return_X_y=True, as_frame=True)
X = X.iloc[:, :8].round(4)
X["size"] = pd.qcut(X["mean radius"], 2, labels=["small", "large"])  # a group of patients to look at
y = y.map({0: "malignant", 1: "benign"})
X, X_test, y, y_test = train_test_split(X, y, stratify=y, test_size=0.4, random_state=0)

for generator in (KDEGenerator(bandwidth=0.05, random_state=0), TreeGenerator(random_state=0)):
    sampler = OverSampler(generator, sampling_strategy={"malignant": 330, "benign": 330}, random_state=0)
    X_more, y_more = sampler.fit_resample(X, y)  # opens with the real rows; only the others are checked
    found = report(
        X,
        y,
        X_more,
        y_more,
        holdout=(X_test, y_test),  # real rows that no generator has seen: most of the report rests on them
        group_columns=["size"],
        generator=sampler.generator_,
        datasheet={"owner": "the clinic", "licence": "CC BY 4.0"},
        random_state=0,
    )
    name = type(generator).__name__
    print(f"\n{name}: {found.verdict.word}. {found.verdict.sentence}")
    for answer in found.verdict.answers:
        print(f"  {answer.question:30} {answer.word}")
    print("  failed:", ", ".join(found.failed) or "nothing")
    frame = found.to_frame().set_index("name")
    shown = ["value", "null", "copy", "independent columns"]
    print(frame.loc[["c2st", "pairs", "closer_share"], shown].round(3))
    found.to_html(f"report_{name}.html")  # one file: no script is needed, nothing is fetched
    found.to_json(f"report_{name}.json")

print("\nOf the datasheet, ready for a model card:")
print("\n".join(found.datasheet_text().splitlines()[2:12]))

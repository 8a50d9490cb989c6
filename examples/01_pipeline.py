"""An augmenter as a step of a scikit-learn Pipeline: resampled when it trains, untouched when it predicts.

A bare resampler cannot be a step of scikit-learn's Pipeline. Two ways round that:
`Resampled` wraps an estimator and a resampler into one estimator (works everywhere), and
`augsynth.make_pipeline` is imbalanced-learn's Pipeline, which takes resamplers as steps.
"""

from sklearn.datasets import load_breast_cancer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import augsynth
from augsynth import OverSampler, Resampled, SmoteGenerator

X, y = load_breast_cancer(return_X_y=True, as_frame=True)
X_train, X_test, y_train, y_test = train_test_split(X, y, stratify=y, random_state=0)

classifier = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
model = Resampled(classifier, OverSampler(SmoteGenerator(), random_state=0))

# Augmentation has settings like everything else: search them. Rows are made in the training folds only.
search = GridSearchCV(
    model, {"resampler__generator__k_neighbors": [3, 5, 9]}, scoring="balanced_accuracy", cv=3
).fit(X_train, y_train)
print("best:", search.best_params_, f"balanced accuracy {search.score(X_test, y_test):.3f} on unseen rows")

resampler = search.best_estimator_.resampler_
print("rows of each class after resampling:", resampler.target_counts_.to_dict())
print(resampler.provenance_.tail(2).to_string())  # where the new rows come from

# The same as a plain step.
steps = augsynth.make_pipeline(
    OverSampler(SmoteGenerator(), random_state=0), StandardScaler(), LogisticRegression(max_iter=1000)
)
print(f"as a step: {steps.fit(X_train, y_train).score(X_test, y_test):.3f} accuracy")

"""From densities to decisions: a classifier by Bayes' law, and rows that no class explains.

A generator that knows how likely a row is (log_prob, in nats) is more than a source of rows:
the class under which a row is likeliest is a prediction, and a row that is unlikely under
every class is an outlier, however sure a classifier may be about it.
"""

import numpy as np
from sklearn.datasets import load_wine
from sklearn.discriminant_analysis import QuadraticDiscriminantAnalysis
from sklearn.metrics import log_loss, roc_auc_score
from sklearn.model_selection import train_test_split

from augsynth import BayesClassifier, FlowGenerator, GaussianMixtureGenerator, KDEGenerator, Trainer

X, y = load_wine(return_X_y=True, as_frame=True)
X = X[["alcohol", "malic_acid", "ash", "flavanoids", "color_intensity", "proline"]]
X_train, X_test, y_train, y_test = train_test_split(X, y, stratify=y, test_size=0.4, random_state=0)

# With one Gaussian a class, Bayes' law is quadratic discriminant analysis.
gaussian = GaussianMixtureGenerator(n_components=1, atoms=None, random_state=0)
models = {
    "one Gaussian a class": BayesClassifier(gaussian),
    "QDA of scikit-learn": QuadraticDiscriminantAnalysis(),
    "kernel density": BayesClassifier(KDEGenerator(random_state=0)),
    "flow": BayesClassifier(FlowGenerator(trainer=Trainer(steps=200), random_state=0)),
}
for name, model in models.items():
    chance = model.fit(X_train, y_train).predict_proba(X_test)
    accuracy = (model.classes_[chance.argmax(1)] == y_test).mean()
    print(f"{name}: accuracy {accuracy:.3f}, log loss {log_loss(y_test, chance):.3f}")

# Which description is better? The one under which unseen rows are likelier: from a hundred rows
# that is the simple one; a flow pays from thousands on.
for name in ("one Gaussian a class", "kernel density", "flow"):
    nats = models[name].generator_.log_prob(X_test, y_test)
    print(f"{name}: {nats.mean():.2f} nats a row (standard error {nats.std() / len(nats) ** 0.5:.2f})")

# Outliers: wines whose measurements do not belong together, each of them ordinary by itself.
rng = np.random.default_rng(0)
odd = X_test.apply(lambda column: rng.permutation(column.to_numpy()))
for name in ("one Gaussian a class", "flow"):
    usual, unusual = models[name].outlier_score(X_test), models[name].outlier_score(odd)
    truth = np.repeat([0, 1], [len(usual), len(unusual)])
    found = roc_auc_score(truth, np.concatenate([usual, unusual]))
    print(f"{name}: tells shuffled wines from real ones with an AUC of {found:.2f}")

strange = X_test.iloc[[0]].assign(proline=9000.0)
flow = models["flow"]
print("an impossible wine: the most probable class has", flow.predict_proba(strange).max().round(3))
print(f"but its outlier score is {flow.outlier_score(strange)[0]:.1f}; real ones reach", end=" ")
print(f"{flow.outlier_score(X_test).max():.1f}")

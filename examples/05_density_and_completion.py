"""Generators that know densities: how likely is a row, and what could stand in its missing cells?"""

import numpy as np
from sklearn.datasets import load_iris
from sklearn.model_selection import train_test_split

from augsynth import GaussianMixtureGenerator, KDEGenerator

X, y = load_iris(return_X_y=True, as_frame=True)
X_train, X_test, y_train, y_test = train_test_split(X, y, stratify=y, random_state=0)

# Which description of the flowers is better? The one under which unseen flowers are likelier.
for generator in (GaussianMixtureGenerator(random_state=0), KDEGenerator(random_state=0)):
    generator.fit(X_train, y_train)
    nats = generator.log_prob(X_test, y_test)
    error = nats.std() / len(nats) ** 0.5
    print(f"{type(generator).__name__}: {nats.mean():.2f} nats a row (standard error {error:.2f})")

# An unlikely row given its label is worth a second look: a wrong label, or an odd measurement.
mixture = GaussianMixtureGenerator(random_state=0).fit(X_train, y_train)
odd = X_test.iloc[[0]].assign(**{"petal length (cm)": 9.0})
print("as measured:", mixture.log_prob(X_test.iloc[[0]], y_test.iloc[[0]]).round(1))
print("with a petal of 9 cm:", mixture.log_prob(odd, y_test.iloc[[0]]).round(1))

# Missing cells are drawn given the observed ones: several draws show what is not known.
holes = X_test.copy()
holes.iloc[:3, 2] = np.nan
truth = X_test.iloc[:3, 2].to_numpy()
draws = np.stack([mixture.complete(holes, y_test, random_state=seed).iloc[:3, 2] for seed in range(50)])
for row in range(3):
    mean, spread = draws[:, row].mean(), draws[:, row].std()
    print(f"petal length {truth[row]:.1f} cm; drawn {mean:.2f} +- {spread:.2f} cm")
filled, seen = mixture.complete(holes, y_test, random_state=0).to_numpy(), holes.notna().to_numpy()
print("observed cells are untouched:", np.array_equal(filled[seen], X_test.to_numpy()[seen]))

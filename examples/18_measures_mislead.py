"""Two measures that mislead: the squared error to the nearest picture, and the likelihood alone.

A digit moved by one pixel is the same digit, and lies farther from itself than other digits do.
And whoever adds less noise to whole-numbered pixels before fitting a density, or writes them in
another unit, reads a higher likelihood, while the pictures drawn are no better.
"""

import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from sklearn.svm import SVC

from augsynth import GaussianMixtureGenerator
from augsynth.check.pictures import frechet_distance

X, y = load_digits(return_X_y=True)
X, X_test, y, y_test = train_test_split(X, y, test_size=0.5, stratify=y, random_state=0)


def moved(pictures):
    """Return pictures moved one pixel to the right; what leaves comes back at the left, where it is dark."""
    return np.roll(pictures.reshape(-1, 8, 8), 1, axis=2).reshape(-1, 64)


print("1. Squared error to the nearest")
own = ((moved(X_test) - X_test) ** 2).mean(axis=1)
pairs = (X_test**2).sum(1)[:, None] + (X**2).sum(1) - 2 * X_test @ X.T
same, other = y_test[:, None] == y, y_test[:, None] != y
to_same = np.where(same, pairs, np.inf).min(axis=1) / 64
to_other = np.where(other, pairs, np.inf).min(axis=1) / 64
print(f"   a digit and itself, moved by a pixel:       {own.mean():6.1f}")
print(f"   a digit and the nearest of its class:       {to_same.mean():6.1f}")
print(f"   a digit and the nearest of another class:   {to_other.mean():6.1f}")
print(f"   moved digits farther from themselves than from a wrong digit: {(own > to_other).mean():.0%}")
reader = SVC(C=10).fit(np.vstack([X, moved(X)]), np.concatenate([y, y]))
as_is, after = reader.score(X_test, y_test), reader.score(moved(X_test), y_test)
print(f"   a classifier reads {as_is:.0%} of them rightly as they are, {after:.0%} when moved")

print("\n2. Likelihood and the noise that makes whole numbers continuous")
rng = np.random.default_rng(0)
drawn, likelihood = {}, {}
for width in (1.0, 0.5, 0.1):
    # Levels 0, 1, ..., 16 and uniform noise of this width: 1 is the honest one, which fills the gaps.
    noisy = X + width * (rng.random(X.shape) - 0.5)
    noisy_test = X_test + width * (rng.random(X_test.shape) - 0.5)
    model = GaussianMixtureGenerator(n_components=10, random_state=0).fit(noisy)
    likelihood[width] = float(np.mean(model.log_prob(noisy_test)))
    drawn[width] = np.clip(np.rint(model.sample(len(X_test), random_state=1)), 0, 16)
for width, nats in likelihood.items():
    bits = -nats / (64 * np.log(2))
    distance = frechet_distance(drawn[width], X_test)
    told = f"{nats:7.1f} nats, {bits:.2f} bits per pixel"
    print(f"   noise {width:3.1f}: {told}; Frechet distance {distance:5.1f}")
null = frechet_distance(X[: len(X_test)], X_test)
print(f"   real pictures beside real ones: Frechet distance {null:.1f}")

print("\n3. Likelihood and the unit of pixels: the same model, the same pictures")
shift = 64 * np.log(16)
print(f"   levels 0 to 16: {likelihood[1.0]:.1f} nats; divided by 16: {likelihood[1.0] + shift:.1f} nats")
print("   Compare likelihoods only in one unit and with one dequantisation, and look at pictures too.")

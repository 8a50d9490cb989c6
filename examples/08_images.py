"""A rare class of images: eights are made where hardly any were seen, and shown beside real ones.

Arrays (n, h, w) or (n, h, w, c), tensors (n, c, h, w) and map-style datasets such as
torchvision's ImageFolder all go in; what comes back is as it went in. Copies are the control:
made images are worth their training time only if they do better than showing the few again.
"""

import numpy as np
from sklearn.datasets import load_digits
from sklearn.metrics import recall_score
from sklearn.model_selection import train_test_split
from sklearn.svm import SVC

from augsynth import BootstrapGenerator, OverSampler, Trainer, VAEGenerator
from augsynth.nn.pictures import image_sheet

digits = load_digits()
X, X_test, y, y_test = train_test_split(
    digits.images.astype(np.uint8), digits.target, stratify=digits.target, random_state=0
)
rng = np.random.default_rng(0)
eights = rng.permutation(np.flatnonzero(y == 8))
keep = np.setdiff1d(np.arange(len(y)), eights[20:])  # twenty eights are left
X, y = X[keep], y[keep]
print("training images of each digit:", np.bincount(y).tolist())


def recall_of_eight(X_train, y_train):
    """Fit a classifier of flat pixels; return how many of the real eights held out it finds."""
    classifier = SVC(C=10).fit(X_train.reshape(len(X_train), -1), y_train)
    return recall_score(y_test == 8, classifier.predict(X_test.reshape(len(X_test), -1)) == 8)


vae = VAEGenerator(trainer=Trainer(steps=400))
methods = {
    "copies": OverSampler(BootstrapGenerator(), random_state=0),
    "VAE": OverSampler(vae, random_state=0),
}
print(f"recall of the eight, nothing added: {recall_of_eight(X, y):.2f}")
for name, sampler in methods.items():
    X_more, y_more = sampler.fit_resample(X, y)
    print(f"recall of the eight, {name}: {recall_of_eight(X_more, y_more):.2f}")

made = X_more[len(X) :][y_more[len(X) :] == 8]
print("made:", made.shape, made.dtype, "from", made.min(), "to", made.max())
image_sheet(np.concatenate([X[y == 8][:8], made[:24]])[:, None], "eights.png", columns=8)
print("eights.png: the first line is real, the others are made")

# Exactly what is asked for, again from the same seed.
generator = methods["VAE"].generator_
one = generator.sample(y=[3, 3, 8], random_state=1)
print("the same seed, the same images:", np.array_equal(one, generator.sample(y=[3, 3, 8], random_state=1)))

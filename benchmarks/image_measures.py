"""The yardsticks of images: one definition each, the same for every method.

accuracy     a fixed classifier is trained on made images only and tested on real test images
             (classification accuracy score; Ravuri and Vinyals 2019, arXiv:1905.10887); *share*
             is that accuracy over the one of the same classifier trained on all real training
             images. Digits: scikit-learn's SVC (radial kernel, its defaults; the headline) and
             logistic regression, on pixels in [0, 1]. Fashion-MNIST: ``SmallCNN``, 1,000 steps of
             128 images whatever the number of images
precision    share of made images inside a ball around a real one that reaches to its k-th
             nearest real neighbour, k = 5
recall       share of real images inside such a ball around a made one
             (Kynkaanniemi et al. 2019, arXiv:1904.06991)
density      number of balls of real images that a made one lies in, over k, mean
coverage     share of real images with a made one in their ball
             (Naeem et al. 2020, arXiv:2002.09797)
             All four between equally many made and real *test* images, so that copies of
             training images are no better than other real images. Space: digits: pixels;
             Fashion-MNIST: the 64 numbers before the last layer of the classifier trained on
             real training images (seed 0)
closer       share of made images nearer (Euclidean, pixels) to a training image than to a
             test image, references of equal size, ties half; 0.5 is ideal. Where there
             are more training than test images only a part of the training images is asked, so
             plain copies score below 1: read it beside the control *copy*
copies       share of made images equal to a training image in every pixel
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

K = 5
FIDELITY_ROWS = 5000
CNN = {"steps": 1000, "batch": 128, "learning_rate": 2e-3, "channels": (16, 32), "hidden": 64}
DEVICE = "cuda" if torch.cuda.is_available() else "cpu"


# ------------------------------------------------------------------ classifiers
class SmallCNN(nn.Module):
    """Two convolutions with pooling, one hidden layer: the fixed classifier of Fashion-MNIST."""

    def __init__(self, height: int, width: int, n_classes: int):
        super().__init__()
        a, b = CNN["channels"]
        self.body = nn.Sequential(
            nn.Conv2d(1, a, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
            nn.Conv2d(a, b, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
            nn.Flatten(), nn.Linear(b * (height // 4) * (width // 4), CNN["hidden"]), nn.ReLU(),
        )  # fmt: skip
        self.head = nn.Linear(CNN["hidden"], n_classes)

    def forward(self, x: Tensor) -> Tensor:
        """Return logits (n, n_classes) of images (n, 1, h, w)."""
        return self.head(self.body(x))


def as_tensor(X: np.ndarray, top: float) -> Tensor:
    """Return images (n, h, w) as float32 (n, 1, h, w) in [0, 1], on the device."""
    return torch.as_tensor(np.ascontiguousarray(X, np.float32) / top)[:, None].to(DEVICE)


def fit_cnn(
    X: np.ndarray,
    y: np.ndarray,
    *,
    top: float,
    seed: int,
    class_weights: np.ndarray | None = None,
    steps: int | None = None,
    n_classes: int = 10,
) -> SmallCNN:
    """Train the classifier; the seed fixes its first weights and the order of the images."""
    steps, batch = steps or int(CNN["steps"]), min(int(CNN["batch"]), len(y))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = SmallCNN(X.shape[1], X.shape[2], n_classes)
    model = model.to(DEVICE).train()
    images, labels = as_tensor(X, top), torch.as_tensor(np.asarray(y, np.int64)).to(DEVICE)
    weight = None if class_weights is None else torch.as_tensor(class_weights, dtype=torch.float32).to(DEVICE)
    loss = nn.CrossEntropyLoss(weight=weight)
    optimizer = torch.optim.Adam(model.parameters(), lr=float(CNN["learning_rate"]))
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 1 - step / steps)
    rng, order = np.random.default_rng([seed, 7]), np.empty(0, np.intp)
    for _ in range(steps):
        if len(order) < batch:
            order = rng.permutation(len(y))
        rows, order = torch.as_tensor(order[:batch]).to(DEVICE), order[batch:]
        optimizer.zero_grad()
        loss(model(images[rows]), labels[rows]).backward()
        optimizer.step()
        schedule.step()
    return model.eval()


@torch.no_grad()
def cnn_outputs(model: SmallCNN, X: np.ndarray, *, top: float, features: bool = False) -> np.ndarray:
    """Return class probabilities, or the features before the last layer, of images."""
    out = []
    for start in range(0, len(X), 500):
        x = as_tensor(X[start : start + 500], top)
        out.append((model.body(x) if features else model(x).softmax(1)).cpu().numpy())
    return np.concatenate(out)


def accuracies(
    name: str, X: np.ndarray, y: np.ndarray, X_test: np.ndarray, y_test: np.ndarray, *, top: float, seed: int
) -> dict[str, float]:
    """Return the test accuracy of every fixed classifier of a set, trained on these images."""
    if name == "fashion":
        model = fit_cnn(X, y, top=top, seed=seed)
        return {"cnn": float((cnn_outputs(model, X_test, top=top).argmax(1) == y_test).mean())}
    from sklearn.linear_model import LogisticRegression
    from sklearn.svm import SVC

    a, b = flat(X, top), flat(X_test, top)
    built = {"svc": SVC(), "logistic": LogisticRegression(max_iter=2000)}
    return {kind: float(model.fit(a, y).score(b, y_test)) for kind, model in built.items()}


def flat(X: np.ndarray, top: float) -> np.ndarray:
    """Return images as rows of numbers in [0, 1]."""
    return np.ascontiguousarray(X, np.float32).reshape(len(X), -1) / np.float32(top)


# ------------------------------------------------------------------ fidelity
def squared_distances(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Return the squared Euclidean distances (len(a), len(b))."""
    found = (a**2).sum(1)[:, None] + (b**2).sum(1)[None] - 2 * (a @ b.T)
    return np.maximum(found, 0.0, out=found)


def balls(rows: np.ndarray, k: int) -> np.ndarray:
    """Return the squared distance of every row to its k-th nearest other row."""
    out = []
    for start in range(0, len(rows), 1000):
        near = squared_distances(rows[start : start + 1000], rows)
        out.append(np.partition(near, k, axis=1)[:, k])  # place 0 is the row itself
    return np.concatenate(out)


def prdc(made: np.ndarray, real: np.ndarray, *, k: int = K) -> dict[str, float]:
    """Return precision, recall, density and coverage of made rows (m, d) against real ones (n, d)."""
    made, real = made.astype(np.float64), real.astype(np.float64)
    k = min(k, len(real) - 1, len(made) - 1)
    radius_real, radius_made = balls(real, k), balls(made, k)
    inside, recalled, covered = [], np.zeros(len(real), bool), np.zeros(len(real), bool)
    for start in range(0, len(made), 1000):
        near = squared_distances(made[start : start + 1000], real)
        hit = near <= radius_real
        inside.append(hit.sum(1))
        covered |= hit.any(0)
        recalled |= (near <= radius_made[start : start + 1000, None]).any(0)
    counts = np.concatenate(inside)
    return {
        "precision": float((counts > 0).mean()),
        "recall": float(recalled.mean()),
        "density": float(counts.mean() / k),
        "coverage": float(covered.mean()),
    }


def nearest(queries: np.ndarray, references: np.ndarray) -> np.ndarray:
    """Return the squared distance of every query to its nearest reference; equal rows are at exactly zero."""
    best = np.empty(len(queries))
    for start in range(0, len(queries), 500):
        q = queries[start : start + 500].astype(np.float64)
        near = squared_distances(q, references.astype(np.float64)).argmin(1)
        best[start : start + 500] = ((q - references[near]) ** 2).sum(1)
    return best


def closer(
    made: np.ndarray, train: np.ndarray, held_out: np.ndarray, *, seed: int = 0, draws: int = 1
) -> float:
    """Share of made rows nearer to a training row than to a held-out one; equal references, ties half."""
    rng = np.random.default_rng([seed, 8])
    n, shares = min(len(train), len(held_out)), []
    for _ in range(draws):
        pick = [side[rng.permutation(len(side))[:n]] for side in (train, held_out)]
        a, b = (nearest(made, side) for side in pick)
        shares.append((a < b).mean() + (a == b).mean() / 2)
    return float(np.mean(shares))


def copies(made: np.ndarray, train: np.ndarray) -> float:
    """Share of made images equal to a training image in every pixel."""
    seen = {row.tobytes() for row in np.ascontiguousarray(train)}
    return float(np.mean([row.tobytes() in seen for row in np.ascontiguousarray(made, train.dtype)]))

"""A GAN for the rare class of a table: what its training tells while it runs, and when it goes wrong.

The losses of a game do not fall, so they say little. The history keeps what does: both
gradients, the discriminator's verdicts on real and made rows, and alarms in plain words.
"""

import warnings

import pandas as pd
from sklearn.datasets import load_breast_cancer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import balanced_accuracy_score
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from augsynth import GANGenerator, OverSampler, SmoteGenerator, Trainer
from augsynth.nn.pictures import loss_curves

X, y = load_breast_cancer(return_X_y=True, as_frame=True)
X, y = X.iloc[:, :10], y.map({0: "malignant", 1: "benign"})
X, X_test, y, y_test = train_test_split(X, y, stratify=y, random_state=0)
keep = pd.concat([y[y == "benign"], y[y == "malignant"].sample(25, random_state=0)]).index
X, y = X.loc[keep].reset_index(drop=True), y.loc[keep].reset_index(drop=True)
print("training rows:", y.value_counts().to_dict())

gan = GANGenerator(trainer=Trainer(steps=200, learning_rate=4e-3), random_state=0)
sampler = OverSampler(gan, random_state=0)
X_more, y_more = sampler.fit_resample(X, y)
history = sampler.generator_.history_
print("watched at the last step:")
for name, points in history.watched.items():
    print(f"  {name}: {points[-1][1]:.3g}")
print("alarms:", [f"step {step}: {text}" for step, text in history.alarms] or "none")
loss_curves(history, "gan_losses.png")

made = X_more[len(X) :]
real = X[y == "malignant"]
print("the rare class, means of real and made rows:")
print(pd.DataFrame({"real": real.mean(), "made": made.mean()}).head(4).round(2).to_string())

classifier = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
rows = {"nothing": (X, y), "GAN": (X_more, y_more)}
rows["SMOTE"] = OverSampler(SmoteGenerator(), random_state=0).fit_resample(X, y)
for name, (X_train, y_train) in rows.items():
    score = balanced_accuracy_score(y_test, classifier.fit(X_train, y_train).predict(X_test))
    print(f"balanced accuracy on unseen rows, {name}: {score:.3f} (one split: see augsynth.compare)")

# A setting that cannot work: a saturating loss and a rate far too high. It says so.
wild = GANGenerator(loss="minimax", trainer=Trainer(steps=60, learning_rate=0.1), random_state=0)
with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    wild.fit(X, y)
for step, text in wild.history_.alarms:
    print(f"step {step}: {text}")

"""A rare class of texts: edited copies of a few messages, inside a Pipeline, judged honestly.

Texts go in as a list, an array or a Series of str, and come back as they went in. The copies
are made after the split, of training rows only, and only while the pipeline is fitted.
"""

import numpy as np
import pandas as pd
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV

from augsynth import BootstrapGenerator, OverSampler, PerturbGenerator, Resampled, make_pipeline
from augsynth.check import compare
from augsynth.perturb import Compose
from augsynth.perturb.letters import Typos
from augsynth.perturb.text import RandomDelete, SynonymSwap

PARTS = {
    "spam": [
        "you have won",
        "claim your",
        "free prize",
        "call now",
        "cash offer",
        "reply to",
        "urgent message",
    ],
    "ham": [
        "see you",
        "at lunch",
        "call me later",
        "free tonight",
        "the train is late",
        "love",
        "thanks for now",
    ],
}
rng = np.random.default_rng(0)
labels = rng.choice(["ham", "spam"], 300, p=[0.9, 0.1])


def message(label):
    """Return some phrases of a label, now and then one of the other."""
    other = "ham" if label == "spam" else "spam"
    return " ".join(rng.choice(PARTS[label if rng.random() < 0.75 else other]) for _ in range(5))


texts = pd.Series([message(label) for label in labels], name="message")
print(pd.Series(labels).value_counts().to_dict(), "such as:", repr(texts[labels == "spam"].iloc[0]))

# What a copy may differ in: synonyms of yours, a word left out, a typo.
thesaurus = {"prize": ["reward", "award"], "cash": ["money"], "urgent": ["important"], "free": ["gratis"]}
policy = Compose([SynonymSwap(thesaurus, p=0.5), RandomDelete(p=0.1), Typos(p=0.05)])
sampler = OverSampler(PerturbGenerator(policy), random_state=0)
more, more_labels = sampler.fit_resample(texts, labels)
print("after:", pd.Series(more_labels).value_counts().to_dict(), "in a", type(more).__name__)
for k in range(300, 303):
    print(f"  {texts[sampler.provenance_['source'][k]]!r}\n  -> {more[k]!r}")

# As a step of a pipeline: predicting never makes a copy.
model = make_pipeline(sampler, TfidfVectorizer(), LogisticRegression()).fit(texts, labels)
print("a new message:", model.predict(["urgent: claim the award, call now"])[0])

# The strength of an edit is a parameter as any other.
judge = make_pipeline(TfidfVectorizer(), LogisticRegression())
typos = OverSampler(PerturbGenerator(Typos()), random_state=0)
grid = {"resampler__generator__perturbation__p": [0.01, 0.1, 0.3]}
search = GridSearchCV(Resampled(judge, typos), grid, scoring="balanced_accuracy", cv=3).fit(texts, labels)
print("best share of typos:", search.best_params_["resampler__generator__perturbation__p"])

# Did it help, and more than plain copies, class weights or another threshold would?
methods = {
    "copies": OverSampler(BootstrapGenerator()),
    "text_medium": OverSampler(PerturbGenerator("text_medium")),
    "own policy": OverSampler(PerturbGenerator(policy)),
}
print(compare(judge, methods, texts, labels, cv=5, n_repeats=2, random_state=0, progress=False))

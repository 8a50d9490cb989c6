"""Every registered perturbation, in every container of its modality, through the shipped contract."""

import numpy as np
import pytest
import torch
from PIL import Image

from augsynth import registry
from augsynth.perturb import LearnedNeighbours, Thesaurus
from augsynth.testing import perturbation_checks, toy_table

RNG = np.random.default_rng(0)
PIXELS = RNG.integers(0, 256, (16, 20, 3), dtype=np.uint8)
TEXT = "The quick brown fox, 12 years old, jumps over the LAZY dog! See https://example.org :-)"
TONE = (0.3 * np.sin(np.arange(4000) / 9)).astype(np.float32)
SAMPLES = {
    "image": {
        "array": PIXELS,
        "grey": PIXELS[..., 0],
        "float": PIXELS.astype(np.float32) / 255,
        "tensor": torch.from_numpy(PIXELS.transpose(2, 0, 1).copy()),
        "float_tensor": torch.from_numpy(PIXELS.transpose(2, 0, 1) / 255).float(),
        "pil": Image.fromarray(PIXELS),
    },
    "audio": {
        "clip": TONE,
        "double": TONE.astype(np.float64),
        "whole": (TONE * 2**14).astype(np.int16),
        "stereo": np.stack([TONE, -TONE[::-1]]),
        "tensor": torch.from_numpy(TONE)[None],
    },
    "spectrogram": {"array": RNG.random((20, 30)), "tensor": torch.rand(1, 20, 30)},
    "text": {"text": TEXT},
    "table": {"frame": toy_table()[0]},
}
WORDS = Thesaurus({"quick": ["fast", "rapid"], "jumps": ["leaps"], "dog": ["hound"]})


def shouted(texts):
    return [text.upper() for text in texts]


OPTIONS = {
    "back_translation": {"translate": shouted},
    "albumentations": {"transform": "RandomGamma", "params": {"p": 1.0}},
    "background_mix": {"source": [RNG.normal(0, 0.1, 3000)]},
    "synonym_swap": {"thesaurus": WORDS},
    "random_insert": {"thesaurus": WORDS},
}
COMBINED = {"compose", "maybe", "one_of", "some_of"}  # with members, in tests/test_contracts.py
FOREIGN = {"audiomentations", "torchvision"}  # need an object: tests/perturb has them


def samples_of(kind, perturbation):
    if kind.endswith("_mask"):
        return SAMPLES["spectrogram"]
    return SAMPLES["image" if kind == "albumentations" else perturbation.modality]


def cases():
    for kind in registry.names("perturbation"):
        if kind in COMBINED | FOREIGN:
            continue
        perturbation = registry.build("perturbation", {"kind": kind, **OPTIONS.get(kind, {})})
        for name, x in samples_of(kind, perturbation).items():
            for check_name, check in perturbation_checks(perturbation, x):
                yield pytest.param(check, id=f"{kind}-{name}-{check_name}")


@pytest.mark.parametrize("check", cases())
def test_contract(check):
    check()


def test_every_kind_has_a_case_or_a_reason():
    for kind in COMBINED | FOREIGN:
        assert kind in registry.names("perturbation")


@pytest.mark.filterwarnings("ignore:LearnedNeighbours. no word has a neighbour")
def test_learned_neighbours_join_a_chain():
    texts = ["the cat sat on the mat", "the dog sat on the rug"] * 30
    swap = registry.build(
        "perturbation", {"kind": "synonym_swap", "thesaurus": LearnedNeighbours(min_count=2)}
    )
    chain = registry.build("perturbation", {"kind": "compose", "perturbations": [swap, "typos"]})
    assert chain.learns and chain.fit(texts, [0, 1] * 30)(texts[0], random_state=0)

"""Every registered component keeps the contract that augsynth.testing ships."""

import numpy as np
import pytest

from augsynth import registry
from augsynth.perturb import CategoryFlip, Compose, Maybe, Missingness, OneOf, ScaledJitter, SomeOf, ValueSwap
from augsynth.testing import check_perturbation, generator_checks, resampler_checks, toy_table

DEEP = ("autoregressive", "diffusion", "flow", "gan")


def cheap(role, kind):
    """Return an instance that fits in well under a second."""
    options = {
        **{
            ("generator", kind): {
                "trainer": {"steps": 2, "batch_size": 32},
                "backbone": {"kind": "mlp", "width": 16},
            }
            for kind in DEEP
        },
        ("generator", "function"): {"function": _simulator},
        ("generator", "vae"): {"trainer": {"steps": 2, "batch_size": 32}, "latent_dim": 2},
        ("generator", "gmm"): {"n_components": 2},
        ("resampler", "over"): {"generator": {"kind": "bootstrap"}},
    }
    return registry.build(role, {"kind": kind, **options.get((role, kind), {})})


def _simulator(y, rng, groups=None):
    X, _ = toy_table(missing=True)
    n = y if isinstance(y, int) else len(y)
    made = X.iloc[rng.integers(0, len(X), n)].reset_index(drop=True)
    return made if groups is None else made.assign(sex=np.asarray(groups))


GENERATOR_CASES = [
    pytest.param(check, id=f"{kind}-{name}")
    for kind in registry.names("generator")
    for name, check in generator_checks(cheap("generator", kind))
]
RESAMPLER_CASES = [
    pytest.param(check, id=f"{kind}-{name}")
    for kind in registry.names("resampler")
    for name, check in resampler_checks(cheap("resampler", kind))
]


@pytest.mark.parametrize("check", GENERATOR_CASES)
def test_generator_contract(check):
    check()


@pytest.mark.parametrize("check", RESAMPLER_CASES)
def test_resampler_contract(check):
    check()


@pytest.mark.parametrize(
    "perturbation",
    [
        ScaledJitter(),
        CategoryFlip(0.5),
        ValueSwap(0.5),
        Missingness(0.5),
        Compose([ScaledJitter(), CategoryFlip(0.5)]),
        OneOf([ScaledJitter(), ValueSwap(0.5)]),
        SomeOf([ScaledJitter(), ValueSwap(0.5), Missingness()], n=2),
        Maybe(ValueSwap(1.0), p=0.5),
    ],
    ids=lambda p: type(p).__name__,
)
def test_perturbation_contract(perturbation):
    check_perturbation(perturbation, toy_table()[0])

import numpy as np
import pytest

from augsynth.core.errors import ParameterError
from augsynth.core.random import item_rng, keyed_rng, resolve_seed


def test_an_int_stands_for_itself():
    assert resolve_seed(42) == 42 and resolve_seed(np.int64(42)) == 42


def test_generators_are_asked_for_one_draw():
    rng = np.random.default_rng(0)
    assert resolve_seed(rng) != resolve_seed(rng)
    assert resolve_seed(np.random.default_rng(1)) == resolve_seed(np.random.default_rng(1))
    assert resolve_seed(np.random.RandomState(1)) == resolve_seed(np.random.RandomState(1))
    assert resolve_seed(np.random.SeedSequence(1)) == resolve_seed(np.random.SeedSequence(1))


def test_none_is_fresh():
    assert resolve_seed(None) != resolve_seed(None)


@pytest.mark.parametrize("bad", [-1, 1.5, "seed", [1]])
def test_bad_seeds_get_a_sentence(bad):
    with pytest.raises(ParameterError, match=r"random_state: must be None, .*; given"):
        resolve_seed(bad)


def test_streams_differ_by_every_key():
    keys = [(0,), (0, 0), (1,), (0, 1), (1, 0), (0, 0, 0)]
    draws = {key: keyed_rng(5, *key).random() for key in keys}
    assert len(set(draws.values())) == len(keys)
    assert item_rng(5, 1, 2, 3, 4).random() == keyed_rng(5, 1, 2, 3, 4).random()


def test_neighbouring_streams_are_uncorrelated():
    x = np.stack([keyed_rng(0, i).standard_normal(500) for i in range(40)])
    off = np.corrcoef(x)[np.triu_indices(40, 1)]
    assert abs(off.mean()) < 4 / np.sqrt(500 * off.size)  # four standard errors
    assert abs(off.std() - 500**-0.5) < 0.006

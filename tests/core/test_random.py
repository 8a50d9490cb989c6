import pickle
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from augsynth.core import random
from augsynth.core.errors import ParameterError
from augsynth.core.random import ItemKeys, Streams, item_rng, keyed_rng, resolve_seed, seeded, step_key


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


def test_every_part_of_an_items_key_counts():
    keys = [
        (0, 0, 0, 0),
        (1, 0, 0, 0),
        (0, 1, 0, 0),
        (0, 0, 1, 0),
        (0, 0, 0, 1),
        (1, 0, 1, 0),
        (0, 2**40, 0, 0),
    ]
    assert len({item_rng(5, *key).random() for key in keys}) == len(keys)
    assert item_rng(5, 1, 2).random() != item_rng(6, 1, 2).random()


def test_a_keyed_stream_is_numpys_philox():
    philox = np.random.Philox(key=[7, random._DOMAIN], counter=[0, 4, 2, (1 << 32) | 3])
    expected = np.random.Generator(philox)
    rng = item_rng(7, 1, 2, 3, 4)
    assert np.array_equal(rng.random(9), expected.random(9))
    assert np.array_equal(rng.integers(0, 100, 5), expected.integers(0, 100, 5))
    assert np.array_equal(rng.standard_normal(5), expected.standard_normal(5))


@pytest.mark.parametrize("stratified", [0, 4])
@pytest.mark.parametrize("d", [1, 3, 4, 5, 16, 17])
def test_batches_draw_what_single_items_draw(stratified, d):
    keys = ItemKeys(2**62, np.arange(40) % 5, np.arange(40) * 977, np.arange(40) % 3, stratified=stratified)
    for these in (keys, keys.child(step_key("Flip")), keys.child(3).child(4), keys.take(np.arange(9) * 3)):
        assert np.array_equal(these.uniforms(d), [these.at(k).random(d) for k in range(len(these))])


def test_a_child_leaves_its_parent_where_it_is():
    one, two = item_rng(1, 0, 0), item_rng(1, 0, 0)
    two.child(step_key("Flip")).random(100)
    assert one.random() == two.random()
    assert one.child(1).random() == item_rng(1, 0, 0).child(1).random() != one.child(2).random()


def test_streams_and_generators_are_pickled_by_their_keys():
    streams = pickle.loads(pickle.dumps(Streams(3, stratified=2)))
    assert streams.at(1, 2, 3).random() == Streams(3, stratified=2).at(1, 2, 3).random()
    rng = pickle.loads(pickle.dumps(item_rng(3, 1, 2)))
    assert rng.random() == item_rng(3, 1, 2).random()


def test_threads_do_not_disturb_each_other():
    streams = Streams(0)
    expected = [item_rng(0, 0, i).random(3) for i in range(2000)]
    with ThreadPoolExecutor(4) as pool:
        drawn = list(pool.map(lambda i: streams.at(0, i).random(3), range(2000)))
    assert np.array_equal(drawn, expected)


@pytest.mark.parametrize("copies", [2, 4, 8])
def test_stratified_copies_take_one_number_of_every_stratum(copies):
    streams = Streams(11, stratified=copies)
    for record in range(20):
        u = np.stack([streams.at(0, record, copy).random(5) for copy in range(copies)])
        assert np.array_equal(
            np.sort((u * copies).astype(int), axis=0), np.tile(np.arange(copies)[:, None], 5)
        )


def test_stratified_epochs_fill_the_strata_too():
    streams = Streams(11, stratified=1)
    u = np.array([streams.at(epoch, 5).random() for epoch in range(16)])
    assert sorted((u * 16).astype(int)) == list(range(16))


def test_stratified_numbers_are_uniform_and_steps_do_not_move_together():
    streams = Streams(3, stratified=4)
    u = np.array(
        [[streams.at(0, r, c).child(k).random() for k in (1, 2)] for r in range(500) for c in range(4)]
    )
    assert abs(u.mean() - 0.5) < 4 / np.sqrt(12 * u.size)  # the error of plain numbers is the larger one
    assert abs(np.histogram(u, 10, (0, 1))[0] - 400).max() < 4 * np.sqrt(400)
    assert abs(np.corrcoef(u.T)[0, 1]) < 4 / np.sqrt(len(u))
    assert abs(np.corrcoef(u[::4, 0], u[1::4, 0])[0, 1] + 3 / 4) < 0.08  # in opposite halves, free within


def test_neighbouring_streams_are_uncorrelated():
    x = np.stack([keyed_rng(0, i).standard_normal(500) for i in range(40)])
    off = np.corrcoef(x)[np.triu_indices(40, 1)]
    assert abs(off.mean()) < 4 / np.sqrt(500 * off.size)  # four standard errors
    assert abs(off.std() - 500**-0.5) < 0.006


def test_unset_seeds_are_set_and_others_kept():
    class Plain:
        random_state = None

    class Nested(Plain):
        def __init__(self):
            self.params = {"random_state": None, "inner__random_state": 3, "b__random_state": None, "m": None}

        def get_params(self, deep=True):
            return dict(self.params)

        def set_params(self, **params):
            self.params.update(params)
            return self

    one, two, other = (seeded(Nested(), *keys).params for keys in ((7, 1), (7, 1), (8, 1)))
    assert one == two != other and one["inner__random_state"] == 3 and one["m"] is None
    assert one["random_state"] != one["b__random_state"] != None  # noqa: E711
    assert isinstance(seeded(Plain(), 7).random_state, int)

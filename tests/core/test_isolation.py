"""Borrowed global generators: the same numbers from a seed, and nothing left behind."""

# ruff: noqa: NPY002 (it is the legacy generators that are borrowed)

import os
import random
import threading

import numpy as np
import pytest
import torch

from augsynth.core.errors import ParameterError
from augsynth.core.isolation import global_generators, global_states, lock


def draws():
    return (
        random.random(),
        random.gauss(0, 1),
        float(np.random.rand()),
        float(np.random.randn()),
        float(torch.rand(())),
    )


def test_numbers_are_those_of_the_seed():
    with global_generators(7):
        one = draws()
    draws()
    with global_generators(7):
        assert draws() == one
    with global_generators(7 + 2**32):
        other = draws()
    assert all(a != b for a, b in zip(one[:4], other[:4], strict=True))


def test_random_and_numpy_do_not_make_the_same_numbers():
    with global_generators(7):
        assert abs(random.random() - np.random.rand()) > 1e-9


@pytest.mark.parametrize("odd", [0, 1])
def test_generators_are_given_back_exactly(odd):
    for _ in range(odd):  # half of a pair of normals is still to come
        random.gauss(0, 1)
        np.random.randn()
    before = global_states()
    kept = np.random.get_bit_generator()
    with global_generators(3):
        draws()
        np.random.seed(5)
        random.seed(5)
    assert global_states() == before
    assert np.random.get_bit_generator() is kept


def test_given_back_after_an_error_and_only_what_was_asked_for():
    before = global_states()
    with pytest.raises(ZeroDivisionError), global_generators(3, ("random", "torch")):
        draws()
        raise ZeroDivisionError
    after = global_states()
    assert after["random"] == before["random"] and after["torch"] == before["torch"]
    assert after["numpy"] != before["numpy"]
    assert lock.depth == 0


def test_scopes_nest():
    with global_generators(1):
        first = draws()
        with global_generators(2):
            draws()
        second = draws()
    with global_generators(1):
        assert (draws(), draws()) == (first, second)


def test_threads_wait_for_each_other():
    with global_generators(5):
        alone = [draws() for _ in range(20)]
    seen = {}

    def work(k):
        with global_generators(5):
            seen[k] = [draws() for _ in range(20)]

    threads = [threading.Thread(target=work, args=(k,)) for k in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(seen[k] == alone for k in range(6))


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*:DeprecationWarning")
def test_a_forked_child_finds_the_lock_open():
    held, done = threading.Event(), threading.Event()

    def hold():
        with global_generators(1):
            held.set()
            done.wait(10)

    thread = threading.Thread(target=hold)
    thread.start()
    held.wait(10)
    child = os.fork()
    if child == 0:
        with global_generators(2):
            os._exit(0)
    for _ in range(100):
        pid, status = os.waitpid(child, os.WNOHANG)
        if pid:
            break
        done.wait(0.05)
    else:
        os.kill(child, 9)
        os.waitpid(child, 0)
    done.set()
    thread.join()
    assert pid == child and status == 0


def test_an_unknown_generator_has_its_sentence():
    with pytest.raises(ParameterError, match="which must be 'random', 'numpy' or 'torch'"):
        global_generators(1, ("jax",))

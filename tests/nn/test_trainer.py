"""The training loop: budgets, exact resume, patience, and what goes wrong in words."""

from __future__ import annotations

import copy
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import torch
from sklearn.base import clone
from threadpoolctl import threadpool_info, threadpool_limits

from augsynth.core.errors import ModelFileError, ParameterError, TrainingError
from augsynth.nn import trainer as module
from augsynth.nn.objective import Objective
from augsynth.nn.randomness import forked, keyed_generator, noise
from augsynth.nn.threads import few_threads
from augsynth.nn.trainer import Trainer


class Line(Objective):
    """Noisy regression of the first column on the others, with something remembered between steps."""

    def __init__(self, p: int = 3):
        super().__init__()
        self.layer = torch.nn.Linear(p - 1, 1)
        self.register_buffer("seen", torch.zeros(()))

    def losses(self, z, c, w, *, step, generator):
        self.seen += len(z)
        x = z[:, 1:] + 0.01 * noise(z[:, 1:].shape, generator, z.device)
        error = (self.layer(x).squeeze(1) - z[:, 0]) ** 2
        yield "model", (error if w is None else error * w).mean()

    def draw(self, c, generator):
        return noise((len(c), 3), generator)


class Duel(Line):
    """Two players that take turns twice a step."""

    def __init__(self):
        super().__init__()
        self.other = torch.nn.Linear(2, 1)

    def players(self):
        return {"a": list(self.layer.parameters()), "b": list(self.other.parameters())}

    def optimizer_settings(self, player):
        return {"rate": 0.5, "betas": (0.0, 0.9)} if player == "b" else {}

    def losses(self, z, c, w, *, step, generator):
        for _ in range(2):
            yield "a", ((self.layer(z[:, 1:]) - self.other(z[:, 1:])) ** 2).mean()
        yield "b", ((self.other(z[:, 1:]).squeeze(1) - z[:, 0]) ** 2).mean()


def data(n=200):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(n, 2))
    y = x @ np.array([1.0, -2.0]) + 0.5
    return torch.as_tensor(np.column_stack([y, x]), dtype=torch.float32), torch.zeros(n, dtype=torch.int32)


def train(trainer, objective=Line, on_step=(), n=200, seed=1):
    with forked(3):
        model = objective()
    z, c = data(n)
    history = trainer.run(model, z, c, rng=np.random.default_rng(seed), on_step=on_step)
    return model, history


def same(a, b):
    mine, theirs = a.state_dict(), b.state_dict()
    return mine.keys() == theirs.keys() and all(torch.equal(mine[k], theirs[k]) for k in mine)


def test_it_learns_the_line():
    model, history = train(Trainer(steps=600, batch_size=50, learning_rate=0.05))
    assert torch.allclose(model.layer.weight, torch.tensor([[1.0, -2.0]]), atol=0.02)
    assert not model.training
    assert history.steps == history.planned == history.best_step == 600
    assert history.losses["model"][-1][1] < 0.01


def test_same_seed_same_bytes_and_global_generators_untouched():
    before = torch.get_rng_state()
    numpy_before = np.random.get_state()[1].copy()  # noqa: NPY002
    a, _ = train(Trainer(steps=20, batch_size=16))
    b, _ = train(Trainer(steps=20, batch_size=16))
    other, _ = train(Trainer(steps=20, batch_size=16), seed=2)
    assert same(a, b) and not same(a, other)
    assert torch.equal(before, torch.get_rng_state())
    assert (np.random.get_state()[1] == numpy_before).all()  # noqa: NPY002


class Killed(Exception):
    pass


@pytest.mark.parametrize("objective", [Line, Duel])
@pytest.mark.parametrize("options", [{}, {"patience": 50}, {"ema": 0}])
def test_killed_at_any_step_and_resumed_gives_the_same_bytes(tmp_path, objective, options):
    plain = Trainer(steps=23, batch_size=16, options={**options, "check_every": 4})
    whole, reference = train(plain, objective)
    for kill in (1, 4, 7, 16, 23):
        path = tmp_path / f"{kill}.ckpt"

        def stop(step, losses, kill=kill):
            if step == kill:
                raise Killed

        trainer = Trainer(steps=23, batch_size=16, checkpoint=path, options={**options, "check_every": 4})
        with pytest.raises(Killed):
            train(trainer, objective, on_step=[stop])
        resumed, history = train(trainer, objective)
        assert history.resumed_from == (kill - 1) // 4 * 4
        assert same(whole, resumed)
        assert history.losses == reference.losses and history.holdout == reference.holdout


def test_an_epoch_budget_resumes_too(tmp_path):
    trainer = Trainer(epochs=2.5, batch_size=20, checkpoint=tmp_path / "c", options={"check_every": 1})
    whole, reference = train(Trainer(epochs=2.5, batch_size=20))
    assert reference.steps == 25

    def stop(step, losses):
        if step == 13:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(trainer, on_step=[stop])
    resumed, history = train(trainer)
    assert history.resumed_from == 12
    assert same(whole, resumed)
    again, finished = train(trainer)
    assert finished.resumed_from == 25 and same(whole, again)


SCRIPT = """
import sys, time
sys.path.insert(0, sys.argv[2])
from test_trainer import Trainer, train
slow = lambda step, losses: time.sleep(0.02)
train(Trainer(steps=60, batch_size=16, checkpoint=sys.argv[1], options={"check_every": 3}), on_step=[slow])
"""


def test_sigkill_leaves_a_checkpoint_that_resumes_to_the_same_bytes(tmp_path):
    path = tmp_path / "run.ckpt"
    here = os.path.dirname(__file__)
    child = subprocess.Popen([sys.executable, "-c", SCRIPT, str(path), here])
    deadline = time.monotonic() + 60
    while not path.exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    time.sleep(0.15)
    child.send_signal(signal.SIGKILL)
    child.wait()
    assert not [p for p in tmp_path.iterdir() if p != path and p.suffix != ".part"]
    whole, _ = train(Trainer(steps=60, batch_size=16, options={"check_every": 3}))
    resumed, history = train(Trainer(steps=60, batch_size=16, checkpoint=path, options={"check_every": 3}))
    assert history.resumed_from >= 3
    assert same(whole, resumed)


def test_a_checkpoint_of_another_run_is_refused(tmp_path):
    path = tmp_path / "c"
    train(Trainer(steps=5, checkpoint=path))
    with pytest.raises(ParameterError, match="another run"):
        train(Trainer(steps=5, checkpoint=path), seed=9)
    with pytest.raises(ParameterError, match="another run"):
        train(Trainer(steps=6, checkpoint=path))
    path.write_bytes(b"no tensors here")
    with pytest.raises(ModelFileError, match="Delete it"):
        train(Trainer(steps=5, checkpoint=path))


def test_seconds_become_steps_that_repeat_the_run():
    timed, history = train(Trainer(seconds=0.3, batch_size=16))
    assert history.steps == history.planned > 5
    assert history.seconds < 3
    again, _ = train(Trainer(steps=history.planned, batch_size=16))
    assert same(timed, again)


def test_patience_stops_early_and_keeps_the_best():
    _, history = train(
        Trainer(steps=4000, learning_rate=0.1, batch_size=32, options={"patience": 2, "check_every": 25})
    )
    assert history.steps < 4000
    assert history.best_step == min(history.holdout, key=lambda point: point[1])[0]
    assert history.steps - history.best_step == 50


def test_batches_cover_every_row_once_an_epoch():
    from augsynth.nn.running import Rows, Settings

    z, c = data(50)
    rows = Rows.of(z, c, None, seed=4, batch=10, settings=Settings())
    epoch = torch.cat([rows.at(s) for s in range(5)])
    assert sorted(epoch.tolist()) == list(range(50))
    jump = Rows.of(z, c, None, seed=4, batch=10, settings=Settings())
    assert torch.equal(jump.at(7), rows.at(7))
    held = Rows.of(z, c, None, seed=4, batch=10, settings=Settings(patience=1, holdout=0.2))
    whole = Rows.of(z, c, None, seed=4, batch=80, settings=Settings())
    assert sorted(whole.at(1).tolist()) == list(range(50)) and not torch.equal(whole.at(0), whole.at(1))
    assert held.n == 40 and not set(held.train.tolist()) & set(held.held.tolist())


def test_weights_reach_the_loss():
    z, c = data(100)
    z[50:, 0] = 5.0
    w = torch.cat([torch.full((50,), 2.0), torch.zeros(50)])
    with forked(0):
        model = Line()
    Trainer(steps=800, batch_size=100, learning_rate=0.05).run(model, z, c, w=w, rng=np.random.default_rng(0))
    assert torch.allclose(model.layer.weight, torch.tensor([[1.0, -2.0]]), atol=0.05)


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"steps": 3, "epochs": 2}, "one of steps, epochs and seconds"),
        ({"steps": 0}, "steps must be"),
        ({"steps": 2.5}, "whole number"),
        ({"seconds": -1}, "seconds must be"),
        ({"batch_size": 0}, "batch_size"),
        ({"learning_rate": 0}, "learning_rate"),
        ({"options": {"emma": 1}}, "'emma'"),
        ({"options": {"ema": 1.0}}, "ema"),
        ({"options": {"precision": "8"}}, "precision"),
        ({"device": "abacus"}, "device must be"),
    ],
)
def test_bad_settings_get_a_sentence(settings, says):
    with pytest.raises(ParameterError, match=says):
        train(Trainer(**settings))


def test_missing_devices_get_a_sentence(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(TrainingError, match="Use device='auto' or 'cpu'"):
        train(Trainer(steps=1, device="cuda"))
    with pytest.raises(TrainingError, match="0 CUDA devices"):
        module.resolve_device("cuda:1")


def test_a_loss_that_is_not_finite_is_said():
    class Broken(Line):
        def losses(self, z, c, w, *, step, generator):
            yield "model", self.layer.weight.sum() * (np.inf if step == 3 else 1.0)

    with pytest.raises(TrainingError, match="at step 4"):
        train(Trainer(steps=10), Broken)


def test_out_of_memory_is_said():
    class Greedy(Line):
        def losses(self, z, c, w, *, step, generator):
            yield "model", torch.empty(2**50).sum()

    with pytest.raises(TrainingError, match="Lower batch_size"):
        train(Trainer(steps=1), Greedy)


def test_the_line_at_the_start_names_device_steps_and_time(capfd):
    train(Trainer(steps=4, device="cpu", options={"progress": True}))
    told = capfd.readouterr().err
    assert "training on cpu: 4 steps of" in told and " s" in told
    train(Trainer(steps=4, options={"progress": False}))
    assert capfd.readouterr().err == ""


def test_the_default_budget_grows_with_the_rows():
    counts = [Trainer().planned_steps(n) for n in (30, 500, 30_000, 10**6)]
    assert counts == sorted(counts) and counts[1] < 500 < counts[2] < 5000
    assert Trainer().batch_rows(30) == 30 and Trainer().batch_rows(10**6) == 512
    assert clone(Trainer(steps=3)).steps == 3


def test_an_epoch_passes_once_over_the_rows_that_are_not_held_out():
    # 2,200 rows have batches of 64, the 1,980 that are left to train on would have 32.
    trainer = Trainer(epochs=1, options={"patience": 9, "holdout": 0.1})
    assert [trainer.batch_rows(n) for n in (2200, 1980)] == [64, 32]
    assert train(trainer, n=2200)[1].planned == 1980 // 64


def test_keyed_generators_are_functions_of_their_keys():
    a, b, c = (torch.randn(4, generator=keyed_generator(1, k)) for k in [(0, 1), (0, 1), (1, 0)])
    assert torch.equal(a, b) and not torch.equal(a, c)


def test_deterministic_kernels_are_asked_for_only_during_the_run():
    during = []
    settings = Trainer(steps=2, options={"deterministic": True})
    train(
        settings, on_step=[lambda step, losses: during.append(torch.are_deterministic_algorithms_enabled())]
    )
    assert during == [True, True] and not torch.are_deterministic_algorithms_enabled()


def test_fits_that_overlap_in_threads_put_every_number_of_threads_back():
    model, before = torch.nn.Linear(2, 2), torch.get_num_threads()

    def numbers():
        return [each["num_threads"] for each in threadpool_info() if each["user_api"] == "blas"]

    torch.set_num_threads(2)
    try:
        with threadpool_limits(limits=2, user_api="blas"):
            outside = numbers()
            first, second = few_threads(model, 1), few_threads(model, 1)
            first.__enter__()
            second.__enter__()  # as in another thread: it ends after the first
            first.__exit__(None, None, None)
            assert torch.get_num_threads() == 1 and set(numbers()) <= {1}
            second.__exit__(None, None, None)
            assert torch.get_num_threads() == 2 and numbers() == outside
    finally:
        torch.set_num_threads(before)


def test_small_models_run_on_one_thread_and_the_number_is_put_back():
    before, during = torch.get_num_threads(), []
    torch.set_num_threads(2)
    try:
        train(Trainer(steps=1), on_step=[lambda step, losses: during.append(torch.get_num_threads())])
        assert during == [1] and torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


@pytest.mark.parametrize(
    "given",
    [{"options": "fast"}, {"options": [1]}, {"options": {"progress": "x"}}, {"checkpoint": 5}],
    ids=str,
)
def test_parameters_of_the_wrong_type_are_named(given):
    rng = np.random.default_rng(0)
    rows, cells = torch.zeros(8, 3), torch.zeros(8, dtype=torch.int64)
    with pytest.raises(ParameterError, match=f"Trainer: {next(iter(given))}"):
        Trainer(1, **given).run(Line(), rows, cells, rng=rng)


class Told(Duel):
    """A model with a plan, something to watch and an alarm."""

    def plan(self, n):
        return {"steps": 40 + n, "batch_size": 8, "learning_rate": 0.5, "ema": 0.5}

    def watch(self):
        return {"D(x)": torch.tensor(0.25)}

    def alarms(self, history):
        return ["it looks wrong"] if len(history.watched.get("D(x)", ())) > 3 else []


def test_a_plan_holds_where_the_user_says_nothing(capfd):
    model, history = train(Trainer(), Told)
    assert history.planned == 240
    model, history = train(Trainer(steps=9, batch_size=4, learning_rate=0.1, options={"ema": 0}), Told)
    assert history.planned == 9
    assert Trainer().batch_rows(200, {"batch_size": 8}) == 8
    assert Trainer(batch_size=16).batch_rows(200, {"batch_size": 8}) == 16
    settings = Trainer(options={"clip": 2.0})._settings({"learning_rate": 0.5, "ema": 0.5, "clip": 9.0})
    assert (settings.learning_rate, settings.ema, settings.clip) == (0.5, 0.5, 2.0)


def test_gradients_watched_scalars_and_alarms_are_recorded_once(capfd):
    _, history = train(Trainer(steps=30, options={"progress": True}), Told)
    assert [step for step, _ in history.watched["gradient a"]] == list(range(1, 31))
    assert all(norm > 0 for _, norm in history.watched["gradient b"])
    assert history.watched["D(x)"][0] == (1, 0.25)
    assert history.alarms == [(4, "it looks wrong")]
    assert capfd.readouterr().err.count("it looks wrong") == 1


def test_alarms_and_watched_scalars_survive_a_resume(tmp_path):
    file = tmp_path / "run.safetensors"

    def stop(step, losses):
        if step == 17:
            raise Killed

    _, whole = train(Trainer(steps=30), Told)
    with pytest.raises(Killed):
        train(Trainer(steps=30, checkpoint=file, options={"check_every": 5}), Told, on_step=[stop])
    _, resumed = train(Trainer(steps=30, checkpoint=file, options={"check_every": 5}), Told)
    assert resumed.resumed_from == 15
    assert (resumed.watched, resumed.alarms) == (whole.watched, whole.alarms)


def test_pictures_are_drawn_as_training_goes(tmp_path):
    seen = []

    class Sheet(Told):
        def losses(self, z, c, w, *, step, generator):
            seen.append((tmp_path / "p" / "samples.png").exists())
            yield from super().losses(z.flatten(1)[:, :3], c, w, step=step, generator=generator)

        def draw(self, c, generator):
            return torch.rand(len(c), 1, 4, 4, generator=generator)

    with forked(3):
        model = Sheet()
    trainer = Trainer(steps=6, options={"pictures": str(tmp_path / "p"), "check_every": 3})
    z, c = torch.rand(20, 1, 4, 4), torch.arange(20) % 3
    plain, drawn = copy.deepcopy(model), model
    trainer.run(drawn, z, c, rng=np.random.default_rng(0))
    assert seen[:3] == [False] * 3 and seen[3]
    assert (tmp_path / "p" / "losses.png").stat().st_size > 1000
    Trainer(steps=6).run(plain, z, c, rng=np.random.default_rng(0))
    assert same(plain, drawn)  # looking changes nothing


def test_a_bad_step_leaves_the_last_good_checkpoint(tmp_path):
    class Breaks(Line):
        def losses(self, z, c, w, *, step, generator):
            for player, loss in super().losses(z, c, w, step=step, generator=generator):
                yield player, loss * (float("nan") if step == 12 else 1.0)

    file = tmp_path / "run.safetensors"
    with pytest.raises(TrainingError, match=r"holds the last good weights"):
        train(Trainer(steps=30, checkpoint=file, options={"check_every": 5}), Breaks)
    from augsynth.nn.checkpoint import read_checkpoint

    tensors, facts = read_checkpoint(file)
    assert facts["step"] == 10
    assert all(bool(t.isfinite().all()) for t in tensors["objective"].values())

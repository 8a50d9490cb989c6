"""One thread, no window, no network: the same for every test."""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("MPLBACKEND", "Agg")

import socket

import pytest


@pytest.fixture(autouse=True)
def no_network(request, monkeypatch):
    """Fail any test that opens a socket to another machine."""
    if "network" in request.keywords:
        return

    def refuse(self, address, *rest):
        if self.family == getattr(socket, "AF_UNIX", None):
            return connect(self, address, *rest)
        raise AssertionError(f"a test tried to reach the network: {address!r}")

    connect = socket.socket.connect
    monkeypatch.setattr(socket.socket, "connect", refuse)


@pytest.fixture(autouse=True, scope="session")
def one_thread():
    """Spinning threads make a small machine slower, and bytes depend on the thread count."""
    import torch

    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def toy_sources(tmp_path_factory):
    """A folder with ``clips/`` (8 high and 24 low tones of 0.2 s) and ``texts.csv`` (15 spam, 60 ham)."""
    import numpy as np
    import pandas as pd

    from augsynth.encode.audio import write_clip

    root, rng = tmp_path_factory.mktemp("toys"), np.random.default_rng(0)
    for name, hertz, n in (("high", 900, 8), ("low", 300, 24)):
        (root / "clips" / name).mkdir(parents=True)
        for k in range(n):
            time = np.arange(int(rng.integers(600, 1000))) / 4000
            tone = 0.3 * np.sin(2 * np.pi * hertz * (1 + 0.05 * rng.normal()) * time)
            clip = (tone + 0.05 * rng.normal(size=len(time))).astype(np.float32)
            write_clip(root / "clips" / name / f"{k:02}.wav", clip, 4000)
    words = {"spam": "win prize money call now free offer", "ham": "lunch tomorrow see you home later call"}
    rows = [
        (" ".join(rng.choice(words[label].split(), 12)) + f" {k}", label)
        for label, n in (("spam", 15), ("ham", 60))
        for k in range(n)
    ]
    pd.DataFrame(rows, columns=["text", "label"]).to_csv(root / "texts.csv", index=False)
    return root

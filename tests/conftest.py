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

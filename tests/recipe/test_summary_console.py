"""What a console writes where a screen cannot show it, and what it leaves alone."""

import io
import sys

from augsynth.recipe.summary import console


def test_what_a_screen_cannot_show_is_spelled_out_and_the_stream_is_left_as_it_was(monkeypatch):
    buffer = io.BytesIO()
    stream = io.TextIOWrapper(buffer, encoding="ascii")
    monkeypatch.setattr(sys, "stdout", stream)
    console().print("caf\u00e9 \udcff   ")
    stream.flush()
    assert buffer.getvalue() == b"caf\\xe9 \\udcff\n"
    assert stream.errors == "strict"

"""Audio files: what was written is read, and broken files are named."""

import io
import struct
import wave

import numpy as np
import pytest
import torch
from scipy.io import wavfile

from augsynth.core.errors import DataError, InputTypeError, ParameterError
from augsynth.encode.audio import clip_paths, read_clip, write_clip

CLIP = np.random.default_rng(0).uniform(-1, 1, 1001)


def test_sixteen_bits_come_back_exactly(tmp_path):
    for whole in (np.arange(-32768, 32768, dtype=np.int16), np.array([[1, -2, 3], [4, 5, -32768]], np.int16)):
        write_clip(tmp_path / "a.wav", whole, 8000)
        clip, rate = read_clip(tmp_path / "a.wav")
        assert rate == 8000 and clip.dtype == np.float32 and clip.shape == whole.shape
        assert (clip * 32768 == whole).all()
        first = (tmp_path / "a.wav").read_bytes()
        write_clip(tmp_path / "b.wav", torch.from_numpy(clip), 8000)
        assert (tmp_path / "b.wav").read_bytes() == first
        with wave.open(str(tmp_path / "b.wav")) as file:
            assert file.getnchannels() == (1 if whole.ndim == 1 else 2)
            read = np.frombuffer(file.readframes(file.getnframes()), "<i2")
        assert (np.atleast_2d(whole) == read.reshape(-1, file.getnchannels()).T).all()


def test_floats_come_back_exactly_and_loud_ones_are_cut(tmp_path):
    stereo = np.stack([CLIP, -2 * CLIP]).astype(np.float32)
    write_clip(tmp_path / "f.wav", stereo, 44100, encoding="float32")
    clip, rate = read_clip(tmp_path / "f.wav")
    assert rate == 44100 and (clip == stereo).all()
    write_clip(tmp_path / "c.wav", np.array([3.0, -3.0, 0.25]), 8000)
    assert read_clip(tmp_path / "c.wav")[0].tolist() == [32767 / 32768, -1.0, 0.25]


@pytest.mark.parametrize("kind", ["u1", "<i2", "<i4", "<f4", "<f8"])
def test_other_writers_are_read(tmp_path, kind):
    scale = {"u1": 127, "<i2": 32767, "<i4": 2**31 - 1}.get(kind, 1)
    stored = (CLIP * scale + (128 if kind == "u1" else 0)).astype(kind)
    wavfile.write(tmp_path / "a.wav", 8000, stored)
    clip, _ = read_clip(tmp_path / "a.wav")
    assert np.abs(clip - CLIP).max() < {"u1": 2 / 127, "<i2": 1e-4}.get(kind, 1e-6)


def test_twenty_four_bits_and_extensible(tmp_path):
    whole = np.array([0, 1, -1, 2**23 - 1, -(2**23)], np.int32)
    raw = b"".join(struct.pack("<i", int(v))[:3] for v in whole)
    fmt = struct.pack("<HHIIHHHHI", 0xFFFE, 1, 8000, 24000, 3, 24, 22, 24, 4)
    fmt += struct.pack("<H", 1) + bytes(14)
    junk = b"LIST" + struct.pack("<I", 3) + b"abc\0"  # an odd chunk and its pad byte
    body = b"WAVE" + junk + b"fmt " + struct.pack("<I", len(fmt)) + fmt
    body += b"data" + struct.pack("<I", len(raw)) + raw
    (tmp_path / "a.wav").write_bytes(b"RIFF" + struct.pack("<I", len(body)) + body)
    assert (read_clip(tmp_path / "a.wav")[0] * 2**23 == whole).all()


def test_broken_files_are_named(tmp_path):
    good = io.BytesIO()
    wavfile.write(good, 8000, (CLIP * 32767).astype(np.int16))
    whole = good.getvalue()
    path = tmp_path / "x.wav"
    for content, text in [
        (b"", "an empty file"),
        (whole[:-7], "cut short"),
        (whole[:44], "cut short"),
        (whole[:30], "broken format"),
        (whole[:36], "without samples"),
        (b"RIFF....WAVE", "without samples"),
        (whole[:40] + struct.pack("<I", 0), "no samples"),
        (whole[:20] + b"\x55" + whole[21:], "format 85"),
        (whole[:22] + b"\0\0" + whole[24:], "0 channels"),
        (bytes(100), "must be readable audio"),
        (b"not audio at all", "must be readable audio"),
    ]:
        path.write_bytes(content)
        with pytest.raises(DataError, match=f"x.wav.*{text}"):
            read_clip(path)
    write_clip(path, np.ones(3, np.float32), 8000, encoding="float32")
    path.write_bytes(path.read_bytes()[:-4] + struct.pack("<f", np.nan))
    with pytest.raises(DataError, match="NaN or infinity in 1 of its samples"):
        read_clip(path)
    with pytest.raises(DataError, match="No such file"):
        read_clip(tmp_path / "none.wav")
    with pytest.raises(DataError, match="directory"):
        read_clip(tmp_path)


def test_a_streamed_file_of_unknown_length_is_read_to_its_end(tmp_path):
    write_clip(tmp_path / "a.wav", np.ones(10, np.int16), 8000)
    content = (tmp_path / "a.wav").read_bytes()
    (tmp_path / "a.wav").write_bytes(content[:40] + b"\xff\xff\xff\xff" + content[44:])
    assert read_clip(tmp_path / "a.wav")[0].shape == (10,)


def test_what_cannot_be_written_leaves_the_old_file(tmp_path):
    path = tmp_path / "a.wav"
    write_clip(path, CLIP, 8000)
    before = path.read_bytes()
    for clip, error in [
        (np.zeros(0), DataError),
        (np.array([0.0, np.nan]), DataError),
        (np.zeros((1, 2, 3)), DataError),
        ([0.1], InputTypeError),
        (np.zeros(3, np.int32), InputTypeError),
    ]:
        with pytest.raises(error):
            write_clip(path, clip, 8000)
    for wrong in ({"rate": 0}, {"rate": 8000.5}, {"rate": 8000, "encoding": "mp3"}):
        with pytest.raises(ParameterError):
            write_clip(path, CLIP, **wrong)
    assert path.read_bytes() == before and [p.name for p in tmp_path.iterdir()] == ["a.wav"]


def test_folders_of_classes(tmp_path):
    for name in ("zero/b.wav", "zero/a.WAV", "one/speaker/c.wav", "zero/.hidden.wav", ".git/x.wav"):
        write_clip(tmp_path / name, np.ones(3), 8000)
    (tmp_path / "zero" / "notes.txt").write_text("no clip")
    (tmp_path / "two").mkdir()
    paths, labels, classes = clip_paths(tmp_path)
    assert [str(p.relative_to(tmp_path)) for p in paths] == ["one/speaker/c.wav", "zero/a.WAV", "zero/b.wav"]
    assert labels.tolist() == [0, 1, 1] and classes == ["one", "zero"]
    with pytest.raises(DataError, match="0 folders without any"):
        clip_paths(tmp_path / "two")
    with pytest.raises(DataError, match="one folder a class"):
        clip_paths(tmp_path / "nowhere")

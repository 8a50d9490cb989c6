"""Models that keep pictures are saved: PIL's of every mode, and tensors, in lists."""

import io
import json
import warnings

import numpy as np
import pytest
import torch
from PIL import Image

from augsynth import BootstrapGenerator, load
from augsynth.core.errors import ModelFileError
from augsynth.core.persistence import pack, unpack
from augsynth.core.pictures import picture_from, picture_parts
from augsynth.encode.image import ImageCodec, ImageLayout
from augsynth.generate.perturbed import PerturbGenerator
from augsynth.generate.vae import VAEGenerator
from augsynth.nn.trainer import Trainer
from augsynth.perturb import Brightness

RNG = np.random.default_rng(0)
PICTURES = [Image.fromarray(RNG.integers(0, 256, (8, 9, 3), dtype=np.uint8)) for _ in range(6)]
Y = [0, 1] * 3


@pytest.mark.parametrize(
    "mode", ["1", "L", "P", "LA", "RGB", "RGBA", "CMYK", "YCbCr", "HSV", "LAB", "I", "F", "I;16"]
)
def test_a_picture_of_every_mode_comes_back(mode):
    grey = Image.fromarray(RNG.integers(0, 256, (5, 11), dtype=np.uint8))
    picture = PICTURES[0] if mode not in ("1", "L", "I", "F", "I;16", "LA") else grey
    made = Image.new(mode, picture.size) if mode == "LAB" else picture.convert(mode)
    if mode == "P":
        made.info["transparency"] = 3
    arrays = {}
    again = unpack(json.loads(json.dumps(pack([made], arrays))), arrays)[0]
    assert again.mode == mode and again.size == made.size and again.tobytes() == made.tobytes()
    assert again.info.get("transparency") == made.info.get("transparency")
    if mode == "P":
        assert again.convert("RGB").tobytes() == made.convert("RGB").tobytes()


def palette_pictures():
    """Return pictures of palettes: with alpha in it, as files have it, and plain."""
    clear = Image.fromarray(RNG.integers(0, 256, (8, 9, 4), dtype=np.uint8))
    few = clear.convert("RGB").quantize(7)
    files = []
    for form, see_through in (("PNG", bytes([0, 9, 255, 3])), ("GIF", 2)):
        stream = io.BytesIO()
        few.save(stream, form, transparency=see_through)
        files.append(Image.open(stream))
    made = Image.new("P", (2, 1), 1)
    made.putpalette([1, 2, 3, 10, 4, 5, 6, 200], "RGBA")
    return [clear.quantize(16), made, few, *files]


@pytest.mark.parametrize("k", range(5))
def test_a_palette_keeps_its_alpha(k):
    picture = palette_pictures()[k]
    arrays = {}
    again = unpack(json.loads(json.dumps(pack([picture], arrays))), arrays)[0]
    assert np.array_equal(again.convert("RGBA"), picture.convert("RGBA"))
    assert again.palette.mode == picture.palette.mode
    assert again.getpalette("RGBA") == picture.getpalette("RGBA")
    if k < 2:
        assert np.asarray(again.convert("RGBA"))[..., 3].min() < 255


def test_palettes_of_older_files_are_read():
    picture = palette_pictures()[2]
    again = picture_from(*picture_parts(picture)[:6])
    assert np.array_equal(again.convert("RGB"), picture.convert("RGB"))


def odd_tensors():
    """Return tensors without plain numbers that numpy has, and what is said of them."""
    plain = torch.zeros(2, 2)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # some of these are "in beta state"
        return {
            "layout sparse_coo. Make it dense": plain.to_sparse(),
            "layout sparse_csr": plain.to_sparse_csr(),
            "nested one": torch.nested.nested_tensor([plain, plain]),
            "device 'meta'. Load": plain.to("meta"),
            "quint8. Use .dequantize": torch.quantize_per_tensor(plain, 0.1, 0, torch.quint8),
            "float8_e4m3fn. Use .float": plain.to(torch.float8_e4m3fn),
            "bfloat16": plain.bfloat16(),
            "complex32": torch.zeros(2, dtype=torch.complex32),
        }


@pytest.mark.parametrize("given", odd_tensors())
def test_tensors_that_hold_no_plain_numbers_are_refused(given):
    with pytest.raises(ModelFileError, match=f"save: a tensor must hold a plain number .*{given}"):
        pack([odd_tensors()[given]], {})


def test_conjugates_and_negatives_are_kept():
    value = torch.tensor([1 + 2j, 3 - 4j])
    for lazy in (value.conj(), value.conj().imag, value.real, torch.tensor(3.5, requires_grad=True)):
        arrays = {}
        again = unpack(json.loads(json.dumps(pack([lazy], arrays))), arrays)[0]
        assert again.dtype == lazy.dtype and torch.equal(again, lazy)


def test_a_damaged_picture_is_refused():
    with pytest.raises(ModelFileError, match="must have 8000000000 bytes; given uint8 of shape"):
        picture_from("L", 100_000, 80_000, np.zeros(4, np.uint8), None, None)
    one = np.zeros(1, np.uint8)
    with pytest.raises(ModelFileError, match="must have one of the modes 1, L.*given 'XYZ'"):
        picture_from("XYZ", 1, 1, one, None, None)
    for palette, colours in (([1, 2], "RGB"), ([1, 2, 300], "RGB"), ([0] * 257 * 3, "RGB"), ([1, 2, 3], "X")):
        with pytest.raises(ModelFileError, match="a palette must be at most 256 colours"):
            picture_from("P", 1, 1, one, palette, None, colours)


@pytest.mark.parametrize("kind", ["bootstrap", "perturbed", "vae"])
@pytest.mark.parametrize("container", ["pil", "tensors", "arrays"])
@pytest.mark.filterwarnings("ignore:VAEGenerator")
def test_models_fitted_on_lists_of_pictures_are_saved(tmp_path, kind, container):
    rows = {
        "pil": PICTURES,
        "tensors": [torch.from_numpy(np.array(x).transpose(2, 0, 1).copy()) for x in PICTURES],
        "arrays": [np.array(x) for x in PICTURES],
    }[container]
    model = {
        "bootstrap": BootstrapGenerator(),
        "perturbed": PerturbGenerator(Brightness(0.2)),
        "vae": VAEGenerator(trainer=Trainer(steps=2)),
    }[kind].fit(rows, Y)
    made = model.sample(y=[1, 0, 1], random_state=3)
    model.save(tmp_path / "m.safetensors")
    again = load(tmp_path / "m.safetensors").sample(y=[1, 0, 1], random_state=3)
    assert type(again) is type(made) and all(type(a) is type(b) for a, b in zip(made, again, strict=True))
    assert all(np.array_equal(np.asarray(a), np.asarray(b)) for a, b in zip(made, again, strict=True))


def test_palettes_are_looked_up_by_the_codec():
    flat = [x.quantize(8) for x in PICTURES]
    codec = ImageCodec().fit(flat)
    assert codec.layout == ImageLayout(3, 8, 9, 256)
    assert np.array_equal(codec.decode(codec.encode(flat))[2], np.asarray(flat[2].convert("RGB")))

"""What is no ordinary picture, clip or base ends in one sentence."""

import warnings

import albumentations as A
import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import ConcatDataset, Dataset, Subset, TensorDataset
from torchvision.transforms import v2

from augsynth.core.errors import AugsynthError, DataError, InputTypeError, ParameterError
from augsynth.datasets import EnlargedDataset, MixedDataset, PerturbedDataset, ResampledDataset
from augsynth.datasets.files import file_of
from augsynth.perturb import Brightness, FlipLeftRight, Gain, ScaledJitter
from augsynth.perturb.spectrogram import FrequencyMask

PICTURE = np.random.default_rng(0).integers(0, 256, (20, 24, 3), dtype=np.uint8)


def sparse(x):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # CSR is in beta
        return x.to_sparse_csr()


ODD = {
    "meta": (lambda x: x.to("meta"), "one on the device 'meta'. Load the values first"),
    "coo": (lambda x: x.to_sparse(), r"one of the layout sparse_coo. Use .to_dense\(\)"),
    "csr": (sparse, r"one of the layout sparse_csr. Use .to_dense\(\)"),
}


@pytest.mark.parametrize("kind", ODD)
@pytest.mark.parametrize(
    ("shape", "policy"),
    [
        ((8, 9), Brightness()),
        ((8, 9), FlipLeftRight()),
        ((8, 9), A.HorizontalFlip(p=1)),
        ((8, 9), v2.RandomHorizontalFlip(p=1)),
        ((1, 400), Gain()),
        ((8, 9), FrequencyMask()),
        ((6,), ScaledJitter(0.1)),
    ],
    ids=lambda value: getattr(type(value), "__name__", "") if not isinstance(value, tuple) else str(value),
)
def test_tensors_without_plain_values(kind, shape, policy):
    make, text = ODD[kind]
    if kind == "csr" and len(shape) == 1:
        return
    x = make(torch.rand(shape))
    with pytest.raises(
        InputTypeError, match=f"a tensor must hold a plain number at each place; given {text}"
    ):
        PerturbedDataset([(x, 0)] * 2, policy).at_many([0, 1])


@pytest.mark.parametrize("kind", ["meta", "coo"])
def test_mixers_refuse_them_too(kind):
    make, text = ODD[kind]
    with pytest.raises(InputTypeError, match=f"MixedDataset: item .*{text}"):
        MixedDataset([(make(torch.rand(3, 8, 8)), 0)] * 2, labels=[0, 1]).at(0)


def test_half_precision_is_no_odd_input():
    x = torch.rand(3, 8, 9).bfloat16()
    for policy in (A.HorizontalFlip(p=1), v2.RandomHorizontalFlip(p=1), FlipLeftRight()):
        made = PerturbedDataset([(x, 0)], policy).at(0)[0]
        assert made.dtype == torch.bfloat16 and torch.equal(made, x.flip(-1))


@pytest.mark.parametrize(
    "crop", [v2.FiveCrop(8), v2.TenCrop(8), v2.Compose([v2.ColorJitter(), v2.FiveCrop(8)])]
)
def test_transforms_that_make_several_pictures(crop):
    tensor = torch.from_numpy(PICTURE.transpose(2, 0, 1).copy())
    for x in (PICTURE, Image.fromarray(PICTURE), tensor):
        for item in ((x, 0), {"image": x, "mask": np.zeros((20, 24))}):
            with pytest.raises(DataError, match="one picture of one; given (5|10) of .*Use RandomCrop"):
                PerturbedDataset([item], crop).at(0)


class Growing(Dataset):
    def __init__(self, n):
        self.xs = [np.full((4, 4), k, np.uint8) for k in range(n)]
        self.targets = [k % 2 for k in range(n)]

    def __len__(self):
        return len(self.xs)

    def __getitem__(self, i):
        return self.xs[i], self.targets[i]


@pytest.mark.parametrize("change", [1, -1])
@pytest.mark.parametrize(
    "wrap",
    [
        lambda base: PerturbedDataset(base, Brightness(), copies=2),
        lambda base: EnlargedDataset(base, Brightness(), balance="class"),
        lambda base: ResampledDataset(base),
        lambda base: MixedDataset(base),
        lambda base: PerturbedDataset(Subset(PerturbedDataset(base, Brightness()), [0, 1]), Brightness()),
        lambda base: PerturbedDataset(ConcatDataset([PerturbedDataset(base, Brightness())]), Brightness()),
    ],
    ids=["perturbed", "enlarged", "resampled", "mixed", "subset", "concatenated"],
)
def test_a_base_that_grows_or_shrinks(wrap, change):
    base = Growing(6)
    data = wrap(base)
    before = data.at(1)
    base.xs = base.xs[:-1] if change < 0 else [*base.xs, base.xs[0]]
    base.targets = base.targets[:-1] if change < 0 else [*base.targets, 0]
    text = (
        f"the base must keep its length; given {6 + change} items, and 6 when it was wrapped. Wrap it again"
    )
    for read in (
        lambda: data[1],
        lambda: data.at(1),
        lambda: data.at_many([0, 1]),
        lambda: data.__getitems__([0]),
    ):
        with pytest.raises(DataError, match=text):
            read()
    base.xs, base.targets = Growing(6).xs, Growing(6).targets
    assert np.array_equal(data.at(1)[0], before[0])


class Folder(Growing):
    def __init__(self, root, modes):
        self.samples = []
        for k, mode in enumerate(modes):
            path = root / f"{k}.jpg"
            Image.fromarray(PICTURE).convert(mode).save(path)
            self.samples.append((str(path), k % 2))

    def __len__(self):
        return len(self.samples)

    def __getitem__(self, i):
        path, label = self.samples[i]
        with Image.open(path) as picture:
            picture.load()
            return picture, label


@pytest.mark.parametrize("originals", [True, False])
@pytest.mark.parametrize("first", [True, False])
def test_a_picture_that_no_file_can_keep_is_named_by_its_file(tmp_path, originals, first):
    modes = ["CMYK", "RGB", "RGB"] if first else ["RGB", "RGB", "CMYK"]
    base = Folder(tmp_path, modes)
    odd = base.samples[0 if first else 2][0]
    data = EnlargedDataset(base, "weak", copies=2, keep_originals=originals)
    with pytest.raises(
        DataError, match=rf"{odd}: materialize: pictures must have .*given CMYK at item \d. Use"
    ):
        data.materialize(tmp_path / "set")


def test_an_edit_that_fails_names_the_file(tmp_path):
    base = Folder(tmp_path, ["RGB", "RGB"])
    data = PerturbedDataset(Subset(base, [1]), v2.RandomCrop(64))
    with pytest.raises(DataError, match=rf"Item 0 of the base \({base.samples[1][0]}\): TorchvisionPert"):
        data.at(0)
    assert file_of(ConcatDataset([base, data]), 2) == base.samples[1][0]
    assert file_of(ConcatDataset([TensorDataset(torch.zeros(2, 1)), base]), 3) == base.samples[1][0]
    assert file_of(TensorDataset(torch.zeros(2, 1)), 0) == ""


def test_strengths_for_what_is_taken_for_a_row_of_a_table():
    clip = np.sin(np.arange(200) / 5).astype(np.float32)
    for strength in ("weak", "medium", "strong"):
        with pytest.raises(
            ParameterError,
            match=f"a strength needs pictures, clips or texts; given '{strength}' for rows of a table, .*256 numbers"
            f".*image_{strength}, audio_{strength}, text_{strength}",
        ):
            PerturbedDataset([(clip, 0)], strength)
    assert PerturbedDataset([(clip, 0)], "audio_weak").at(0)[0].shape == (200,)
    with pytest.raises(AugsynthError, match="known name; given 'weka'"):
        PerturbedDataset([(clip, 0)], "weka")

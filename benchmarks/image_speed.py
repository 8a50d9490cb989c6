"""Speed of the native image edits, side by side with albumentations in one run.

    python benchmarks/image_speed.py            # about 4 minutes
    python benchmarks/image_speed.py --quick    # few pictures, two rounds: shows that it runs

Crops of scikit-learn's two sample photos (RGB, uint8) at 32 and 224 pixels; one thread
(cv2 too), contestants in turns, CPU-microseconds a picture. "one by one" draws from a
keyed generator and applies; "batch" is `edit_many` of a stack of 64 (of a list of 64 at 224
pixels). All make batches: 64 results are kept before they are dropped. albumentations is
bare: the transform itself, or its Compose for the policy, with the same interpolation and
borders, p=1 (the flip of the policy has p=0.5 in both). The ratio is albumentations' time
by ours, round by round: above 1 we are faster.

The loaders: two worker processes, batches of 64, wall time of an epoch; a plain Dataset
that calls albumentations' Compose in ``__getitem__`` against PerturbedDataset. The first
epoch (start of the workers) is not counted.
"""

from __future__ import annotations

import harness  # first: pins the threads

# isort: split
import os
import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from harness import RESULTS, Results, say, table

LIBRARIES = ("augsynth", "numpy", "opencv-python-headless", "albumentations", "albucore", "torch")
SIZES = (32, 224)
BATCH = 64
POLICY = "flip + shift + tone"
POLICY_WARP = "flip + affine + tone"


def photos(size: int, n: int) -> np.ndarray:
    """Return crops (n, size, size, 3) of the two photos, of random places and extents."""
    import cv2
    from sklearn.datasets import load_sample_images

    sources = load_sample_images().images
    rng = np.random.default_rng(0)
    crops = []
    for k in range(n):
        photo = sources[k % len(sources)]
        side = int(rng.integers(240, 427))
        top, left = (int(rng.integers(0, limit - side + 1)) for limit in photo.shape[:2])
        part = photo[top : top + side, left : left + side]
        crops.append(cv2.resize(part, (size, size), interpolation=cv2.INTER_AREA))
    return np.stack(crops)


def ours() -> dict[str, Any]:
    """Return our edits, by name."""
    from augsynth.perturb import Compose, Maybe
    from augsynth.perturb import geometry as g
    from augsynth.perturb import image as i
    from augsynth.perturb import image_quality as q
    from augsynth.perturb import warps as w

    tone = i.BrightnessContrast((-0.2, 0.2), contrast=(0.8, 1.2))
    affine = w.Affine((-10, 10), scale=(0.9, 1.1), shear_degrees=(-5, 5), shift=(-0.05, 0.05))
    return {
        POLICY: Compose([Maybe(g.FlipLeftRight(), p=0.5), g.Shift(), tone]),
        POLICY_WARP: Compose([Maybe(g.FlipLeftRight(), p=0.5), affine, tone]),
        "flip_left_right": g.FlipLeftRight(),
        "flip_up_down": g.FlipUpDown(),
        "shift": g.Shift(),
        "rotate": w.Rotate((-15, 15)),
        "affine": affine,
        "resized_crop": g.ResizedCrop((0.6, 1.0), ratio=(0.8, 1.25)),
        "brightness": i.Brightness(),
        "contrast": i.Contrast((0.8, 1.2)),
        "brightness_contrast": tone,
        "colour": i.Colour((-15, 15), saturation=(0.8, 1.2)),
        "blur": q.Blur((0.5, 1.5)),
        "gaussian_noise": q.GaussianNoise((0.01, 0.05)),
        "jpeg": q.JpegCompression((50, 95)),
        "erasing": q.Erasing((0.02, 0.2), ratio=(0.3, 3.3)),
    }


def peers(size: int) -> dict[str, Callable[..., Any]]:
    """Return albumentations' transforms of the same names and settings."""
    os.environ["NO_ALBUMENTATIONS_UPDATE"] = "1"
    import albumentations as A
    import cv2

    edge = {"interpolation": cv2.INTER_LINEAR, "border_mode": cv2.BORDER_REPLICATE, "p": 1}
    tenth = {"x": (-0.1, 0.1), "y": (-0.1, 0.1)}
    little = {"x": (-0.05, 0.05), "y": (-0.05, 0.05)}
    shift = A.Affine(translate_percent=tenth, scale=1, rotate=0, shear=0, **edge)
    affine = A.Affine(translate_percent=little, scale=(0.9, 1.1), rotate=(-10, 10), shear=(-5, 5), **edge)
    tone = A.RandomBrightnessContrast(brightness_limit=0.2, contrast_limit=0.2, p=1)
    return {
        POLICY: A.Compose([A.HorizontalFlip(p=0.5), shift, tone]),
        POLICY_WARP: A.Compose([A.HorizontalFlip(p=0.5), affine, tone]),
        "flip_left_right": A.HorizontalFlip(p=1),
        "flip_up_down": A.VerticalFlip(p=1),
        "shift": shift,
        "rotate": A.Rotate(limit=15, **edge),
        "affine": affine,
        "resized_crop": A.RandomResizedCrop(size=(size, size), scale=(0.6, 1.0), ratio=(0.8, 1.25), p=1),
        "brightness": A.RandomBrightnessContrast(brightness_limit=0.2, contrast_limit=0, p=1),
        "contrast": A.RandomBrightnessContrast(brightness_limit=0, contrast_limit=0.2, p=1),
        "brightness_contrast": tone,
        "colour": A.HueSaturationValue(hue_shift_limit=8, sat_shift_limit=40, val_shift_limit=0, p=1),
        "blur": A.GaussianBlur(sigma_limit=(0.5, 1.5), blur_limit=0, p=1),
        "gaussian_noise": A.GaussNoise(std_range=(0.01, 0.05), p=1),
        "jpeg": A.ImageCompression(quality_range=(50, 95), p=1),
        "erasing": A.Erasing(scale=(0.02, 0.2), ratio=(0.3, 3.3), fill=0, p=1),
    }


def contestants(name: str, size: int, pictures: np.ndarray) -> dict[str, Callable[[], None]]:
    """Return what each contestant does with all the pictures once."""
    from augsynth.core.random import ItemKeys, Streams

    peer, edit, listed = peers(size)[name], ours()[name], list(pictures)
    streams, n = Streams(0), len(pictures)

    def bare() -> None:
        for start in range(0, n, BATCH):
            _ = [peer(image=picture)["image"] for picture in listed[start : start + BATCH]]

    def single() -> None:
        for start in range(0, n, BATCH):
            some = enumerate(listed[start : start + BATCH], start)
            _ = [edit.apply(picture, edit.draw(picture, streams.at(0, k))) for k, picture in some]

    def batch() -> None:
        for start in range(0, n, BATCH):
            keys = ItemKeys(0, 0, np.arange(start, min(start + BATCH, n)))
            some = pictures[start : start + BATCH] if size < 64 else listed[start : start + BATCH]
            edit.edit_many(some, keys)

    return {"albumentations": bare, "one by one": single, "batch": batch}


def race(functions: dict[str, Callable[[], None]], n: int, rounds: int) -> dict[str, Any]:
    """Time the contestants in turns; return microseconds a picture and ratios, as medians."""
    times: dict[str, list[float]] = {name: [] for name in functions}
    names = list(functions)
    for k in range(rounds + 1):
        for name in names[k % len(names) :] + names[: k % len(names)]:
            start = time.process_time()
            functions[name]()
            if k:  # the first round is for warming up
                times[name].append((time.process_time() - start) / n * 1e6)
    reference = times["albumentations"]
    return {
        "us": {name: harness.spread(listed) for name, listed in times.items()},
        "times_faster": {
            name: harness.spread([a / b for a, b in zip(reference, listed, strict=True)])
            for name, listed in times.items()
            if name != "albumentations"
        },
    }


class Photos:
    """A plain Dataset of pictures, transformed in ``__getitem__`` (or not)."""

    def __init__(self, pictures: np.ndarray, transform: Any = None):
        self.pictures, self.transform = pictures, transform

    def __len__(self) -> int:
        return len(self.pictures)

    def __getitem__(self, i: int) -> tuple[np.ndarray, int]:
        picture = self.pictures[i]
        return (picture if self.transform is None else self.transform(image=picture)["image"]), i % 10


def _one_thread(_: int) -> None:
    import cv2
    import torch

    cv2.setNumThreads(1)
    torch.set_num_threads(1)


def race_loaders(size: int, pictures: np.ndarray, rounds: int) -> dict[str, Any]:
    """Time epochs of two loaders in turns (wall time)."""
    from torch.utils.data import DataLoader

    from augsynth.datasets import PerturbedDataset

    sets: dict[str, Any] = {
        "albumentations": Photos(pictures, peers(size)[POLICY]),
        "batch": PerturbedDataset(Photos(pictures), ours()[POLICY]),
    }
    options: dict[str, Any] = {"batch_size": BATCH, "num_workers": 2, "persistent_workers": True}
    loaders: dict[str, Any] = {
        k: DataLoader(v, worker_init_fn=_one_thread, **options) for k, v in sets.items()
    }
    times: dict[str, list[float]] = {name: [] for name in loaders}
    for k in range(rounds + 1):
        for name, loader in loaders.items():
            start = time.perf_counter()
            for _ in loader:
                pass
            if k:
                times[name].append((time.perf_counter() - start) / len(pictures) * 1e6)
    ratios = [a / b for a, b in zip(times["albumentations"], times["batch"], strict=True)]
    us = {name: harness.spread(listed) for name, listed in times.items()}
    return {"us": us, "times_faster": {"batch": harness.spread(ratios)}}


def report(rows: list[dict[str, Any]], *, markdown: bool = False) -> str:
    """Lay the medians out."""
    header = [
        "edit",
        "pixels",
        "albumentations, us",
        "one by one, us",
        "batch, us",
        "x one by one",
        "x batch",
    ]
    lines = []
    for row in sorted(rows, key=lambda r: r["size"]):
        us, faster = row["us"], row["times_faster"]
        cells = [us["albumentations"], us.get("one by one"), us["batch"]]
        cells += [faster.get("one by one"), faster["batch"]]
        shown = ["-" if c is None else f"{c['median']:.{1 if k < 3 else 2}f}" for k, c in enumerate(cells)]
        lines.append([row["edit"], str(row["size"]), *shown])
    return table(header, lines, markdown=markdown)


def write_md(results: Results) -> None:
    """Write the table beside the JSON."""
    content = results.read()
    run = content["runs"][-1]
    loads = [row["load_average"] for row in content["rows"] if row["load_average"] is not None]
    known = ", ".join(f"{k} {v}" for k, v in run["versions"].items())
    lines = [
        "# Speed of the image edits beside albumentations",
        "",
        "CPU-microseconds a picture (loaders: wall time), medians over rounds in turns;",
        "x = albumentations' time by ours, above 1 we are faster.",
        f"{run['cpu']}, one thread; {known};",
        f"load average {statistics.median(loads):.2f} (median of the rows).",
        "",
        report(content["rows"], markdown=True),
        "",
    ]
    results.path.with_suffix(".md").write_text("\n".join(lines), encoding="utf-8")


def main() -> None:
    """Run what the command line asks for."""
    names = list(ours())
    arguments = harness.parser(__doc__ or "", seeds=1, methods=[*names, "loader"]).parse_args()
    import cv2
    import torch

    cv2.setNumThreads(1)
    torch.set_num_threads(1)
    folder = RESULTS / "quick" if arguments.quick and arguments.out == RESULTS else arguments.out
    protocol = {"unit": "CPU-microseconds a picture", "batch": BATCH, "pictures": "uint8 RGB"}
    results = Results(folder / "image_speed.json", key=("edit", "size"), protocol=protocol)
    results.run["versions"] = harness.versions(LIBRARIES)
    rounds = 2 if arguments.quick else 9
    for size in SIZES:
        n = (256 if size == 32 else 64) if arguments.quick else (1024 if size == 32 else 192)
        pictures = photos(size, n)
        for name in [k for k in names if not arguments.only or k in arguments.only]:
            row = {"edit": name, "size": size, **race(contestants(name, size, pictures), n, rounds)}
            results.add(row)
            say(report([row]).splitlines()[-1])
        if not arguments.only or "loader" in arguments.only:
            many = np.concatenate([pictures] * (1 if arguments.quick else 8))
            row = {"edit": f"loader, 2 workers: {POLICY}", "size": size, **race_loaders(size, many, rounds)}
            results.add(row)
            say(report([row]).splitlines()[-1])
    say(report(results.rows()))
    write_md(results)


if __name__ == "__main__":
    main()

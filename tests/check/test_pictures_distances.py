"""Frechet and kernel distance against closed forms, published formulas and their null distributions."""

import numpy as np
import pytest
import scipy.linalg
from scipy import stats
from sklearn.datasets import load_digits

from augsynth.check.gathering import gather
from augsynth.check.permutation import tail_p_value
from augsynth.check.pictures import (
    FrechetCheck,
    KernelCheck,
    frechet_distance,
    frechet_infinity,
    inception_features,
    kernel_distance,
)
from augsynth.check.pictures.frechet import gaussian_distance
from augsynth.check.pictures.inception import prepared
from augsynth.check.pictures.kernel import block_sums, unbiased_mmd
from augsynth.check.pictures.stacks import Frame
from augsynth.core.errors import DataError, ParameterError


def test_normal_distributions_with_known_moments():
    # Covariances that share their axes: the distance is the one of the standard deviations.
    rng = np.random.default_rng(0)
    axes = np.linalg.qr(rng.normal(size=(6, 6)))[0]
    a, b = rng.uniform(0.1, 3, 6), rng.uniform(0.1, 3, 6)
    shift = rng.normal(size=6)
    found = gaussian_distance(
        np.zeros(6), axes @ np.diag(a**2) @ axes.T, shift, axes @ np.diag(b**2) @ axes.T
    )
    assert found == pytest.approx(shift @ shift + ((a - b) ** 2).sum(), rel=1e-12)


@pytest.mark.parametrize("d", [2, 16, 64])
def test_agrees_with_the_reference_formula(d):
    rng = np.random.default_rng(d)
    mix = rng.normal(size=(d, d)) / np.sqrt(d)
    a, b = rng.normal(size=(400, d)) @ mix, rng.exponential(size=(300, d))
    cov = [np.atleast_2d(np.cov(x, rowvar=False)) for x in (a, b)]
    root = scipy.linalg.sqrtm(cov[0] @ cov[1])
    reference = ((a.mean(0) - b.mean(0)) ** 2).sum() + np.trace(cov[0] + cov[1] - 2 * root.real)
    assert frechet_distance(a, b) == pytest.approx(reference, rel=1e-6)
    diagonal = ((a.mean(0) - b.mean(0)) ** 2).sum() + ((a.std(0, ddof=1) - b.std(0, ddof=1)) ** 2).sum()
    assert frechet_distance(a, b, covariance="diagonal") == pytest.approx(diagonal, rel=1e-12)


def test_singular_covariances_need_no_help():
    # Fewer rows than features: rotated into the rows' own space the distance must be the same.
    rng = np.random.default_rng(3)
    small = [rng.normal(size=(20, 5)), rng.normal(1, 2, size=(20, 5))]
    turn = np.linalg.qr(rng.normal(size=(40, 40)))[0][:5]
    wide = [each @ turn for each in small]
    assert frechet_distance(*wide) == pytest.approx(frechet_distance(*small), rel=1e-6)


def test_bias_at_a_hundred_rows_and_blindness_of_the_diagonal():
    rng = np.random.default_rng(1)
    found = [frechet_distance(*rng.normal(size=(2, 100, 64))) for _ in range(20)]
    assert 21.5 < np.mean(found) < 23  # published probes read 21.6 once; standard error here .1
    x = rng.normal(size=(5000, 2))
    tied = np.column_stack([x[:, 0], 0.9 * x[:, 0] + np.sqrt(1 - 0.81) * x[:, 1]])
    free = rng.normal(size=(5000, 2))
    closed = 4 - 2 * (np.sqrt(1.9) + np.sqrt(0.1))  # eigenvalues 1.9 and .1 against 1 and 1
    assert frechet_distance(tied, free) == pytest.approx(closed, abs=0.05)
    assert frechet_distance(tied, free, covariance="diagonal") < 0.01


def test_extrapolation_takes_the_bias_out():
    rng = np.random.default_rng(2)
    same = [frechet_infinity(*rng.normal(size=(2, 300, 8)), random_state=k)[0] for k in range(30)]
    plain = frechet_distance(*rng.normal(size=(2, 300, 8)))
    assert plain > 0.1 and abs(np.mean(same)) < 4 * np.std(same) / np.sqrt(30) + 0.01
    shifted = [
        frechet_infinity(rng.normal(size=(300, 8)), rng.normal(0.5, 1, size=(400, 8)), random_state=k)[0]
        for k in range(30)
    ]
    assert np.mean(shifted) == pytest.approx(2.0, abs=4 * np.std(shifted) / np.sqrt(30))
    value, figures = frechet_infinity(*rng.normal(size=(2, 60, 3)), cells=np.repeat([0, 1], 30))
    assert figures.shape == (15, 2) and figures[-1, 0] == 60 and np.isfinite(value)


def test_kernel_distance_is_the_published_formula():
    rng = np.random.default_rng(4)
    a, b = rng.normal(size=(120, 10)), rng.normal(0.3, 1.2, size=(150, 10))

    def kernel(x, y):
        return (sum(p * q for p, q in zip(x, y, strict=True)) / 10 + 1) ** 3

    within = [
        np.mean([kernel(s[i], s[j]) for i in range(len(s)) for j in range(len(s)) if i != j]) for s in (a, b)
    ]
    across = np.mean([kernel(x, y) for x in a for y in b])
    assert unbiased_mmd(a, b) == pytest.approx(sum(within) - 2 * across, rel=1e-9)
    found = kernel_distance(a, b, subset_size=50, n_subsets=40)
    assert found.subset_size == 50 and found.n_subsets == 40
    assert found.value == pytest.approx(unbiased_mmd(a, b), abs=5 * found.std / np.sqrt(40))
    assert kernel_distance(a, b[:120]).value == pytest.approx(unbiased_mmd(a, b[:120]))


def test_kernel_distance_is_unbiased_and_labellings_agree():
    rng = np.random.default_rng(5)
    null = [kernel_distance(*rng.normal(size=(2, 40, 6))).value for _ in range(300)]
    assert abs(np.mean(null)) < 4 * np.std(null) / np.sqrt(300)
    pooled = rng.normal(size=(60, 4))
    labels = np.zeros((2, 60), dtype=bool)
    labels[0, :30], labels[1, ::2] = True, True
    wanted = [unbiased_mmd(pooled[row], pooled[~row]) for row in labels]
    assert block_sums(pooled, labels) == pytest.approx(wanted)


def test_tail_beyond_the_permutations():
    rng = np.random.default_rng(6)
    ratios = []
    for _ in range(40):
        drawn = stats.chi2(8).rvs(199, random_state=rng)
        ratios.append(tail_p_value(stats.chi2(8).isf(1e-5), drawn) / 1e-5)
        exact = (1 + (drawn >= 10).sum()) / 200
        assert tail_p_value(10.0, drawn) == pytest.approx(exact)
    assert 0.1 < np.median(ratios) < 10
    assert tail_p_value(1.0, np.ones(9)) == 1.0 and tail_p_value(2.0, np.ones(9)) == 0.1


@pytest.mark.parametrize(("n", "level"), [(9, 0.02), (199, 0.001)])
def test_tail_keeps_its_level_where_no_permutation_reaches(n, level):
    rng = np.random.default_rng(7)
    p = np.array([tail_p_value(row[0], row[1:]) for row in rng.normal(size=(4000, n + 1))])
    assert np.mean(p <= level) <= level + 3 * np.sqrt(level / 4000)


@pytest.mark.parametrize(
    ("a", "b", "told"),
    [
        (np.zeros((1, 3)), np.zeros((5, 3)), "at least two rows"),
        (np.zeros(4), np.zeros((5, 3)), "at least two rows"),
        (np.full((4, 3), np.nan), np.zeros((5, 3)), "NaN or infinity in 4 rows of a"),
        (np.zeros((4, 2)), np.zeros((5, 3)), "2 and 3"),
    ],
)
def test_bad_features(a, b, told):
    for distance in (frechet_distance, kernel_distance, frechet_infinity):
        with pytest.raises(DataError, match=told):
            distance(a, b)
    with pytest.raises(ParameterError, match="covariance must be"):
        frechet_distance(np.eye(3), np.eye(3), covariance="half")


def test_features_of_the_user_go_into_the_same_distances():
    # Log energies of bands of short clips, as a user would hand them in.
    rng = np.random.default_rng(7)

    def log_bands(clips):
        power = np.abs(np.fft.rfft(np.asarray(clips), axis=1)[:, 1:129]) ** 2
        return np.log(power.reshape(len(power), 16, 8).sum(axis=2) + 1e-6)

    real, held, same = rng.normal(size=(3, 150, 256))
    muffled = np.apply_along_axis(np.convolve, 1, same, [0.5, 0.5], mode="same")
    findings = {}
    for name, made in (("same", same), ("muffled", muffled)):
        evidence = gather(real, None, made, None, holdout=(held, None), features=log_bands)
        findings[name] = [
            check.run(evidence, np.random.default_rng(0)) for check in (FrechetCheck(), KernelCheck())
        ]
        wanted = frechet_distance(evidence.matched[0].z, evidence.matched[1].z)
        scale = np.mean((evidence.train.z - evidence.train.z.mean(axis=0)) ** 2)
        assert findings[name][0].value * scale == pytest.approx(wanted)
    assert all(each.p_value > 0.01 for each in findings["same"])
    assert all(each.p_value < 1e-4 for each in findings["muffled"])
    assert "features given" in findings["muffled"][0].sentence


def test_inception_without_weights_says_what_to_do(tmp_path, monkeypatch):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    with pytest.raises(DataError, match="use classifier_features"):
        inception_features(np.zeros((2, 8, 8), dtype=np.uint8))


def test_inception_sees_what_the_convention_says():
    grey = np.zeros((2, 8, 8), dtype=np.uint8)
    grey[1] = 255
    seen = prepared(grey, 255.0)
    assert tuple(seen.shape) == (2, 3, 299, 299)
    assert bool((seen[0] == -1).all()) and float((seen[1] - 1).abs().max()) < 1e-6
    ragged = prepared([np.ones((9, 7)), np.zeros((4, 4, 3))], 1.0)
    assert tuple(ragged.shape) == (2, 3, 299, 299)
    with pytest.raises(DataError, match="pixels must be bytes"):
        from augsynth.check.pictures.inception import _top

        _top(np.full((2, 4, 4), -1.0))


@pytest.mark.slow
def test_inception_with_weights_on_disk(tmp_path):
    import torch
    from torchvision.models import inception_v3

    torch.manual_seed(0)
    network = inception_v3(weights=None, init_weights=False).eval()
    torch.save(network.state_dict(), tmp_path / "weights.pth")
    X = load_digits().images[:3].astype(np.uint8) * 15
    found = inception_features(X, path=tmp_path / "weights.pth")
    assert found.shape == (3, 2048)
    kept = {}
    network.avgpool.register_forward_hook(lambda module, given, out: kept.update(out=out))
    network.transform_input = False
    with torch.no_grad():
        network(prepared(X, 255.0))
    assert np.allclose(kept["out"][:, :, 0, 0].numpy(), found, atol=1e-5)


def test_frames_bring_any_pictures_to_one_size():
    frame = Frame.of([np.zeros((4, 6, 3)), np.ones((8, 4))], largest=32)
    assert (frame.height, frame.width, frame.channels) == (8, 6, 3)
    assert frame.stack([np.ones((2, 2))]).shape == (1, 3, 8, 6)
    small = Frame.of(np.zeros((2, 64, 64)), largest=16)
    X = np.random.default_rng(0).random((2, 64, 64))
    assert small.stack(X).mean() == pytest.approx(X.mean(), rel=1e-5)  # averaging keeps the mean

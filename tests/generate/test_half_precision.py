"""Training in bfloat16 where it can: every deep model runs, and what it learns is the same."""

import numpy as np
import pytest
import torch

from augsynth.generate.autoregressive import AutoregressiveGenerator
from augsynth.generate.diffusion import DiffusionGenerator
from augsynth.generate.flow import FlowGenerator
from augsynth.generate.gan import GANGenerator
from augsynth.generate.vae import VAEGenerator
from augsynth.nn.backbones import MLPBackbone
from augsynth.nn.convnets import ConvBackbone
from augsynth.nn.flows import Flow
from augsynth.nn.gated import GatedBackbone
from augsynth.nn.randomness import forked
from augsynth.nn.trainer import Trainer
from augsynth.nn.unet import UNetBackbone

ROWS = MLPBackbone(16, depth=2)
MODELS = {
    "table": [
        VAEGenerator(backbone=ROWS),
        VAEGenerator(backbone=ROWS, likelihood="gaussian"),
        GANGenerator(backbone=ROWS),
        GANGenerator(backbone=ROWS, loss="wasserstein"),
        FlowGenerator(backbone=ROWS, n_layers=2),
        AutoregressiveGenerator(backbone=ROWS),
        DiffusionGenerator(backbone=ROWS),
    ],
    "images": [
        VAEGenerator(backbone=ConvBackbone(8)),
        GANGenerator(backbone=ConvBackbone(8)),
        GANGenerator(backbone=ConvBackbone(8), loss="wasserstein"),
        AutoregressiveGenerator(backbone=GatedBackbone(8, depth=2)),
        DiffusionGenerator(backbone=UNetBackbone(8), n_steps=2),
    ],
}


@pytest.mark.parametrize("data", MODELS)
def test_every_model_trains(data):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(40, 3) if data == "table" else (40, 8, 8))
    y = np.arange(40) % 2
    trainer = Trainer(steps=2, batch_size=16, options={"precision": "bf16-mixed", "progress": False})
    for model in MODELS[data]:
        made = model.set_params(trainer=trainer, random_state=0).fit(X, y).sample(y=[0, 1, 1])
        assert made.shape == (3, *X.shape[1:]) and np.isfinite(made).all(), model


@pytest.mark.parametrize("coupling", ["spline", "affine"])
def test_a_flow_has_the_density_that_it_draws_from(coupling):
    # Only its networks may round; what is done to the numbers themselves must stay undone by the inverse.
    with forked(0):
        flow = Flow(3, ROWS, n_layers=4, coupling=coupling, linear=True)
        with torch.no_grad():
            for p in flow.parameters():
                p.add_(0.2 * torch.randn(p.shape))
        x = 2.0 * torch.randn(500, 3)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            u, change = flow(x)
            back, other = flow.inverse(u)
    assert u.dtype == torch.float32
    assert torch.quantile((back - x).abs(), 0.9) < 0.1 and torch.quantile((change + other).abs(), 0.9) < 0.1

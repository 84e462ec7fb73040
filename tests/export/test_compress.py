"""Smaller networks keep what they must, and zeros stay zeros while they learn."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from fuseg_export.models import REFERENCE
from fuseg_export.models.blocks import ResidualBlock
from fuseg_export.models.thin import removed_channels
from fuseg_export.training.compress import (
    Distilled,
    Masked,
    bytes_of,
    two_of_four,
)
from fuseg_export.training.data import RenderedFrames
from fuseg_export.training.fit import fit
from fuseg_export.training.tasks.rooms import Rooms

SETTINGS = {"steps": 2, "rate": 1e-2, "seed": 1}


@pytest.fixture
def task():
    rng = np.random.default_rng(0)
    model = REFERENCE["gated-middle"]
    labels = rng.integers(0, 10, (1, 96, 128)).astype(np.uint8)
    color = rng.integers(0, 256, (1, 96, 128, 3)).astype(np.uint8)
    depth = rng.integers(500, 5000, (1, 96, 128)).astype(np.uint16)
    frames = RenderedFrames(color, depth, labels)
    return Rooms(model.inputs, model.classes, 255, frames, frames, size=2)


@pytest.fixture
def network():
    torch.manual_seed(0)
    return REFERENCE["gated-middle"].network()


def test_a_block_without_its_silent_channels_computes_the_same():
    torch.manual_seed(0)
    block = ResidualBlock(8, 12).eval()
    with torch.no_grad():
        block.first[0].weight[[1, 5, 7]] = 0.0
        block.first[1].bias.zero_()
    x = torch.randn(1, 8, 5, 7)
    wanted = block(x)
    gone = removed_channels(nn.Sequential(block), 0.25)
    assert gone == 3 * (8 * 9 + 2) + 12 * 3 * 9
    assert block.first[0].weight.shape == (9, 8, 3, 3)
    torch.testing.assert_close(block(x), wanted)


def test_thinned_models_take_the_weights_of_a_thinned_network(network):
    removed_channels(network, 0.3)
    thin = REFERENCE["thinned-30"].network()
    thin.load_state_dict(network.state_dict())
    whole = REFERENCE["gated-middle"].network()
    sizes = [sum(p.numel() for p in n.parameters()) for n in (thin, whole)]
    assert 0.65 < sizes[0] / sizes[1] < 0.8


def test_two_of_four_channels_that_come_in_are_kept_the_largest(network):
    masks = two_of_four(network)
    weights = dict(network.named_parameters())
    assert len(masks) > 20
    for name, mask in masks.items():
        fours = mask.permute(0, 2, 3, 1).reshape(-1, 4)
        assert (fours.sum(1) == 2).all()
        values = weights[name].detach().permute(0, 2, 3, 1).reshape(-1, 4).abs()
        least_kept = values.where(fours > 0, torch.inf).amin(1)
        assert (least_kept >= (values * (1 - fours)).amax(1)).all()


def test_zeros_stay_while_the_rest_learns(network, task, tmp_path):
    masks = two_of_four(network)
    sparse = Masked(task, masks)
    before = {k: v.clone() for k, v in network.named_parameters()}
    fit(network, sparse, SETTINGS, tmp_path)
    sparse.evaluate(network)
    for name, value in network.named_parameters():
        if name in masks:
            assert (value[masks[name] == 0] == 0).all()
            assert not torch.equal(
                value[masks[name] == 1], before[name][masks[name] == 1]
            )
    assert bytes_of(network, masks) < 0.65 * bytes_of(network)


def test_distillation_is_its_definition(network, task):
    torch.manual_seed(1)
    teacher = REFERENCE["gated-middle"].network().eval()
    network.eval()
    taught = Distilled(task, teacher, temperature=3.0, share=0.25)
    batch = task.batch(np.random.default_rng(0))
    with torch.no_grad():
        ours, theirs = network(*batch[0]), teacher(*batch[0])
        p, q = (theirs / 3).softmax(1), (ours / 3).softmax(1)
        apart = (p * (p.log() - q.log())).sum(1).mean() * 9
        wanted = 0.25 * apart + 0.75 * F.cross_entropy(ours, batch[1])
        torch.testing.assert_close(taught.loss(network, batch), wanted)
    found = taught.loss(network, batch)
    found.backward()
    assert network.head.weight.grad.abs().sum() > 0
    assert all(p.grad is None for p in teacher.parameters())

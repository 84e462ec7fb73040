"""The reference networks: shapes, what fusion is made of, what a manifest says."""

from __future__ import annotations

import pytest
import torch

from fuseg.manifest import input_shapes
from fuseg_export.models import REFERENCE
from fuseg_export.models.blocks import ResidualBlock, SqueezeExcite
from fuseg_export.models.fusion import GatedFusion
from fuseg_export.models.network import FusionNet


@pytest.fixture(params=sorted(REFERENCE))
def model(request):
    return REFERENCE[request.param]


def tensors(model):
    generator = torch.Generator().manual_seed(0)
    shapes = input_shapes(model.inputs).values()
    return [torch.randn(shape, generator=generator) for shape in shapes]


def test_logits_have_a_plane_a_class_at_the_size_of_the_inputs(model):
    with torch.inference_mode():
        logits = model.build().eval()(*tensors(model))
    assert logits.shape == (1, len(model.classes), 240, 320)


def test_weights_of_float32_fit_in_eight_megabytes(model):
    assert sum(4 * p.numel() for p in model.build().state_dict().values()) < 8e6


def test_every_sensor_and_every_weight_matters(model):
    network = model.build().eval()
    inputs = [t.requires_grad_() for t in tensors(model)]
    network(*inputs).square().sum().backward()
    assert all(t.grad.abs().sum() > 0 for t in inputs)
    silent = [n for n, p in network.named_parameters() if p.grad is None]
    assert silent == []


def test_a_gate_scales_each_channel_by_one_number_between_zero_and_one():
    torch.manual_seed(0)
    x = torch.randn(2, 16, 5, 7)
    ratio = SqueezeExcite(16)(x) / x
    first = ratio[:, :, :1, :1]
    torch.testing.assert_close(ratio, first.expand_as(ratio))
    assert 0 < first.min() < first.max() < 1


def test_fusion_is_the_sum_of_the_gated_sensors():
    torch.manual_seed(0)
    fusion = GatedFusion(2, 8)
    a, b = torch.randn(2, 1, 8, 3, 5)
    torch.testing.assert_close(fusion(a, b), fusion.gates[0](a) + fusion.gates[1](b))


def test_a_network_of_other_sizes_is_one_of_settings():
    with torch.device("meta"):  # shapes alone
        network = FusionNet(
            (3, 1), 10, widths=(64, 128, 256, 512), depths=(3, 4, 6, 3), bins=(1, 5)
        )
        features = network.encode(
            torch.empty(1, 3, 480, 640), torch.empty(1, 1, 480, 640)
        )
    assert [f.shape[1:] for f in features] == [
        (64, 120, 160),
        (128, 60, 80),
        (256, 30, 40),
        (512, 15, 20),
    ]
    for encoder in network.encoders:
        blocks = [m for m in encoder.modules() if isinstance(m, ResidualBlock)]
        assert len(blocks) == 3 + 4 + 6 + 3

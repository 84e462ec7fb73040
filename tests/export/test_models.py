"""The reference networks: shapes, what fusion is made of, what a manifest says."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from fuseg.errors import ArgumentError
from fuseg.manifest import input_shapes
from fuseg_export.frames.rendered import labelled_rooms, small_rooms
from fuseg_export.models import REFERENCE
from fuseg_export.models.attention import EfficientAttention
from fuseg_export.models.blocks import ResidualBlock, SqueezeExcite
from fuseg_export.models.compose import compose
from fuseg_export.models.fusion import OPERATORS, operator
from fuseg_export.models.fusion.gated import Gated
from fuseg_export.models.network import FusionNet, upsampled
from fuseg_export.network.spec import default_classes

CHECKPOINTS = Path(__file__).parents[2] / "export" / "checkpoints"


@pytest.fixture(params=["rgbd", "rgb", "depth"])
def model(request):
    return REFERENCE[request.param]


def tensors(model):
    generator = torch.Generator().manual_seed(0)
    shapes = input_shapes(model.inputs).values()
    return [torch.randn(shape, generator=generator) for shape in shapes]


def test_logits_have_a_plane_a_class_at_the_size_of_the_inputs(model):
    with torch.inference_mode():
        logits = model.network().eval()(*tensors(model))
    assert logits.shape == (1, len(model.classes), 240, 320)


def test_weights_of_float16_fit_in_eight_megabytes(model):
    assert sum(2 * p.numel() for p in model.network().state_dict().values()) < 8e6


SEEDED = [
    *(0.117, 0.0894, 0.0664, -0.0135, -0.1565),
    *(-0.0015, -0.0221, -0.147, -0.154, -0.126),
]
ROOMS = [
    name for name, m in REFERENCE.items() if m.scenes in (labelled_rooms, small_rooms)
]


@pytest.mark.parametrize("name", ROOMS)
def test_every_sensor_and_every_weight_matters(name):
    model = REFERENCE[name]
    network = model.network().eval()
    inputs = [t.requires_grad_() for t in tensors(model)]
    network(*inputs).square().sum().backward()
    assert all(t.grad.abs().sum() > 0 for t in inputs)
    for sibling, x in zip(getattr(network, "alone", {}).values(), inputs, strict=False):
        sibling(x.detach()).square().sum().backward()
    silent = [n for n, p in network.named_parameters() if p.grad is None]
    assert silent == []


def test_the_shipped_network_is_the_one_that_it_was():
    """Names, order and numbers of `rgbd` stay, whatever it is composed of."""
    torch.manual_seed(1)
    network = REFERENCE["rgbd"].network().eval()
    with torch.inference_mode():
        logits = network(
            torch.full((1, 3, 240, 320), 0.5), torch.full((1, 1, 240, 320), 0.5)
        )
    found = [round(float(value), 4) for value in logits[0, :, 120, 160]]
    assert found == pytest.approx(SEEDED, abs=2e-4)
    network.load_state_dict(load_file(CHECKPOINTS / "rgbd.safetensors"))


@pytest.mark.parametrize("name", OPERATORS)
def test_an_operator_takes_any_number_of_sensors_to_one_of_their_shape(name):
    torch.manual_seed(0)
    for sensors in (2, 3, 4):
        fusion = operator(name)(sensors, 12)
        features = [torch.randn(2, 12, 6, 8) for _ in range(sensors)]
        fused = fusion(*features)
        assert fused.shape == features[0].shape
        for index in range(sensors):
            changed = list(features)
            changed[index] = changed[index] + 1
            assert not torch.equal(fusion(*changed), fused)


def test_what_each_plain_operator_computes():
    torch.manual_seed(0)
    a, b, c = torch.randn(3, 1, 4, 3, 5)
    assert torch.equal(operator("add")(3, 4)(a, b, c), a + b + c)
    assert torch.equal(operator("multiply")(3, 4)(a, b, c), a * b * c)
    weighted = operator("weighted")(3, 4)
    torch.testing.assert_close(weighted(a, b, c), a + b + c)  # before it has learned
    weighted.logits.data[0] = 100.0
    torch.testing.assert_close(weighted(a, b, c), 3 * a)


def test_attention_is_the_definition_of_its_source():
    torch.manual_seed(0)
    look = EfficientAttention(8)
    asking, asked = torch.randn(2, 1, 8, 3, 5)
    wanted = torch.zeros(8, 15)
    for head in range(4):
        part = slice(2 * head, 2 * head + 2)
        query = look.query(asking)[0, part].reshape(2, 15).softmax(0)
        key = look.key(asked)[0, part].reshape(2, 15).softmax(1)
        value = look.value(asked)[0, part].reshape(2, 15)
        for place in range(15):
            for d in range(2):
                weights = query[d, place] * key[d]
                wanted[part, place] += (value * weights).sum(1)
    wanted = look.out(wanted.reshape(1, 8, 3, 5))
    torch.testing.assert_close(look(asking, asked), wanted)


def composed(sensors=("rgb", "depth"), classes=5, fusion="gated", position="middle"):
    named = default_classes(classes) if classes else ()
    return compose("mine", sensors, named, fusion, position)


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ({"sensors": ("rgb", "lidar")}, ["a sensor that has an encoder", "'lidar'"]),
        ({"sensors": ()}, ["one or more of rgb, depth, thermal, range, got none"]),
        ({"sensors": ("rgb", "rgb")}, ["named once, got rgb twice"]),
        ({"classes": 0}, ["classes of mine must be one or more", "got none"]),
        ({"fusion": "gatd"}, ["'gatd': did you mean gated?"]),
        ({"position": "midle"}, ["'midle': did you mean middle?"]),
        ({"sensors": ("rgb",)}, ["absent for one sensor, rgb", "nothing to fuse"]),
        ({"fusion": None}, ["for 2 sensors: one of add, attention,", "early, middle"]),
    ],
)
def test_what_cannot_be_composed_is_refused_in_one_sentence(said, words):
    with pytest.raises(ArgumentError) as err:
        composed(**said)
    sentence = str(err.value)
    assert all(word in sentence for word in words)
    assert sentence.count(". ") == 0


def test_late_fusion_is_of_the_scores_of_whole_networks():
    torch.manual_seed(0)
    network = composed(fusion="add", position="late").network().eval()
    rgb, depth = torch.randn(1, 3, 96, 128), torch.randn(1, 1, 96, 128)
    color, near = network.networks
    torch.testing.assert_close(network(rgb, depth), color(rgb) + near(depth))


def test_early_fusion_is_one_network_behind_the_sum_of_stems():
    torch.manual_seed(0)
    network = composed(fusion="add", position="early").network().eval()
    rgb, depth = torch.randn(1, 3, 96, 128), torch.randn(1, 1, 96, 128)
    encoder = network.network.encoders[0]
    both = encoder.stem(rgb) + network.stems[0](depth)
    wanted = upsampled(network.network.decode(encoder.scales(both)), rgb)
    torch.testing.assert_close(network(rgb, depth), wanted)


def test_a_gate_scales_each_channel_by_one_number_between_zero_and_one():
    torch.manual_seed(0)
    x = torch.randn(2, 16, 5, 7)
    ratio = SqueezeExcite(16)(x) / x
    first = ratio[:, :, :1, :1]
    torch.testing.assert_close(ratio, first.expand_as(ratio))
    assert 0 < first.min() < first.max() < 1


def test_fusion_is_the_sum_of_the_gated_sensors():
    torch.manual_seed(0)
    fusion = Gated(2, 8)
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

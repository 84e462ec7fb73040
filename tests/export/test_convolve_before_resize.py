"""Convolutions of 1 x 1 run before what enlarges their input, and give the same."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from fuseg_export.network.outputs import SelectedOutputs, Source
from fuseg_export.ort_session import run_all
from fuseg_export.passes.convolve_before_resize import convolve_before_resize
from fuseg_export.passes.rewrite import read
from fuseg_export.passes.simplify import simplify
from fuseg_export.to_onnx import to_onnx

SIZE = (45, 61)


class Head(nn.Module):
    """Features of four strides and of the whole, joined at the first one's size."""

    strides = (1, 2, 4, 0)

    def __init__(self, planes=(8, 24, 16, 40), out=12, mode="bilinear", **how):
        super().__init__()
        self.enter = nn.ModuleList(nn.Conv2d(3, n, 3, padding=1) for n in planes)
        self.mix = nn.Conv2d(sum(planes), out, 1, **how)
        self.mode = mode

    def forward(self, x):
        grid = {} if self.mode == "nearest" else {"align_corners": self.aligned}
        joined = []
        for stride, enter in zip(self.strides, self.enter, strict=True):
            small = enter(x)
            if stride != 1:
                one = F.adaptive_avg_pool2d
                small = F.avg_pool2d(small, stride) if stride else one(small, 1)
                small = F.interpolate(small, x.shape[2:], mode=self.mode, **grid)
            joined.append(small)
        return self.after(self.mix(torch.cat(joined, 1)))

    aligned = False

    def after(self, mixed):
        return mixed.relu()


class Last(Head):
    """Its convolution is the graph's end."""

    def after(self, mixed):
        return mixed


class Alone(nn.Module):
    """One tensor enlarged, and no join."""

    def __init__(self, planes, out):
        super().__init__()
        self.enter, self.mix = nn.Conv2d(3, planes, 3), nn.Conv2d(planes, out, 1)

    def forward(self, x):
        small = F.avg_pool2d(self.enter(x), 3)
        return self.mix(F.interpolate(small, scale_factor=3.0, mode="bilinear"))


class Shared(Head):
    """What is enlarged is an output too, so that it has to be made anyway."""

    def forward(self, x):
        small = F.avg_pool2d(self.enter[1](x), 3)
        large = F.interpolate(small, scale_factor=3.0)
        return self.mix(torch.cat([large] * 3 + [large[:, :16]], 1)) + large[:, :12]


def graph_of(network, size=SIZE):
    torch.manual_seed(4)
    example = {"x": torch.randn(1, 3, *size)}
    made = SelectedOutputs(network.eval(), [Source()])
    model = to_onnx(made, example, 17, ["output"]).model
    simplified, why = simplify(model, {"x": example["x"].numpy()})
    assert why is None
    return simplified, example["x"].numpy()


def work(model):
    """Multiply-adds of its convolutions of 1 x 1."""
    total = 0
    for node in read(model).graph:
        if node.op_type == "Conv":
            weights = node.inputs[1].shape.numpy()
            if weights[2:] == (1, 1):
                total += np.prod(weights) * np.prod(node.outputs[0].shape.numpy()[2:])
    return total


def check(network, moved, size=SIZE):
    """The rewritten graph, which gives what torch gives, with less work if moved."""
    model, x = graph_of(network, size)
    before = model.SerializeToString()
    made, names = convolve_before_resize(model)
    assert model.SerializeToString() == before, "it is not changed"
    assert len(names) == moved
    onnx.checker.check_model(made, full_check=True)
    with torch.no_grad():
        wanted = network.double()(torch.from_numpy(x).double()).numpy()
    (found,), (own,) = (run_all(m, {"x": x}).values() for m in (made, model))
    assert found.shape == wanted.shape
    np.testing.assert_allclose(found, own, atol=2e-5 * np.abs(own).max())
    if getattr(network, "mode", "bilinear") == "bilinear":
        np.testing.assert_allclose(found, wanted, atol=2e-5 * np.abs(wanted).max())
    assert (work(made) < work(model)) == bool(moved)
    return made


@pytest.mark.parametrize("mode", ["bilinear", "nearest", "bicubic", "aligned"])
@pytest.mark.parametrize("bias", [True, False])
def test_a_joined_head_is_convolved_branch_by_branch(mode, bias):
    network = Head(mode=mode.replace("aligned", "bilinear"), bias=bias)
    network.aligned = mode == "aligned"
    made = check(network, moved=1)
    ops = [node.op_type for node in made.graph.node]
    assert ops.count("Resize") == 2, "one pixel is repeated by the sum"
    assert "Concat" not in ops


def test_names_of_outputs_stay_where_the_convolution_is_the_end():
    made = check(Last(), moved=1)
    assert [output.name for output in made.graph.output] == ["output"]


def test_one_enlarged_tensor_needs_no_join():
    made = check(Alone(64, 5), moved=1, size=(50, 65))
    assert [node.op_type for node in made.graph.node][-2:] == ["Conv", "Resize"]


@pytest.mark.parametrize(
    "network",
    [Alone(4, 64), Shared(), Head(groups=4)],
    ids=["more planes", "needed elsewhere", "grouped"],
)
def test_what_would_not_pay_or_not_be_the_same_stays(network):
    size = (50, 65) if isinstance(network, Alone) else (48, 60)
    if isinstance(network, Head) and not isinstance(network, Shared):
        size = SIZE
    model, _ = graph_of(network, size)
    made, names = convolve_before_resize(model)
    assert (made, names) == (model, ())

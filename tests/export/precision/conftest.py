"""Small networks to quantize, as the exporter hands them over: simplified, tail cut."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from fuseg_export.network.outputs import SelectedOutputs, Source
from fuseg_export.passes.cut_tail import cut_tail
from fuseg_export.passes.simplify import simplify
from fuseg_export.to_onnx import to_onnx

SIZE = (32, 48)


class FusionNet(nn.Module):
    """Two sensors, a branch, a skip over an addition, a gate, a concatenation."""

    def __init__(self):
        super().__init__()
        self.color, self.depth = nn.Conv2d(3, 8, 3, 2, 1), nn.Conv2d(1, 8, 3, 2, 1)
        self.inner = nn.Conv2d(8, 8, 3, 1, 1)
        self.gate = nn.Conv2d(8, 8, 1)
        self.up = nn.ConvTranspose2d(8, 4, 2, 2)
        self.mix = nn.Conv2d(16, 8, 1)
        self.head = nn.Conv2d(4, 5, 1)

    def forward(self, rgb, depth):
        a, b = self.color(rgb).relu(), self.depth(depth).relu()
        a = (self.inner(a) + a).relu()
        a = a * self.gate(F.adaptive_avg_pool2d(a, 1)).sigmoid()
        x = self.mix(torch.cat([a, b], 1)).relu()
        return F.interpolate(self.head(self.up(x)), SIZE, mode="bilinear")


class Dense(nn.Module):
    """Matrix products beside a convolution."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 4, 4)
        self.linear, self.wide = nn.Linear(8, 16), nn.Linear(16, 8, bias=False)
        self.head = nn.Conv2d(8, 5, 1)

    def forward(self, rgb):
        x = self.conv(rgb).relu()
        shape = x.shape
        x = x.flatten(2).transpose(1, 2)
        x = self.wide(self.linear(x).relu())
        x = self.head(x.transpose(1, 2).reshape(shape))
        return F.interpolate(x, SIZE, mode="bilinear")


class Depthwise(nn.Module):
    """Depthwise layers, one channel of the first a hundred times as loud."""

    def __init__(self):
        super().__init__()
        self.enter = nn.Conv2d(3, 16, 3, 2, 1)
        self.deep = nn.ModuleList(
            nn.Sequential(
                nn.Conv2d(16, 16, 3, 1, 1, groups=16), nn.ReLU(), nn.Conv2d(16, 16, 1)
            )
            for _ in range(4)
        )
        self.head = nn.Conv2d(16, 5, 1)
        with torch.no_grad():
            self.enter.weight[5] *= 300
            self.enter.bias[5] = 0
            self.deep[0][0].weight[5] /= 300

    def forward(self, rgb):
        x = self.enter(rgb).relu()
        for i, block in enumerate(self.deep):
            x = block(x) if i == 0 else x + block(x)
            x = x.relu()
        return F.interpolate(self.head(x), SIZE, mode="bilinear")


class Transformer(nn.Module):
    """A block of self-attention and one of two linear layers, each beside a sum."""

    def __init__(self):
        super().__init__()
        self.enter = nn.Conv2d(3, 16, 4, 4)
        self.norm, self.norm_wide = nn.LayerNorm(16), nn.LayerNorm(16)
        self.query, self.key, self.value = (nn.Linear(16, 16) for _ in range(3))
        self.out = nn.Linear(16, 16)
        self.wide, self.narrow = nn.Linear(16, 32), nn.Linear(32, 16)
        self.head = nn.Conv2d(16, 5, 1)

    def forward(self, rgb):
        x = self.enter(rgb)
        height, width = x.shape[2:]
        x = x.flatten(2).transpose(1, 2)
        y = self.norm(x)
        seen = (self.query(y) @ self.key(y).transpose(1, 2)).softmax(-1)
        x = x + self.out(seen @ self.value(y))
        x = x + self.narrow(F.gelu(self.wide(self.norm_wide(x))))
        x = self.head(x.transpose(1, 2).reshape(1, 16, height, width))
        return F.interpolate(x, SIZE, mode="bilinear")


NETWORKS = {
    "fusing": FusionNet,
    "dense": Dense,
    "depthwise": Depthwise,
    "transformer": Transformer,
}


@pytest.fixture(scope="session")
def exported():
    """``exported(name)``: the graph without its tail, and the tail."""

    def export(name):
        torch.manual_seed(3)
        net = NETWORKS[name]().eval()
        with torch.no_grad():  # scores that tell pixels apart
            net.head.weight -= net.head.weight.mean(1, keepdim=True)
            net.head.weight *= 4
        example = {n: torch.zeros(s) for n, s in _shapes(name).items()}
        model = to_onnx(SelectedOutputs(net, [Source()]), example, 17).model
        plain = {n: tensor.numpy() for n, tensor in example.items()}
        return cut_tail(simplify(model, plain)[0])

    return export


@pytest.fixture(scope="session")
def frames():
    """``frames(name, count)``: tensors that are smooth locally, as pictures are."""

    def draw(name, count):
        rng = np.random.default_rng(0)
        for _ in range(count):
            tensors = {}
            for tensor, (_, planes, _, _) in _shapes(name).items():
                coarse = rng.normal(0, 1, (1, planes, 4, 6)).astype(np.float32)
                smooth = coarse.repeat(8, 2).repeat(8, 3)
                noise = rng.normal(0, 0.1, smooth.shape).astype(np.float32)
                tensors[tensor] = smooth + noise
            yield tensors

    return draw


def _shapes(name):
    color = {"rgb": (1, 3, *SIZE)}
    return {**color, "depth": (1, 1, *SIZE)} if name == "fusing" else color

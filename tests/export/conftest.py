"""A user's folder: networks that fuseg has never seen, and their checkpoints."""

from __future__ import annotations

import sys
from dataclasses import fields

import pytest
import torch

from fuseg_export.frames import frame_set
from fuseg_export.frames.selection import FrameOptions
from fuseg_export.network.target import NetworkOptions
from fuseg_export.passes import simplify as simplify_room
from fuseg_export.pipeline import export_bundle

# Several would wait for one another: the suite itself runs in as many processes.
torch.set_num_threads(1)

FOREIGN = '''
import warnings

import torch
from torch import nn
from torch.nn import functional as F

print("a chatty module")

def block(planes):
    return nn.Sequential(
        nn.Conv2d(planes, 8, 3, 4, 1), nn.BatchNorm2d(8), nn.ReLU(), nn.Conv2d(8, 5, 1)
    )

class TwoInputs(nn.Module):
    """Two positional inputs; a dict with an auxiliary head."""
    def __init__(self):
        super().__init__()
        self.color, self.depth = block(3), block(1)
    def forward(self, color, depth):
        a, b = self.color(color), self.depth(depth)
        large = F.interpolate(a + b, color.shape[2:], mode="bilinear")
        return {"out": large, "aux": a}

class Stacked(nn.Module):
    """One input of four channels; labels."""
    def __init__(self):
        super().__init__()
        self.block = block(4)
    def forward(self, x):
        x = F.interpolate(self.block(x), scale_factor=4, mode="bilinear")
        return x.softmax(1).argmax(1)

class Endless(TwoInputs):
    def forward(self, color, depth):
        return super().forward(color, depth)["out"] / 0

class ChannelsLast(TwoInputs):
    def forward(self, color, depth):
        return super().forward(color, depth)["out"].permute(0, 2, 3, 1)

class Pooled(TwoInputs):
    def forward(self, color, depth):
        return super().forward(color, depth)["out"].mean((2, 3), keepdim=True)

class Dilated(TwoInputs):
    """TensorRT's parser takes no dilated pool."""
    def forward(self, color, depth):
        scores = self.color(color) + self.depth(depth)
        wide = F.max_pool2d(scores, 3, 1, padding=1, dilation=2)
        return F.interpolate(wide, color.shape[2:], mode="bilinear")

class Joined(TwoInputs):
    """The sensors in one tensor, which the encoders cut apart again."""
    def forward(self, color, depth):
        both = torch.cat([color, depth], 1)
        return super().forward(both[:, :3], both[:, 3:])

def flipped(x):
    if bool(x.mean() > 0):
        return x
    return -x

class Torn(TwoInputs):
    """Another path for another frame: the graph gets an If."""
    def forward(self, color, depth):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # deprecated, and still used
            either = torch.jit.script(flipped)
        return either(super().forward(color, depth)["out"])

def compiled():
    return nn.DataParallel(torch.compile(TwoInputs()))

class Mood(TwoInputs):
    def forward(self, color, depth):
        return super().forward(color, depth)["out"] + torch.rand(1)
'''
TWO_INPUTS = ("rgb=color:48x64", "depth=depth:48x64")


def build(name):
    """The network, with weights that give every frame several labels."""
    scope = {}
    exec(FOREIGN, scope)  # noqa: S102 - our own words, above
    torch.manual_seed(11)
    network = scope[name]().eval()
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean += torch.randn(8)
            module.running_var *= 0.3
        if isinstance(module, torch.nn.Conv2d) and module.out_channels == 5:
            module.weight.data -= module.weight.data.mean(1, keepdim=True)
            module.weight.data *= 5
    return network


def fill(folder):
    (folder / "foreign.py").write_text(FOREIGN)
    parallel = {f"module.{n}": t for n, t in build("TwoInputs").state_dict().items()}
    torch.save({"epoch": 9, "state_dict": parallel}, folder / "two.pth")
    torch.save(build("Stacked").state_dict(), folder / "stacked.pth")
    (folder / "out").mkdir()


@pytest.fixture(scope="session")
def build_foreign():
    """``build_foreign("TwoInputs")``: the network of that checkpoint."""
    return build


@pytest.fixture(scope="module")
def user(tmp_path_factory):
    """A folder with the module ``foreign`` and checkpoints, one for a whole file."""
    folder = tmp_path_factory.mktemp("user")
    fill(folder)
    return folder


@pytest.fixture
def home(tmp_path, monkeypatch):
    """A folder like `user`, of one test and its working directory."""
    fill(tmp_path)
    monkeypatch.chdir(tmp_path)
    yield tmp_path
    sys.modules.pop("foreign", None)


@pytest.fixture
def quick(monkeypatch):
    """Two frames, and a simplifier that does nothing."""
    monkeypatch.setattr(frame_set, "STAGE_FRAMES", 2)
    copy = "import sys, shutil; shutil.copy(sys.argv[1], sys.argv[2])"
    monkeypatch.setattr(simplify_room, "_CHILD", copy)


@pytest.fixture
def export_two(home):
    """``export_two(**changes)``: the network with two inputs to ``out/two.fuseg``."""

    def export(**changes):
        words = {
            "target": "foreign:TwoInputs",
            "checkpoint": home / "two.pth",
            "out": home / "out" / "two.fuseg",
            "inputs": TWO_INPUTS,
            **changes,
        }

        def take(options):
            names = [f.name for f in fields(options) if f.name in words]
            return options(**{name: words.pop(name) for name in names})

        network, frames = take(NetworkOptions), take(FrameOptions)
        return export_bundle(network, words.pop("out"), frames=frames, **words)

    return export

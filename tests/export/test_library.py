"""Networks of other libraries go by name, and download nothing."""

from __future__ import annotations

import sys

import pytest
import torch

from fuseg.errors import ArgumentError, ExportError
from fuseg_export.network.target import NetworkOptions, resolve
from fuseg_export.sources.factory import build, name_of

# As segmentation-models-pytorch is: any argument is taken, and weights downloaded.
SMP = """
from torch import nn

class Unet(nn.Module):
    def __init__(
        self, encoder_name="resnet34", encoder_weights="imagenet", in_channels=3,
        classes=1, **kwargs
    ):
        super().__init__()
        if encoder_weights is not None:
            raise ConnectionError("no network here")
        self.scores = nn.Conv2d(in_channels, classes, 4, stride=4)
        self.name = encoder_name
    def forward(self, x):
        return self.scores(x)
"""
WORD = "smp:Unet?encoder_name=resnet18&in_channels=4"


@pytest.fixture
def smp(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "segmentation_models_pytorch.py").write_text(SMP)
    yield
    sys.modules.pop("segmentation_models_pytorch", None)


@pytest.mark.usefixtures("smp")
def test_arguments_are_those_of_the_word_and_then_of_the_options():
    network = build(WORD, {"classes": 5})[0].whole
    assert network.scores.weight.shape[:2] == (5, 4)
    assert network.name == "resnet18"
    assert build(f"{WORD}&classes=7", {"classes": 5})[0].whole.scores.out_channels == 5
    assert name_of(WORD) == "Unet"


@pytest.mark.usefixtures("smp")
def test_the_target_keeps_its_word():
    target = resolve(
        NetworkOptions(
            WORD,
            inputs=["rgb=color:48x64", "depth=depth:48x64"],
            stacks=["rgb,depth"],
            arguments=["classes=5"],
        )
    )
    assert (target.word, target.name) == (WORD, "Unet")
    assert target.arguments == {"classes": 5}


@pytest.mark.usefixtures("smp")
@pytest.mark.parametrize(
    ("word", "error", "sentence"),
    [
        ("smp:Unett", ArgumentError, r"has no such Unett: did you mean Unet\?$"),
        (
            "smp:Unet?encoder=resnet18",
            ArgumentError,
            r"takes the arguments encoder_name, .*, got encoder: did you mean enc",
        ),
        ("smp:Unet?classes", ArgumentError, r"follows Unet\? must be NAME=VALUE"),
        ("smp:", ArgumentError, "got segmentation_models_pytorch:"),
        (
            "smp:Unet?encoder_weights=imagenet",
            ExportError,
            "failed: ConnectionError: no network here",
        ),
    ],
)
def test_a_word_that_a_library_does_not_know_is_refused(word, error, sentence):
    with pytest.raises(error, match=sentence):
        build(word)


def test_a_library_that_is_not_installed_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "segmentation_models_pytorch", None)
    with pytest.raises(ExportError, match="pip install segmentation-models-pytorch"):
        build("smp:Unet")


@pytest.mark.parametrize(
    ("library", "word", "classes"),
    [
        ("segmentation_models_pytorch", "smp:Unet?encoder_name=resnet18&classes=5", 5),
        ("torchvision", "torchvision:lraspp_mobilenet_v3_large?num_classes=4", 4),
    ],
)
def test_the_real_library_has_it(library, word, classes):
    pytest.importorskip(library, reason=f"{library} is not installed")
    network = build(word)[0].whole
    with torch.inference_mode():
        returned = network(torch.zeros(1, 3, 64, 64))
    scores = returned["out"] if isinstance(returned, dict) else returned
    assert scores.shape == (1, classes, 64, 64)

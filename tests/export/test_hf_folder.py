"""A folder of transformers is a target: network, weights, preprocessing, classes."""

from __future__ import annotations

import json
import sys

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file
from torch import nn

from fuseg.errors import ArgumentError, CheckpointError, ExportError, InputFileError
from fuseg_export.network.target import NetworkOptions, resolve
from fuseg_export.network.weights import load_weights
from fuseg_export.reference import preprocess

# As much of transformers as a folder needs: it loads what fits, and says what does not.
TRANSFORMERS = """
import json
from pathlib import Path
from types import SimpleNamespace

from safetensors.torch import load_file
from torch import nn

__version__ = "9.9"
utils = SimpleNamespace(logging=SimpleNamespace(disable_progress_bar=lambda: None))

class AutoConfig:
    def from_pretrained(path, *, local_files_only, trust_remote_code):
        assert local_files_only and not trust_remote_code
        content = json.loads(Path(path, "config.json").read_text())
        return SimpleNamespace(use_pretrained_backbone=True, **content)

class PreTrainedModel(nn.Module):
    @classmethod
    def from_pretrained(
        cls, path, *, config, local_files_only, use_safetensors, output_loading_info
    ):
        assert local_files_only and use_safetensors and output_loading_info
        assert not config.use_pretrained_backbone, "it would be downloaded"
        network = cls(config)
        keys = network.load_state_dict(load_file(f"{path}/model.safetensors"), False)
        return network, {
            "missing_keys": set(keys.missing_keys),
            "unexpected_keys": set(keys.unexpected_keys),
        }

class TinyForSemanticSegmentation(PreTrainedModel):
    def __init__(self, config):
        super().__init__()
        self.scores = nn.Conv2d(3, len(config.id2label), 4, stride=4)
    def forward(self, pixel_values):
        return {"logits": self.scores(pixel_values)}
"""
CONFIG = {
    "architectures": ["TinyForSemanticSegmentation"],
    "id2label": {"10": "sky", "2": "tree", "1": "road, path"},
}
PROCESSOR = {
    "do_rescale": True,
    "rescale_factor": 1 / 255,
    "do_normalize": True,
    "image_mean": [0.5, 0.4, 0.3],
    "image_std": [0.1, 0.2, 0.3],
    "resample": 2,
    "size": {"height": 32, "width": 48},
}
INPUTS = ["rgb=color:32x48"]


def with_more():
    scores = nn.Conv2d(3, 3, 4, stride=4)
    scores.register_buffer("total_ops", torch.zeros(1))
    return scores


@pytest.fixture
def net(tmp_path, monkeypatch):
    """``net(config, processor)``: the folder, beside a small transformers."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delitem(sys.modules, "transformers", raising=False)
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "transformers.py").write_text(TRANSFORMERS)
    torch.manual_seed(0)
    scores = nn.Conv2d(3, 3, 4, stride=4)

    def made(config=CONFIG, processor=PROCESSOR, weights=scores):
        folder = tmp_path / "net"
        folder.mkdir()
        (folder / "config.json").write_text(json.dumps(config))
        if processor is not None:
            text = json.dumps(processor)
            (folder / "preprocessor_config.json").write_text(text)
        if weights is not None:
            named = {f"scores.{n}": t for n, t in weights.state_dict().items()}
            save_file(named, folder / "model.safetensors")
        return folder

    yield made
    sys.modules.pop("transformers", None)


def test_network_weights_preprocessing_and_classes_are_the_folders(net):
    folder = net()
    target = resolve(NetworkOptions(f"./{folder.name}/", inputs=INPUTS))
    (rgb,) = target.inputs
    assert (rgb.mean, rgb.std) == ((0.5, 0.4, 0.3), (0.1, 0.2, 0.3))
    assert (rgb.scale, rgb.resize.filter) == (1 / 255, "bilinear-antialias")
    classes = target.outputs[0].settings["classes"]
    assert [c.name for c in classes] == ["road, path", "tree", "sky"]
    assert (target.word, target.name) == ("net", "net")
    assert "resizes frames to height 32, width 48" in target.notes[0]
    assert target.network.scores.weight.abs().sum() > 0
    loaded = load_weights(target, NetworkOptions("net"))
    assert len(loaded.sha256) == 64
    target = resolve(NetworkOptions("net", inputs=INPUTS, weights_key="ema"))
    with pytest.raises(ArgumentError, match="--weights-key must be absent for net, wh"):
        load_weights(target, NetworkOptions("net"))


def test_what_the_user_says_goes_before(net, tmp_path):
    net()
    (tmp_path / "spec.json").write_text('{"inputs": {"rgb": {"mean": [0, 0, 0]}}}')
    target = resolve(
        NetworkOptions(
            "net", inputs=INPUTS, classes="a,b,c", spec=tmp_path / "spec.json"
        )
    )
    assert target.inputs[0].mean == (0, 0, 0)
    assert target.inputs[0].std == (0.1, 0.2, 0.3)
    assert [c.name for c in target.outputs[0].settings["classes"]] == ["a", "b", "c"]


def test_classes_are_of_a_segmentation_alone(net):
    net()
    outputs = resolve(
        NetworkOptions("net", inputs=INPUTS, outputs=["map=tensor:logits"])
    ).outputs
    assert "classes" not in outputs[0].settings


@pytest.mark.parametrize(
    ("processor", "values"),
    [
        ({}, ((0.485, 0.456, 0.406), 1 / 255, "bilinear", "RGB")),
        (None, ((0.485, 0.456, 0.406), 1 / 255, "bilinear", "RGB")),
        (
            {"do_rescale": False, "do_normalize": False, "resample": 0},
            ((0, 0, 0), 1, "nearest", "RGB"),
        ),
        (  # MobileViT's
            {"rescale_factor": 0.5, "resample": 3, "do_flip_channel_order": True},
            ((0, 0, 0), 0.5, "bilinear-antialias", "BGR"),
        ),
    ],
)
def test_an_image_processor_says_what_it_does_and_leaves_out(net, processor, values):
    net(processor=processor)
    (rgb,) = resolve(NetworkOptions("net", inputs=INPUTS)).inputs
    assert (rgb.mean, rgb.scale, rgb.resize.filter, rgb.channels) == values


def test_what_a_spec_cannot_say_is_noted(net):
    said = {"resample": 3, "do_center_crop": True, "do_reduce_labels": True}
    net(processor=said)
    words = ("bilinear is used instead", "crops frames", "0 is none of them")
    for note, word in zip(
        resolve(NetworkOptions("net", inputs=INPUTS)).notes, words, strict=False
    ):
        assert word in note


@pytest.mark.parametrize(
    ("made", "error", "sentence"),
    [
        (
            {"config": {**CONFIG, "architectures": ["MyNet"], "auto_map": {}}},
            ExportError,
            "transformers 9.9 has, got MyNet: code in the folder is not run",
        ),
        ({"config": {}}, ExportError, "got no architecture: "),
        ({"config": []}, InputFileError, "config.json must hold a JSON object"),
        (
            {"config": {**CONFIG, "architectures": ["json"]}},
            ExportError,
            "got json: code in the folder is not run",
        ),
        ({"weights": None}, InputFileError, "must hold its weights in model.safetens"),
        (
            {"weights": nn.Conv2d(3, 3, 4, bias=False)},
            CheckpointError,
            r"do not fit TinyForSem.*: missing: scores\.bias\.$",
        ),
        (
            {"weights": with_more()},
            CheckpointError,
            r"unexpected: scores\.total_ops\.$",
        ),
    ],
)
def test_a_folder_that_does_not_fit_is_refused(net, made, error, sentence):
    net(**made)
    with pytest.raises(error, match=sentence):
        resolve(NetworkOptions("net", inputs=INPUTS))


def test_a_folder_of_something_else_is_refused(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "net").mkdir()
    with pytest.raises(InputFileError, match=r"a folder of transformers, but"):
        resolve(NetworkOptions("net", inputs=INPUTS))
    (tmp_path / "net" / "config.json").write_text("{")
    with pytest.raises(InputFileError, match=r"config\.json must be JSON, but: "):
        resolve(NetworkOptions("net", inputs=INPUTS))


def test_transformers_must_be_installed(net, monkeypatch):
    net()
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(ExportError, match=r"needs transformers, .* pip install tr"):
        resolve(NetworkOptions("net", inputs=INPUTS))


def test_arguments_are_refused(net):
    net()
    with pytest.raises(ArgumentError, match="--arg NAME=VALUE"):
        resolve(NetworkOptions("net", inputs=INPUTS, arguments=["n=2"]))


def test_the_real_segformer_preprocesses_alike(tmp_path):
    transformers = pytest.importorskip(
        "transformers", reason="transformers is not installed"
    )
    config = transformers.SegformerConfig(num_labels=4)
    transformers.SegformerForSemanticSegmentation(config).save_pretrained(tmp_path)
    processor = transformers.SegformerImageProcessor(size={"height": 64, "width": 96})
    processor.save_pretrained(tmp_path)
    target = resolve(NetworkOptions(str(tmp_path), inputs=["rgb=color:64x96"]))
    pixels = np.random.default_rng(0).integers(0, 256, (200, 300, 3), np.uint8)
    found = preprocess(target.inputs, {"rgb": pixels})["rgb"]
    wanted = processor(Image.fromarray(pixels), return_tensors="np")["pixel_values"]
    step = 1 / 255 / min(processor.image_std)  # it rounds to bytes
    assert np.abs(found - wanted).max() <= step

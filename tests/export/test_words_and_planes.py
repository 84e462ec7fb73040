"""A network without labels: it says what it sees, and how far away it is."""

from __future__ import annotations

import json
import sys

import numpy as np
import pytest
import torch
from text.trained import file_of, trained
from typer.testing import CliRunner

import fuseg
from fuseg.cli import app
from fuseg_export.frames import selection
from fuseg_export.outputs import KINDS, OutputRequest
from fuseg_export.outputs.base import Prediction
from fuseg_export.reference import preprocess

MODULE = '''
import torch
from torch import nn

class Teller(nn.Module):
    """One token for each of six places, and a distance for each 4 x 4 pixels."""
    def __init__(self):
        super().__init__()
        self.encoder = nn.Sequential(nn.Conv2d(3, 8, 3, 4, 1), nn.ReLU())
        self.words, self.far = nn.Linear(8, 6 * WORDS), nn.Conv2d(8, 1, 1)
    def forward(self, rgb):
        x = self.encoder(rgb)
        scores = self.words(x.mean((2, 3))).reshape(1, 6, WORDS)
        return scores.argmax(2), self.far(x).exp()
'''
END, WORDS = trained("clip").token_to_id("<end>"), trained("clip").get_vocab_size()
OUTPUTS = ("--output", "says=tokens:0", "--output", "far=plane:1")


@pytest.fixture
def teller(tmp_path, monkeypatch, quick):
    del quick
    source = MODULE.replace("WORDS", str(WORDS))
    (tmp_path / "teller.py").write_text(source)
    (tmp_path / "words.json").write_bytes(file_of("clip"))
    said = {"says": {"tokenizer": "words.json", "end": END}}
    (tmp_path / "spec.json").write_text(json.dumps({"outputs": said}))
    scope = {}
    exec(source, scope)  # noqa: S102 - our own words, above
    torch.manual_seed(4)
    network = scope["Teller"]().eval()
    torch.save(network.state_dict(), tmp_path / "teller.pth")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(selection, "_CALIBRATION_ROOMS", range(1000, 1003))
    monkeypatch.setattr(selection, "_HELD_OUT_ROOMS", range(16, 19))
    yield network
    sys.modules.pop("teller", None)


def export(*words):
    given = ["export", "teller:Teller", "--checkpoint", "teller.pth", "-o", "t.fuseg"]
    given += ["--input", "rgb=color:48x64", *OUTPUTS, *words]
    return CliRunner().invoke(app, given)


def test_a_network_without_labels_is_exported_in_every_precision(teller):
    words = ["--spec", "spec.json", "--precision", "auto", "--report", "page.html"]
    done = export(*words, "--json")
    assert done.exit_code == 0, done.output
    report = json.loads(done.stdout)
    assert report["tail"] is None
    variants = {v["name"]: v for v in report["variants"]}
    assert set(variants["fp16"]["outputs"]) == {"says", "far"}
    segmenter = fuseg.load("t.fuseg", threads=1)
    assert segmenter.manifest.tensors["says"].dtype == "int64"
    frames, expected = segmenter.bundle.samples()[0]
    tensors = preprocess(segmenter.manifest.inputs, frames)
    with torch.inference_mode():
        ids, far = teller(torch.from_numpy(tensors["rgb"].astype(np.float32)))
    assert expected["says"].tolist()[:1] == ids[0].tolist()[:1]
    assert expected["far"].shape == (480, 640)
    small = expected["far"].reshape(12, 40, 16, 40).mean((1, 3))
    np.testing.assert_allclose(small, far[0, 0].numpy(), rtol=0.3)
    assert isinstance(segmenter(**frames)["says"].text, str)


@pytest.mark.usefixtures("teller")
def test_true_labels_need_an_output_that_gives_labels(tmp_path):
    for name, shape in (("rgb", (48, 64, 3)), ("truth", (48, 64))):
        (tmp_path / name).mkdir()
        np.save(tmp_path / name / "0.npy", np.full(shape, 90, np.uint8))
    words = ["--frames", "rgb=rgb", "--truth", "truth", "--spec", "spec.json"]
    done = export(*words)
    assert done.exit_code == 2
    assert "--truth needs an output of kind segmentation" in done.stderr


@pytest.mark.usefixtures("teller")
def test_a_text_needs_the_file_of_its_tokenizer():
    done = export()
    assert done.exit_code == 2
    assert "output says: tokenizer must be the file tokenizer.json that" in done.stderr


def test_texts_agree_as_a_whole_and_up_to_their_end(tmp_path):
    path = tmp_path / "words.json"
    path.write_bytes(b"{}")
    request = OutputRequest("says", "tokens", "0", {"tokenizer": str(path), "end": 9})
    output = KINDS["tokens"](request, torch.zeros(1, 5, dtype=torch.int64), {})
    assert output.members == {"says.tokenizer.json": b"{}"}
    one, noise, other = ([3, 4, 9, 1, 2], [3, 4, 9, 9, 8], [3, 5, 9, 1, 2])
    results = [output.of_torch(torch.tensor([ids]), ()).result for ids in (one, noise)]
    assert output.agreement(*results) == 1
    assert output.agreement(results[0], output.result(np.array([other]))) == 0


def test_planes_are_interpolated_to_the_size_asked_for():
    output = KINDS["plane"](OutputRequest("far", "plane"), torch.zeros(1, 1, 1, 2), {})
    plane = output.result(np.float32([[[[1, 3]]]]))
    large = output.at_camera(Prediction(plane, plane), (10, 10), (2, 4)).result
    np.testing.assert_allclose(large, [[1, 1.5, 2.5, 3]] * 2)
    assert output.agreement(plane, plane * 1.01) == pytest.approx(0.99)

"""Networks that are asked for things by texts, exported in one command."""

from __future__ import annotations

import importlib.machinery
import json
import sys
from pathlib import Path

import doubles
import doubles.tensorrt
import numpy as np
import pytest
import torch
from runtime.gpu.graph_backends import backends_of
from text.trained import trained
from torch.nn import functional as F
from typer.testing import CliRunner

import fuseg
from fuseg.backends.program_gpu import GpuProgramBackend
from fuseg.bundle import Bundle
from fuseg.cli import app
from fuseg.cuda import open_device
from fuseg.text import Tokenizer
from fuseg_export import tokenizer
from fuseg_export.frames import frame_set, selection
from fuseg_export.network.inputs import read_inputs

SIZE, LENGTH = (48, 64), 16
MODULE = '''
import torch
from torch import nn

class Found(nn.Module):
    """Features of half the resolution, and a vector of a text by an LSTM."""
    def __init__(self):
        super().__init__()
        self.words = nn.Embedding(WORDS, 16)
        self.reads, self.says = nn.LSTM(16, 32, batch_first=True), nn.Linear(32, 8)
        self.image = nn.Sequential(
            nn.Conv2d(3, 16, 3, 2, 1), nn.ReLU(), nn.Conv2d(16, 8, 1)
        )
    def forward(self, rgb, words):
        vectors = self.says(self.reads(self.words(words))[0][:, -1])
        return {"pixels": self.image(rgb), "texts": {"vectors": vectors}}

class Scores(Found):
    """A score of each text, of the whole resolution."""
    def forward(self, rgb, words):
        found = super().forward(rgb, words)
        twice = found["texts"]["vectors"].repeat(2, 1)
        vectors = twice[: words.shape[0]]  # a size that onnx does not infer
        scores = torch.einsum("pd,ndhw->nphw", vectors, found["pixels"])
        return nn.functional.interpolate(scores, size=rgb.shape[2:], mode="bilinear")

class Repeated(Found):
    """A score of each text, from as many copies of the picture's features."""
    def forward(self, rgb, words):
        found = super().forward(rgb, words)
        vectors = found["texts"]["vectors"]
        pixels = found["pixels"].expand(vectors.shape[0], -1, -1, -1)
        scores = (pixels * vectors[:, :, None, None]).sum(1)
        scores = scores.view(vectors.shape[0], 24, 32)[None]
        return nn.functional.interpolate(scores, size=rgb.shape[2:], mode="bilinear")

class Likely(Scores):
    def forward(self, rgb, words):
        return super().forward(rgb, words).sigmoid()

class Labels(Scores):
    def forward(self, rgb, words):
        return super().forward(rgb, words).argmax(1)

class Pairs(Scores):
    def forward(self, rgb, words):
        return super().forward(rgb, words).view(1, 2, 48, 64)

class Twice(Scores):
    def forward(self, rgb, words):
        scores = super().forward(rgb, words)
        return torch.cat([scores, -scores], 1)

class Fixed(Scores):
    """Labels of two classes, which the text has a say in."""
    def forward(self, rgb, words):
        scores = super().forward(rgb, words)
        return torch.cat([scores, 0.2 - scores], 1).argmax(1)
'''
TEXTS = ["a red chair", "the table", "beside the window", "walked", "walker", "12 !"]
SEVERAL = {"min": 1, "max": 4, "typical": 2}
KINDS = {
    "Found": ("labels=embedding:pixels", {"vectors": "texts.vectors"}, 0.1),
    "Scores": ("labels=segmentation", {}, 0.05),
    "Likely": ("labels=segmentation", {}, 0.5),
}


@pytest.fixture
def networks(tmp_path, monkeypatch):
    """A user's folder; ``networks[name]`` is what a factory there makes."""
    words = trained("words")
    source = MODULE.replace("WORDS", str(words.get_vocab_size()))
    scope = {}
    exec(source, scope)  # noqa: S102 - our own words, above
    (tmp_path / "my_prompts.py").write_text(source)
    words.enable_padding(pad_id=0, pad_token="-", direction="left", length=LENGTH)
    (tmp_path / "tokens.json").write_text(words.to_str())
    made = {}
    names = ("Found", "Scores", "Repeated", "Likely", "Labels", "Pairs", "Twice")
    for name in (*names, "Fixed"):
        torch.manual_seed(3)
        made[name] = scope[name]().eval()
        made[name].words.weight.data *= 3
    torch.save(made["Found"].state_dict(), tmp_path / "w.pt")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(frame_set, "STAGE_FRAMES", 2)  # fewer than sizes to verify
    yield made
    words.enable_padding(pad_id=0, pad_token="-", direction="left", length=8)
    sys.modules.pop("my_prompts", None)


def said(name, dimension=None, text=None, **output):
    """Write spec.json; give what of the command line it is for."""
    word, more, score = KINDS.get(name, KINDS["Scores"])
    keys = {"tokenizer": "tokens.json", "default": TEXTS[0], "examples": TEXTS[1:]}
    keys |= {} if dimension is None else {"dimension": dimension}
    made = {"classes_from": "prompt", "background": {"score": score}, **more}
    made |= {"normalize": "l2"} if name == "Found" else {}
    spec = {
        "inputs": {"prompt": keys | (text or {})},
        "outputs": {"labels": made | output},
    }
    Path("spec.json").write_text(json.dumps(spec))
    return ["--output", word, "--spec", "spec.json"]


def export(name, *words):
    given = ["export", f"my_prompts:{name}", "--checkpoint", "w.pt", "-o", "b.fuseg"]
    given += ["--input", "rgb=color:48x64", "--input", f"prompt=text:{LENGTH}"]
    return CliRunner().invoke(app, [*given, *words])


def frame(seed):
    """Blocks of colours, of the network's size."""
    rng = np.random.default_rng(seed)
    return rng.integers(0, 256, (6, 8, 3), np.uint8).repeat(8, 0).repeat(8, 1)


def torch_labels(network, name, rgb, texts):
    """Where the torch network's own scores are best, and above the background's."""
    ids = torch.tensor([trained("words").encode(text).ids for text in texts])
    mean, std = torch.tensor([[0.485, 0.456, 0.406], [0.229, 0.224, 0.225]])
    planes = (torch.tensor(rgb) / 255 - mean) / std
    with torch.no_grad():
        scores = network(planes.permute(2, 0, 1)[None].float(), ids)
        if name == "Found":
            vectors = F.normalize(scores["texts"]["vectors"], dim=1)
            pixels = F.normalize(scores["pixels"], dim=1)
            small = torch.einsum("pd,ndhw->nphw", vectors, pixels)
            scores = F.interpolate(small, SIZE, mode="bilinear")
    floor = torch.full_like(scores[:, :1], KINDS.get(name, KINDS["Scores"])[2])
    return torch.cat([floor, scores], 1).argmax(1)[0].numpy()


@pytest.mark.parametrize(
    ("name", "dimension"),
    [("Found", None), *((n, SEVERAL) for n in ("Found", "Scores", "Repeated"))],
)
def test_a_network_with_texts_becomes_a_bundle_that_labels_like_torch(
    networks, name, dimension, monkeypatch
):
    done = export(name, *said(name, dimension), "--split", "prompt", "--json")
    assert done.exit_code == 0, done.output
    report = json.loads(done.stdout)
    assert any(
        "tokens of 6 texts are those of tokenizers" in n for n in report["notes"]
    )
    assert report["stages"][0]["frames"] == (3 if dimension else 2), "1, 2 and 4 texts"
    removed = [] if name == "Found" else ["Resize"]
    assert report["tail"]["removed"] == removed
    opened = Bundle.open("b.fuseg")
    count = "prompts" if dimension else 1
    words = opened.manifest.tensors["prompt"]
    assert (words.dtype, words.shape) == ("int64", (count, LENGTH))
    graphs = [graph.name for graph in opened.manifest.graphs]
    assert graphs == ["prompt-encoder", "net"]
    each = [fuseg.load(opened, backend=b) for b in ("onnxruntime", "openvino")]
    maps = []
    for seed, number in enumerate((1, 2, 4, 3, 1) if dimension else (1, 1)):
        texts = TEXTS[seed : seed + number]
        wanted = torch_labels(networks[name], name, frame(seed), texts)
        for segmenter in each:
            found = segmenter(rgb=frame(seed), prompt=texts)
            assert np.mean(found.labels == wanted) > 0.9999
            assert [c.name for c in found.classes[1:]] == texts
        maps += [set(np.unique(wanted))]
    assert all(len(seen) > 1 for seen in maps)
    if dimension:
        assert len(set.union(*maps)) == 5
    each.append(on_a_gpu(opened, monkeypatch))
    before = [list(segmenter.backend.ran) for segmenter in each]
    for seed in range(100):
        first, *others = (s(rgb=frame(seed), prompt=TEXTS[5]).labels for s in each)
        assert all(np.array_equal(first, labels) for labels in others)
    ran = [
        np.subtract(s.backend.ran, b).tolist()
        for s, b in zip(each, before, strict=True)
    ]
    assert ran == [[1, 100]] * len(each)


def on_a_gpu(opened, monkeypatch):
    """On the double of TensorRT."""
    machine = doubles.install(monkeypatch, doubles.Machine(memory_bytes=1 << 30))
    trt = doubles.tensorrt.make(machine, "10.3.0")
    trt.__spec__ = importlib.machinery.ModuleSpec("tensorrt", None)
    monkeypatch.setitem(sys.modules, "tensorrt", trt)
    made = backends_of(opened, "tensorrt", open_device())
    return fuseg.load(opened, backend=GpuProgramBackend(opened.manifest, made))


def test_probabilities_stay_what_they_are_beside_a_background(networks):
    words = said("Likely", background={"score": 0.5})
    done = export("Likely", *words, "--json")
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["tail"]["removed"] == [], "not the Sigmoid, either"
    found = fuseg.load("b.fuseg")(rgb=frame(1), prompt=TEXTS[4]).labels
    wanted = torch_labels(networks["Likely"], "Likely", frame(1), TEXTS[4:5])
    assert np.mean(found == wanted) > 0.9999
    assert len(np.unique(wanted)) == 2


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "precision", "made"),
    [
        ("Found", "fp16", ["fp32", "fp16"]),
        ("Scores", "auto", ["fp32", "fp16", "int8-trt", "int8-trt8", "int8-cpu"]),
    ],
)
def test_variants_are_made_with_texts_of_any_number(
    networks, name, precision, made, monkeypatch
):
    del networks
    monkeypatch.setattr(selection, "_CALIBRATION_ROOMS", range(1000, 1003))
    monkeypatch.setattr(selection, "_HELD_OUT_ROOMS", range(16, 19))
    words = [*said(name, SEVERAL), "--split", "prompt", "--report", "page.html"]
    done = export(name, *words, "--precision", precision, "--json")
    assert done.exit_code == 0, done.output
    variants = json.loads(done.stdout)["variants"]
    assert {v["name"] for v in variants} == {*made}
    for variant in variants[1:]:
        compared = variant["outputs"]["labels"]
        assert compared["agreement"] > 0.98
        assert compared["max_abs_difference"] > 0
    files = Bundle.open("b.fuseg").manifest.graphs[0].networks
    shared = {name for name, file in files.items() if file == files["fp32"]}
    assert shared == {*files} - {"fp16", "int8-trt"}
    segmenters = [fuseg.load("b.fuseg", variant=v) for v in made[:2]]
    for number in (1, 4, 2):
        texts = TEXTS[:number]
        exact, found = (s(rgb=frame(9), prompt=texts).labels for s in segmenters)
        assert np.mean(exact == found) > 0.98
        assert len(np.unique(exact)) > 1


def test_a_text_may_have_a_say_in_classes_that_are_fixed(networks):
    del networks
    said("Fixed")
    spec = json.loads(Path("spec.json").read_text())
    Path("spec.json").write_text(json.dumps({"inputs": spec["inputs"]}))
    done = export("Fixed", "--classes", "this,other", "--spec", "spec.json", "--json")
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["tail"]["removed"] == ["ArgMax"]
    segmenter = fuseg.load("b.fuseg")
    maps = [segmenter(rgb=frame(1), prompt=text).labels for text in TEXTS[:4]]
    assert len({labels.tobytes() for labels in maps}) > 1


def test_a_background_goes_with_classes_that_are_fixed(networks):
    words = said("Twice", classes_from=None, classes=["none", "this", "other"])
    done = export("Twice", *words, "--json")
    assert done.exit_code == 0, done.output
    found = fuseg.load("b.fuseg")(rgb=frame(1), prompt=TEXTS[4])
    wanted = torch_labels(networks["Twice"], "Scores", frame(1), TEXTS[4:5])
    assert np.mean(found.labels == wanted) > 0.9999
    assert [c.name for c in found.classes] == ["none", "this", "other"]
    assert len(np.unique(wanted)) == 3


def test_frames_are_verified_with_every_number_of_texts(networks):
    del networks
    said("Scores", {"min": 1, "max": 5, "typical": 2})
    (entry,) = read_inputs(
        ["rgb=color:48x64", f"prompt=text:{LENGTH}"],
        [],
        json.loads(Path("spec.json").read_text())["inputs"],
    ).others
    given = [entry.example(number) for number in range(4)]
    assert [len(texts) for texts in given] == [2, 5, 1, 2]
    assert all(len({*texts}) == len(texts) for texts in given)
    assert given[0] == tuple(TEXTS[:2])
    assert entry.tensor(given[1]).shape == (5, LENGTH)


REFUSED = [
    (
        "Scores",
        {"text": {"tokenizer": None}},
        "tokenizer must be the file tokenizer.json that makes",
    ),
    ("Scores", {"text": {"tokenizer": "no.json"}}, "no.json cannot be read"),
    ("Scores", {"text": {"default": None}}, "inputs.prompt.default must be given"),
    ("Scores", {"text": {"examples": "a"}}, "inputs.prompt.examples must be a list of"),
    ("Scores", {"text": {"examples": ["a " * 17]}}, "at most 16 tokens"),
    ("Scores", {"text": {"words": 3}}, "input prompt: words is not a key"),
    ("Scores", {"text": {"tensor": "x"}}, "inputs.prompt must not hold 'tensor'"),
    (
        "Scores",
        {"dimension": {"min": 1, "max": 7, "typical": 2}},
        "inputs.prompt.examples must hold 7 different texts with the default",
    ),
    (
        "Scores",
        {"dimension": {"min": 2, "max": 2, "typical": 2}},
        "dimension must have a max above its min, got 2 and 2",
    ),
    (
        "Scores",
        {"dimension": SEVERAL, "classes_from": None},
        "output labels has as many classes as there are texts, so say",
    ),
    ("Scores", {"background": 0}, "background must be an object"),
    ("Scores", {"background": {}}, "output labels: background.score is missing"),
    (
        "Scores",
        {"classes_from": "x"},
        "--spec: outputs.labels.classes_from must name an",
    ),
    (
        "Labels",
        {"dimension": SEVERAL},
        "must be scores, which its background is compar",
    ),
    ("Pairs", {"dimension": SEVERAL}, "the network's forward failed on rgb (1, 3, 48"),
    ("Twice", {"dimension": SEVERAL}, "must have axes as long as prompts, and others"),
    ("Found", {"vectors": None}, "outputs.labels.vectors must say where forward"),
    ("Found", {"vectors": "pixels"}, "vectors must be float32 [texts, 8]"),
    ("Found", {"normalize": None}, "output labels: normalize must be"),
]


@pytest.mark.parametrize(("name", "keys", "sentence"), REFUSED)
def test_what_cannot_be_exported_is_one_sentence(networks, name, keys, sentence):
    del networks
    done = export(name, *said(name, **keys))
    assert done.exit_code == 2, done.output
    (last,) = (line for line in done.stderr.splitlines() if line.startswith("error"))
    assert sentence in last


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--input", "prompt=text:8"], "every input once, got prompt twice"),
        (["--input", "other=text:x"], "--input must be NAME=text:LENGTH, as in"),
        (["--frames", "rgb=0.npy", "--truth", "0.npy"], "--truth must be absent, as"),
    ],
)
def test_options_that_do_not_go_with_texts_are_refused(networks, words, sentence):
    del networks
    np.save("0.npy", frame(0))
    done = export("Scores", *said("Scores", SEVERAL), *words)
    assert done.exit_code == 2, done.output
    assert sentence in done.stderr


@pytest.mark.usefixtures("networks", "check_network")
def test_tensorrt_is_asked_for_every_number_of_texts():
    done = export("Scores", *said("Scores", SEVERAL), "--check-tensorrt", "--json")
    assert done.exit_code == 0, done.output
    (found,) = json.loads(done.stdout)["variants"]
    assert found["tensorrt_refused"] is None
    assert found["tensorrt"]["kernels"]


def test_texts_alone_are_no_input(networks):
    del networks
    words = ["--checkpoint", "w.pt", "-o", "b.fuseg", "--input", "prompt=text:16"]
    said("Scores")
    words += ["--spec", "spec.json"]
    done = CliRunner().invoke(app, ["export", "my_prompts:Scores", *words])
    assert "--input must name a sensor beside the texts, got prompt" in done.stderr


def test_a_tokenizer_that_is_read_in_another_way_is_refused(networks, monkeypatch):
    del networks

    class Other(Tokenizer):
        def encode(self, text):
            return super().encode(text)[::-1]

    monkeypatch.setattr(tokenizer, "Tokenizer", Other)
    done = export("Scores", *said("Scores"))
    assert done.exit_code == 2
    assert "must make the ids of 'a red chair' that tokenizers 0." in done.stderr


def test_without_the_library_a_note_says_that_nothing_was_compared(monkeypatch):
    monkeypatch.setitem(sys.modules, "tokenizers", None)
    note = tokenizer.compared_with_library("prompt", b"", TEXTS)
    assert "tokens were not compared with those of the library" in note

"""End to end: two networks of torch, trained on coloured boxes and their names, as one
bundle that finds what it is asked for."""

from __future__ import annotations

import io
import warnings

import numpy as np
import pytest
import torch
from tokenizers import Tokenizer as Library
from tokenizers import models, pre_tokenizers, trainers
from torch import nn

import fuseg
from fuseg import bundle, manifest

SIZE, LENGTH, WIDE, MOST = (24, 32), 8, 8, 4
COLORS = {
    "red": (210, 40, 30),
    "green": (40, 190, 60),
    "blue": (40, 60, 220),
    "yellow": (220, 210, 40),
}
PHRASES = ("{}", "a {} box", "the {} box on the left", "find the {} one")
ALL = [phrase.format(color) for color in COLORS for phrase in PHRASES]


def tokenizer():
    made = Library(models.WordLevel(unk_token="?"))
    made.pre_tokenizer = pre_tokenizers.Whitespace()
    names = ["-", "?", "."]
    made.train_from_iterator(
        ALL, trainers.WordLevelTrainer(special_tokens=names, show_progress=False)
    )
    made.enable_padding(direction="left", pad_id=0, pad_token="-", length=LENGTH)
    return made


class Text(nn.Module):
    """Words to a vector, by an LSTM."""

    def __init__(self, words):
        super().__init__()
        self.words = nn.Embedding(words, 16)
        self.reads = nn.LSTM(16, 32, batch_first=True)
        self.says = nn.Linear(32, WIDE)

    def forward(self, words):
        steps, _ = self.reads(self.words(words))
        return self.says(steps[:, -1])


class Image(nn.Module):
    """Colours to features of half the resolution."""

    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(3, 16, 3, padding=1, stride=2),
            nn.ReLU(),
            nn.Conv2d(16, WIDE, 1),
        )

    def forward(self, rgb):
        return self.layers(rgb)


def scene(source):
    """A frame of grey noise with a box of each of some colours, and where they are."""
    height, _ = SIZE
    rgb = np.repeat(source.integers(60, 190, (*SIZE, 1)), 3, 2)
    where = np.full(SIZE, -1)
    for place, color in enumerate(source.permutation(len(COLORS))[:3]):
        top, left = source.integers(0, height - 12), 10 * place + source.integers(0, 3)
        box = (slice(top, top + 12), slice(left, left + 8))
        rgb[box] = [*COLORS.values()][color] + source.integers(-25, 26, (12, 8, 3))
        where[box] = color
    return rgb.clip(0, 255).astype(np.uint8), where


def wanted(where, colors):
    """Labels of prompts that name these colours: 0 for what none of them does."""
    labels = np.zeros(SIZE, np.int64)
    for label, color in enumerate(colors, start=1):
        labels[where == color] = label
    return labels


def asked(source, count):
    """Colours, and a phrase for each."""
    colors = source.permutation(len(COLORS))[:count]
    names = [*COLORS]
    return colors, [
        PHRASES[source.integers(len(PHRASES))].format(names[c]) for c in colors
    ]


@pytest.fixture(scope="module")
def trained():
    torch.manual_seed(0)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # several would wait for one another
    source, words = np.random.default_rng(0), tokenizer()
    text, image = Text(words.get_vocab_size()), Image()
    learner = torch.optim.Adam([*text.parameters(), *image.parameters()], 0.005)
    for step in range(400):
        scenes = [scene(source) for _ in range(4)]
        colors, phrases = asked(source, 1 + step % MOST)
        ids = torch.tensor([words.encode(phrase).ids for phrase in phrases])
        rgb = torch.tensor(np.stack([s[0] for s in scenes])).permute(0, 3, 1, 2) / 255
        scores = torch.einsum("pd,ndhw->nphw", text(ids), image(rgb))
        floor = torch.zeros_like(scores[:, :1])
        labels = np.stack([wanted(s[1], colors)[::2, ::2] for s in scenes])
        weight = torch.tensor([1.0] + [3.0] * len(colors))  # most is background
        loss = nn.functional.cross_entropy(
            torch.cat([floor, scores], 1), torch.tensor(labels), weight
        )
        learner.zero_grad()
        loss.backward()
        learner.step()
    torch.set_num_threads(threads)
    return words, text.eval(), image.eval()


def onnx_of(network, example, given, made, **axes):
    stream = io.BytesIO()
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            network,
            (example,),
            stream,
            dynamo=False,
            opset_version=17,
            input_names=[given],
            output_names=[made],
            dynamic_axes=axes or None,
        )
    return stream.getvalue()


@pytest.fixture(scope="module")
def path(trained, tmp_path_factory):
    words, text, image = trained
    ids = torch.zeros(2, LENGTH, dtype=torch.int64)
    files = {
        "text.onnx": onnx_of(
            text, ids, "words", "phrase", words={0: "prompts"}, phrase={0: "prompts"}
        ),
        "image.onnx": onnx_of(image, torch.zeros(1, 3, *SIZE), "rgb", "features"),
        "tokenizer.json": words.to_str().encode(),
    }
    half = (1, WIDE, SIZE[0] // 2, SIZE[1] // 2)
    made = manifest.Manifest(
        name="boxes",
        created_by="tests",
        tensors={
            "rgb": manifest.Tensor((1, 3, *SIZE)),
            "words": manifest.Tensor(("prompts", LENGTH), dtype="int64"),
            "phrase": manifest.Tensor(("prompts", WIDE)),
            "features": manifest.Tensor(half),
        },
        dimensions={"prompts": manifest.Dimension(1, MOST, 2)},
        inputs=(
            manifest.ColorInput(
                name="rgb",
                tensor="rgb",
                channels="RGB",
                resize=manifest.Resize(*SIZE, "bilinear"),
                scale=1 / 255,
                mean=(0.0, 0.0, 0.0),
                std=(1.0, 1.0, 1.0),
                fill=0.0,
                missing=manifest.Missing("refuse"),
            ),
            manifest.TextInput(
                name="prompt",
                tensor="words",
                tokenizer="tokenizer.json",
                default="a red box",
            ),
        ),
        graphs=tuple(
            manifest.Graph(
                name,
                (read,),
                (write,),
                {"fp32": manifest.Network(f"{name}.onnx", 17, 8)},
            )
            for name, read, write in (
                ("text", "words", "phrase"),
                ("image", "rgb", "features"),
            )
        ),
        outputs=(
            manifest.EmbeddingOutput(
                "labels",
                "features",
                manifest.Upsample(align_corners=False),
                255,
                manifest.Tail((), half[2:]),
                vectors="phrase",
                normalize="none",
                classes_from="prompt",
                background=manifest.Background(0.0),
            ),
        ),
        variants=(manifest.Variant("fp32", ("any",), {"kind": "fp32"}, ()),),
    )
    file = tmp_path_factory.mktemp("boxes") / "boxes.fuseg"
    bundle.write(file, made, files)
    return file


def torch_labels(trained, rgb, phrases):
    """Compared at the features' size, blended to the frame's, and the best taken."""
    words, text, image = trained
    ids = torch.tensor([words.encode(phrase).ids for phrase in phrases])
    with torch.no_grad():
        features = image(torch.tensor(rgb).permute(2, 0, 1)[None] / 255)
        scores = torch.einsum("pd,ndhw->nphw", text(ids), features)
        large = nn.functional.interpolate(scores, SIZE, mode="bilinear")
    floor = torch.zeros_like(large[:, :1])
    return torch.cat([floor, large], 1).argmax(1)[0].numpy()


@pytest.mark.parametrize("backend", ["onnxruntime", "openvino"])
def test_what_is_asked_for_is_found(trained, path, backend):
    pytest.importorskip(backend)
    segmenter = fuseg.load(path, backend=backend)
    source, agreed, right = np.random.default_rng(7), [], []
    for count in (1, 3, MOST, 2):
        colors, phrases = asked(source, count)
        for _ in range(8):
            rgb, where = scene(source)
            result = segmenter(rgb=rgb, prompt=phrases)
            agreed.append(result.labels == torch_labels(trained, rgb, phrases))
            right.append(result.labels == wanted(where, colors))
        assert [entry.name for entry in result.classes[1:]] == phrases
    assert np.mean(agreed) > 0.9995
    assert np.mean(right) > 0.93  # the features are of half the resolution


def test_both_backends_give_the_same_and_read_a_prompt_once_in_100_frames(path):
    pytest.importorskip("openvino")
    both = [fuseg.load(path, backend=name) for name in ("onnxruntime", "openvino")]
    phrases = ["the blue box on the left", "yellow"]
    before = [list(segmenter.backend.ran) for segmenter in both]
    source, same = np.random.default_rng(9), []
    for _ in range(100):
        rgb, _ = scene(source)
        first, second = (s(rgb=rgb, prompt=phrases).labels for s in both)
        same.append((first == second).mean())
    assert np.mean(same) > 0.9999
    for segmenter, start in zip(both, before, strict=True):
        text, image = np.subtract(segmenter.backend.ran, start)
        assert (text, image) == (1, 100)

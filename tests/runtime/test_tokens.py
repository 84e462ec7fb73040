"""Token ids that a network writes, as words up to the one that ends them."""

from __future__ import annotations

import io
import json
from dataclasses import replace

import numpy as np
import pytest
from onnx import helper
from runtime.prompted import SIZE, model
from text.trained import file_of, trained
from typer.testing import CliRunner

import fuseg
from fuseg import bundle, manifest
from fuseg.cli import app
from fuseg.errors import BundleError, ManifestError
from fuseg.runtime.outputs import adapter_of

LENGTH = 6
TOKENIZER, END = file_of("clip"), trained("clip").token_to_id("<end>")
WORDS = trained("clip").get_vocab_size()
RNG = np.random.default_rng(8)
WEIGHTS = RNG.standard_normal((3, LENGTH * WORDS)).astype(np.float32)
# The end is near the best everywhere: some texts are short, some have no end.
WEIGHTS.reshape(3, LENGTH, WORDS)[:, :, END] *= 4


def network():
    """One token for each place, of the mean colour."""
    shape = np.array([1, LENGTH, WORDS])
    return model(
        [
            helper.make_node("GlobalAveragePool", ["rgb"], ["pooled"]),
            helper.make_node("Flatten", ["pooled"], ["mean"]),
            helper.make_node("MatMul", ["mean", "w"], ["flat"]),
            helper.make_node("Reshape", ["flat", "shape"], ["scores"]),
            helper.make_node("ArgMax", ["scores"], ["caption"], axis=2, keepdims=0),
        ],
        [("rgb", 1, (1, 3, *SIZE))],
        [("caption", 7, (1, LENGTH))],
        {"w": WEIGHTS, "shape": shape},
    )


def captioned(make_bundle, color_input, samples=(), **changes):
    rgb = color_input()
    whole = bundle.Bundle.open(make_bundle(rgb).path).manifest
    keys = {"tensor": "caption", "tokenizer": "words.json", "end": END, **changes}
    files = {"net.onnx": network(), "words.json": TOKENIZER}
    records = []
    for number, (frame, ids) in enumerate(samples):
        for name, array in (("rgb", frame), ("says", ids)):
            saved = io.BytesIO()
            np.save(saved, array)
            files[f"{number}/{name}.npy"] = saved.getvalue()
        records.append(
            manifest.Sample(
                {"rgb": f"{number}/rgb.npy"}, {"says": f"{number}/says.npy"}
            )
        )
    made = replace(
        whole,
        tensors={
            "rgb": manifest.Tensor((1, 3, *SIZE)),
            "caption": manifest.Tensor((1, LENGTH), dtype="int64"),
        },
        graphs=(
            manifest.Graph(
                "net",
                ("rgb",),
                ("caption",),
                {"fp32": manifest.Network("net.onnx", 17, 8)},
            ),
        ),
        outputs=(manifest.TokensOutput("says", **keys),),
        samples=tuple(records),
        files={},
    )
    return made, files


@pytest.fixture
def write(make_bundle, color_input, tmp_path):
    def make(samples=(), **changes):
        path = tmp_path / "captioned.fuseg"
        bundle.write(path, *captioned(make_bundle, color_input, samples, **changes))
        return path

    return make


def frame(seed):
    rng = np.random.default_rng(seed)
    return np.full((*SIZE, 3), rng.integers(0, 256, 3), np.uint8)


def expected(tensors):
    """The ids up to the end."""
    scores = tensors["rgb"].mean((2, 3)).astype(np.float64) @ WEIGHTS
    ids = scores.reshape(LENGTH, WORDS).argmax(1).tolist()
    return ids[: ids.index(END)] if END in ids else ids


@pytest.mark.parametrize("backend", ["onnxruntime", "openvino"])
def test_a_caption_is_the_tokens_up_to_the_end_and_their_words(write, backend):
    pytest.importorskip(backend)
    segmenter = fuseg.load(write(), backend=backend)
    lengths = set()
    kept = []
    for seed in range(40):
        result = segmenter(rgb=frame(seed))
        said = result["says"]
        ids = expected(segmenter.preprocess(rgb=frame(seed)))
        words = trained("clip").decode(ids).replace("</w>", " ").rstrip(" ")
        assert (said.ids.tolist(), said.text) == (ids, words)
        lengths.add(len(ids))
        kept.append((said, ids))
    assert {0, LENGTH} < lengths  # none, all and some
    assert all(said.ids.tolist() == ids for said, ids in kept)


def test_what_comes_after_the_end_is_not_compared(write):
    segmenter = fuseg.load(write())
    adapter = adapter_of(segmenter.manifest.outputs[0])
    read = segmenter._session.loop.executor._adapters[0].read
    rows = [
        [5, 9, END, 3, 3, 3],
        [5, 9, END, END, 4, 0],
        [5, 9, 3, END, 3, 3],
        [5, 9, 3, 3, 3, 3],
    ]
    first, *others = (
        adapter.as_array(read(np.array([row], np.int64), None)) for row in rows
    )
    assert first.tolist() == [5, 9, END, END, END, END]
    agreements = [adapter.agreement(first, other) for other in others]
    assert agreements == [1.0, 0.0, 0.0]


def test_samples_are_verified_and_a_wrong_word_is_told(write):
    segmenter = fuseg.load(write())
    frames = [frame(seed) for seed in (1, 2)]
    adapter = adapter_of(segmenter.manifest.outputs[0])
    rows = [adapter.as_array(segmenter(rgb=rgb)["says"]) for rgb in frames]
    path = write(samples=list(zip(frames, rows, strict=True)))
    done = CliRunner().invoke(app, ["verify", str(path)])
    assert done.exit_code == 0, done.output
    rows[1] = rows[1].copy()
    rows[1][0] += 1
    path = write(samples=list(zip(frames, rows, strict=True)))
    done = CliRunner().invoke(app, ["verify", str(path)])
    assert done.exit_code != 0


def test_run_tells_the_words(write, tmp_path):
    from PIL import Image

    Image.fromarray(frame(3)).save(tmp_path / "rgb.png")
    path = write()
    words = ["run", str(path), "--input", f"rgb={tmp_path / 'rgb.png'}", "--json"]
    done = CliRunner().invoke(app, [*words, "--out", str(tmp_path / "out")])
    assert done.exit_code == 0, done.output
    segmenter = fuseg.load(path)
    said = segmenter(rgb=frame(3))["says"]
    (told,) = json.loads(done.stdout)["frames"]
    assert told["outputs"]["says"] == {"text": said.text, "ids": said.ids.tolist()}


def test_outputs_of_tokens_that_cannot_be_are_refused(make_bundle, color_input, write):
    with pytest.raises(ManifestError, match=r"tensor must be int64 \[1, length\], got"):
        captioned(make_bundle, color_input, tensor="rgb")
    with pytest.raises(ManifestError, match=r"that ends in \.json, got 'words'"):
        captioned(make_bundle, color_input, tokenizer="words")
    with pytest.raises(BundleError) as refused:
        write(end=WORDS)
    assert str(refused.value).endswith(
        f"member 'words.json': vocab must have the token that ends a text of says, of "
        f"id {WORDS}."
    )

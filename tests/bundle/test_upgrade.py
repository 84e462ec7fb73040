"""Manifests of format 1, read as programs of one graph."""

from __future__ import annotations

import copy
import json
from pathlib import Path

import pytest

from fuseg.errors import ManifestError
from fuseg.manifest import Manifest, input_shapes

TEXT = (Path(__file__).parents[1] / "data" / "manifest1.json").read_text()
OLD = json.loads(TEXT)


def test_a_manifest_of_format_1_is_a_program_of_one_graph():
    manifest = Manifest.parse(TEXT)
    assert manifest.format == 2
    (graph,), (output,) = manifest.graphs, manifest.outputs
    assert (graph.reads, graph.writes) == (("x", "d"), ("logits",))
    assert [(n, f.file, f.opset) for n, f in graph.networks.items()] == [
        ("fp32", "fp32.onnx", 17)
    ]
    shapes = {name: tensor.shape for name, tensor in manifest.tensors.items()}
    assert shapes == {**input_shapes(manifest.inputs), "logits": (1, 2, 12, 16)}
    assert [(i.tensor, i.channel) for i in manifest.inputs] == [
        ("x", 0),
        ("x", 3),
        ("d", 0),
    ]
    assert output.tensor == "logits"
    (sample,) = manifest.samples
    assert sample.inputs == OLD["samples"][0]["frames"]
    assert sample.outputs == {"labels": OLD["samples"][0]["labels"]}
    assert {*manifest.files} == {*OLD["files"]}
    for old, new in zip(OLD["inputs"], manifest.inputs, strict=True):
        written = json.loads(manifest.dump())["inputs"]
        kept = {key: value for key, value in old.items() if key != "tensor"}
        assert kept.items() <= next(w for w in written if w["name"] == new.name).items()
    assert Manifest.parse(manifest.dump()) == manifest


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda m: m.pop("outputs"), "outputs is missing: it must be a list."),
        (lambda m: m.update(inputs={}), "inputs must be a list, got an object."),
        (lambda m: m.update(tensors={}), "tensors is not a key of format 1."),
        (lambda m: m["inputs"].append(3), "inputs[3] must be an object, got 3."),
        (lambda m: m["inputs"][0].pop("tensor"), "inputs[0].tensor must be an object"),
        (
            lambda m: m["inputs"][1]["tensor"].update(shape=[1, 5, 48, 64]),
            "inputs[1].tensor must be what an earlier input says of 'x'.",
        ),
        (
            lambda m: m["inputs"][0]["tensor"].update(size=4),
            "inputs[0].tensor.'size' is not a key of the format; known here: channel",
        ),
        (
            lambda m: m["outputs"][0]["tensor"].pop("shape"),
            "outputs[0].tensor.shape is missing.",
        ),
        (
            lambda m: m["outputs"][0]["tensor"].update(name="d"),
            "outputs[0].tensor.name must differ from the other tensors', got 'd'.",
        ),
        (
            lambda m: m["outputs"].append(m["outputs"][0] | {"name": "b"}),
            "outputs[1].tensor.name must differ from the other tensors'",
        ),
        (lambda m: m["outputs"].clear(), "outputs must be one in format 1, got 0."),
        (lambda m: m["samples"][0].pop("labels"), "samples[0].labels is missing."),
        (lambda m: m["variants"][0].pop("file"), "graphs[0].networks['fp32'].file is "),
        (
            lambda m: m["variants"].append(m["variants"][0]),
            "variants must be unique, got 'fp32' twice.",
        ),
        (lambda m: m["inputs"][0].update(kind="radar"), "inputs[0].kind must be one o"),
    ],
)
def test_what_format_1_was_not_is_refused_in_one_sentence(change, sentence):
    changed = copy.deepcopy(OLD)
    change(changed)
    with pytest.raises(ManifestError) as refused:
        Manifest.parse(json.dumps(changed))
    assert str(refused.value).startswith(sentence)
    assert str(refused.value).endswith(".")

"""A background in front of a segmentation's scores, on a GPU: the CPU's labels."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from runtime.gpu.test_gpu_prompts import frame
from runtime.gpu.test_gpu_texts import loaded, same
from runtime.programs import halved
from runtime.prompted import SIZE

import fuseg
from fuseg import bundle, manifest
from fuseg.backends import registry
from fuseg.bundle import Bundle
from fuseg.errors import BackendError


@pytest.fixture
def grounded(make_bundle, color_input, tmp_path):
    """Three classes and a background of 0.1; planes are no multiple of 256 bytes."""
    opened = Bundle.open(make_bundle(color_input(), classes=3).path)
    (output,) = opened.manifest.outputs
    ground = manifest.Class("ground", (0, 0, 0))
    output = replace(
        output,
        classes=(ground, *output.classes),
        background=manifest.Background(0.1),
    )
    path = tmp_path / "ground.fuseg"
    files = {name: opened.read(name) for name in opened.manifest.files}
    bundle.write(path, replace(opened.manifest, outputs=(output,), files={}), files)
    assert SIZE[0] * SIZE[1] * 4 % 256
    return path


def test_fixed_classes_may_have_a_background_too(grounded, kind):
    cpu = fuseg.load(grounded, backend="onnxruntime")
    segmenter, seen = loaded(grounded, kind), set()
    for number in range(5):
        given = {"rgb": frame(number), "confidence": True}
        found = segmenter(**given)
        same(found, cpu(**given))
        seen |= {*np.unique(found.labels)}
    assert {0, 2, 3} <= seen


@pytest.mark.parametrize("library", ["10.3.0"], indirect=True)
def test_an_engine_leaves_scores_in_planes_for_a_background(grounded, library):
    backend, _, _ = library
    opened = Bundle.open(grounded)
    (net,) = opened.manifest.graphs
    files = {name: opened.read(name) for name in opened.manifest.files}
    files["fp16.onnx"] = halved(files["fp32.onnx"])
    both = {**net.networks, "fp16": manifest.Network("fp16.onnx", 17, 8)}
    half = replace(
        opened.manifest.full,
        name="fp16",
        precision={"kind": "fp16", "float32_nodes": "0"},
    )
    made = replace(
        opened.manifest,
        graphs=(replace(net, networks=both),),
        variants=(half, *opened.manifest.variants),
        files={},
    )
    bundle.write(grounded, made, files)
    opened = Bundle.open(grounded)
    engine = registry.load(opened, backend, opened.manifest.variants[0])
    segmenter = fuseg.load(opened, backend=engine)
    wanted = fuseg.load(grounded, backend="onnxruntime", variant="fp32")
    found = segmenter(rgb=frame(1)).labels
    assert (found == wanted(rgb=frame(1)).labels).mean() > 0.95
    inputs, (scores,) = segmenter.backend.inputs, segmenter.backend.outputs.values()
    assert {tensor.dtype.name for tensor in inputs.values()} == {"float16"}
    assert (scores.layout, scores.dtype.name) == ("linear", "float32")


def test_scores_behind_a_background_are_planes(grounded, on_gpu):
    made = type("Made", (), {"path": grounded})
    (output,) = Bundle.open(grounded).manifest.outputs
    half = on_gpu(made, scores="float16")
    wanted = fuseg.load(grounded, backend="onnxruntime")(rgb=frame(1))
    assert (half(rgb=frame(1)).labels == wanted.labels).mean() > 0.95
    with pytest.raises(BackendError) as refused:
        on_gpu(made, scores="float16", layouts={output.tensor: "HWC8"})
    assert str(refused.value) == (
        f"tensor {output.tensor} must be linear, as the background's score is a plane "
        "in front of it, got hwc8: build the engine again, `fuseg build --rebuild`."
    )

"""The examples of docs/spec.md, one for each kind, are bundles that run."""

from __future__ import annotations

import json
from typing import get_args, get_type_hints

import numpy as np
import pytest
from docs.kinds_page import ABOUT, EXAMPLES, SECTION, add
from runtime.sounds import npy
from text.trained import file_of

import fuseg
from fuseg import bundle, manifest
from fuseg.runtime.outputs import adapter_of

SIDES = {"H": 48, "W": 64}


def kinds(key):
    """Of the records that a list of the manifest may hold."""
    union, _ = get_args(get_type_hints(manifest.Manifest)[key])
    return {k for r in get_args(union) for k in get_args(get_type_hints(r)["kind"])}


def test_every_kind_is_told_with_an_example():
    told = {entry["kind"] for entry in ABOUT} | {"thermal", "range"}  # as depth
    assert told == kinds("inputs") | kinds("outputs")
    assert all(f"`{kind}`" in SECTION for kind in told)


def members_of(whole):
    """What the records name: filter banks, windows and tokenizers."""
    found = {}
    for entry in whole.inputs:
        if entry.kind == "text":
            found[entry.tokenizer] = file_of("bert")
        if entry.kind == "audio":
            shapes = entry.tables.items()
            found |= {n: npy(np.ones(s, np.float32)) for n, s in shapes}
    for output in whole.outputs:
        if output.kind == "tokens":
            found[output.tokenizer] = file_of("bert")
    return found


def with_example(one, example):
    """The manifest of a bundle of colour with what the example adds."""
    given = json.loads(bundle.Bundle.open(one.path).manifest.dump())
    return manifest.Manifest.parse(json.dumps(add(given, example)))


def network(whole):
    """ONNX that makes ones of every tensor that it writes, and reads all inputs."""
    from onnx import TensorProto, helper

    numbers = {"float32": TensorProto.FLOAT, "int64": TensorProto.INT64}
    (graph,) = whole.graphs
    values, shapes, nodes = {}, [], []
    for name, tensor in whole.tensors.items():
        kind, size = numbers[tensor.dtype], list(tensor.shape)
        values[name] = helper.make_tensor_value_info(name, kind, size)
        if name in graph.reads:
            nodes.append(helper.make_node("Identity", [name], [f"{name} read"]))
            continue
        one, shape = helper.make_tensor("one", kind, [1], [1]), f"shape of {name}"
        made = helper.make_node("ConstantOfShape", [shape], [name], value=one)
        nodes.append(made)
        shapes.append(helper.make_tensor(shape, TensorProto.INT64, [len(size)], size))
    made = helper.make_graph(
        nodes,
        "example",
        [values[n] for n in graph.reads],
        [values[n] for n in graph.writes],
        shapes,
    )
    opset = [helper.make_opsetid("", 17)]
    return helper.make_model(
        made, opset_imports=opset, ir_version=8
    ).SerializeToString()


def frames_of(whole):
    rng = np.random.default_rng(0)
    return {
        entry.name: rng.integers(
            1, 200, [SIDES.get(s, s) for s in entry.frame_shape]
        ).astype(entry.dtype)
        for entry in whole.sensors
    }


@pytest.mark.parametrize(
    "index", range(len(EXAMPLES)), ids=[entry["kind"] for entry in ABOUT]
)
def test_an_example_runs(make_bundle, color_input, tmp_path, index):
    whole = with_example(make_bundle(color_input()), EXAMPLES[index])
    path = tmp_path / "example.fuseg"
    bundle.write(path, whole, {"fp32.onnx": network(whole), **members_of(whole)})
    segmenter = fuseg.load(path, backend="onnxruntime")
    result = segmenter(**frames_of(whole))
    for output in whole.outputs:
        form = output.expected or whole.tensors[output.tensor]
        array = adapter_of(output).as_array(result[output.name])
        wanted = [SIDES.get(side, side) for side in form.shape]
        assert array.dtype == form.dtype
        assert len(array.shape) == len(wanted)
        for got, side in zip(array.shape, wanted, strict=True):
            assert got == side or isinstance(side, str)
    assert set(result.sources) == {entry.name for entry in whole.sensors}

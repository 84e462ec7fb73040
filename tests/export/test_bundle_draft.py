"""What an export writes into the manifest beside the network."""

from __future__ import annotations

import json

import numpy as np
import pytest
from onnx import TensorProto, helper
from typer.testing import CliRunner

from fuseg import bundle
from fuseg.bundle import Bundle
from fuseg.cli import app
from fuseg_export.bundle_draft import BundleDraft
from fuseg_export.graphs import NetworkGraphs
from fuseg_export.network.target import NetworkOptions, resolve
from fuseg_export.outputs.comparison import Comparison
from fuseg_export.outputs.segmentation import Segmentation
from fuseg_export.passes.split import one_piece
from fuseg_export.precision.built_variant import BuiltVariant
from fuseg_export.precision.mixed_precision_search import MixedPrecision
from fuseg_export.report.tables import as_json, remarks


def network():
    """Adds rgb's planes to two classes of its size."""
    shape = [1, 3, 96, 128]
    weights = helper.make_tensor("w", TensorProto.FLOAT, [10, 4, 1, 1], np.ones(40))
    nodes = [
        helper.make_node("Concat", ["rgb", "depth"], ["both"], axis=1),
        helper.make_node("Conv", ["both", "w"], ["logits"]),
    ]
    of = helper.make_tensor_value_info
    graph = helper.make_graph(
        nodes,
        "g",
        [of("rgb", 1, shape), of("depth", 1, [1, 1, 96, 128])],
        [of("logits", 1, [1, 10, 96, 128])],
        [weights],
    )
    opset = [helper.make_opsetid("", 17)]
    return helper.make_model(graph, opset_imports=opset, ir_version=8)


@pytest.mark.parametrize("count", [1, 25, 400])
def test_the_layers_that_stay_in_float_are_a_list_however_many(tmp_path, count):
    layers = tuple(f"/encoder/stages.{i}/blocks.0/attn/Conv" for i in range(count))
    equal = Comparison(1, 1.0, 0.0)
    precision = {
        "kind": "int8",
        "activations": "uint8",
        "rest": "float32",
        "calibration": "minmax",
        "frames": "1",
        "float_nodes": str(count),
    }
    target = resolve(NetworkOptions("gated-middle"))
    model, output = Segmentation(target.outputs[0]).cut(network(), 0)
    built = [
        BuiltVariant("fp32", ("any",), {"kind": "fp32"}, model),
        BuiltVariant(
            "int8-cpu",
            ("cpu",),
            precision,
            model,
            frames=1,
            comparisons={"labels": equal},
            mixed_precision=MixedPrecision(
                layers, dict.fromkeys(layers, 0.1), equal, equal
            ),
        ),
    ]
    pieces = (one_piece(model),)
    graphs = NetworkGraphs({}, model, (output,), 17, "torchscript", "no", (), pieces)
    draft = BundleDraft(target, graphs, checkpoint_sha256="0" * 64)
    draft.add_variants(built)
    path = tmp_path / "a.fuseg"
    bundle.write(path, draft.manifest, draft.members)
    manifest = Bundle.open(path).manifest
    assert manifest.provenance["float_layers_of_int8-cpu"] == layers
    (graph,) = manifest.graphs
    assert graph.networks["int8-cpu"] == graph.networks["fp32"], "its file is the same"

    inspected = CliRunner().invoke(app, ["inspect", str(path)])
    assert inspected.exit_code == 0, inspected.output
    told = json.loads(CliRunner().invoke(app, ["inspect", str(path), "--json"]).stdout)
    (kept,) = found_in(told, "float_layers_of_int8-cpu")
    assert kept == list(layers)
    assert as_json(built[1])["float_nodes"] == list(layers)
    assert f"{count} of {count} layers stay in float" in " ".join(remarks(built))
    assert max(map(len, remarks(built))) < 1000


def found_in(value, key):
    """What stands under a key, anywhere in JSON."""
    if isinstance(value, dict):
        yield from (v for k, v in value.items() if k == key)
    for inner in value.values() if isinstance(value, dict) else value:
        if isinstance(inner, dict | list):
            yield from found_in(inner, key)

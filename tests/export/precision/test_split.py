"""``--split``: what one input alone decides becomes a graph of its own."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

import fuseg
from fuseg.bundle import Bundle
from fuseg.errors import ArgumentError, ExportError
from fuseg_export.frames import selection
from fuseg_export.ort_session import open_cpu_session
from fuseg_export.passes.fold_slices import fold_slices
from fuseg_export.passes.split import (
    cut_out,
    find_cut,
    find_cuts,
    one_piece,
    with_encoder,
)
from fuseg_export.precision.options import Budget, Precision

FREE = Budget(miou_drop=1, class_drop=1, agreement=0.9)


def run(model, feeds):
    session = open_cpu_session(model)
    names = [value.name for value in session.get_outputs()]
    return dict(zip(names, session.run(None, feeds), strict=True))


def random_feeds(model):
    rng = np.random.default_rng(3)
    return {
        v.name: rng.standard_normal(
            [d.dim_value for d in v.type.tensor_type.shape.dim]
        ).astype(np.float32)
        for v in model.graph.input
    }


def test_every_variant_of_a_split_bundle_is_the_whole_one_in_two(
    export_two, monkeypatch, tmp_path
):
    monkeypatch.setattr(selection, "_CALIBRATION_ROOMS", range(1000, 1002))
    monkeypatch.setattr(selection, "_HELD_OUT_ROOMS", range(16, 18))
    wanted = Precision(("fp32", "fp16", "int8"), budget=FREE)
    bundles = []
    for name, split in (("whole", ()), ("split", ("depth",))):
        out = tmp_path / f"{name}.fuseg"
        report = export_two(precision=wanted, split=split, out=out)
        bundles.append(Bundle.open(out))
    assert "depth has a graph of its own, " in str(report.notes)
    whole, split = bundles
    encoder, net = split.manifest.graphs
    assert (encoder.name, encoder.reads) == ("depth-encoder", ("depth",))
    assert net.reads == ("rgb", *encoder.writes)
    assert (
        [*encoder.networks] == [*net.networks] == [*whole.manifest.graphs[0].networks]
    )
    for variant in split.manifest.variants:
        parts = (split.manifest.network(graph, variant) for graph in (encoder, net))
        first, rest = (onnx.load_from_string(split.read(n.file)) for n in parts)
        model = onnx.load_from_string(whole.read(whole.network(variant).file))
        feeds = random_feeds(model)
        middle = run(first, {"depth": feeds["depth"]})
        made = run(rest, {"rgb": feeds["rgb"], **middle})
        for name, scores in run(model, feeds).items():
            scale = np.abs(scores).max()
            np.testing.assert_allclose(made[name], scores, atol=1e-4 * scale)


def test_held_depth_is_encoded_once_and_labelled_as_by_the_whole(export_two, tmp_path):
    paths = [tmp_path / "whole.fuseg", tmp_path / "split.fuseg"]
    for path, split in zip(paths, ((), ("depth",)), strict=True):
        export_two(split=split, out=path)
    whole, split = (
        fuseg.load(path, missing={"depth": HOLD}, threads=1) for path in paths
    )
    frames, _ = split.bundle.samples()[0]
    before = list(split.backend.ran)
    for number in range(12):
        stamp = number * 33_000_000
        given = {"rgb": fuseg.Frame(frames["rgb"] // (number + 1), stamp)}
        if number % 3 == 0:
            given["depth"] = fuseg.Frame(frames["depth"] + number, stamp)
        np.testing.assert_array_equal(split(**given).labels, whole(**given).labels)
    ran = np.subtract(split.backend.ran, before).tolist()
    assert ran == [4, 12]


def test_a_spec_file_may_say_so(export_two, tmp_path):
    (tmp_path / "spec.json").write_text('{"split": ["depth"]}')
    report = export_two(spec=tmp_path / "spec.json")
    names = [graph.name for graph in report.manifest.graphs]
    assert names == ["depth-encoder", "net"]


HOLD = {"policy": "hold", "max_age_ms": 200.0, "then": "refuse"}


def early(mixed_first):
    """Two inputs that are added before or after a convolution of each."""
    rng = np.random.default_rng(0)
    shape = (1, 4, 8, 8)
    stored = [
        numpy_helper.from_array(
            rng.standard_normal((4, 4, 3, 3)).astype(np.float32), name
        )
        for name in ("u", "v", "w")
    ]
    if mixed_first:
        nodes = [
            helper.make_node("Add", ["a", "b"], ["x"]),
            helper.make_node("Conv", ["x", "u"], ["y"], pads=[1] * 4),
        ]
    else:
        nodes = [
            helper.make_node("Conv", ["a", "u"], ["c"], pads=[1] * 4),
            helper.make_node("Conv", ["b", "v"], ["d"], pads=[1] * 4),
            helper.make_node("Relu", ["d"], ["e"]),
            helper.make_node("Add", ["c", "e"], ["x"]),
            helper.make_node("Conv", ["x", "w"], ["y"], pads=[1] * 4),
        ]
    used = {name for node in nodes for name in node.input}
    graph = helper.make_graph(
        nodes,
        "early",
        [helper.make_tensor_value_info(n, 1, shape) for n in ("a", "b")],
        [helper.make_tensor_value_info("y", 1, shape)],
        [t for t in stored if t.name in used],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])


def test_a_value_that_is_cheap_to_make_is_made_by_who_reads_it():
    cut = find_cut(early(mixed_first=False), "b")
    assert cut.crossing == ("d",)  # not the Relu's e
    assert cut.share == pytest.approx(1 / 3)
    model = early(mixed_first=False)
    encoder, rest = cut_out(model, with_encoder([one_piece(model)], cut))
    assert [node.op_type for node in encoder.graph.node] == ["Conv"]
    assert [node.op_type for node in rest.graph.node] == ["Conv", "Relu", "Add", "Conv"]


def test_a_network_that_mixes_at_once_gains_nothing_and_is_refused():
    with pytest.raises(
        ExportError,
        match=r"^--split b must leave 5% of the network's multiply-adds or more in a "
        r"graph of its own, got 0.0%: too little depends on it alone",
    ):
        find_cut(early(mixed_first=True), "b")


@pytest.mark.parametrize("names", [["c"], ["a", "a"], ["a", "b"]])
def test_what_is_no_input_or_all_of_them_is_refused(names):
    model = early(mixed_first=False)
    with pytest.raises(ArgumentError, match=r"^--split must name some of the network'"):
        find_cuts(model, [one_piece(model)], names, ["a", "b"])


def joined(takes):
    """Two sensors in one tensor, of which two layers take parts: as RTFNet does."""
    rng = np.random.default_rng(6)
    stored = {
        "u": rng.standard_normal((4, takes[0][1] - takes[0][0], 3, 3)),
        "v": rng.standard_normal((4, takes[1][1] - takes[1][0], 3, 3)),
    }
    weights = [
        numpy_helper.from_array(a.astype(np.float32), n) for n, a in stored.items()
    ]
    nodes = [helper.make_node("Concat", ["a", "b"], ["x"], axis=1)]
    for name, weight, (low, high) in zip("cd", "uv", takes, strict=True):
        bounds = [np.int64([low]), np.int64([high]), np.int64([-3]), np.int64([1])]
        words = [f"{name}{i}" for i in range(4)]
        weights += map(numpy_helper.from_array, bounds, words)
        nodes += [
            helper.make_node("Slice", ["x", *words], [f"{name}s"]),
            helper.make_node("Conv", [f"{name}s", weight], [name]),
        ]
    nodes.append(helper.make_node("Add", ["c", "d"], ["y"]))
    graph = helper.make_graph(
        nodes,
        "joined",
        [
            helper.make_tensor_value_info("a", 1, (1, 3, 8, 8)),
            helper.make_tensor_value_info("b", 1, (1, 2, 8, 8)),
        ],
        [helper.make_tensor_value_info("y", 1, (1, 4, 6, 6))],
        weights,
    )
    opset = [helper.make_opsetid("", 17)]
    return helper.make_model(graph, opset_imports=opset, ir_version=8)


def test_sensors_that_were_joined_and_cut_apart_can_be_split():
    model = joined([(0, 3), (3, 5)])
    with pytest.raises(ExportError, match="too little depends on it alone"):
        find_cut(model, "b")
    folded = fold_slices(model)
    assert [node.op_type for node in folded.graph.node] == ["Conv", "Conv", "Add"]
    assert find_cut(folded, "b").share == pytest.approx(2 / 5)
    onnx.checker.check_model(folded, full_check=True)
    feeds = random_feeds(model)
    np.testing.assert_array_equal(run(folded, feeds)["y"], run(model, feeds)["y"])


def test_an_export_takes_joined_sensors_apart_before_it_splits(export_two):
    report = export_two(target="foreign:Joined", split=("depth",))
    names = [graph.name for graph in Bundle.open(report.bundle).manifest.graphs]
    assert names == ["depth-encoder", "net"]


def test_a_part_that_is_cut_through_stays():
    model = joined([(0, 4), (0, 5)])
    folded = fold_slices(model)
    # The first takes one plane of b; the second all of the join, made anew.
    assert [n.op_type for n in folded.graph.node].count("Slice") == 1
    feeds = random_feeds(model)
    np.testing.assert_array_equal(run(folded, feeds)["y"], run(model, feeds)["y"])


def test_a_variant_without_the_value_is_refused():
    model = early(mixed_first=False)
    pieces = with_encoder([one_piece(model)], find_cut(model, "b"))
    model.graph.node[1].output[0] = model.graph.node[2].input[0] = "renamed"
    with pytest.raises(
        ExportError, match=r"^graph b-encoder: this variant has no value d"
    ):
        cut_out(model, pieces)

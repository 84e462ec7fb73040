"""Bundles of several graphs, run: slow sensors, stand-ins, states."""

from __future__ import annotations

import ast
import random
import re
from dataclasses import replace

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper
from typer.testing import CliRunner

import fuseg
from fuseg import bundle, manifest
from fuseg.backends import registry
from fuseg.cli import app
from fuseg.errors import BackendError, FrameError

SIZE = (6, 8)
CLASSES = 4
SIBLING = manifest.Missing("hold", 100.0, then="sibling")
MS = 10**6


def model(nodes, inputs, outputs, stored):
    graph = helper.make_graph(
        nodes,
        "graph",
        [helper.make_tensor_value_info(n, TensorProto.FLOAT, s) for n, s in inputs],
        [helper.make_tensor_value_info(n, TensorProto.FLOAT, s) for n, s in outputs],
        [numpy_helper.from_array(a.astype(np.float32), n) for n, a in stored.items()],
    )
    opset = [helper.make_opsetid("", 17)]
    made = helper.make_model(graph, opset_imports=opset, ir_version=8)
    return made.SerializeToString()


RNG = np.random.default_rng(5)
DEEPER = RNG.standard_normal((2, 1, 1, 1))
OF_BOTH = RNG.standard_normal((CLASSES, 5, 1, 1))
OF_COLOR = RNG.standard_normal((CLASSES, 3, 1, 1))
MEMORY = (1, CLASSES, *SIZE)
RGB, D, D0 = (1, 3, *SIZE), (1, 1, *SIZE), (1, 2, *SIZE)

NETWORKS = {
    "depth-encoder": model(
        [helper.make_node("Conv", ["d", "w"], ["d0"])],
        [("d", D)],
        [("d0", D0)],
        {"w": DEEPER},
    ),
    # memory.next = (memory + scores of now) / 2, and that is what is labelled.
    "net": model(
        [
            helper.make_node("Concat", ["rgb", "d0"], ["x"], axis=1),
            helper.make_node("Conv", ["x", "w"], ["now"]),
            helper.make_node("Add", ["memory", "now"], ["sum"]),
            helper.make_node("Mul", ["sum", "half"], ["memory.next"]),
            helper.make_node("Identity", ["memory.next"], ["scores"]),
        ],
        [("rgb", RGB), ("d0", D0), ("memory", MEMORY)],
        [("scores", MEMORY), ("memory.next", MEMORY)],
        {"w": OF_BOTH, "half": np.array(0.5)},
    ),
    "net-without-depth": model(
        [helper.make_node("Conv", ["rgb", "w"], ["scores"])],
        [("rgb", RGB)],
        [("scores", MEMORY)],
        {"w": OF_COLOR},
    ),
}


@pytest.fixture
def program(make_bundle, color_input, plane_input, tmp_path):
    """``program(**state)``: a bundle of an encoder for depth, a network with a state
    (its keys changed), and one that stands in for it without depth."""

    def make(missing=SIBLING, **state):
        rgb, depth = color_input(), plane_input(tensor="d")
        whole = bundle.Bundle.open(make_bundle(rgb, depth).path).manifest
        shapes = {"rgb": RGB, "d": D, "d0": D0, "memory": MEMORY, "scores": MEMORY}
        graphs = tuple(
            manifest.Graph(
                name,
                reads,
                writes,
                {"fp32": manifest.Network(f"{name}.onnx", 17, 8)},
                stands_in_for=original,
            )
            for name, reads, writes, original in (
                ("depth-encoder", ("d",), ("d0",), None),
                ("net", ("rgb", "d0", "memory"), ("scores", "memory.next"), None),
                ("net-without-depth", ("rgb",), ("scores",), "net"),
            )
        )
        keys = {"initial": 0.0, "steps_with": "rgb", **state}
        whole = replace(
            whole,
            tensors={name: manifest.Tensor(shape) for name, shape in shapes.items()},
            inputs=(rgb, replace(depth, missing=missing)),
            graphs=graphs,
            states=(manifest.State("memory", "memory.next", **keys),),
            files={},
        )
        path = tmp_path / "program.fuseg"
        files = {f"{name}.onnx": data for name, data in NETWORKS.items()}
        bundle.write(path, whole, files)
        return path

    return make


class Reference:
    """What the bundle must give, in float64."""

    def __init__(self):
        self.memory = np.zeros(MEMORY[1:])

    def label(self, tensors, *, depth=True):
        rgb = tensors["rgb"][0].astype(np.float64)
        if not depth:
            self.memory = np.zeros(MEMORY[1:])
            return np.einsum("cp,phw->chw", OF_COLOR[..., 0, 0], rgb)
        d0 = np.einsum("cp,phw->chw", DEEPER[..., 0, 0], tensors["d"][0])
        both = np.concatenate([rgb, d0])
        now = np.einsum("cp,phw->chw", OF_BOTH[..., 0, 0], both)
        self.memory = (self.memory + now) / 2
        return self.memory


def frame(rng, at_ms, *, depth):
    rgb = rng.integers(0, 256, (*SIZE, 3)).astype(np.uint8)
    given = {"rgb": fuseg.Frame(rgb, at_ms * MS)}
    if depth:
        plane = rng.integers(500, 5000, SIZE).astype(np.uint16)
        given["depth"] = fuseg.Frame(plane, at_ms * MS)
    return given


def counts(segmenter):
    names = [graph.name for graph in segmenter.manifest.graphs]
    return dict(zip(names, segmenter.backend.ran, strict=True))


def labels_of(scores):
    return scores.argmax(0).astype(np.uint8)


@pytest.mark.parametrize("backend", ["onnxruntime", "openvino"])
def test_a_slow_sensor_s_encoder_runs_at_its_own_rate(program, backend):
    if backend == "openvino":
        pytest.importorskip("openvino")
    segmenter = fuseg.load(program(), backend=backend)
    rng, before = np.random.default_rng(0), counts(segmenter)
    reference = Reference()
    for number in range(30):  # 30 Hz of colour, 10 Hz of depth
        given = frame(rng, 33 * number, depth=number % 3 == 0)
        wanted = reference.label(segmenter.preprocess(**given))
        result = segmenter(**given)
        np.testing.assert_array_equal(result.labels, labels_of(wanted))
    ran = {name: count - before[name] for name, count in counts(segmenter).items()}
    assert ran == {"depth-encoder": 10, "net": 30, "net-without-depth": 0}


def test_a_stand_in_labels_while_a_sensor_is_gone_and_no_frame_is_lost(program):
    segmenter = fuseg.load(program())
    rng, drops = np.random.default_rng(1), random.Random(2)
    reference, gone, seen, at = Reference(), False, None, 0
    taken = {True: 0, False: 0}
    for _ in range(1000):
        at += 33
        gone ^= drops.random() < 0.05
        given = frame(rng, at, depth=not gone)
        seen = at if "depth" in given else seen
        held = seen is not None and at - seen <= 100
        wanted = reference.label(segmenter.preprocess(**given), depth=held)
        result = segmenter(**given)
        np.testing.assert_array_equal(result.labels, labels_of(wanted))
        state = "fresh" if not gone else "held" if held else "absent"
        assert result.sources["depth"].state == state
        assert result.degraded == (state != "fresh")
        assert (state == "absent") == ("depth: absent (no frame" in str(result.reason))
        taken[held] += 1
    assert min(taken.values()) > 100


def test_a_stand_in_for_nothing_is_no_policy(program):
    whole = bundle.Bundle.open(program()).manifest
    color = replace(whole.inputs[0], missing=manifest.Missing("sibling"))
    with pytest.raises(
        fuseg.errors.ManifestError,
        match=r"^inputs\[0\].missing.policy must not be 'sibling': no graph makes "
        "scores without rgb.$",
    ):
        replace(whole, inputs=(color, whole.inputs[1]))


def test_a_state_lives_from_frame_to_frame_in_each_clone_until_it_is_reset(program):
    segmenter = fuseg.load(program())
    rng = np.random.default_rng(3)
    reference = Reference()
    twin, of_twin = None, None
    for number in range(100):
        if number == 40:
            twin = segmenter.clone()  # begins anew
            of_twin = Reference()
        if number == 70:
            segmenter.reset()
            reference.memory[:] = 0
        given = frame(rng, 33 * number, depth=True)
        tensors = segmenter.preprocess(**given)
        for one, of_one in ((segmenter, reference), (twin, of_twin)):
            if one is not None:
                wanted = of_one.label(tensors)
                np.testing.assert_array_equal(one(**given).labels, labels_of(wanted))
    scores = segmenter.backend.outputs["scores"][0]
    np.testing.assert_allclose(scores, reference.memory, atol=1e-4)


def test_a_gap_in_the_clock_and_another_camera_start_a_state_anew(program):
    segmenter = fuseg.load(program(max_gap_ms=100.0))
    rng = np.random.default_rng(4)
    reference, at, before = Reference(), 0, 1
    for gap, camera in ((33, 1), (100, 1), (101, 1), (33, 1), (33, 2), (33, 2)):
        at += gap
        given = frame(rng, at, depth=True)
        if camera == 2:
            given = {
                name: fuseg.Frame(f.array.repeat(2, 0).repeat(2, 1), f.stamp_ns)
                for name, f in given.items()
            }
        tensors = segmenter.preprocess(**given)
        if gap > 100 or camera != before:
            reference.memory[:] = 0
        before = camera
        wanted = reference.label(tensors)
        got = segmenter(**given, size=SIZE)
        np.testing.assert_array_equal(got.labels, labels_of(wanted))


def test_two_sensors_that_no_graph_does_without_together_are_refused(
    make_bundle, color_input, plane_input, tmp_path
):
    """Each has a stand-in; the advice in the sentence is followed."""
    away = manifest.Missing("sibling")
    inputs = color_input(), plane_input()
    opened = bundle.Bundle.open(make_bundle(*inputs).path)
    (whole,) = opened.manifest.graphs
    reads = {"net": ("rgb", "depth"), "of-color": ("rgb",), "of-depth": ("depth",)}
    graphs, members = [], {}
    for name, read in reads.items():
        file = f"{name}.onnx"
        shapes = [(n, RGB if n == "rgb" else D) for n in read]
        planes = sum(shape[1] for _, shape in shapes)
        members[file] = model(
            [
                helper.make_node("Concat", list(read), ["x"], axis=1),
                helper.make_node("Conv", ["x", "w"], ["scores"]),
            ],
            shapes,
            [("scores", MEMORY)],
            {"w": RNG.standard_normal((CLASSES, planes, 1, 1))},
        )
        networks = {"fp32": replace(whole.networks["fp32"], file=file)}
        graph = replace(whole, name=name, reads=read, networks=networks)
        graphs.append(graph if name == "net" else replace(graph, stands_in_for="net"))
    changed = replace(
        opened.manifest,
        inputs=tuple(replace(i, missing=away) for i in inputs),
        graphs=tuple(graphs),
        files={},
    )
    path = tmp_path / "either.fuseg"
    bundle.write(path, changed, members)
    given = frame(np.random.default_rng(5), 0, depth=True)
    segmenter = fuseg.load(path)
    for name in given:
        result = segmenter(**{name: given[name]})
        assert {n: s.state for n, s in result.sources.items()} == {
            n: "fresh" if n == name else "absent" for n in given
        }
    with pytest.raises(
        FrameError, match=r"^rgb \(no frame\), depth \(no fr"
    ) as refused:
        segmenter(stamp_ns=0)
    advice = re.search(r"missing=({.*})\)", str(refused.value))
    assert advice is not None
    missing = ast.literal_eval(advice[1])
    result = fuseg.load(path, missing=missing)(stamp_ns=0)
    assert {s.state for s in result.sources.values()} == {"substituted"}


@pytest.mark.parametrize("backend", ["tensorrt", "onnxruntime-cuda"])
def test_a_backend_of_a_gpu_says_that_it_runs_one_graph(program, backend):
    opened = bundle.Bundle.open(program())
    assert registry.variants_for(opened, backend) == []
    with pytest.raises(
        BackendError,
        match=r"^backend .* runs a bundle of one graph without a state in this "
        r"version, and this one has depth-encoder, net, net-without-depth: choose onnx",
    ):
        registry.variant_for(opened, backend)


def test_auto_goes_on_to_a_cpu_where_there_is_a_gpu(program, monkeypatch, caplog):
    monkeypatch.setattr(registry, "gpu_count", lambda: 1)
    monkeypatch.setattr(registry, "unavailable", lambda *_: None)
    with caplog.at_level("INFO", "fuseg"):
        segmenter = fuseg.load(program())
    assert segmenter.backend_name == "onnxruntime"
    assert "not tensorrt: backend tensorrt runs a bundle of one graph" in caplog.text


def test_inspect_shows_what_each_graph_is_for(program):
    shown = CliRunner().invoke(app, ["inspect", str(program(max_gap_ms=500.0))]).stdout
    rows = [line.split("  ") for line in shown.splitlines()]
    cells = [[cell.strip() for cell in row if cell.strip()] for row in rows]
    for row in (
        ["graph", "reads", "writes", "stands in for"],
        ["depth-encoder", "d", "1 tensor"],
        ["net", "rgb, memory, 1 tensor of depth-encoder", "scores, memory.next"],
        ["net-without-depth", "rgb", "scores", "net"],
    ):
        assert row in cells
    assert (
        "state memory: starts at 0, steps with rgb, anew after 500 ms without it; "
        "reset where a stand-in skips it"
    ) in shown


@pytest.mark.parametrize("allow_spinning", [True, False])
def test_threads_of_a_graph_that_has_run_leave_the_cores_to_the_next(
    program, allow_spinning
):
    segmenter = fuseg.load(program(), threads=2, allow_spinning=allow_spinning)
    key = "session.intra_op.allow_spinning"
    for backend in segmenter.backend._in_order:
        options = backend.session.get_session_options()
        assert options.get_session_config_entry(key) == "0"

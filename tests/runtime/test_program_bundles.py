"""Bundles of several graphs, run: slow sensors, stand-ins, states."""

from __future__ import annotations

import ast
import random
import re
from dataclasses import replace

import numpy as np
import onnxruntime
import pytest
from onnx import helper
from runtime.programs import (
    CLASSES,
    MEMORY,
    RGB,
    RNG,
    SIBLING,
    SIZE,
    D,
    Reference,
    add_stand_in,
    counts,
    frame,
    labels_of,
    model,
    write_program,
)
from typer.testing import CliRunner

import fuseg
from fuseg import bundle, manifest
from fuseg.cli import app
from fuseg.dataset.images import read_labels, write_png
from fuseg.errors import BackendError, FrameError


@pytest.fixture
def program(make_bundle, color_input, plane_input, tmp_path):
    """``program(**state)``: see `write_program`."""

    def make(missing=SIBLING, **state):
        path = tmp_path / "program.fuseg"
        makers = make_bundle, color_input, plane_input
        return write_program(*makers, path, missing, **state)

    return make


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


def test_calls_that_are_independent_start_a_state_anew(program):
    segmenter = fuseg.load(program(), hold=False)
    rng = np.random.default_rng(6)
    for _ in range(3):
        given = frame(rng, 0, depth=True)
        wanted = Reference().label(segmenter.preprocess(**given))
        np.testing.assert_array_equal(segmenter(**given).labels, labels_of(wanted))


def test_a_state_goes_on_from_file_to_file_of_run(program, tmp_path):
    path, rng, reference = program(), np.random.default_rng(7), Reference()
    plain, wanted = fuseg.load(path), {}
    for key in ("a", "b", "c"):
        given = {n: f.array for n, f in frame(rng, 0, depth=True).items()}
        for name, array in given.items():
            write_png(tmp_path / name / f"{key}.png", array)
        wanted[key] = labels_of(reference.label(plain.preprocess(**given)))
    words = ["run", str(path), "--out", str(tmp_path / "out")]
    for name in ("rgb", "depth"):
        words += ["--input", f"{name}={tmp_path / name}"]
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 0, done.output
    for key, labels in wanted.items():
        found = read_labels(tmp_path / "out" / "labels" / f"{key}.png")
        np.testing.assert_array_equal(found, labels)


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


def test_a_frame_whose_scores_are_no_numbers_leaves_no_trace_in_a_state(
    program, monkeypatch
):
    segmenter = fuseg.load(program())
    net = segmenter.backend._in_order[1]
    run = net.run

    def spoiled():
        run()
        for scores in net.outputs.values():
            scores.fill(np.nan)

    rng, reference = np.random.default_rng(6), Reference()
    for number in range(6):
        given = frame(rng, 33 * number, depth=True)
        if number == 3:
            with monkeypatch.context() as patch:
                patch.setattr(net, "run", spoiled)
                with pytest.raises(BackendError, match="not numbers"):
                    segmenter(**given)
        wanted = reference.label(segmenter.preprocess(**given))
        np.testing.assert_array_equal(segmenter(**given).labels, labels_of(wanted))


def test_a_substitute_after_a_frame_that_failed_is_read(program, monkeypatch):
    """The encoder had run for the sensor's frame; the planes hold the fill again."""
    missing = {"depth": {"policy": "substitute"}}
    segmenter, other = (fuseg.load(program(), missing=missing) for _ in "ab")
    rng = np.random.default_rng(7)
    alone, whole = (frame(rng, at, depth=at == 33) for at in (0, 33))
    segmenter(**alone)
    other(**alone)
    net = segmenter.backend._in_order[1]
    with monkeypatch.context() as patch:
        patch.setattr(net, "run", lambda: (_ for _ in ()).throw(BackendError("no.")))
        with pytest.raises(BackendError):
            segmenter(**whole)
    del whole["depth"]
    np.testing.assert_array_equal(segmenter(**whole).labels, other(**whole).labels)


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


@pytest.mark.parametrize(
    ("allow_spinning", "release", "key", "value"),
    [
        (True, "1.26.0", "session.intra_op.spin_duration_us", "100"),
        (True, "1.25.1", "session.intra_op.allow_spinning", "0"),
        (False, "1.26.0", "session.intra_op.allow_spinning", "0"),
    ],
)
def test_threads_of_a_graph_that_has_run_leave_the_cores_to_the_next(
    program, monkeypatch, allow_spinning, release, key, value
):
    monkeypatch.setattr(onnxruntime, "__version__", release)
    segmenter = fuseg.load(program(), threads=2, allow_spinning=allow_spinning)
    for backend in segmenter.backend._in_order:
        options = backend.session.get_session_options()
        assert options.get_session_config_entry(key) == value


def test_a_stand_in_takes_no_cores_so_that_threads_spin_as_they_do_without_it(rgbd):
    segmenter = fuseg.load(add_stand_in(rgbd.path), threads=2)
    for backend in segmenter.backend._in_order:
        options = backend.session.get_session_options()
        for key in ("spin_duration_us", "allow_spinning"):
            with pytest.raises(RuntimeError):
                options.get_session_config_entry(f"session.intra_op.{key}")

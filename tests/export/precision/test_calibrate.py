"""Ranges are those of the frames, and the frames are not kept."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from fuseg.errors import ArgumentError, InputFileError
from fuseg_export.precision import calibrate as calibrate_room
from fuseg_export.precision.calibrate import METHODS, cached, calibrate


def doubling():
    shape = [1, 1, 64, 64]
    graph = helper.make_graph(
        [
            helper.make_node("Add", ["x", "x"], ["twice"], "add"),
            helper.make_node("Neg", ["twice"], ["y"], "neg"),
        ],
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, shape)],
    )
    return helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8
    )


def noise(count, seed=0):
    rng = np.random.default_rng(seed)
    return [
        {"x": rng.normal(0, 1, (1, 1, 64, 64)).astype(np.float32)} for _ in range(count)
    ]


def test_minmax_is_the_smallest_and_the_largest_of_all_frames():
    given = noise(5)
    ranges = calibrate(doubling(), iter(given))
    every = np.stack([f["x"] for f in given])
    assert ranges.of["x"] == pytest.approx((every.min(), every.max()), rel=1e-6)
    assert ranges.of["twice"] == pytest.approx((2 * every.min(), 2 * every.max()))
    assert ranges.of["y"] == pytest.approx((-2 * every.max(), -2 * every.min()))
    assert (ranges.method, ranges.frames) == ("minmax", 5)


@pytest.mark.parametrize("method", ["percentile", "entropy"])
def test_one_outlier_drives_minmax_and_not_the_others(method, capsys):
    given = noise(8)
    given[2]["x"][0, 0, 3, 3] = 30
    assert calibrate(doubling(), given).of["x"][1] == 30
    low, high = calibrate(doubling(), given, method=method).of["x"]
    assert -6 < low < -1
    assert 1 < high < 6
    assert capsys.readouterr().out == ""


def test_the_digest_tells_frames_methods_and_networks_apart():
    given = noise(2)
    other = doubling()
    other.graph.node[1].op_type = "Abs"
    digests = {
        calibrate(doubling(), given).digest,
        calibrate(doubling(), given[:1]).digest,
        calibrate(doubling(), noise(2, seed=1)).digest,
        calibrate(doubling(), given, method="percentile").digest,
        calibrate(other, given).digest,
    }
    assert len(digests) == 5
    assert calibrate(doubling(), noise(2)).digest in digests


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_frame_that_is_not_finite_is_named(value):
    given = noise(3)
    given[1]["x"][0, 0, 0, 0] = value
    with pytest.raises(
        ArgumentError, match=r"frame 1 has NaN or infinity in .* x: leave"
    ):
        calibrate(doubling(), given)


def test_no_frame_and_no_such_method():
    with pytest.raises(ArgumentError, match="at least one frame, got none"):
        calibrate(doubling(), [])
    with pytest.raises(ArgumentError, match="one of minmax, entropy, percentile, got"):
        calibrate(doubling(), noise(1), method="best")


def test_the_cache_serves_the_same_network_frames_and_method_only(
    tmp_path, monkeypatch
):
    path = tmp_path / "ranges.json"
    given = noise(3)
    runs = []
    real = calibrate_room.calibrate

    def counted(*args, **options):
        runs.append(options["method"])
        return real(*args, **options)

    monkeypatch.setattr(calibrate_room, "calibrate", counted)

    def ranges(frames=given, method="minmax", model=None):
        return cached(path, model or doubling(), lambda: iter(frames), method=method)

    first = ranges()
    assert first == calibrate(doubling(), given)
    assert ranges() == first
    assert runs == ["minmax"]
    ranges(noise(3, seed=1))
    assert len(runs) == 2
    ranges(given[:2])
    ranges(given[:2], method="percentile")
    other = doubling()
    other.graph.node[1].op_type = "Abs"
    ranges(given[:2], method="percentile", model=other)
    assert len(runs) == 5


@pytest.mark.parametrize("text", ["", "{}", "[1]", '{"of": {"x": [1]}}', "\0"])
def test_a_file_that_is_no_cache_is_refused_and_kept(tmp_path, text):
    path = tmp_path / "ranges.json"
    path.write_text(text)
    with pytest.raises(InputFileError, match=r"ranges.json must hold the ranges of a"):
        cached(path, doubling(), lambda: noise(1), method="minmax")
    assert path.read_text() == text


MEASURE = """
import resource, sys
import numpy as np, onnx
sys.path.insert(0, {here!r})
from test_calibrate import doubling
from fuseg_export.precision.calibrate import calibrate
model = doubling()
for value in (model.graph.input[0], model.graph.output[0]):
    for axis, side in zip(value.type.tensor_type.shape.dim, (1, 4, 240, 320)):
        axis.dim_value = side
def frames(count):
    rng = np.random.default_rng(0)
    for _ in range(count):
        yield {{"x": rng.random((1, 4, 240, 320), np.float32)}}
calibrate(model, frames({count}), method={method!r})
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


@pytest.mark.parametrize("method", sorted(METHODS))
def test_memory_does_not_grow_with_the_frames(method, request):
    """1,024 frames are 1.2 GB, 64 are 79 MB. Entropy in fewer: it is slow."""
    few, many = (8, 128) if method == "entropy" else (64, 1024)
    if request.config.getoption("markexpr") == "not slow":
        few, many = few // 4, many // 4

    def kilobytes(count):
        code = MEASURE.format(here=str(request.path.parent), count=count, method=method)
        done = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True
        )
        return int(done.stdout.split()[-1])

    assert kilobytes(many) <= 1.1 * kilobytes(few)


def test_the_network_is_left_as_it_was():
    model = doubling()
    before = model.SerializeToString(deterministic=True)
    calibrate(model, noise(1))
    assert model.SerializeToString(deterministic=True) == before
    onnx.checker.check_model(model)

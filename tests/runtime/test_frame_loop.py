"""What a frame costs beside its pixels: allocations, waiting, Python."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import threading
import time
import tracemalloc
from pathlib import Path

import native
import numpy as np
import pytest

import fuseg
from fuseg import manifest

HERE = Path(__file__).parent
NETWORK = (240, 320)
CAMERA = (480, 640)
FRAMES = 20
HOLD = manifest.Missing("hold", 1000, "substitute")


@pytest.fixture
def camera_bundle(make_bundle, color_input, plane_input):
    """A network of 240 x 320 whose depth is held, then substituted."""
    inputs = color_input(size=NETWORK), plane_input(size=NETWORK, missing=HOLD)
    return make_bundle(*inputs, stride=4)


# Allocation


@pytest.fixture(params=["onnxruntime", "openvino"])
def counts(camera_bundle, request):
    """{case: [allocations of 64 KiB and more, their bytes, state of depth]}."""
    pytest.importorskip(request.param)
    if sys.platform != "linux":
        pytest.skip("needs glibc to count allocations")
    library = native.allocation_counter()
    done = subprocess.run(
        [
            *(sys.executable, HERE / "frame_loop.py"),
            *(library, camera_bundle.path, request.param),
        ],
        env=os.environ | {"LD_PRELOAD": str(library)},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return json.loads(done.stdout)


def test_the_frame_loop_allocates_only_results(counts):
    labels, floats = CAMERA[0] * CAMERA[1], 4 * CAMERA[0] * CAMERA[1]
    assert counts == {
        "out": [0, 0, "fresh"],
        "held": [0, 0, "held"],
        "substituted": [0, 0, "substituted"],
        "kept": [FRAMES, FRAMES * labels, "fresh"],
        "confidence": [2 * FRAMES, FRAMES * (labels + floats), "fresh"],
        "planted": [FRAMES, FRAMES * 100_000, "fresh"],  # the counter counts
    }


def test_python_sees_no_image_sized_allocation_in_the_loop(camera_bundle, frames):
    segmenter = fuseg.load(camera_bundle.path, threads=1)
    given, out = frames(1, *CAMERA), np.empty(CAMERA, np.uint8)
    segmenter(**given, out=out)

    def peak(**options):
        tracemalloc.reset_peak()
        before, _ = tracemalloc.get_traced_memory()
        for _ in range(5):
            segmenter(**given, **options)
        return tracemalloc.get_traced_memory()[1] - before

    tracemalloc.start()
    try:
        assert peak(out=out) < 65_536
        assert peak() >= out.nbytes  # the labels of a result are seen
    finally:
        tracemalloc.stop()


# Threads


def test_threads_get_the_labels_of_their_own_frames(camera_bundle, frames):
    segmenter = fuseg.load(camera_bundle.path, threads=1)
    given = [frames(seed, *CAMERA) for seed in range(4)]
    wanted = [segmenter(**one).labels for one in given]
    assert not any(np.array_equal(wanted[0], other) for other in wanted[1:])
    ready, wrong = threading.Barrier(len(given)), []

    def work(i):
        ready.wait()
        for _ in range(15):
            labels = segmenter(**given[i]).labels
            wrong.append(not np.array_equal(labels, wanted[i]))

    run_all(work, len(given))
    assert (len(wrong), sum(wrong)) == (60, 0)


def test_clones_run_side_by_side(camera_bundle, frames):
    segmenter = fuseg.load(camera_bundle.path, threads=1)
    given = [frames(seed, *CAMERA) for seed in range(4)]
    wanted = [segmenter(**one).labels for one in given]
    wrong = []

    def work(i):
        mine = segmenter.clone()
        for _ in range(15):
            labels = mine(**given[i]).labels
            wrong.append(not np.array_equal(labels, wanted[i]))

    run_all(work, len(given))
    assert (len(wrong), sum(wrong)) == (60, 0)


def run_all(work, count):
    threads = [threading.Thread(target=work, args=(i,)) for i in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def test_a_clone_does_not_wait_for_the_other(camera_bundle, frames, monkeypatch):
    segmenter = fuseg.load(camera_bundle.path, threads=1)
    clone, given = segmenter.clone(), frames(1, *CAMERA)
    blocked = threading.Thread(target=segmenter, kwargs=given)

    def inside() -> None:
        run()
        if not blocked.ident:  # the first call, not the blocked one
            clone(**given)
            blocked.start()
            blocked.join(0.2)
            assert blocked.is_alive()

    run = segmenter.backend.run
    monkeypatch.setattr(segmenter.backend, "run", inside)
    segmenter(**given)
    blocked.join()


# Time


@pytest.mark.slow
def test_overhead_is_below_a_fifth_of_a_millisecond(camera_bundle, frames):
    segmenter = fuseg.load(camera_bundle.path, threads=1)
    given = frames(1, *CAMERA)
    overhead = []
    for _ in range(100):
        t = segmenter(**given).timing
        overhead.append(t.total_ms - t.pack_ms - t.network_ms - t.label_ms)
    assert statistics.median(overhead) < 0.2


@pytest.mark.slow
def test_a_frame_of_a_few_pixels_costs_little_python_in_all(rgbd, frames):
    segmenter, given = fuseg.load(rgbd.path, threads=1), frames(1)
    segmenter(**given)
    walls = []
    for _ in range(100):
        start = time.perf_counter()
        segmenter(**given)
        walls.append((time.perf_counter() - start) * 1e3)
    assert statistics.median(walls) < 1.0  # 0.1 on a quiet machine, stages included


@pytest.mark.slow
def test_a_bundle_of_five_megabytes_loads_in_half_a_second(make_bundle, color_input):
    from onnx import helper, numpy_helper

    weights = np.random.default_rng(0).standard_normal(1_300_000).astype(np.float32)
    nodes = [
        helper.make_node("ReduceMax", ["big"], ["one"], keepdims=0),
        helper.make_node("Mul", ["rgb", "one"], ["scaled"]),
        helper.make_node("Conv", ["scaled", "w"], ["scores"]),
    ]
    graph = helper.make_graph(
        nodes,
        "big",
        [helper.make_tensor_value_info("rgb", 1, (1, 3, 24, 32))],
        [helper.make_tensor_value_info("scores", 1, (1, 4, 24, 32))],
        [
            numpy_helper.from_array(weights, "big"),
            numpy_helper.from_array(np.ones((4, 3, 1, 1), np.float32), "w"),
        ],
    )
    opset = [helper.make_opsetid("", 17)]
    model = helper.make_model(graph, opset_imports=opset, ir_version=8)
    onnx = model.SerializeToString()
    made = make_bundle(color_input(size=(24, 32)), onnx=onnx)
    assert made.path.stat().st_size > 5_000_000
    code = (
        "import sys, time, fuseg; t = time.perf_counter();"
        "fuseg.load(sys.argv[1]); print(time.perf_counter() - t)"
    )  # in a process of its own: the import of onnxruntime is part of it
    command = [sys.executable, "-c", code, str(made.path)]
    seconds = [float(subprocess.check_output(command)) for _ in range(3)]
    assert min(seconds) < 0.5

"""Sound on a GPU backend: its tensor is computed on the CPU and uploaded."""

from __future__ import annotations

import numpy as np
import pytest
from runtime.sounds import audio_input, write_hearing

import fuseg
from fuseg.manifest import Missing

MS = 1_000_000


@pytest.fixture
def path(tmp_path):
    spec = audio_input(missing=Missing("hold", 100.0, then="substitute"))
    return write_hearing(tmp_path / "hearing.fuseg", spec)


def window(seed):
    noise = np.random.default_rng(seed).standard_normal(1600) * 3000
    return noise.astype(np.int16)


@pytest.mark.parametrize("inputs", ["float32", "float16"])
def test_features_are_those_of_a_cpu(path, on_gpu, machine, inputs):
    segmenter = on_gpu(path, inputs=inputs)
    near = 1e-6 if inputs == "float32" else 0.01
    cpu = fuseg.load(path.path, backend="onnxruntime")
    for seed in range(5):  # from the third on as a graph
        wanted = cpu(sound=window(seed))["felt"]
        found = segmenter(sound=window(seed))["felt"]
        np.testing.assert_allclose(found, wanted, atol=near)
    assert segmenter.cuda_graph_disabled_reason is None
    machine.check()


def test_windows_are_held_and_substituted_there_too(path, on_gpu):
    segmenter = on_gpu(path)
    for turn in range(4):
        start = turn * 1000 * MS
        fresh = segmenter(sound=fuseg.Frame(window(turn), start))["felt"]
        held = segmenter(sound=None, stamp_ns=start + 50 * MS)
        np.testing.assert_array_equal(held["felt"], fresh)
        gone = segmenter(sound=None, stamp_ns=start + 500 * MS)
        assert gone.sources["sound"].state == "substituted"
        assert (gone["felt"] == -3).all()


def test_a_held_window_is_found_in_the_other_slot(path, on_gpu):
    segmenter, found = on_gpu(path), []
    first = segmenter(sound=fuseg.Frame(window(0), 0))["felt"]
    tickets = [segmenter.submit(sound=None, stamp_ns=k * MS) for k in (10, 20)]
    found = [segmenter.result(ticket)["felt"] for ticket in tickets]
    np.testing.assert_array_equal(found[0], first)
    np.testing.assert_array_equal(found[1], first)

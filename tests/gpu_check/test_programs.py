"""programs.py on a double of TensorRT, and what it finds wrong."""

from __future__ import annotations

import importlib.machinery
import sys

import doubles
import doubles.tensorrt
import programs
import pytest

import fuseg


@pytest.fixture(scope="module", params=[*programs.SPECS])
def path(request, tmp_path_factory):
    return programs.make(request.param, tmp_path_factory.mktemp("programs"))


@pytest.fixture
def tensorrt(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    machine = doubles.install(monkeypatch, doubles.Machine(memory_bytes=1 << 30))
    made = doubles.tensorrt.make(machine, "10.3.0")
    made.__spec__ = importlib.machinery.ModuleSpec("tensorrt", None)
    monkeypatch.setitem(sys.modules, "tensorrt", made)
    doubles.in_children(monkeypatch, "10.3.0", builds=tmp_path / "builds")
    return "tensorrt"


def test_programs_on_a_gpu_are_compared_with_the_cpu(path, tensorrt):
    found = programs.check(path, tensorrt)
    assert found["least labels equal"] > programs.LEAST
    assert found["cuda graph"] == "yes"
    if path.stem == "late":
        assert found["degraded"] == 44
        assert found["graphs"] == {
            "color": 60, "depth": 16, "decoder": 50, "without-depth": 10
        }  # fmt: skip
    else:
        assert found["graphs"] == {"prompt-encoder": 3, "net": 60}


def test_graphs_that_ran_too_often_are_told(path, monkeypatch):
    load = fuseg.load

    def without_plan(*given, backend, **options):
        segmenter = load(*given, backend="onnxruntime", **options)
        if backend == "openvino":  # every graph runs in every frame
            segmenter._session.loop.executor._steps = None
        return segmenter

    monkeypatch.setattr(fuseg, "load", without_plan)
    with pytest.raises(RuntimeError, match=r"graphs ran \[60, 60"):
        programs.check(path, "openvino")

"""``fuseg.load`` where there is a GPU: which engine, why, and what if it fails."""

from __future__ import annotations

import logging
import sys

import doubles
import numpy as np
import pytest

import fuseg
from fuseg.backends import onnxruntime_cuda, registry
from fuseg.backends.tensorrt import backend as tensorrt_backend
from fuseg.errors import (
    ArgumentError,
    BackendError,
    BuildError,
    DeviceError,
    DeviceMemoryError,
)

CAMERA = (60, 80)
VARIANTS = {"fp32": None, "fp16": None, "int8-cpu": None}


@pytest.fixture
def path(sampled, with_variants):
    return with_variants(sampled(), VARIANTS)


@pytest.fixture
def log(caplog):
    caplog.set_level(logging.INFO, logger="fuseg")
    return lambda: [r.message for r in caplog.records if ": variant " in r.message]


def ran(segmenter):
    return segmenter.backend_name, segmenter.variant.name


def test_a_gpu_with_tensorrt_gets_an_engine_of_the_fitting_variant(
    path, builds, frames, log
):
    cpu = fuseg.load(path, backend="onnxruntime", variant="fp32")
    segmenter = fuseg.load(path)
    assert ran(segmenter) == ("tensorrt", "fp16")
    assert segmenter.fallback is None
    given = frames(4, *CAMERA)
    np.testing.assert_array_equal(segmenter(**given).labels, cpu(**given).labels)
    lacks = onnxruntime_cuda.unavailable()
    assert log()[-1] == (
        f"{path}: variant fp16 on tensorrt, by default: not tensorrt-rtx: TensorRT for "
        'RTX is not installed (for RTX GPUs on x86-64 Linux, pip install "fuseg['
        f'tensorrt-rtx]"); not onnxruntime-cuda: {lacks}; nothing is tuned here '
        "(fuseg tune)"
    )
    assert builds() == 1
    assert ran(fuseg.load(path)) == ("tensorrt", "fp16")
    assert builds() == 1


@pytest.mark.usefixtures("builds")
def test_int8_is_for_tensorrt_where_it_was_exported(sampled, with_variants):
    path = with_variants(sampled(), {"fp32": None, "fp16": None, "int8-trt": None})
    assert ran(fuseg.load(path)) == ("tensorrt", "int8-trt")
    assert ran(fuseg.load(path, variant="fp32")) == ("tensorrt", "fp32")


@pytest.mark.usefixtures("builds")
def test_a_variant_for_cpus_goes_to_a_cpu(path):
    assert ran(fuseg.load(path, variant="int8-cpu")) == ("onnxruntime", "int8-cpu")
    with pytest.raises(ArgumentError, match=r"one of fp16, fp32, .* got 'int8-cpu'"):
        fuseg.load(path, backend="tensorrt", variant="int8-cpu")


def test_without_a_gpu_the_line_says_so(path, log, monkeypatch):
    monkeypatch.setattr(registry, "gpu_count", lambda: 0)
    assert ran(fuseg.load(path)) == ("onnxruntime", "fp32")
    assert "by default: no NVIDIA GPU here; nothing is tuned" in log()[-1]
    with pytest.raises(BackendError, match="tensorrt cannot run here: there is no NVI"):
        fuseg.load(path, backend="tensorrt")


def test_a_gpu_without_tensorrt_says_so(path, monkeypatch, log):
    doubles.install(monkeypatch, doubles.Machine())
    monkeypatch.setattr(tensorrt_backend, "find_spec", lambda _: None)
    assert ran(fuseg.load(path)) == ("onnxruntime", "fp32")
    assert "not tensorrt: tensorrt is not installed; not tensorrt-rtx" in log()[-1]


def test_a_build_that_fails_gives_way_to_the_cpu_and_is_told(
    path, builds, monkeypatch, frames
):
    monkeypatch.setenv("FUSEG_TENSORRT_DOUBLE_FAULT", "kill")
    segmenter = fuseg.load(path)
    assert ran(segmenter) == ("onnxruntime", "fp32")
    assert segmenter.fallback.startswith(
        "variant fp16 does not run on tensorrt: the process that builds the engine"
    )
    segmenter(**frames(0, *CAMERA))
    with pytest.raises(BuildError, match="was killed, as the system does when memory"):
        fuseg.load(path, backend="tensorrt")
    monkeypatch.delenv("FUSEG_TENSORRT_DOUBLE_FAULT")
    assert ran(fuseg.load(path)) == ("tensorrt", "fp16")
    assert builds() == 3


@pytest.mark.usefixtures("builds")
def test_an_engine_with_other_labels_gives_way(sampled, with_variants, onnx_of, rgbd):
    wrong = onnx_of(rgbd, bias=rgbd.bias + np.float32([3, 0, 0, 0]))
    path = with_variants(sampled(), {"fp32": None, "fp16": wrong})
    segmenter = fuseg.load(path)
    assert ran(segmenter) == ("onnxruntime", "fp32")
    assert "of the labels of a sample agree, 0.995 must" in segmenter.fallback
    with pytest.raises(
        BackendError, match=r"does not run on tensorrt: 0\.\d+ of the l"
    ):
        fuseg.load(path, backend="tensorrt")


def test_a_gpu_that_is_full_gives_way_to_the_cpu(path, builds, machine, frames):
    fuseg.load(path)
    hog = machine.allocate(machine.memory()[0] - 512)
    segmenter = fuseg.load(path)
    assert ran(segmenter) == ("onnxruntime", "fp32")
    assert "is out of memory" in segmenter.fallback
    segmenter(**frames(0, *CAMERA))
    with pytest.raises(DeviceMemoryError):
        fuseg.load(path, backend="tensorrt")
    machine.free(hog)
    assert ran(fuseg.load(path)) == ("tensorrt", "fp16")
    assert builds() == 1


@pytest.mark.usefixtures("builds")
@pytest.mark.parametrize("kernel", ["pack_color", "pack_depth", "upsample_argmax"])
def test_a_kernel_that_was_not_built_for_this_gpu_gives_way(
    path, machine, frames, kernel
):
    none = doubles.Refused(
        "cudaErrorNoKernelImageForDevice",
        "no kernel image is available for execution on the device",
    )
    fuseg.load(path)  # the label check, which runs frames, is done only once
    machine.fail(f"{kernel}_cuda", error=none)
    segmenter = fuseg.load(path)
    assert ran(segmenter) == ("onnxruntime", "fp32")
    assert f"{kernel} could not be started on the GPU" in segmenter.fallback
    assert "no kernel image is available" in segmenter.fallback
    segmenter(**frames(0, *CAMERA))
    machine.fail(f"{kernel}_cuda", error=none)
    with pytest.raises(DeviceError, match="no kernel image"):
        fuseg.load(path, backend="tensorrt")


@pytest.mark.usefixtures("builds")
def test_every_kernel_that_a_frame_may_need_runs_at_load(rgbd, machine):
    units = {"depth": {"uint16": "mm", "float32": "m"}}
    fuseg.load(rgbd.path, backend="tensorrt", units=units)
    kernels = ("pack_color_cuda", "pack_depth_cuda", "upsample_argmax_cuda")
    assert [machine.counts[kernel] for kernel in kernels] == [3, 3, 3]
    assert machine.counts["begin_capture"] == 0


@pytest.mark.usefixtures("builds")
def test_without_pycuda_the_native_seam_gives_the_same_labels(
    path, frames, monkeypatch, caplog
):
    given = frames(3, *CAMERA)
    wanted = fuseg.load(path)(**given).labels
    for name in ("pycuda", "pycuda.driver"):
        monkeypatch.setitem(sys.modules, name, None)
    caplog.clear()
    caplog.set_level(logging.INFO, logger="fuseg")
    segmenter = fuseg.load(path)
    messages = [
        r.message for r in caplog.records if "PyCUDA cannot be imported" in r.message
    ]
    assert len(messages) == 1
    assert ran(segmenter) == ("tensorrt", "fp16")
    np.testing.assert_array_equal(segmenter(**given).labels, wanted)


@pytest.mark.usefixtures("builds")
def test_a_gpu_that_is_not_there_is_named(path):
    with pytest.raises(BackendError, match="there is no NVIDIA GPU 3 here"):
        fuseg.load(path, backend="tensorrt", device=3)
    assert ran(fuseg.load(path, device=3)) == ("onnxruntime", "fp32")


@pytest.mark.usefixtures("builds")
def test_tensorrt_that_cannot_be_imported_gives_way(path, monkeypatch, log):
    from fuseg.backends.tensorrt import build_parent

    monkeypatch.delitem(sys.modules, "tensorrt")
    monkeypatch.setattr(
        build_parent, "_query_child", build_parent._query_child.__wrapped__
    )
    monkeypatch.setenv("FUSEG_TENSORRT_DOUBLE", "no version")
    monkeypatch.setattr(tensorrt_backend, "find_spec", lambda _: object())
    segmenter = fuseg.load(path)
    assert ran(segmenter) == ("onnxruntime", "fp32")
    assert "not tensorrt: TensorRT cannot be" in log()[-1]

"""TensorRT for RTX: one engine for all its GPUs, whose kernels are compiled once."""

from __future__ import annotations

import hashlib
import importlib.machinery
import logging
import stat
import sys

import doubles
import doubles.tensorrt
import numpy as np
import pytest
from typer.testing import CliRunner

import fuseg
from fuseg.backends.tensorrt import cache
from fuseg.backends.tensorrt.build_parent import TensorRT
from fuseg.backends.tensorrt.libraries import RTX
from fuseg.backends.tensorrt.rtx import open_portable_engine
from fuseg.cli import app
from fuseg.errors import BackendError, OutputFileError

CAMERA = (60, 80)
NAME, VERSION = "tensorrt-rtx", "rtx-1.7.1"


@pytest.fixture
def machine(monkeypatch, tmp_path, path):  # noqa: ARG001 - made without a GPU
    """A GeForce RTX with TensorRT for RTX, and no TensorRT."""
    made = doubles.Machine(memory_bytes=1 << 30, capability=(8, 9), name="GeForce")
    doubles.install(monkeypatch, made)
    trt = doubles.tensorrt.make(made, VERSION)
    trt.__spec__ = importlib.machinery.ModuleSpec(RTX.module, None)
    monkeypatch.setitem(sys.modules, RTX.module, trt)
    doubles.in_children(monkeypatch, VERSION, builds=tmp_path / "builds")
    return made


@pytest.fixture
def path(sampled, with_variants):
    return with_variants(sampled(), {"fp32": None, "fp16": None, "int8-trt": None})


@pytest.fixture
def build(machine, path):  # noqa: ARG001
    """``build("--pack", ...)``: `fuseg build --target rtx`: exit code and output."""

    def run(*words):
        line = [str(w) for w in ("build", path, "--target", "rtx", *words)]
        result = CliRunner().invoke(app, line, catch_exceptions=False)
        return result.exit_code, result.stdout + result.stderr

    return run


@pytest.fixture
def compiled(machine):
    """``compiled()``: how often kernels were compiled since the last call."""

    def count():
        return machine.counts.pop("compile", 0)

    return count


def kept_kernels():
    (found,) = cache.folder().glob("runtime-*.cache")
    return found


def ran(segmenter):
    return segmenter.backend_name, segmenter.variant.name


def test_a_packed_engine_gives_the_labels_of_fp32(
    build, machine, path, frames, tmp_path, monkeypatch
):
    pack = tmp_path / "x.engine"
    assert build("--pack", pack)[0] == 0
    digest = hashlib.sha256(pack.read_bytes()).hexdigest()
    cache.clear()
    code, out = build("--from", pack, "--trust", digest)
    assert (code, "for RTX GPUs of the 30, 40 and 50 series" in out) == (0, True)
    monkeypatch.setenv("FUSEG_TENSORRT_DOUBLE_FAULT", "kill")  # nothing is built again
    segmenter = fuseg.load(path, backend=NAME)
    assert ran(segmenter) == (NAME, "fp16")
    cpu = fuseg.load(path, backend="onnxruntime", variant="fp32")
    for number in range(3):
        given = frames(number, *CAMERA)
        np.testing.assert_array_equal(segmenter(**given).labels, cpu(**given).labels)
    assert segmenter.cuda_graph_disabled_reason is None
    assert machine.counts["launch_graph"] > 0


@pytest.mark.usefixtures("machine")
def test_without_tensorrt_it_comes_before_onnxruntime(path, caplog):
    caplog.set_level(logging.INFO, logger="fuseg")
    assert ran(fuseg.load(path)) == (NAME, "fp16")
    assert "not tensorrt: tensorrt is not installed; not onnxruntime-cuda" in (
        caplog.text
    )


def test_int8_is_built_on_request(build):
    assert "engine of fp16" in build()[1]
    assert "engine of int8-trt" in build("--variant", "int8-trt")[1]


def test_int8_needs_version_1_7(build, monkeypatch):
    old = TensorRT("1.6.1.120", True, RTX)
    monkeypatch.setattr("fuseg.backends.tensorrt.engines.installed", lambda _: old)
    code, out = build("--variant", "int8-trt")
    assert code == 2
    assert "int8-trt needs TensorRT for RTX 1.7 or later, got 1.6.1.120: pip" in out


@pytest.mark.parametrize("capability", [(8, 7), (9, 0), (8, 0), (7, 5)])
def test_a_gpu_that_it_does_not_run_on_is_named(machine, path, capability):
    machine.capability = capability
    dotted = ".".join(map(str, capability))
    with pytest.raises(
        BackendError, match=f"not on GeForce with compute capability {dotted}"
    ):
        fuseg.load(path, backend=NAME)
    assert ran(fuseg.load(path))[0] == "onnxruntime"


def test_kernels_are_compiled_once_for_this_gpu_and_driver(machine, path, compiled):
    fuseg.load(path, backend=NAME)
    assert compiled() == 1  # though the labels' check has a context of its own
    assert stat.S_IMODE(kept_kernels().stat().st_mode) == 0o600
    fuseg.load(path, backend=NAME)
    assert compiled() == 0
    machine.driver_version = 12080
    fuseg.load(path, backend=NAME)
    assert compiled() == 1
    assert len(list(cache.folder().glob("runtime-*.cache"))) == 2


@pytest.mark.parametrize("damage", ["other GPU", "no JSON", "writable by others"])
def test_kept_kernels_that_do_not_fit_are_compiled_again(
    machine, path, compiled, damage
):
    fuseg.load(path, backend=NAME)
    compiled()
    kept = kept_kernels()
    good = kept.read_bytes()
    if damage == "other GPU":
        kept.write_bytes(good.replace(machine.name.encode(), b"Titan"))
    elif damage == "no JSON":
        kept.write_bytes(b"?")
    else:
        kept.chmod(0o666)
    fuseg.load(path, backend=NAME)
    assert compiled() == 1
    assert kept.read_bytes() == good
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600


def test_kernels_that_cannot_be_kept_are_a_warning(path, compiled, monkeypatch, caplog):
    def full(*_):
        raise OutputFileError("the disk is full.")

    monkeypatch.setattr("fuseg.backends.tensorrt.rtx.write_file", full)
    fuseg.load(path, backend=NAME)
    assert compiled() == 1  # the check of the labels and the frames share them
    said = "the next load compiles the same kernels again: the disk is full."
    assert caplog.messages.count(said) == 1


def test_clear_deletes_kept_kernels(machine, path):  # noqa: ARG001
    fuseg.load(path, backend=NAME)
    kept = kept_kernels()
    assert kept in [entry.path for entry in cache.clear()]
    assert not kept.exists()


def test_an_engine_that_allocates_while_it_runs_is_not_captured(
    machine, path, frames, monkeypatch
):
    context = sys.modules[RTX.module].IExecutionContext
    monkeypatch.setattr(context, "is_stream_capturable", lambda *_: False)
    segmenter = fuseg.load(path, backend=NAME)
    assert segmenter.cuda_graph_disabled_reason == f"{NAME} cannot be captured"
    for number in range(3):
        segmenter(**frames(number, *CAMERA))
    assert machine.counts["launch_graph"] == 0


def test_what_the_runtime_finds_wrong_is_the_sentence(machine, onnx_of, rgbd):
    plan = doubles.tensorrt.plan_of(sys.modules[RTX.module], onnx_of(rgbd))
    assert open_portable_engine(memoryview(plan)) is not None
    other = plan.replace(VERSION.encode(), b"rtx-1.6.1")
    for wrong, sentence in (
        (other, "1.7.1 cannot run this engine here: another version built it: build"),
        (b"?" + plan, "cannot run this engine here: it is damaged: build it again, `f"),
    ):
        with pytest.raises(BackendError, match=sentence):
            open_portable_engine(memoryview(wrong))
    machine.capability = (8, 0)
    with pytest.raises(BackendError, match="it is not for this GPU: use another"):
        open_portable_engine(memoryview(plan))


@pytest.mark.usefixtures("machine")
def test_without_the_extra_the_sentence_says_what_to_install(path, monkeypatch):
    monkeypatch.delitem(sys.modules, RTX.module)
    monkeypatch.setenv("FUSEG_TENSORRT_DOUBLE", "10.3.0")
    with pytest.raises(
        BackendError, match=r"not installed .*pip install \"fuseg\[tens"
    ):
        fuseg.load(path, backend=NAME)
    result = CliRunner().invoke(app, ["build", str(path), "--target", "rtx"])
    assert result.exit_code == 2
    assert 'install it: on x86-64 Linux, pip install "fuseg[tensorrt-rtx]"' in (
        result.stderr
    )


@pytest.mark.parametrize(
    "words",
    [
        ["--device", 1],
        ["--version-compatible"],
        ["--hardware-compatible"],
        ["--optimization-level", 0],
    ],
)
def test_options_of_one_gpu_are_refused(build, words):
    code, out = build(*words)
    assert code == 2
    assert f"{words[0]} must be left out with --target rtx" in out

"""Every variant of two networks becomes an engine of NVIDIA's own builder."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import onnx
import pytest
from backends.tensorrt.networks import PRECISIONS, network

import fuseg
from fuseg.bundle import Bundle
from fuseg.errors import BuildError
from fuseg_export.passes.average_pools import with_average_pools
from fuseg_export.passes.float_weights import with_float_weights
from fuseg_export.passes.to_fp16 import to_fp16
from fuseg_export.precision.calibrate import Ranges, calibrate
from fuseg_export.precision.int8.qdq_placement import CPU, TENSORRT
from fuseg_export.precision.int8.quantize import quantize

# Of the shipped network, by variant: kernels, megabytes of activations. Fewer is
# progress and is committed; more fails.
GOLDEN = {
    "fp32": (95, 10.957),
    "fp16": (89, 9.575),
    "int8-trt": (136, 9.921),
    "int8-trt8": (134, 10.381),
}


@pytest.fixture(scope="session")
def shipped(rgbd_bundle: Path) -> dict[str, bytes]:
    """The shipped network in each precision, calibrated on the bundle's two samples."""
    opened = Bundle.open(rgbd_bundle)
    (fp32,) = opened.manifest.variants
    model = onnx.load_model_from_string(opened.read(fp32.file))
    with fuseg.load(rgbd_bundle, backend="onnxruntime", threads=1) as segmenter:
        frames = [segmenter.preprocess(**f) for f, _ in opened.samples()]
        ranges = calibrate(model, frames)
    return {
        "fp32": model.SerializeToString(),
        "fp16": to_fp16(with_average_pools(model)).SerializeToString(),
        **_quantized(model, ranges),
    }


def _quantized(model: onnx.ModelProto, ranges: Ranges) -> dict[str, bytes]:
    pairs = quantize(model, ranges, TENSORRT)
    made = {
        "int8-trt": to_fp16(pairs, ()),
        "int8-trt8": with_float_weights(pairs),
        "int8-cpu": quantize(model, ranges, CPU),
    }
    return {name: graph.SerializeToString() for name, graph in made.items()}


@pytest.mark.parametrize("io_formats", ["auto", "float32"])
@pytest.mark.parametrize("name", PRECISIONS)
def test_the_tiny_network_builds(name, io_formats, check_network):
    _, precision = PRECISIONS[name]
    found = check_network(network(name), precision, io_formats=io_formats)
    inputs = {n: found.io_formats[n] for n in ("rgb", "depth")}
    narrow = {"fp16": "float16", "int8-trt": "int8", "int8-trt8": "int8"}
    dtype = narrow.get(name, "float32") if io_formats == "auto" else "float32"
    assert {d for d, _ in inputs.values()} == {dtype}


@pytest.mark.parametrize("name", GOLDEN)
def test_the_shipped_network_needs_no_more_kernels_or_memory(
    name, shipped, check_network
):
    found = check_network(shipped[name], PRECISIONS[name][1])
    kernels, megabytes = GOLDEN[name]
    assert found.kernels <= kernels
    assert found.activation_bytes <= megabytes * 1e6 * 1.001


def test_the_same_network_gives_the_same_engine(shipped, check_network):
    first, second = (
        check_network(shipped["fp16"], PRECISIONS["fp16"][1]) for _ in range(2)
    )
    assert replace(first, seconds=0) == replace(second, seconds=0)


def test_what_is_for_cpus_is_refused_with_the_node_and_its_operator(
    shipped, check_network
):
    asymmetric = {**PRECISIONS["int8-trt"][1], "activations": "uint8"}
    with pytest.raises(BuildError, match=r"(Q|Deq)uantizeLinear .*zero point") as told:
        check_network(shipped["int8-cpu"], asymmetric)
    assert "While parsing" not in str(told.value)
    assert "--- End node ---" not in str(told.value)


def test_a_workspace_that_is_too_small_is_raised_by_the_advice(shipped, check_network):
    with pytest.raises(BuildError, match="--workspace"):
        check_network(shipped["fp16"], PRECISIONS["fp16"][1], workspace_mb=1)

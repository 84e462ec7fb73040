"""Every variant of two networks becomes an engine of NVIDIA's own builder."""

from __future__ import annotations

import pytest
from backends.tensorrt.networks import PRECISIONS, network

from fuseg.errors import BuildError

# Of the shipped network, by variant: kernels, megabytes of activations. Fewer is
# progress and is committed; more fails.
GOLDEN = {
    "fp32": (95, 10.957),
    "fp16": (89, 9.575),
    "int8-trt": (136, 9.921),
    "int8-trt8": (134, 10.381),
}


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


def test_what_is_for_cpus_is_refused_with_the_node_and_its_operator(
    shipped, check_network
):
    asymmetric = {**PRECISIONS["int8-trt"][1], "activations": "uint8"}
    with pytest.raises(BuildError, match=r"(Q|Deq)uantizeLinear .*zero point") as told:
        check_network(shipped["int8-cpu"], asymmetric)
    assert "While parsing" not in str(told.value)
    assert "--- End node ---" not in str(told.value)

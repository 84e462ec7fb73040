"""What layouts of inputs and ways to write a mean save, as NVIDIA's builder counts."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import onnx
import pytest
from onnx import numpy_helper, parser

from fuseg.backends.tensorrt.network_check import NetworkCheck
from fuseg.errors import BuildError
from fuseg_export.passes.average_pools import with_average_pools
from fuseg_export.passes.to_fp16 import to_fp16

FP16 = {"kind": "fp16", "float32_nodes": "0"}
TWO_CONVOLUTIONS = "c = Conv<pads=[1,1,1,1]>(x, w) r = Relu(c) y = Conv(r, v)"
GATE = (
    "c = Conv<pads=[1,1,1,1]>(x, w) r = Relu(c) m = GlobalAveragePool(r) "
    "g = Conv(m, v) s = Sigmoid(g) y = Mul(r, s)"
)


@pytest.fixture
def check(check_network: Callable[..., NetworkCheck]) -> Callable[..., NetworkCheck]:
    """`check_network` of a float32 network, in float16."""
    return lambda model: check_network(to_fp16(model).SerializeToString(), FP16)


def network(
    nodes: str, channels: int = 8, height: int = 24, width: int = 32, classes: int = 16
):
    model = parser.parse_model(
        '<ir_version: 8, opset_import: ["": 17]> '
        f"network (float[1,{channels},{height},{width}] x) => "
        f"(float[1,{classes},{height},{width}] y) {{ {nodes} }}"
    )
    for node in model.graph.node:
        node.name = node.output[0]
    rng = np.random.default_rng(0)
    for name, shape in (("w", (16, channels, 3, 3)), ("v", (classes, 16, 1, 1))):
        weights = rng.normal(0, 0.1, shape).astype(np.float32)
        model.graph.initializer.append(numpy_helper.from_array(weights, name))
    return onnx.shape_inference.infer_shapes(model)


def test_a_picture_padded_to_four_channels_needs_no_copy(check):
    found = {n: check(network(TWO_CONVOLUTIONS, n)) for n in (1, 2, 3, 4, 5)}
    layouts = {n: check.io_formats["x"][1] for n, check in found.items()}
    assert layouts == {1: "linear", 2: "linear", 3: "chw4", 4: "chw4", 5: "linear"}
    kernels = {n: check.kernels for n, check in found.items()}
    assert kernels == {1: 3, 2: 3, 3: 2, 4: 2, 5: 3}


def test_scores_padded_to_eight_classes_cost_a_copy(check):
    """Scores without padding would not, but TensorRT has HWC for float32 alone."""
    found = {n: check(network(TWO_CONVOLUTIONS, classes=n)) for n in (8, 10, 16)}
    assert {check.io_formats["y"][1] for check in found.values()} == {"hwc8"}
    kernels = {n: check.kernels for n, check in found.items()}
    assert kernels == {8: 3, 10: 4, 16: 3}


def test_a_mean_as_an_average_pool_is_one_kernel_less(check):
    model = network(GATE, height=60, width=80)
    before, after = check(model), check(with_average_pools(model))
    assert after.kernels == before.kernels - 1
    assert after.activation_bytes <= before.activation_bytes


def test_the_largest_window_that_is_built_is_the_largest_that_is_made(check):
    def mean_of(model: onnx.ModelProto) -> onnx.NodeProto:
        return next(node for node in model.graph.node if node.name == "m")

    fits = with_average_pools(network(GATE, height=399, width=250))
    assert mean_of(fits).op_type == "AveragePool"
    check(fits)
    whole = with_average_pools(network(GATE, height=400, width=250))
    mean = mean_of(whole)
    assert mean.op_type == "GlobalAveragePool"
    mean.op_type = "AveragePool"
    mean.attribute.append(onnx.helper.make_attribute("kernel_shape", [400, 250]))
    with pytest.raises(BuildError, match=r"AveragePool node m: .*addPoolingNd"):
        check(whole)

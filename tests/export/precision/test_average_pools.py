"""A mean over whole planes is an AveragePool where that pays, and the same mean."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import parser

from fuseg_export.ort_session import run_once
from fuseg_export.passes.average_pools import with_average_pools
from fuseg_export.precision.build_variants import build_fp16, build_fp32
from fuseg_export.precision.calibrate import Ranges


def mean_of(shape):
    made = ",".join("NCDEF"[: shape.count(",") + 1])
    return parser.parse_model(
        f'<ir_version: 8, opset_import: ["": 17]> g (float[{shape}] x) => '
        f"(float[{made}] y) {{ y = GlobalAveragePool(x) }}"
    )


def kinds(model):
    return [node.op_type for node in model.graph.node]


@pytest.mark.parametrize("size", [(60, 80), (8, 10), (7, 5), (1, 1), (399, 250)])
def test_the_mean_is_the_same_bit_by_bit(size):
    model = mean_of(f"1,24,{size[0]},{size[1]}")
    made = with_average_pools(model)
    onnx.checker.check_model(made, full_check=True)
    assert kinds(made) == ["AveragePool"]
    rng = np.random.default_rng(4)
    values = rng.normal(1, 100, (1, 24, *size)).astype(np.float32)
    values[0, 3] = 1e30
    values[0, 4, 0, 0] = np.nan
    old, new = (run_once(m, {"x": values}) for m in (model, made))
    np.testing.assert_array_equal(new.view(np.uint32), old.view(np.uint32))


@pytest.mark.parametrize(
    "shape",
    [
        "1,2,400,250",  # TensorRT refuses a window of 100,000
        "1,2,H,8",
        "1,2,9",
        "1,2,3,4,5",
    ],
)
def test_what_has_no_such_window_stays(shape):
    model = mean_of(shape)
    assert kinds(with_average_pools(model)) == ["GlobalAveragePool"]


def test_fp16_has_it_and_fp32_which_cpus_run_has_not(exported):
    network = exported("fusing")[0]
    assert "GlobalAveragePool" in kinds(network)
    ranges = Ranges("minmax", 1, "", {})
    fp16, fp32 = build_fp16(network, ranges).model, build_fp32(network).model
    assert "GlobalAveragePool" not in kinds(fp16)
    assert "AveragePool" in kinds(fp16)
    assert fp32 == network

"""Every reference model becomes an engine of NVIDIA's own builder, FP16 and INT8."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from backends.tensorrt.networks import PRECISIONS
from tensorrt_real.conftest import in_each_precision

from fuseg.manifest import input_shapes
from fuseg_export.frames.rendered import small_rooms
from fuseg_export.models import REFERENCE
from fuseg_export.network.outputs import SelectedOutputs, Source
from fuseg_export.passes.cut_tail import cut_tail
from fuseg_export.passes.simplify import simplify
from fuseg_export.precision.calibrate import calibrate
from fuseg_export.to_onnx import to_onnx

FULL_SIZE = ["rgb", "depth"]
SMALL = [name for name, model in REFERENCE.items() if model.scenes is small_rooms]


@pytest.mark.parametrize(
    "name", [*FULL_SIZE, *(pytest.param(n, marks=pytest.mark.slow) for n in SMALL)]
)
def test_it_builds(name, check_network):
    """With random weights; rgbd is the network that is shipped."""
    torch.manual_seed(0)
    model = REFERENCE[name]
    shapes = input_shapes(model.inputs)
    inputs = {name: torch.randn(shape) for name, shape in shapes.items()}
    exported = to_onnx(
        SelectedOutputs(model.network().eval(), [Source()]), inputs, 17
    ).model
    frame = {n: tensor.numpy().astype(np.float32) for n, tensor in inputs.items()}
    network, _ = cut_tail(simplify(exported, frame)[0])
    made = in_each_precision(network, calibrate(network, [frame]))
    for variant in ("fp16", "int8-trt"):
        found = check_network(made[variant], PRECISIONS[variant][1])
        assert found.io_formats[name][0] == {"fp16": "float16"}.get(variant, "int8")

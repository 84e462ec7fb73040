"""What a runtime really computes in integers: read off the graph that it optimised."""

from __future__ import annotations

import tempfile
from pathlib import Path

import onnx
import onnx_ir as ir
import onnxruntime

from ...passes.rewrite import WEIGHTED, producer

__all__ = ["left_in_float"]


def left_in_float(model: onnx.ModelProto) -> list[str]:
    """Names of quantized layers that ONNX Runtime on the CPU computes in float."""
    quantized = [
        node.name or ""
        for node in ir.from_proto(model).graph
        if node.op_type in WEIGHTED
        and (maker := producer(node.inputs[1])) is not None
        and maker.op_type == "DequantizeLinear"
    ]
    with tempfile.TemporaryDirectory(prefix="fuseg-") as folder:
        path = Path(folder, "optimised.onnx")
        options = onnxruntime.SessionOptions()
        options.optimized_model_filepath = str(path)
        options.log_severity_level = 3  # it warns that the file suits this machine only
        onnxruntime.InferenceSession(
            model.SerializeToString(), options, providers=["CPUExecutionProvider"]
        )
        optimised = onnx.load(path)
    # Fused, they are called FusedConv, FusedGemm and the like, under their old names.
    float_nodes = {
        node.name
        for node in optimised.graph.node
        if node.op_type.removeprefix("Nhwc").removeprefix("Fused") in WEIGHTED
    }
    return [name for name in quantized if name in float_nodes]

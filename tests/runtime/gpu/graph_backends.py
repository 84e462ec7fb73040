"""A backend of a GPU for each graph of a bundle."""

from __future__ import annotations

import sys
from typing import Any

import doubles.tensorrt

from fuseg.backends.onnxruntime_cuda import OnnxRuntimeCudaBackend
from fuseg.backends.tensorrt.backend import TensorRtBackend, open_engine
from fuseg.backends.tensorrt.build_process import profile_of
from fuseg.bundle import Bundle
from fuseg.cuda import Device


def backends_of(
    opened: Bundle, kind: str, device: Device, variant: str = "fp32"
) -> dict[str, Any]:
    """Of each graph in this variant; ``kind`` is the fixture's."""
    made: dict[str, Any] = {}
    for graph in opened.manifest.graphs:
        model = opened.read(graph.networks[variant].file)
        if kind == "onnxruntime-cuda":
            made[graph.name] = OnnxRuntimeCudaBackend(model, device)
            continue
        profile = profile_of(opened.manifest, graph.reads)
        trt = sys.modules["tensorrt"]
        plan = doubles.tensorrt.plan_of(trt, model, profile=profile)
        with device.active():
            made[graph.name] = TensorRtBackend(open_engine(plan), device)
    return made

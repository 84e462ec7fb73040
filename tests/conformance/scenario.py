"""What fuseg does with TensorRT, done once under the double of one version."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import numpy as np
import pytest
from doubles import Machine, install
from doubles import tensorrt as doubles
from doubles.tensorrt_api import Use
from onnx import TensorProto, helper, numpy_helper

import fuseg
from fuseg import bundle, manifest
from fuseg import cuda as gpu
from fuseg.backends import registry
from fuseg.backends.tensorrt import engines
from fuseg.backends.tensorrt.backend import open_engine
from fuseg.errors import BackendError, BuildError

SITE = Path(doubles.__file__).parent / "site"
INT8 = {
    "kind": "int8",
    "activations": "int8",
    "rest": "float16",
    "calibration": "minmax",
    "frames": "1",
    "float_nodes": "0",
}
SIZE = (6, 8)


def scenario(version: str, folder: Path) -> set[Use]:
    """Build engines in child processes, run one here; what both used of TensorRT.

    Args:
        version: One of `doubles.tensorrt.VERSIONS`.
        folder: An empty one, for what is written.
    """
    with pytest.MonkeyPatch.context() as patch:
        recorded = folder / "uses"
        paths = [str(SITE), os.environ.get("PYTHONPATH", "")]
        patch.setenv("PYTHONPATH", os.pathsep.join(filter(None, paths)))
        patch.setenv("XDG_CACHE_HOME", str(folder / "cache"))
        patch.setenv("FUSEG_TENSORRT_DOUBLE", version)
        patch.setenv("FUSEG_TENSORRT_DOUBLE_USES", str(recorded))
        double = doubles.make(install(patch, Machine()), version)
        patch.setitem(sys.modules, "tensorrt", double)
        path = folder / "tiny.fuseg"
        _write(path, engines.installed())
        _use(path)
        lines = recorded.read_text().splitlines()
    uses = [json.loads(line) for line in lines] + double.uses
    return {Use(w, m, how, tuple(keywords)) for w, m, how, keywords in uses}


def _use(path: Path) -> None:
    """Build engines with every option and with none, one that is refused; run them."""
    opened = bundle.Bundle.open(path)
    int8, fp32, broken = opened.manifest.variants
    device = gpu.open_device()
    options = engines.Options(
        workspace_mb=1,
        optimization_level=1,
        version_compatible=True,
        hardware_compatible=True,
    )
    engines.engine_for(opened, fp32, device.properties, options=options)
    linear = engines.Options(io_formats="float32")
    with pytest.raises(BuildError, match="TensorRT cannot read the network"):
        engines.engine_for(opened, broken, device.properties, options=linear)
    with device.active(), pytest.raises(BackendError, match="refuses the engine"):
        open_engine(b"no plan")
    for variant in (int8, fp32):
        backend = registry.load(opened, "tensorrt", variant)
        segmenter = fuseg.load(opened, backend=backend)
        assert segmenter(rgb=np.zeros((*SIZE, 3), np.uint8)).labels.shape == SIZE


def _write(path: Path, about: engines.TensorRT) -> None:
    """A bundle of one convolution: quantized, in float32, and with an
    operator that nobody knows."""
    image = manifest.Input(
        name="rgb",
        kind="color",
        dtype="uint8",
        resize=manifest.Resize(*SIZE, filter="bilinear"),
        scale=1 / 255,
        mean=(0.5, 0.5, 0.5),
        std=(0.5, 0.5, 0.5),
        fill=0.0,
        tensor=manifest.InputTensor("rgb", (1, 3, *SIZE)),
        missing=manifest.Missing("refuse"),
        channels="RGB",
    )
    output = manifest.Output(
        "labels",
        manifest.OutputTensor("scores", (1, 4, *SIZE)),
        manifest.Upsample(align_corners=False),
        ignore=255,
        classes=tuple(manifest.Class(f"class{i}", (i, i, i)) for i in range(4)),
        tail=manifest.Tail(("Resize", "ArgMax"), SIZE),
    )
    fp16 = {"kind": "fp16", "float32_nodes": "0"}
    int8 = (
        ("int8-trt", "tensorrt")
        if about.strongly_typed
        else ("int8-trt8", "tensorrt-8")
    )
    variants = tuple(
        manifest.Variant(name, f"{name}.onnx", 17, 8, (target,), precision, ())
        for name, target, precision in (
            (*int8, INT8),
            ("fp32", "any", {"kind": "fp32"}),
            ("fp16", "any", fp16),
        )
    )
    # A Relu of three inputs: a bundle takes it, the parser must refuse it.
    networks = _network("QuantizeLinear"), _network("Conv"), _network("Relu")
    members = {v.file: data for v, data in zip(variants, networks, strict=True)}
    whole = manifest.Manifest("tiny", "tests", (image,), (output,), variants)
    bundle.write(path, whole, members)


def _network(first: str) -> bytes:
    """``scores`` is a 1 x 1 convolution of ``rgb``; if quantized first, then with int8
    at its input and float16 after it."""
    quantized = first == "QuantizeLinear"
    kind = np.float16 if quantized else np.float32
    stored = {
        "w": np.linspace(-1, 1, 12, dtype=kind).reshape(4, 3, 1, 1),
        "b": np.zeros(4, kind),
    }
    nodes = [helper.make_node(first, ["rgb", "w", "b"], ["scores"])]
    if quantized:
        stored |= {"s": np.float32(0.01), "z": np.int8(0)}
        half, single = TensorProto.FLOAT16, TensorProto.FLOAT
        nodes = [
            helper.make_node("QuantizeLinear", ["rgb", "s", "z"], ["q"]),
            helper.make_node("DequantizeLinear", ["q", "s", "z"], ["d"]),
            helper.make_node("Cast", ["d"], ["h"], to=half),
            helper.make_node("Conv", ["h", "w", "b"], ["c"]),
            helper.make_node("Cast", ["c"], ["scores"], to=single),
        ]
    made = helper.make_graph(
        nodes,
        "tiny",
        [helper.make_tensor_value_info("rgb", TensorProto.FLOAT, (1, 3, *SIZE))],
        [helper.make_tensor_value_info("scores", TensorProto.FLOAT, (1, 4, *SIZE))],
        [numpy_helper.from_array(np.asarray(v), name) for name, v in stored.items()],
    )
    opset = [helper.make_opsetid("", 17)]
    return helper.make_model(
        made, opset_imports=opset, ir_version=8
    ).SerializeToString()

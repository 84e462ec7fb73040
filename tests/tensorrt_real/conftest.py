"""A process with the real builder in it, and the shipped network in each precision."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import onnx
import pytest
from tensorrt_real.builder import RealBuilder, Verdict

import fuseg
from fuseg.bundle import Bundle
from fuseg_export.passes.average_pools import with_average_pools
from fuseg_export.passes.float_weights import with_float_weights
from fuseg_export.passes.to_fp16 import to_fp16
from fuseg_export.precision.calibrate import Ranges, calibrate
from fuseg_export.precision.int8.qdq_placement import CPU, TENSORRT
from fuseg_export.precision.int8.quantize import quantize
from fuseg_export.precision.int8.tensorrt_rules import check_for_tensorrt


@pytest.fixture(scope="session")
def real_builder(rtx_site: Path) -> Iterator[RealBuilder]:
    builder = RealBuilder(rtx_site)
    yield builder
    builder.close()


@pytest.fixture
def ask(real_builder: RealBuilder, tmp_path: Path) -> Callable[..., Verdict]:
    """``ask(model, formats, profile)``: what the real parser and builder say of it."""

    def verdict(
        model: onnx.ModelProto,
        formats: dict[str, list[str]] | None = None,
        profile: dict[str, list[list[int]]] | None = None,
    ) -> Verdict:
        path = tmp_path / "model.onnx"
        onnx.save(model, path)
        return real_builder.ask(path, formats, profile)

    return verdict


@pytest.fixture(scope="session")
def shipped(rgbd_bundle: Path) -> dict[str, bytes]:
    """The shipped network in each precision, calibrated on the bundle's two samples."""
    opened = Bundle.open(rgbd_bundle)
    (fp32,) = opened.manifest.variants
    model = onnx.load_model_from_string(opened.read(opened.network(fp32).file))
    with fuseg.load(rgbd_bundle, backend="onnxruntime", threads=1) as segmenter:
        frames = [segmenter.preprocess(**f) for f, _ in opened.samples()]
        ranges = calibrate(model, frames)
    return in_each_precision(model, ranges)


def in_each_precision(model: onnx.ModelProto, ranges: Ranges) -> dict[str, bytes]:
    """The variants of a float32 network, with every layer quantized that can be."""
    pairs = quantize(model, ranges, TENSORRT)
    half_pairs = to_fp16(pairs, ())
    broken = check_for_tensorrt(half_pairs, version="10.3")
    assert not broken, broken[0]
    made = {
        "fp32": model,
        "fp16": to_fp16(with_average_pools(model)),
        "int8-trt": half_pairs,
        "int8-trt8": with_float_weights(pairs),
        "int8-cpu": quantize(model, ranges, CPU),
    }
    return {name: graph.SerializeToString() for name, graph in made.items()}

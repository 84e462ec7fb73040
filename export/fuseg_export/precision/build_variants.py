"""The graphs of FP16 and INT8 variants, made from one float32 network."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace

import onnx

from ..passes.average_pools import with_average_pools
from ..passes.float_weights import with_float_weights
from ..passes.to_fp16 import to_fp16
from .built_variant import BuiltVariant
from .calibrate import Ranges
from .fp16_overflow import overflow_risks
from .int8.ort_fusion_check import left_in_float
from .int8.qdq_placement import CPU, TENSORRT, QdqScheme
from .int8.quantize import quantizable, quantize
from .int8.tensorrt_rules import check_for_tensorrt
from .mixed_precision_search import Judge, MixedPrecision, Placement, search
from .texts_apart import TextsApart

__all__ = ["build_fp16", "build_fp32", "build_int8"]

_OPSET_OF_TENSORRT_8 = 17


def build_fp32(network: onnx.ModelProto) -> BuiltVariant:
    """The variant that the others are compared with."""
    return BuiltVariant("fp32", ("any",), {"kind": "fp32"}, network)


def build_fp16(network: onnx.ModelProto, ranges: Ranges) -> BuiltVariant:
    """FP16, with in float32 what would overflow.

    Its means are laid out for TensorRT, where FP32 is for CPUs too, and those of INT8
    are part of other kernels.
    """
    keep = overflow_risks(ranges.of, network)
    precision = {"kind": "fp16", "float32_nodes": str(len(keep))}
    model = to_fp16(with_average_pools(network), keep)
    return BuiltVariant("fp16", ("any",), precision, model)


def build_int8(
    network: onnx.ModelProto,
    apart: TextsApart,
    ranges: Ranges,
    judge: Judge,
    *,
    speed: Callable[[onnx.ModelProto], float] | None = None,
    progress: Callable[[str], None],
) -> list[BuiltVariant]:
    """INT8 for CPUs, for TensorRT and, if the opset is 17 or lower, for TensorRT 8.

    Args:
        network: Float32.
        apart: It without what its texts alone decide, which stays in float.
        ranges: Of its values.
        judge: Decides which layers stay in float, by frames of ``network``.
        speed: What such a network for CPUs takes of the fastest one's time that has no
            INT8.
    """
    builder = _Int8Builder(network, ranges, frozenset(apart.nodes))
    judge = replace(
        judge, frames=apart.frames(judge.frames), few=list(apart.frames(judge.few))
    )

    def mixed(scheme: QdqScheme, judge: Judge) -> MixedPrecision:
        rest, nodes = apart.rest, quantizable(apart.rest, scheme)
        anywhere = scheme.anywhere()

        def quantized(keep: Collection[str]) -> onnx.ModelProto:
            return quantize(rest, ranges, scheme, keep)

        def alone(node: str) -> onnx.ModelProto:
            others = [other for other in nodes if other != node]
            return quantize(rest, ranges, anywhere, others)

        return search(Placement(rest, nodes, quantized, alone), judge, progress)

    timed = judge
    if speed is not None:
        timed = replace(judge, speed=lambda keep: speed(builder.quantized(CPU, keep)))
    for_cpu, for_gpu = mixed(CPU, timed), mixed(TENSORRT, judge)
    variants = [builder.cpu(for_cpu), builder.tensorrt(for_gpu)]
    if network.opset_import[0].version <= _OPSET_OF_TENSORRT_8:
        variants.append(builder.tensorrt_8(for_gpu))
    return variants


@dataclass(frozen=True)
class _Int8Builder:
    network: onnx.ModelProto
    ranges: Ranges
    in_float: frozenset[str]

    def cpu(self, mixed: MixedPrecision) -> BuiltVariant:
        model = self.quantized(CPU, mixed.float_nodes)
        return BuiltVariant(
            "int8-cpu",
            ("cpu",),
            self._precision("uint8", "float32", mixed),
            model,
            mixed_precision=mixed,
            float_on_ort=tuple(left_in_float(model)),
        )

    def tensorrt(self, mixed: MixedPrecision) -> BuiltVariant:
        overflowing = overflow_risks(self.ranges.of, self.network)
        model = to_fp16(self.quantized(TENSORRT, mixed.float_nodes), overflowing)
        broken = check_for_tensorrt(model, version="10.3", keep=overflowing)
        return BuiltVariant(
            "int8-trt",
            ("tensorrt",),
            self._precision("int8", "float16", mixed),
            model,
            mixed_precision=mixed,
            tensorrt_refused=_refusal(broken),
        )

    def tensorrt_8(self, mixed: MixedPrecision) -> BuiltVariant:
        model = with_float_weights(self.quantized(TENSORRT, mixed.float_nodes))
        broken = check_for_tensorrt(model, version="8.6")
        return BuiltVariant(
            "int8-trt8",
            ("tensorrt-8",),
            self._precision("int8", "float32", mixed),
            model,
            mixed_precision=mixed,
            tensorrt_refused=_refusal(broken),
        )

    def quantized(self, scheme: QdqScheme, keep: Collection[str]) -> onnx.ModelProto:
        return quantize(self.network, self.ranges, scheme, {*keep, *self.in_float})

    def _precision(
        self, activations: str, rest: str, mixed: MixedPrecision
    ) -> dict[str, str]:
        """What the manifest says of the variant."""
        return {
            "kind": "int8",
            "activations": activations,
            "rest": rest,
            "calibration": self.ranges.method,
            "frames": str(self.ranges.frames),
            "float_nodes": str(len(mixed.float_nodes)),
        }


def _refusal(broken: Sequence[str]) -> str | None:
    """Why TensorRT would refuse a variant, or run it slowly; None if it would not."""
    if not broken:
        return None
    return f"it breaks {len(broken)} of TensorRT's rules; the first: {broken[0]}"

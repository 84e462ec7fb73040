"""A graph of one node for every operator: ONNX's own node tests, and what they lack."""

from __future__ import annotations

import contextlib
import functools
import warnings
from collections.abc import Iterator

import numpy as np
import onnx
from onnx import numpy_helper, parser

_OPSETS = (19, 20, 18, 17, 13)
_IMAGE = "float[1,8,6,6] x"
_Y = "float[N,C,H,W] y"
# What has no node test of one node without computed shapes, as TensorRT wants them.
_OWN = {
    "CastLike": (19, "y = CastLike(x, gain)"),
    "ConstantOfShape": (19, "c = ConstantOfShape(shape) y = Add(x, c)"),
    "GlobalLpPool": (19, "y = GlobalLpPool<p=2>(x)"),
    "GroupNormalization": (18, "y = GroupNormalization<num_groups=2>(x, pair, pair)"),
    "LayerNormalization": (19, "y = LayerNormalization(x, gain, gain)"),
    "Loop": (
        19,
        "y = Loop(times, yes, x) <body = b (int64 i, bool go, float[1,8,6,6] a) => "
        + "(bool on, float[1,8,6,6] c) { on = Identity(go) c = Add(a, a) }>",
    ),
    "MeanVarianceNormalization": (12, "y = MeanVarianceNormalization(x)"),
    "QuantizeLinear": (
        19,
        "q = QuantizeLinear(x, step, zero) y = DequantizeLinear(q, step, zero)",
    ),
    "RandomNormal": (19, "r = RandomNormal<shape=[1,8,6,6]>() y = Add(x, r)"),
    "RandomNormalLike": (19, "y = RandomNormalLike(x)"),
    "RandomUniform": (19, "r = RandomUniform<shape=[1,8,6,6]>() y = Add(x, r)"),
    "RandomUniformLike": (19, "y = RandomUniformLike(x)"),
    "Range": (19, "r = Range(start, stop, one) y = Add(x, r)"),
    "Scatter": (10, "y = Scatter<axis=3>(x, places, x)"),
    "Upsample": (9, "y = Upsample(x, twice)"),
}
_STORED = {
    "shape": np.array([1, 8, 6, 6]),
    "gain": np.ones(6, np.float32),
    "pair": np.ones(2, np.float32),
    "times": np.array(3),
    "yes": np.array(True),
    "step": np.float32(0.05),
    "zero": np.int8(0),
    "start": np.float32(0),
    "stop": np.float32(6),
    "one": np.float32(1),
    "places": np.zeros((1, 8, 6, 6), np.int64),
    "twice": np.array([1, 1, 2, 2], np.float32),
}


def graphs(operator: str) -> Iterator[onnx.ModelProto]:
    """With one node of it, or its own few; the first input is open, others stored."""
    if operator in _OWN:
        opset, body = _OWN[operator]
        model = parser.parse_model(
            f'<ir_version: 8, opset_import: ["": {opset}]> g ({_IMAGE}) => ({_Y}) '
            f"{{ {body} }}"
        )
        read = {name for node in model.graph.node for name in node.input}
        for name in sorted(read & _STORED.keys()):
            tensor = numpy_helper.from_array(np.asarray(_STORED[name]), name)
            model.graph.initializer.append(tensor)
        yield model
    for case in _node_tests().get(operator, ()):
        arrays = case.data_sets[0][0]
        if all(isinstance(array, (np.ndarray, np.generic)) for array in arrays[1:]):
            yield from _with_stored_inputs(case.model, arrays)


def _with_stored_inputs(model: onnx.ModelProto, arrays) -> Iterator[onnx.ModelProto]:
    made = onnx.ModelProto()
    made.CopyFrom(model)
    inputs = made.graph.input
    for info, array in list(zip(inputs, arrays, strict=True))[1:]:
        tensor = numpy_helper.from_array(np.asarray(array), info.name)
        made.graph.initializer.append(tensor)
    del inputs[1:]
    made.ir_version = 9
    for opset in _OPSETS:
        made.opset_import[0].version = opset
        with contextlib.suppress(
            onnx.checker.ValidationError, onnx.shape_inference.InferenceError
        ):
            onnx.checker.check_model(made, full_check=True)
            yield made
            return


@functools.cache
def _node_tests():
    from onnx.backend.test.case.node import collect_testcases

    found: dict[str, list] = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for case in collect_testcases(None):
            nodes = case.model.graph.node if case.model is not None else ()
            if len(nodes) == 1 and not nodes[0].domain and case.data_sets:
                found.setdefault(nodes[0].op_type, []).append(case)
    return found

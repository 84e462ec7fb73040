"""Finding what would make a runtime open other files, without the onnx package.

This walks the fields that lead to tensors and nodes and steps over all others, so a
file of any size is scanned in a few milliseconds.
"""

from __future__ import annotations

from ..errors import BundleError
from .protobuf import BYTES, NOT_ONNX, Reader

__all__ = ["CHILDREN", "require_self_contained"]

# Which field of a message holds which message (onnx.proto3), as far as it leads to
# a tensor or a node.
CHILDREN = {
    "ModelProto": {7: "GraphProto", 20: "TrainingInfoProto", 25: "FunctionProto"},
    "TrainingInfoProto": {1: "GraphProto", 2: "GraphProto"},
    "FunctionProto": {7: "NodeProto", 11: "AttributeProto"},
    "GraphProto": {1: "NodeProto", 5: "TensorProto", 15: "SparseTensorProto"},
    "NodeProto": {5: "AttributeProto"},
    "AttributeProto": {
        5: "TensorProto",
        6: "GraphProto",
        10: "TensorProto",
        11: "GraphProto",
        22: "SparseTensorProto",
        23: "SparseTensorProto",
    },
    "SparseTensorProto": {1: "TensorProto", 2: "TensorProto"},
}
_TENSOR_NAME, _EXTERNAL_DATA, _DATA_LOCATION = 8, 13, 14
_OP_TYPE = 4


def require_self_contained(model: memoryview) -> None:
    """Refuse an ONNX file that points outside itself.

    That is a tensor with external data, wherever tensors may be (initializers,
    sparse ones, attributes, subgraphs, functions, training graphs), or an EPContext
    node, which names a compiled engine.

    Raises:
        BundleError: it does, or it is no protobuf message.
    """
    if bytes(model[4:8]) == b"ORTM":  # ONNX Runtime would read its own format instead
        raise BundleError(NOT_ONNX)
    reader = Reader(model)
    todo = [("ModelProto", 0, len(model))]
    while todo:
        message, start, end = todo.pop()
        inside = CHILDREN.get(message, {})
        name, external = b"", False
        for number, wire, first, last in reader.fields(start, end):
            if wire == BYTES and number in inside:
                todo.append((inside[number], first, last))
            elif message == "TensorProto":
                if number == _TENSOR_NAME and wire == BYTES:
                    name = bytes(model[first:last])
                external |= number == _EXTERNAL_DATA
                external |= number == _DATA_LOCATION and last != 0
            elif message == "NodeProto" and (number, wire) == (_OP_TYPE, BYTES):
                _refuse_engine(bytes(model[first:last]))
        if external:
            raise BundleError(
                f"its tensor {name.decode('utf-8', 'replace')[:80]!a} has its "
                "data in another file: a bundle holds all data itself."
            )


def _refuse_engine(op_type: bytes) -> None:
    if op_type == b"EPContext":
        raise BundleError("it has an EPContext node, which holds or names an engine.")

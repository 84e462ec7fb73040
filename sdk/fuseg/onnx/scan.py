"""Finding what would make an engine open other files, without the onnx package.

An ONNX file is a protobuf message: numbered fields, each a number or a run of bytes
that may be a message itself. This walks the fields that lead to tensors and nodes
and steps over all others, so a file of any size is scanned in a few milliseconds.
"""

from __future__ import annotations

from collections.abc import Iterator

from ..errors import BundleError

__all__ = ["CHILDREN", "Reader", "require_self_contained"]

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
_FOREIGN = "it is not an ONNX file, or is cut off."
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_MOST_FIELDS = 1_000_000  # a network of 10,000 nodes has half of that


class Reader:
    """The fields of the messages in an ONNX file; so many of them, and no more."""

    def __init__(self, model: memoryview) -> None:
        self.model = model
        self._left = _MOST_FIELDS

    def fields(self, start: int, end: int) -> Iterator[tuple[int, int, int, int]]:
        """Yield (number, wire type, first, last) of each field of one message.

        For bytes the last two are where they are; for numbers ``last`` is the value.

        Raises:
            BundleError: It is no protobuf message, or there are too many fields.
        """
        data = self.model
        while start < end:
            self._count(1)
            tag, start = _varint(data, start, end)
            number, wire = tag >> 3, tag & 7
            if not 0 < number < 1 << 29:  # engines cut a longer tag to 32 bits
                raise BundleError(_FOREIGN)
            if wire == _VARINT:
                value, start = _varint(data, start, end)
                yield number, wire, 0, value
            elif wire == _BYTES:
                length, start = _varint(data, start, end)
                _require_inside(start + length, end)
                yield number, wire, start, start + length
                start += length
            elif wire in (_FIXED32, _FIXED64):
                length = 4 if wire == _FIXED32 else 8
                _require_inside(start + length, end)
                yield number, wire, 0, 1
                start += length
            else:
                raise BundleError(_FOREIGN)

    def numbers(self, wire: int, first: int, last: int) -> list[int]:
        """Those of a repeated field of whole numbers: one, or several in bytes."""
        if wire == _VARINT:
            return [last]
        self._count(last - first)
        found = []
        while wire == _BYTES and first < last:
            value, first = _varint(self.model, first, last)
            found.append(value)
        return found

    def _count(self, more: int) -> None:
        self._left -= more
        if self._left < 0:
            raise BundleError(
                f"it must have at most {_MOST_FIELDS} fields: it is no network that "
                "fuseg exports."
            )

    def text(self, first: int, last: int) -> str:
        return bytes(self.model[first:last]).decode("utf-8", "replace")


def require_self_contained(model: memoryview) -> None:
    """Refuse an ONNX file that points outside itself.

    That is a tensor with external data, wherever tensors may be (initializers,
    sparse ones, attributes, subgraphs, functions, training graphs), or an EPContext
    node, which names a compiled engine.

    Raises:
        BundleError: it does, or it is no protobuf message.
    """
    if bytes(model[4:8]) == b"ORTM":  # ONNX Runtime would read its own format instead
        raise BundleError(_FOREIGN)
    reader = Reader(model)
    todo = [("ModelProto", 0, len(model))]
    while todo:
        message, start, end = todo.pop()
        inside = CHILDREN.get(message, {})
        name, external = b"", False
        for number, wire, first, last in reader.fields(start, end):
            if wire == _BYTES and number in inside:
                todo.append((inside[number], first, last))
            elif message == "TensorProto":
                if number == _TENSOR_NAME and wire == _BYTES:
                    name = bytes(model[first:last])
                external |= number == _EXTERNAL_DATA
                external |= number == _DATA_LOCATION and last != 0
            elif message == "NodeProto" and (number, wire) == (_OP_TYPE, _BYTES):
                _refuse_engine(bytes(model[first:last]))
        if external:
            raise BundleError(
                f"its tensor {name.decode('utf-8', 'replace')[:80]!a} has its "
                "data in another file: a bundle holds all data itself."
            )


def _refuse_engine(op_type: bytes) -> None:
    if op_type == b"EPContext":
        raise BundleError("it has an EPContext node, which holds or names an engine.")


def _varint(data: memoryview, start: int, end: int) -> tuple[int, int]:
    value = 0
    for index in range(start, min(end, start + 10)):
        value |= (data[index] & 0x7F) << 7 * (index - start)
        if data[index] < 0x80:
            return value, index + 1
    raise BundleError(_FOREIGN)


def _require_inside(position: int, end: int) -> None:
    if position > end:
        raise BundleError(_FOREIGN)

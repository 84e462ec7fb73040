"""What a network may be made of: known operators, and tensors as large as they say.

Checked before any backend: what is refused here no library ever reads.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping

from ..errors import BundleError
from ..manifest import Tensor
from ..onnx.protobuf import Reader
from .operators import OPERATORS

__all__ = ["require_bounded"]

_ONNX = ("", "ai.onnx")  # two names of the one domain
_MOST_DIMS = 16
_LARGEST = 1 << 31  # values of a tensor between two nodes: 8 GiB of float32
_TYPES = {
    **dict(
        enumerate(("FLOAT", "UINT8", "INT8", "UINT16", "INT16", "INT32", "INT64"), 1)
    ),
    **dict(enumerate(("BOOL", "FLOAT16", "DOUBLE", "UINT32", "UINT64"), 9)),
    16: "BFLOAT16",
}
_ELEMENT_TYPES = {"float32": 1, "int64": 7}
# The input of a node that is a shape or a list of axes, one number for each axis.
_SHAPE_INPUT = {"ConstantOfShape": 0, "Expand": 1, "Reshape": 1, "Tile": 1}
_SHAPE_INPUT |= {"Unsqueeze": 1}


Tensors = Mapping[str, Tensor]
_TensorType = tuple[
    int, tuple[int, ...]
]  # element type and sides; -1 where none is fixed


def require_bounded(
    model: memoryview,
    opset: int,
    ir_version: int,
    inputs: Tensors | None = None,
    outputs: Tensors | None = None,
) -> None:
    """Refuse an ONNX file that is not of `OPERATORS`, or not what the manifest says.

    Call `self_contained.require_self_contained` first.

    Args:
        opset: That the file must be of.
        ir_version: Likewise.
        inputs, outputs: Its tensors, by name; None: any.

    Raises:
        BundleError: It has another operator, a graph in a node, functions, a training
            graph, sparse tensors, a tensor that states more values than it holds or
            more than 16 axes; it is of another opset, or has other inputs or outputs;
            or it is no protobuf message.
    """
    reader = Reader(model)
    graph = _Graph(reader)
    found_opsets, found_ir = [], 0
    for number, wire, first, last in reader.fields(0, len(model)):
        if number == 1 and wire == 0:
            found_ir = last
        elif number == 7 and wire == 2:
            graph.require(first, last)
        elif number == 8 and wire == 2:
            found_opsets += _opset(reader, first, last)
        elif number == 20:
            raise BundleError("it has a graph for training, which a bundle never has.")
        elif number == 25:
            raise BundleError("it has functions of its own: a bundle has nodes alone.")
    for what, found, wanted in (
        ("opset", found_opsets, opset),
        ("IR version", [found_ir], ir_version),
    ):
        if set(found) != {wanted}:
            got = ", ".join(map(str, found[:5])) or "none"
            raise BundleError(f"its {what} must be the manifest's {wanted}, got {got}.")
    graph.require_tensors("input", inputs)
    graph.require_tensors("output", outputs)


class _Graph:
    """One graph while it is read: lengths of its constants, and who takes a shape."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self._lengths: dict[bytes, int] = {}
        self._shapes: list[tuple[str, bytes]] = []
        self._tensors: dict[str, list[tuple[str, _TensorType]]] = {
            "input": [],
            "output": [],
        }

    def require(self, start: int, end: int) -> None:
        for number, wire, first, last in self._reader.fields(start, end):
            if wire != 2:
                continue
            if number == 1:
                self._node(first, last)
            elif number == 5:
                name, count = self._tensor(first, last)
                self._lengths[name] = count
            elif number == 15:
                raise BundleError(_SPARSE)
            elif number in (11, 12, 13):
                value = self._value(first, last)
                if number != 13:
                    self._tensors["input" if number == 11 else "output"].append(value)
        for node, name in self._shapes:
            if self._lengths.get(name, 0) > _MOST_DIMS:
                raise BundleError(
                    f"its node {node} makes a tensor of {self._lengths[name]} axes, "
                    f"{_MOST_DIMS} are the most."
                )

    def require_tensors(self, what: str, wanted: Tensors | None) -> None:
        """Refuse inputs or outputs that are not these; stored values are no inputs."""
        if wanted is None:
            return
        found = self._tensors[what]
        if what == "input":
            found = [
                tensor for tensor in found if tensor[0].encode() not in self._lengths
            ]
        expected = [(name, _type_of(tensor)) for name, tensor in wanted.items()]
        if sorted(found) != sorted(expected):
            raise BundleError(
                f"its {what} tensors must be {_spell(expected)}, as the manifest says, "
                f"got {_spell(found)}: export the bundle again."
            )

    def _node(self, start: int, end: int) -> None:
        reader = self._reader
        name, operators, domains, attributes = "", [], [], []
        inputs: list[bytes] = []
        outputs: list[bytes] = []
        for number, wire, first, last in reader.fields(start, end):
            if wire != 2:
                continue
            if number == 1:
                inputs.append(bytes(reader.model[first:last]))
            elif number == 2:
                outputs.append(bytes(reader.model[first:last]))
            elif number == 3:
                name = reader.text(first, last)
            elif number == 4:
                operators.append(reader.text(first, last))
            elif number == 5:
                attributes.append((first, last))
            elif number == 7:
                domains.append(reader.text(first, last))
        if not name and outputs:  # names are optional, and of use to people alone
            name = outputs[0].decode("utf-8", "replace")
        foreign = next((d for d in domains if d not in _ONNX), None)
        if len(operators) != 1 or operators[0] not in OPERATORS or foreign:
            spelled = "::".join([*([foreign] if foreign else []), *operators])
            raise BundleError(
                f"its node {_short(name)} has the operator {_short(spelled)}: a bundle "
                "takes ONNX's own, without control flow, random numbers, sequences "
                "and texts."
            )
        count = 0
        for first, last in attributes:
            count = max(count, self._attribute(_short(name), first, last))
        if operators[0] == "Constant":
            self._lengths.update(dict.fromkeys(outputs, count))
        index = _SHAPE_INPUT.get(operators[0], len(inputs))
        self._shapes += [(_short(name), n) for n in inputs[index : index + 1]]

    def _attribute(self, node: str, start: int, end: int) -> int:
        """How many values it holds, as a tensor or as whole numbers."""
        count = 0
        for number, wire, first, last in self._reader.fields(start, end):
            if number in (6, 11):
                raise BundleError(f"its node {node} holds a graph of its own.")
            if number in (22, 23):
                raise BundleError(_SPARSE)
            if number in (5, 10) and wire == 2:
                count = self._tensor(first, last)[1]
            elif number == 8:
                count += len(self._reader.numbers(wire, first, last))
        return count

    def _tensor(self, start: int, end: int) -> tuple[bytes, int]:
        """Name, and number of values, of a stored tensor."""
        name, kind, dims = b"", 0, []
        for number, wire, first, last in self._reader.fields(start, end):
            if number == 1:
                dims += self._reader.numbers(wire, first, last)
            elif number == 2:
                kind = last
            elif number == 8 and wire == 2:
                name = bytes(self._reader.model[first:last])
        shown = f"tensor {_short(name.decode('utf-8', 'replace'))}"
        if kind not in _TYPES:
            raise BundleError(
                f"its {shown} must hold {', '.join(_TYPES.values())}, got type {kind} "
                "of ONNX."
            )
        count = _size(shown, dims, len(dims))
        if count > end - start:  # each value takes a byte at least
            raise BundleError(f"its {shown} states {count} values and holds fewer.")
        return name, count

    def _value(self, start: int, end: int) -> tuple[str, _TensorType]:
        """A ValueInfoProto: name (1), type (2), tensor_type (1), shape (2), dim (1)."""
        reader = self._reader
        name, kind, dims = "", 0, []
        for number, wire, first, last in reader.fields(start, end):
            if number == 1 and wire == 2:
                name = reader.text(first, last)
        for types in self._inside(2, start, end):
            for tensor in self._inside(1, *types):
                for number, wire, _, last in reader.fields(*tensor):
                    if number == 1 and wire == 0:
                        kind = last
                for shape in self._inside(2, *tensor):
                    dims += [self._side(*dim) for dim in self._inside(1, *shape)]
        _size(f"tensor {_short(name)}", [side for side in dims if side >= 0], len(dims))
        return name, (kind, tuple(dims))

    def _side(self, start: int, end: int) -> int:
        """The value of a dimension; -1 if it has none, or a name."""
        side = -1
        for number, wire, _, last in self._reader.fields(start, end):
            if number == 1 and wire == 0:
                side = last
        return side

    def _inside(self, wanted: int, start: int, end: int) -> Iterator[tuple[int, int]]:
        """Where the messages of one field are."""
        for number, wire, first, last in self._reader.fields(start, end):
            if number == wanted and wire == 2:
                yield first, last


_SPARSE = "it has a sparse tensor, which a bundle never has."


def _opset(reader: Reader, start: int, end: int) -> list[int]:
    """The version, if it is of ONNX's own operators."""
    domain, version = "", 0
    for number, wire, first, last in reader.fields(start, end):
        if number == 1 and wire == 2:
            domain = reader.text(first, last)
        elif number == 2 and wire == 0:
            version = last
    return [version] if domain in _ONNX else []


def _size(shown: str, dims: list[int], axes: int) -> int:
    if axes > _MOST_DIMS:
        raise BundleError(f"its {shown} has {axes} axes, {_MOST_DIMS} are the most.")
    count = math.prod(dims)
    if count > _LARGEST:
        raise BundleError(f"its {shown} must state at most {_LARGEST} values.")
    return count


def _type_of(tensor: Tensor) -> _TensorType:
    """A dimension's size is fixed in no ONNX file."""
    return _ELEMENT_TYPES[tensor.dtype], tensor.sized(
        dict.fromkeys(tensor.dimensions, -1)
    )


def _spell(found: list[tuple[str, _TensorType]]) -> str:
    spelled = [
        f"{ascii(name[:40])[1:-1]} {_TYPES.get(kind, kind)} {_sides(dims)}"
        for name, (kind, dims) in sorted(found)
    ]
    return ", ".join(spelled[:5]) or "none"


def _sides(dims: tuple[int, ...]) -> str:
    return "(" + ", ".join("?" if d < 0 else str(d) for d in dims) + ")"


def _short(text: str) -> str:
    """What stands in the file, as a terminal may show it."""
    return ascii(text[:80])

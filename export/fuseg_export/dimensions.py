"""Sizes that may change: how many texts there are, and which axes are as long."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import onnx
from numpy.typing import NDArray

from fuseg.errors import ExportError

from .ort_session import run_all

__all__ = [
    "OtherSize",
    "Shape",
    "at_example",
    "named_axes",
    "named_shape",
    "with_named_values",
    "with_names",
]

Shape = tuple[int | str, ...]  # for each axis a number, or the name of a dimension
Tensors = Mapping[str, NDArray[Any]]


@dataclass(frozen=True)
class OtherSize:
    """The tensors of an example, one dimension of which has another size.

    Attributes:
        dimension: Its name.
        sizes: Of the example, and here.
        tensors: By name.
    """

    dimension: str
    sizes: tuple[int, int]
    tensors: Tensors


def named_axes(shape: Shape) -> dict[int, str]:
    """The axes of a shape that are dimensions, and their names."""
    return {axis: side for axis, side in enumerate(shape) if isinstance(side, str)}


def named_shape(
    what: str, shape: Sequence[int], others: Iterable[tuple[OtherSize, Sequence[int]]]
) -> Shape:
    """A shape whose axes are named that are as long as a dimension.

    Args:
        what: Whose shape it is, for the error.
        others: The shape that it has at other sizes.

    Raises:
        ExportError: An axis changes with a dimension, and is not as long.
    """
    named: list[int | str] = list(shape)
    for size, other in others:
        pairs = list(zip(shape, other, strict=False))
        for axis, pair in enumerate(pairs):
            if pair == size.sizes:
                named[axis] = size.dimension
        if len(shape) != len(other) or any(
            pair[0] != pair[1] != size.sizes[1] for pair in pairs
        ):
            few, many = size.sizes
            raise ExportError(
                f"{what} must have axes as long as {size.dimension}, and others that "
                f"do not change with it, but is {list(shape)} of {few} and "
                f"{list(other)} of {many}."
            )
    return tuple(named)


def with_named_values(
    model: onnx.ModelProto, example: Tensors, others: Sequence[OtherSize]
) -> onnx.ModelProto:
    """A copy of a graph that declares the shapes of the values in it.

    They are found by running it at each size, as onnx does not infer all of them. Left
    out is what changes with a dimension and is not as long.
    """
    names = _values(model)
    first, *rest = (
        values_of(model, names, tensors)
        for tensors in (example, *(size.tensors for size in others))
    )
    made = onnx.ModelProto()
    made.CopyFrom(model)
    del made.graph.value_info[:]
    for name in names:
        shapes = [(s, found[name].shape) for s, found in zip(others, rest, strict=True)]
        with suppress(ExportError):
            shape = named_shape(name, first[name].shape, shapes)
            made.graph.value_info.append(_info(name, first[name], shape))
    return made


def at_example(model: onnx.ModelProto, tensors: Tensors) -> onnx.ModelProto:
    """A copy of a graph in which all shapes are those that these tensors lead to.

    For what must know sizes to find a place in a graph; the graph itself is run.
    """
    ends = [value.name for value in model.graph.output]
    names = _values(model)
    found = {**tensors, **values_of(model, [*names, *ends], tensors)}
    made = onnx.ModelProto()
    made.CopyFrom(model)
    del made.graph.value_info[:]
    for value in (*made.graph.input, *made.graph.output):
        value.CopyFrom(_info(value.name, found[value.name], found[value.name].shape))
    made.graph.value_info.extend(
        _info(name, found[name], found[name].shape) for name in names
    )
    return made


def with_names(model: onnx.ModelProto, shapes: Mapping[str, Shape]) -> None:
    """Write the shapes of inputs and outputs into a graph."""
    for value in (*model.graph.input, *model.graph.output):
        if value.name in shapes:
            kind = value.type.tensor_type.elem_type
            shape = shapes[value.name]
            made = onnx.helper.make_tensor_value_info(value.name, kind, shape)
            value.CopyFrom(made)


def values_of(
    model: onnx.ModelProto, names: Sequence[str], tensors: Tensors
) -> dict[str, NDArray[Any]]:
    """What a graph computes on these tensors, by the values' names."""
    shown = onnx.ModelProto()
    shown.CopyFrom(model)
    del shown.graph.output[:]
    shown.graph.output.extend(onnx.ValueInfoProto(name=name) for name in names)
    return run_all(shown, tensors)


def _values(model: onnx.ModelProto) -> list[str]:
    """All that is computed but the outputs."""
    ends = {value.name for value in model.graph.output}
    made = (name for node in model.graph.node for name in node.output)
    return [name for name in made if name and name not in ends]


def _info(name: str, array: NDArray[Any], shape: Shape) -> onnx.ValueInfoProto:
    kind = onnx.helper.np_dtype_to_tensor_dtype(array.dtype)
    return onnx.helper.make_tensor_value_info(name, kind, shape)

"""Inputs and outputs that need no conversion: float16, or int8 with a known scale.

Every variant has float32 inputs and outputs, and begins and ends with casts where it
computes otherwise. Here the casts move out of the engine, into the kernels that write
its inputs and read its outputs anyway. That is done in the ONNX graph and not through
TensorRT's API, which has no setter for a tensor's type any more since version 11.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from ...errors import BundleError
from ...onnx.graph import (
    FLOAT,
    FLOAT16,
    INT8,
    INT64,
    Graph,
    Node,
    read_graph,
    rewrite,
)

__all__ = ["IoFormat", "move_casts_out"]

# Channels of which TensorRT's first convolution reads float16 "chw4" as it is. It makes
# a copy of others, whatever their layout.
_PADDED_TO_FOUR = (3, 4)


@dataclass(frozen=True)
class IoFormat:
    """What one input or output of the engine shall be.

    Attributes:
        dtype: "float32", "float16" or "int8"; "int64" of words and tokens.
        layouts: Those that are fine: of "linear", "chw4", "hwc8".
        scale: Of int8: its value times this is the tensor's value.
        why: Why it stays as it was exported; None if it does not.
    """

    dtype: str = "float32"
    layouts: tuple[str, ...] = ("linear",)
    scale: float | None = None
    why: str | None = None


@dataclass
class _Edits:
    types: dict[str, int] = field(default_factory=dict)
    casts: dict[int, int] = field(default_factory=dict)
    dropped: set[int] = field(default_factory=set)
    renamed: dict[str, str] = field(default_factory=dict)


def move_casts_out(
    model: bytes, precision: Mapping[str, str], plain: Collection[str] = ()
) -> tuple[bytes, dict[str, IoFormat]]:
    """The network with as few casts at inputs and outputs as its precision allows.

    An input that is only quantized (symmetrically, one scale) becomes the int8 tensor.
    One that is only cast to float16 becomes float16, and so does an output that is cast
    from it. The network computes the same numbers as before from rounded inputs.

    Args:
        model: ONNX whose inputs and outputs are float32 or int64.
        precision: Of its variant, as the manifest has it.
        plain: Tensors that stay as they are, for other networks' sake.

    Returns:
        The new model, ``model`` itself if nothing changes, and each tensor by name.

    Raises:
        BundleError: It is no ONNX file.
    """
    try:
        graph = read_graph(model)
    except BundleError as err:
        raise BundleError(f"the network must be exported again: {err}") from err
    tensors = {**graph.inputs, **graph.outputs}
    if precision["kind"] == "fp32":
        why = "the variant is float32"
        return model, {name: _as_exported(graph, name, why) for name in tensors}
    if any(node.nested for node in graph.nodes):
        why = "the network has branches or loops"
        return model, {name: _as_exported(graph, name, why) for name in tensors}
    edits = _Edits()
    why = "other networks read or write it, too"
    kept = [name for name in plain if name in tensors]
    wanted = {name: _as_exported(graph, name, why) for name in kept}
    for names, move in ((graph.inputs, _input), (graph.outputs, _output)):
        wanted |= {n: move(graph, n, edits) for n in names if n not in plain}
    if not edits.types:
        return model, wanted
    edited = rewrite(
        model,
        types=edits.types,
        casts=edits.casts,
        dropped=frozenset(edits.dropped),
        renamed=edits.renamed,
    )
    return edited, wanted


def _as_exported(graph: Graph, name: str, why: str) -> IoFormat:
    tensor = graph.inputs.get(name) or graph.outputs[name]
    return IoFormat("int64" if tensor.data_type == INT64 else "float32", why=why)


def _input(graph: Graph, name: str, edits: _Edits) -> IoFormat:
    if graph.inputs[name].data_type != FLOAT or name in graph.outputs:
        return _as_exported(graph, name, "it is not a float32 input")
    readers = graph.readers(name)
    quantized = _only_quantized(graph, name, readers)
    if quantized is not None and len(graph.inputs[name].shape) == 4:
        scale, dropped, value = quantized
        edits.types[name] = INT8
        edits.dropped |= dropped
        edits.renamed[value] = name
        return IoFormat("int8", ("chw4",), scale)
    casts = {node.to for node in readers if node.op == "Cast"}
    if readers and all(n.op == "Cast" for n in readers) and FLOAT16 in casts:
        edits.types[name] = FLOAT16
        shape = graph.inputs[name].shape
        image = len(shape) == 4 and shape[1] in _PADDED_TO_FOUR
        return IoFormat("float16", ("linear", "chw4") if image else ("linear",))
    return IoFormat(why="the network reads it as float32")


def _only_quantized(
    graph: Graph, name: str, readers: list[Node]
) -> tuple[float, set[int], str] | None:
    """Its scale, the nodes that go away and what they made; None if it is not."""
    dropped: set[int] = set()
    while len(readers) == 1 and readers[0].op == "Cast":
        if readers[0].to not in (FLOAT, FLOAT16) or name in graph.outputs:
            return None
        dropped.add(readers[0].index)
        name = readers[0].outputs[0]
        readers = graph.readers(name)
    if len(readers) != 1 or readers[0].op != "QuantizeLinear":
        return None
    quantize = readers[0]
    made = quantize.outputs[0]
    if {name, made} & graph.outputs.keys() or quantize.inputs[0] != name:
        return None
    scale = graph.constants.get(quantize.inputs[1])
    zero = graph.constants.get(quantize.inputs[2]) if quantize.inputs[2:] else None
    if scale is None or scale.value is None or not scale.value > 0:
        return None
    if zero is None or (zero.data_type, zero.value) != (INT8, 0):
        return None
    return scale.value, dropped | {quantize.index}, made


def _output(graph: Graph, name: str, edits: _Edits) -> IoFormat:
    cast = graph.maker(name)
    if graph.outputs[name].data_type != FLOAT:
        return _as_exported(graph, name, "it is not a float32 output")
    if cast is None or cast.op != "Cast":
        return IoFormat(why="the network makes it as float32")
    if graph.readers(name):
        return IoFormat(why="the network reads it again as float32")
    if not _is_half(graph, cast.inputs[0]):
        return IoFormat(why="the network does not make it as float16")
    edits.types[name] = FLOAT16
    edits.casts[cast.index] = FLOAT16
    # TensorRT for RTX would need no copy for HWC without padding (88 kernels and not 89
    # for the shipped network, whose 10 classes are padded to 16), but TensorRT has HWC
    # for float32 alone, and nothing reads it.
    image = len(graph.outputs[name].shape) == 4
    return IoFormat("float16", ("linear", "hwc8") if image else ("linear",))


def _is_half(graph: Graph, value: str) -> bool:
    """Whether it is sure to be float16: said so, or made with float16 constants."""
    if value in graph.values:
        return graph.values[value].data_type == FLOAT16
    maker = graph.maker(value)
    if maker is None:
        return False
    if maker.op == "Cast":
        return maker.to == FLOAT16
    stored = (graph.constants.get(name) for name in maker.inputs)
    return any(c is not None and c.data_type == FLOAT16 for c in stored)

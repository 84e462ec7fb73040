"""Cut what the label kernel does better off the end of a graph.

Heads end in bilinear upsampling, softmax, argmax. The runtime goes from the scores
before all that straight to labels at the camera's size, so the graph should end there.
What is cut must not change a label:

1. **ArgMax** over the classes (axis 1 of (1, C, H, W), the first of equals wins), and
   behind it what only re-dresses labels: Cast, Squeeze, Unsqueeze, Identity.
2. **Softmax, LogSoftmax** over the classes, and **Sigmoid** of a single class: they
   keep the order of scores. Not if an upsampling follows: an average of probabilities
   may order the classes differently than the average of their scores.
3. **Resize** that enlarges height and width, linear, not antialiased, by half pixels
   (pytorch_half_pixel differs only where one pixel is made) or aligned corners, its
   scale the ratio of the sizes. The runtime does the same, only to another size.

The rest stays; `CutTail.kept` says why.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

import onnx
import onnx_ir as ir
from onnx_ir.passes.common import RemoveUnusedNodesPass

from fuseg.errors import ExportError

from .rewrite import constant, free, names_in, producer, read, rewrite, static_shape

__all__ = ["RESIZE", "SCORES", "TAIL", "CutTail", "cut_tail", "find_tail"]

SCORES = "logits"
MOST_CLASSES = 255  # a label is one byte, and one value is kept for "ignore"

_DRESSING = ("Cast", "Identity", "Squeeze", "Unsqueeze")
TAIL = ("ArgMax", "LogSoftmax", "Resize", "Sigmoid", "Softmax")
RESIZE = ("Resize",)  # all that may be cut where scores are compared with a background
# Casts of a label that keep its number; int8 only up to 127.
_LABEL_TYPES = {
    *(f"{kind}{bits}" for kind in ("UINT", "INT") for bits in (8, 16, 32, 64)),
    *("FLOAT16", "FLOAT", "DOUBLE"),
}


@dataclass(frozen=True)
class CutTail:
    """What was at the end of a graph.

    Attributes:
        removed: Op types to be cut, in the graph's order.
        size: (H, W) of what the uncut graph gives.
        align_corners: Of the cut Resize; False without one.
        kept: Why the node before them stays, if one might have expected it to go.
    """

    removed: tuple[str, ...]
    size: tuple[int, int]
    align_corners: bool
    kept: str | None


def cut_tail(
    model: onnx.ModelProto,
    index: int = 0,
    name: str = SCORES,
    operators: Collection[str] = TAIL,
) -> tuple[onnx.ModelProto, CutTail]:
    """Cut the tail off one of a graph's outputs.

    Args:
        model: A graph of fixed shapes, but for the number of classes; it is not
            changed.
        index: Of the output.
        name: What it is called after that, if nothing else is.
        operators: Those that may be cut.

    Returns:
        A graph in whose outputs float32 (1, C, h, w) has that place; and its tail.

    Raises:
        ExportError: The output is no such scores and cannot be traced back to them.
    """
    cut = _CutTail(index, name, operators)
    return rewrite(model, cut, RemoveUnusedNodesPass()), cut.tail


def find_tail(
    model: onnx.ModelProto, index: int = 0, operators: Collection[str] = TAIL
) -> tuple[list[ir.Node], CutTail]:
    """The nodes that `cut_tail` cuts, in the graph's order, and what they are.

    Raises:
        ExportError: As for `cut_tail`.
    """
    return _find(read(model).graph.outputs[index], operators)


class _CutTail(ir.passes.InPlacePass):
    tail: CutTail

    def __init__(self, index: int, name: str, operators: Collection[str]) -> None:
        self._index, self._name, self._operators = index, name, operators

    def call(self, model: ir.Model) -> ir.passes.PassResult:
        outputs, index = model.graph.outputs, self._index
        nodes, self.tail = _find(outputs[index], self._operators)
        scores = _source(nodes, outputs[index])
        others = [value for i, value in enumerate(outputs) if i != index]
        if scores in others:  # one value cannot be two outputs
            same = ir.node("Identity", [scores], name=f"{self._name}/Identity")
            model.graph.append(same)
            same.outputs[0].type, same.outputs[0].shape = scores.type, scores.shape
            scores = same.outputs[0]
        outputs[index] = scores
        scores.name = free(names_in(model), self._name)
        return ir.passes.PassResult(model, modified=True)


def _source(nodes: Sequence[ir.Node], output: ir.Value) -> ir.Value:
    """What the first of the nodes reads; the output if there are none."""
    return nodes[0].inputs[0] or output if nodes else output


def _find(
    output: ir.Value, operators: Collection[str]
) -> tuple[list[ir.Node], CutTail]:
    nodes, kept = _walk(output, operators)
    removed = tuple(node.op_type for node in nodes)
    _require_scores(_source(nodes, output), kept)
    uncut: ir.Value | None = output
    if "ArgMax" in removed:
        uncut = nodes[removed.index("ArgMax")].inputs[0]
    _, _, height, width = _shape(uncut) or (0, 0, 0, 0)
    grids = [_grid(node) for node in nodes if node.op_type == "Resize"]
    return nodes, CutTail(removed, (height, width), grids == ["align_corners"], kept)


def _shape(value: ir.Value | None) -> tuple[Any, ...] | None:
    """As `static_shape`; the number of classes may be the name of a dimension."""
    if value is None or value.shape is None or len(value.shape) != 4:
        return static_shape(value)
    sides = [side if isinstance(side, int) else side.value for side in value.shape]
    known = all(isinstance(side, int) and side for side in (sides[0], *sides[2:]))
    return tuple(sides) if known and sides[1] else None


def _walk(
    output: ir.Value, operators: Collection[str]
) -> tuple[list[ir.Node], str | None]:
    nodes: list[ir.Node] = []
    kept = None
    node = output.producer()
    while node is not None:
        if node.op_type not in (*_DRESSING, *operators):
            break
        kept = _obstacle(output, node, [n.op_type for n in nodes])
        if kept is not None:
            break
        nodes.append(node)
        node = producer(node.inputs[0])
    while nodes and (nodes[-1].op_type in _DRESSING or node is None):
        nodes.pop()  # no scores are computed before it, or it is no tail by itself
    return nodes[::-1], kept


def _grid(resize: ir.Node) -> str:
    return resize.attributes.get_string("coordinate_transformation_mode", "half_pixel")


def _obstacle(output: ir.Value, node: ir.Node, after: Sequence[str]) -> str | None:
    """Why a node must stay, as one sentence; None if it may go.

    ``after`` are the op types cut behind it, the last of the graph first.
    """
    op = node.op_type
    if op in _DRESSING:
        return _dressing_obstacle(node, after)
    if _shape(node.inputs[0]) is None or _shape(node.outputs[0]) is None:
        return f"{op} stays: its sizes are not fixed in the graph."
    if op == "ArgMax":
        why = _argmax_obstacle(output, node, after)
    elif op == "Resize":
        why = _resize_obstacle(node, after)
    else:
        why = _activation_obstacle(node, after)
    if why is None and "ArgMax" not in after and op != "ArgMax":
        same = _shape(node.outputs[0]) == _shape(output)
        if not same or output.dtype != ir.DataType.FLOAT:
            why = f"what follows, {after[-1]}, changes the scores"
    return why and f"{op} stays: {why}."


def _dressing_obstacle(node: ir.Node, after: Sequence[str]) -> str | None:
    op = node.op_type
    if op == "Identity" or not set(after) & set(TAIL):
        return None  # behind an ArgMax, if one comes; that is checked there
    types = {value.dtype for value in (*node.inputs, *node.outputs) if value}
    if op == "Cast" and types == {ir.DataType.FLOAT}:
        return None
    return f"{op} stays: it changes the scores."


def _argmax_obstacle(
    output: ir.Value, node: ir.Node, after: Sequence[str]
) -> str | None:
    shape = _shape(node.inputs[0]) or ()
    axis = node.attributes.get_int("axis", 0)
    if set(after) & set(TAIL):
        return "its labels are computed on"
    if len(shape) != 4 or axis % 4 != 1 or shape[0] != 1:
        return f"it is over axis {axis} of {list(shape)}, not over classes"
    if node.attributes.get_int("select_last_index", 0):
        return "the last of equal scores wins"
    if shape[1] == 1:
        return "there is one class"
    dressing = output.producer()
    while dressing is not None and dressing is not node:
        if dressing.op_type == "Cast":
            to = ir.DataType(dressing.attributes["to"].as_int()).name
            if to not in _LABEL_TYPES or (to == "INT8" and shape[1] > 128):
                return f"its labels are cast to {to}"
        dressing = producer(dressing.inputs[0])
    return None


def _activation_obstacle(node: ir.Node, after: Sequence[str]) -> str | None:
    shape = _shape(node.outputs[0]) or ()
    if "Resize" in after:
        return (
            "its results are interpolated, which may order the classes differently; "
            "the runtime's confidence will be no probability"
        )
    if node.op_type == "Sigmoid":
        one = len(shape) == 4 and shape[1] == 1
        return None if one else "it is not of a single class"
    axis = node.attributes.get_int("axis", -1)
    if len(shape) != 4 or axis % 4 != 1:
        return f"it is over axis {axis} of {list(shape)}, not over classes"
    return None


def _resize_obstacle(node: ir.Node, after: Sequence[str]) -> str | None:
    old, new = _shape(node.inputs[0]) or (), _shape(node.outputs[0]) or ()
    mode, grid = node.attributes.get_string("mode", "nearest"), _grid(node)
    if "Resize" in after:
        return "another one follows"
    if mode != "linear":
        return f"its mode is {mode}"
    if grid not in ("half_pixel", "pytorch_half_pixel", "align_corners"):
        return f"its coordinate_transformation_mode is {grid}"
    if node.attributes.get_int("antialias", 0):
        return "it is antialiased"
    if len(old) != 4 or old[:2] != new[:2]:
        return f"it resizes more than height and width: {list(old)} to {list(new)}"
    if new[2] < old[2] or new[3] < old[3]:
        return f"it shrinks {list(old[2:])} to {list(new[2:])}"
    if grid != "align_corners" and len(node.inputs) > 2 and node.inputs[2]:
        scales = constant(node.inputs[2])
        if scales is None:
            return "its scale is computed in the graph"
        if not scales.size:
            return None  # how old graphs say that there are sizes
        ratios = [new[i] / old[i] for i in node.attributes.get_ints("axes", range(4))]
        if any(abs(s - r) > 1e-6 * r for s, r in zip(scales, ratios, strict=True)):
            return f"its scale {scales.tolist()} is not the ratio of its sizes"
    return None


def _require_scores(value: ir.Value, kept: str | None) -> None:
    shape = _shape(value)
    because = f" {kept}" if kept else ""
    if value.dtype != ir.DataType.FLOAT:
        spelled = "undefined" if value.dtype is None else value.dtype.name.lower()
        raise ExportError(
            "the network's output must be float32 class scores, or labels whose ArgMax "
            f"can be cut off, got {spelled}.{because} Return the scores."
        )
    if shape is None or len(shape) != 4 or shape[0] != 1:
        got = "a size that the graph computes" if shape is None else f"{list(shape)}"
        raise ExportError(
            f"the network's output must be class scores of shape (1, C, h, w), got "
            f"{got}.{because} Choose another with --output, say --layout chw if there "
            "is no batch, or return the scores."
        )
    if isinstance(shape[1], int) and shape[1] > MOST_CLASSES:
        raise ExportError(
            f"the network must tell at most {MOST_CLASSES} classes apart, got "
            f"{shape[1]}: a label is one byte."
        )

"""Cut what the label kernel does better off the end of a graph.

Heads end in bilinear upsampling, softmax, argmax. The runtime goes from the scores
before all that straight to labels at the camera's size, so the graph should end there.
What is cut must not change a label:

- **ArgMax** over the classes (axis 1 of (1, C, H, W), the first of equals wins), and
  behind it what only re-dresses labels: Cast, Squeeze, Unsqueeze, Identity.
- **Softmax, LogSoftmax** over the classes, and **Sigmoid** of a single class: they
  keep the order of scores. Not if an upsampling follows: an average of probabilities
  may order the classes differently than the average of their scores.
- **Resize** that enlarges height and width, linear, not antialiased, by half pixels
  (pytorch_half_pixel differs only where one pixel is made) or aligned corners, its
  scale the ratio of the sizes. The runtime does the same, only to another size.

The graph keeps one output, so nothing but its tail can read what is cut. The rest
stays; `Tail.kept` says why.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import onnx
from onnx import TensorProto

from fuseg.errors import ExportError

from .tidy import Graph, attributes, free_name, prune, rename

__all__ = ["SCORES", "Tail", "cut_tail", "find_tail"]

SCORES = "logits"
MOST_CLASSES = 255  # a label is one byte, and one value is kept for "ignore"

_DRESSING = ("Cast", "Identity", "Squeeze", "Unsqueeze")
_TAIL = ("ArgMax", "LogSoftmax", "Resize", "Sigmoid", "Softmax")
# Casts of a label that keep its number; int8 only up to 127.
_LABEL_TYPES = {
    TensorProto.UINT8,
    TensorProto.INT8,
    TensorProto.UINT16,
    TensorProto.INT16,
    TensorProto.UINT32,
    TensorProto.INT32,
    TensorProto.UINT64,
    TensorProto.INT64,
    TensorProto.FLOAT16,
    TensorProto.FLOAT,
    TensorProto.DOUBLE,
}


@dataclass(frozen=True)
class Tail:
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


def cut_tail(model: onnx.ModelProto) -> tuple[onnx.ModelProto, Tail]:
    """Cut the tail off a graph's first output.

    Args:
        model: A graph of fixed shapes; it is not changed.

    Returns:
        A graph whose only output is float32 (1, C, h, w), called ``SCORES`` if nothing
        else is; and its tail.

    Raises:
        ExportError: The output is no such scores and cannot be traced back to them.
    """
    nodes, tail = find_tail(model)
    known = Graph(model)
    scores = nodes[0].input[0] if nodes else known.output
    shape = known.shape(scores)
    cut = onnx.ModelProto()
    cut.CopyFrom(model)
    del cut.graph.output[:]
    cut.graph.output.append(
        onnx.helper.make_tensor_value_info(scores, TensorProto.FLOAT, shape)
    )
    prune(cut)
    rename(cut, scores, free_name(cut, SCORES))
    return cut, tail


def find_tail(model: onnx.ModelProto) -> tuple[list[onnx.NodeProto], Tail]:
    """The nodes that `cut_tail` cuts, in the graph's order, and what they are.

    Raises:
        ExportError: As for `cut_tail`.
    """
    graph = Graph(model)
    nodes, kept = _walk(graph)
    removed = tuple(node.op_type for node in nodes)
    scores = nodes[0].input[0] if nodes else graph.output
    _require_scores(graph, scores, kept)
    uncut = graph.output
    if "ArgMax" in removed:
        uncut = nodes[removed.index("ArgMax")].input[0]
    _, _, height, width = graph.shape(uncut) or (0, 0, 0, 0)
    resize = [n for n in nodes if n.op_type == "Resize"]
    mode = [attributes(n).get("coordinate_transformation_mode") for n in resize]
    return nodes, Tail(removed, (height, width), mode == ["align_corners"], kept)


def _walk(graph: Graph) -> tuple[list[onnx.NodeProto], str | None]:
    nodes: list[onnx.NodeProto] = []
    kept = None
    node = graph.producer(graph.output)
    while node is not None:
        kept = _obstacle(graph, node, [n.op_type for n in nodes])
        if kept is not None or node.op_type not in (*_DRESSING, *_TAIL):
            break
        nodes.append(node)
        node = graph.producer(node.input[0])
    while nodes and (nodes[-1].op_type in _DRESSING or node is None):
        nodes.pop()  # no scores are computed before it, or it is no tail by itself
    return nodes[::-1], kept


def _obstacle(graph: Graph, node: onnx.NodeProto, after: Sequence[str]) -> str | None:
    """Why a node must stay, as one sentence; None if it may go or is no tail at all.

    ``after`` are the op types cut behind it, the last of the graph first.
    """
    op = node.op_type
    if op not in (*_DRESSING, *_TAIL):
        return None
    if op in _DRESSING:
        return _dressing_obstacle(graph, node, after)
    if graph.shape(node.input[0]) is None or graph.shape(node.output[0]) is None:
        return f"{op} stays: its sizes are not fixed in the graph."
    if op == "ArgMax":
        why = _argmax_obstacle(graph, node, after)
    elif op == "Resize":
        why = _resize_obstacle(graph, node, after)
    else:
        why = _activation_obstacle(graph, node, after)
    if why is None and "ArgMax" not in after and op != "ArgMax":
        same = graph.shape(node.output[0]) == graph.shape(graph.output)
        if not same or graph.element(graph.output) != TensorProto.FLOAT:
            why = f"what follows, {after[-1]}, changes the scores"
    return why and f"{op} stays: {why}."


def _dressing_obstacle(
    graph: Graph, node: onnx.NodeProto, after: Sequence[str]
) -> str | None:
    op = node.op_type
    if op == "Identity" or not set(after) & set(_TAIL):
        return None  # behind an ArgMax, if one comes; that is checked there
    float_to_float = {graph.element(node.input[0]), graph.element(node.output[0])}
    if op == "Cast" and float_to_float == {TensorProto.FLOAT}:
        return None
    return f"{op} stays: it changes the scores."


def _argmax_obstacle(
    graph: Graph, node: onnx.NodeProto, after: Sequence[str]
) -> str | None:
    shape, has = graph.shape(node.input[0]) or (), attributes(node)
    axis = has.get("axis", 0)
    if set(after) & set(_TAIL):
        return "its labels are computed on"
    if len(shape) != 4 or axis % 4 != 1 or shape[0] != 1:
        return f"it is over axis {axis} of {list(shape)}, not over classes"
    if has.get("select_last_index", 0):
        return "the last of equal scores wins"
    if shape[1] == 1:
        return "there is one class"
    value = graph.output
    while (dressing := graph.producer(value)) is not None and dressing != node:
        if dressing.op_type == "Cast":
            to = attributes(dressing)["to"]
            if to not in _LABEL_TYPES or (to == TensorProto.INT8 and shape[1] > 128):
                return f"its labels are cast to {TensorProto.DataType.Name(to)}"
        value = dressing.input[0]
    return None


def _activation_obstacle(
    graph: Graph, node: onnx.NodeProto, after: Sequence[str]
) -> str | None:
    shape = graph.shape(node.output[0]) or ()
    if "Resize" in after:
        return (
            "its results are interpolated, which may order the classes differently; "
            "the runtime's confidence will be no probability"
        )
    if node.op_type == "Sigmoid":
        one = len(shape) == 4 and shape[1] == 1
        return None if one else "it is not of a single class"
    axis = attributes(node).get("axis", -1)
    if len(shape) != 4 or axis % 4 != 1:
        return f"it is over axis {axis} of {list(shape)}, not over classes"
    return None


def _resize_obstacle(
    graph: Graph, node: onnx.NodeProto, after: Sequence[str]
) -> str | None:
    old, new = graph.shape(node.input[0]) or (), graph.shape(node.output[0]) or ()
    has = attributes(node)
    mode = has.get("mode", "nearest")
    grid = has.get("coordinate_transformation_mode", "half_pixel")
    if "Resize" in after:
        return "another one follows"
    if mode != "linear":
        return f"its mode is {mode}"
    if grid not in ("half_pixel", "pytorch_half_pixel", "align_corners"):
        return f"its coordinate_transformation_mode is {grid}"
    if has.get("antialias", 0):
        return "it is antialiased"
    if len(old) != 4 or old[:2] != new[:2]:
        return f"it resizes more than height and width: {list(old)} to {list(new)}"
    if new[2] < old[2] or new[3] < old[3]:
        return f"it shrinks {list(old[2:])} to {list(new[2:])}"
    if grid != "align_corners" and len(node.input) > 2 and node.input[2]:
        scales = graph.constant(node.input[2])
        if scales is None:
            return "its scale is computed in the graph"
        ratios = [new[i] / old[i] for i in has.get("axes", range(4))]
        if any(abs(s - r) > 1e-6 * r for s, r in zip(scales, ratios, strict=True)):
            return f"its scale {scales.tolist()} is not the ratio of its sizes"
    return None


def _require_scores(graph: Graph, value: str, kept: str | None) -> None:
    shape, element = graph.shape(value), graph.element(value)
    because = f" {kept}" if kept else ""
    if element != TensorProto.FLOAT:
        spelled = TensorProto.DataType.Name(element).lower()
        raise ExportError(
            "the network's output must be float32 class scores, or labels whose ArgMax "
            f"can be cut off, got {spelled}.{because} Return the scores."
        )
    if shape is None or len(shape) != 4 or shape[0] != 1:
        got = "a size that the graph computes" if shape is None else f"{list(shape)}"
        raise ExportError(
            f"the network's output must be class scores of shape (1, C, h, w), got "
            f"{got}.{because} Choose another with --output, or return the scores."
        )
    if shape[1] > MOST_CLASSES:
        raise ExportError(
            f"the network must tell at most {MOST_CLASSES} classes apart, got "
            f"{shape[1]}: a label is one byte."
        )

"""Labels of an ONNX file whose scores cannot be found: which tensor may hold them."""

from __future__ import annotations

from collections.abc import Mapping

import onnx
from torch import Tensor

from fuseg.errors import ExportError

from ...network.example import Tried
from ...ort_session import run_all
from ...outputs.base import places_of
from ...outputs.segmentation import Segmentation
from .network import OnnxNetwork

__all__ = ["name_scores"]

_SEARCHED = 100  # tensors before the labels that are looked at


def name_scores(tried: Tried, err: ExportError) -> None:
    """Say which tensor of a file may be the scores of labels that were refused.

    Raises:
        ExportError: There is one; what was wrong with the labels goes before.
    """
    network = tried.network.network
    if not isinstance(network, OnnxNetwork):
        return
    returned = tried.network(*tried.example.values())
    for output, place in zip(tried.outputs, places_of(tried.outputs), strict=True):
        floats = returned[place].is_floating_point()
        if floats or not isinstance(output, Segmentation):
            continue
        (key,) = tried.network.sources[place].path
        scores = _scores_behind(network, tried.example, str(key))
        if scores is not None:
            raise ExportError(
                f"{err} In {network.file.path} they may be {scores}: give --output "
                f"{output.name}=segmentation:{scores}."
            ) from err


def _scores_behind(
    network: OnnxNetwork, example: Mapping[str, Tensor], name: str
) -> str | None:
    """The nearest tensor that a tensor is made of and that is float32 (1, C, h, w)."""
    makers = {made: node for node in network.model.graph.node for made in node.output}
    found: list[str] = []
    todo = [name]
    while todo and len(found) < _SEARCHED:
        node = makers.get(todo.pop(0))
        before = [] if node is None else [n for n in node.input if n in makers]
        new = [n for n in dict.fromkeys(before) if n not in found]
        found += new
        todo += new
    if not found:
        return None
    shown = onnx.ModelProto()
    shown.CopyFrom(network.model)
    del shown.graph.output[:]
    shown.graph.output.extend(onnx.ValueInfoProto(name=n) for n in found)
    feed = dict(zip(network.inputs, (t.numpy() for t in example.values()), strict=True))
    for candidate, array in run_all(shown, feed).items():
        shape = array.shape
        if array.dtype == "float32" and len(shape) == 4 and shape[0] == 1 < shape[1]:
            return candidate
    return None

"""Which layers suffer from INT8, and how few must stay in float.

A layer's sensitivity is the share of labels that change when it alone is quantized.
The most sensitive go back to float until the network is within its budget.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

import numpy as np
import onnx

from fuseg.dataset.metrics import label_agreement

from ..frames.packing import PackedFrame
from .evaluate import Comparison, Task, evaluate, score_function
from .options import Budget

__all__ = ["MixedPrecision", "search", "sensitivity"]

Quantize = Callable[[Collection[str]], onnx.ModelProto]  # of what stays in float


@dataclass(frozen=True)
class MixedPrecision:
    """What the search found.

    Attributes:
        float_nodes: Nodes that stay in float, the most sensitive first.
        sensitivity: Share of labels that each node changes alone, largest first;
            empty if INT8 throughout is within the budget.
        all_int8: With everything quantized.
        mixed: With ``float_nodes`` in float; over the budget if nothing helped.
    """

    float_nodes: tuple[str, ...]
    sensitivity: dict[str, float]
    all_int8: Comparison
    mixed: Comparison


def sensitivity(
    network: onnx.ModelProto,
    nodes: Sequence[str],
    quantize: Quantize,
    task: Task,
    frames: Sequence[PackedFrame],
) -> dict[str, float]:
    """Share of labels that each of these nodes changes alone, largest first."""
    fp32 = score_function(network)
    expected = [task.label(fp32(frame.tensors)) for frame in frames]
    changes = {}
    for node in nodes:
        variant = score_function(quantize([n for n in nodes if n != node]))
        changes[node] = 1 - float(
            np.mean(
                [
                    label_agreement(task.label(variant(frame.tensors)), labels)
                    for frame, labels in zip(frames, expected, strict=True)
                ]
            )
        )
    return dict(sorted(changes.items(), key=lambda item: -item[1]))


def search(
    network: onnx.ModelProto,
    nodes: Sequence[str],
    quantize: Quantize,
    task: Task,
    frames: Sequence[PackedFrame],
    *,
    budget: Budget,
    progress: Callable[[str], None] = lambda _: None,
) -> MixedPrecision:
    """Keep in float what must be, and no more than a greedy search finds.

    Nodes go back in the order of their sensitivity, one, two, four and so on until
    the budget holds; then the last step is halved until fewer do not hold it.

    Args:
        network: Float32.
        nodes: Names of those that may go back to float.
        quantize: Gives the variant in which these nodes stay in float.
        frames: Of the calibration, not those that the variant is evaluated on later.
    """
    fp32 = score_function(network)

    def comparison(kept: Collection[str]) -> Comparison:
        variant = {"": score_function(quantize(kept))}
        return evaluate(frames, fp32, variant, task).comparisons[""]

    all_int8 = comparison(())
    if all_int8.over(budget) is None:
        return MixedPrecision((), {}, all_int8, all_int8)
    progress("finding the layers that INT8 hurts")
    order = sensitivity(network, nodes, quantize, task, frames)
    nodes = list(order)
    few, many, found = 0, 1, all_int8
    while True:
        many = min(many, len(nodes))
        progress(f"trying INT8 with {many} of {len(nodes)} layers in float")
        found = comparison(nodes[:many])
        if found.over(budget) is None or many == len(nodes):
            break
        few, many = many, 2 * many
    while many - few > 1 and found.over(budget) is None:
        middle = (few + many) // 2
        tried = comparison(nodes[:middle])
        if tried.over(budget) is None:
            many, found = middle, tried
        else:
            few = middle
    return MixedPrecision(tuple(nodes[:many]), order, all_int8, found)

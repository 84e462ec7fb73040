"""Which layers suffer from INT8, and how few must stay in float.

A layer's sensitivity is the share of labels that change when it alone is quantized; of
several outputs the mean of what each of their kinds takes for it.
The most sensitive go back to float until the network is within its budget.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from fuseg.manifest import State

from ..frames.packing import PackedFrame
from ..outputs.base import Task
from ..outputs.comparison import Comparison, over
from .evaluate import evaluate, network_function
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
        all_int8: The first output with everything quantized.
        mixed: It with ``float_nodes`` in float; over the budget if nothing helped.
    """

    float_nodes: tuple[str, ...]
    sensitivity: dict[str, float]
    all_int8: Comparison
    mixed: Comparison


def sensitivity(
    network: onnx.ModelProto,
    nodes: Sequence[str],
    quantize: Quantize,
    tasks: Mapping[str, Task],
    frames: Sequence[PackedFrame],
    states: Sequence[State] = (),
) -> dict[str, float]:
    """Share of labels that each of these nodes changes alone, largest first."""

    def results(model: onnx.ModelProto) -> list[list[NDArray[Any]]]:
        function = network_function(model, states)
        found = (function(frame.tensors) for frame in frames)
        return [
            [task.result(task.tensor_of(tensors)) for task in tasks.values()]
            for tensors in found
        ]

    expected, changes = results(network), {}
    for node in nodes:
        found = results(quantize([n for n in nodes if n != node]))
        equal = [
            task.agreement(wanted, got)
            for own, other in zip(expected, found, strict=True)
            for task, wanted, got in zip(tasks.values(), own, other, strict=True)
        ]
        changes[node] = 1 - float(np.mean(equal))
    return dict(sorted(changes.items(), key=lambda item: -item[1]))


def search(
    network: onnx.ModelProto,
    nodes: Sequence[str],
    quantize: Quantize,
    tasks: Mapping[str, Task],
    frames: Sequence[PackedFrame],
    *,
    budget: Budget,
    states: Sequence[State] = (),
    scored: Collection[str] | None = None,
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
        states: Of the network, which each variant hands on by itself.
        scored: See `evaluate`.
    """
    fp32, main = network_function(network, states), next(iter(tasks))

    def comparisons(kept: Collection[str]) -> dict[str, Comparison]:
        variant = {"": network_function(quantize(kept), states)}
        found = evaluate(frames, fp32, variant, tasks, scored)
        return {name: evaluation.comparisons[""] for name, evaluation in found.items()}

    all_int8 = comparisons(())
    if over(all_int8, budget) is None:
        return MixedPrecision((), {}, all_int8[main], all_int8[main])
    progress("finding the layers that INT8 hurts")
    order = sensitivity(network, nodes, quantize, tasks, frames, states)
    nodes = list(order)
    few, many, found = 0, 1, all_int8
    while True:
        many = min(many, len(nodes))
        progress(f"trying INT8 with {many} of {len(nodes)} layers in float")
        found = comparisons(nodes[:many])
        if over(found, budget) is None or many == len(nodes):
            break
        few, many = many, 2 * many
    while many - few > 1 and over(found, budget) is None:
        middle = (few + many) // 2
        tried = comparisons(nodes[:middle])
        if over(tried, budget) is None:
            many, found = middle, tried
        else:
            few = middle
    return MixedPrecision(tuple(nodes[:many]), order, all_int8[main], found[main])

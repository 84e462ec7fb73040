"""Which nodes suffer from INT8, and how few must stay in float.

A node's sensitivity is the share of labels that change when it alone is quantized.
The most sensitive go back to float until the network is within its budget.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

import numpy as np
import onnx

from fuseg.dataset.metrics import label_agreement

from ..passes.cut_tail import Tail
from .evaluate import Budget, Case, Scores, Verdict, judge, labels_of

__all__ = ["Repair", "repair", "sensitivity"]

Quantize = Callable[[Collection[str]], onnx.ModelProto]  # of what stays in float


@dataclass(frozen=True)
class Repair:
    """What was put back.

    Attributes:
        kept: Nodes that stay in float, the most sensitive first.
        sensitivity: Share of labels that each node changes alone, largest first;
            empty if nothing had to be repaired.
        naive: With everything quantized.
        repaired: With ``kept`` in float; over the budget if nothing helped.
    """

    kept: tuple[str, ...]
    sensitivity: dict[str, float]
    naive: Verdict
    repaired: Verdict


def sensitivity(
    network: onnx.ModelProto,
    nodes: Sequence[str],
    quantize: Quantize,
    run: Callable[[onnx.ModelProto], Scores],
    tail: Tail,
    cases: Sequence[Case],
) -> dict[str, float]:
    """Share of labels that each of these nodes changes alone, largest first."""
    reference = run(network)
    expected = [labels_of(reference(case.tensors), tail) for case in cases]
    changes = {}
    for node in nodes:
        variant = run(quantize([n for n in nodes if n != node]))
        changes[node] = 1 - float(
            np.mean(
                [
                    label_agreement(labels_of(variant(case.tensors), tail), labels)
                    for case, labels in zip(cases, expected, strict=True)
                ]
            )
        )
    return dict(sorted(changes.items(), key=lambda item: -item[1]))


def repair(
    network: onnx.ModelProto,
    nodes: Sequence[str],
    quantize: Quantize,
    run: Callable[[onnx.ModelProto], Scores],
    tail: Tail,
    cases: Sequence[Case],
    *,
    budget: Budget,
    classes: Sequence[str],
    ignore: int,
    progress: Callable[[str], None] = lambda _: None,
) -> Repair:
    """Keep in float what must be, and no more than greedy search finds.

    Nodes are put back in the order of their sensitivity, one, two, four and so on until
    the budget holds; then the last step is halved until fewer do not hold it.

    Args:
        nodes: Names of those that may go back to float.
        quantize: Gives the variant in which these nodes stay in float.
        run: Makes a network a function from tensors to scores.
        tail: What was cut off it.
        cases: Calibration frames, not those that the variant is judged on later.
    """
    reference = run(network)

    def verdict(kept: Collection[str]) -> Verdict:
        variant = {"": run(quantize(kept))}
        found = judge(cases, reference, variant, tail, classes=classes, ignore=ignore)
        return found.verdicts[""]

    naive = verdict(())
    if naive.over(budget) is None:
        return Repair((), {}, naive, naive)
    progress("finding the layers that INT8 hurts")
    order = sensitivity(network, nodes, quantize, run, tail, cases)
    nodes = list(order)
    few, many, found = 0, 1, naive
    while True:
        many = min(many, len(nodes))
        progress(f"trying INT8 with {many} of {len(nodes)} layers in float")
        found = verdict(nodes[:many])
        if found.over(budget) is None or many == len(nodes):
            break
        few, many = many, 2 * many
    while many - few > 1 and found.over(budget) is None:
        middle = (few + many) // 2
        tried = verdict(nodes[:middle])
        if tried.over(budget) is None:
            many, found = middle, tried
        else:
            few = middle
    return Repair(tuple(nodes[:many]), order, naive, found)

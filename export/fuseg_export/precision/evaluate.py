"""Variants beside the float32 network, on the same frames, output by output."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from fuseg.errors import ArgumentError
from fuseg.manifest import State

from ..frames.packing import PackedFrame, Tensors
from ..ort_session import open_cpu_session
from ..outputs.base import Task
from ..outputs.comparison import Evaluation
from ..recurrent import Recurrent, restart

__all__ = ["NetworkFunction", "evaluate", "network_function", "with_states"]

NetworkFunction = Callable[
    [Tensors], Mapping[str, NDArray[Any]]
]  # by the graph's names


def network_function(
    model: onnx.ModelProto, states: Sequence[State] = ()
) -> NetworkFunction:
    """A network as a function, run by ONNX Runtime; it hands its states on.

    What it is given is among its results, as it is: it may be all that is left of a
    text, see `TextsApart`.
    """
    session = open_cpu_session(model)
    reads = {value.name for value in model.graph.input}
    names = [value.name for value in model.graph.output]

    def function(tensors: Tensors) -> dict[str, NDArray[Any]]:
        found = session.run(None, {n: a for n, a in tensors.items() if n in reads})
        return {**tensors, **dict(zip(names, map(np.asarray, found), strict=True))}

    return with_states(function, model, states)


def with_states(
    function: NetworkFunction, model: onnx.ModelProto, states: Sequence[State]
) -> NetworkFunction:
    """A function of a graph's inputs and states as one of its inputs alone."""
    shapes = {
        value.name: [d.dim_value for d in value.type.tensor_type.shape.dim]
        for value in model.graph.input
    }
    return Recurrent(function, states, shapes, lambda a: a) if states else function


def evaluate(
    frames: Iterable[PackedFrame],
    fp32: NetworkFunction,
    variants: Mapping[str, NetworkFunction],
    tasks: Mapping[str, Task],
    scored: Collection[str] | None = None,
) -> dict[str, Evaluation]:
    """Run all variants on all frames; one frame is in memory at a time.

    Args:
        frames: Of a network with states, one sequence; each variant has its own.
        fp32: The float32 network.
        variants: By name; may be empty.
        tasks: By output name.
        scored: Those that the frames' truth is of; None: the first.

    Returns:
        By output name.

    Raises:
        ArgumentError: There is no frame.
    """
    tallies = {name: task.tally(variants) for name, task in tasks.items()}
    scored, count = [*tasks][:1] if scored is None else scored, 0
    restart(fp32, *variants.values())
    for frame in frames:
        count += 1
        own = fp32(frame.tensors)
        found = {name: variant(frame.tensors) for name, variant in variants.items()}
        for name, task in tasks.items():
            others = {v: task.tensor_of(given) for v, given in found.items()}
            truth = frame.truth if name in scored else None
            tallies[name].add(truth, task.tensor_of(own), others)
    if not count:
        raise ArgumentError("variants must be evaluated on at least one frame, got 0.")
    return {name: tally.done() for name, tally in tallies.items()}

"""Which layers suffer from INT8, and how few must stay in float.

A layer's sensitivity is the share of labels that change when it alone is quantized; of
several outputs the mean of what each of their kinds takes for it.
The most sensitive go back to float until the network is within its budget, or is no
faster than without INT8.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
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

__all__ = ["Judge", "MixedPrecision", "Placement", "search", "sensitivity"]

_FINE = 8  # the search ends when it knows the number of layers to an eighth


@dataclass(frozen=True)
class Placement:
    """A float32 network that may be quantized layer by layer.

    Attributes:
        network: Float32.
        nodes: Names of those that may stay in float.
        quantized: It with these nodes in float.
        alone: It with this node alone quantized.
    """

    network: onnx.ModelProto
    nodes: Sequence[str]
    quantized: Callable[[Collection[str]], onnx.ModelProto]
    alone: Callable[[str], onnx.ModelProto]


@dataclass(frozen=True)
class Judge:
    """What decides about a quantized network.

    Attributes:
        tasks: By output name.
        frames: All of the calibration, gone through again for each attempt.
        few: Those of them that layers are ranked on.
        budget: What may be lost on them.
        states: Of the network, which each variant hands on by itself.
        scored: See `evaluate`.
        proves: Whether a network is good enough by the truth of other frames; None
            where these have truth themselves, or none has.
        speed: What a network with these nodes in float takes of the fastest one's time
            that has no INT8; None where it cannot be measured.
        slowest: More than this is too slow.
    """

    tasks: Mapping[str, Task]
    frames: Iterable[PackedFrame]
    few: Sequence[PackedFrame]
    budget: Budget
    states: Sequence[State] = ()
    scored: Collection[str] | None = None
    proves: Callable[[onnx.ModelProto], bool] | None = None
    speed: Callable[[Collection[str]], float] | None = None
    slowest: float = 1.0


@dataclass(frozen=True)
class MixedPrecision:
    """What the search found.

    Attributes:
        float_nodes: Nodes that stay in float, the most sensitive first.
        sensitivity: Share of labels that each node changes alone, largest first;
            empty if INT8 throughout is within the budget.
        all_int8: The first output with everything quantized.
        mixed: It with ``float_nodes`` in float.
        stopped: Why these are the nodes though the network is over its budget with
            them; None if it is within it.
    """

    float_nodes: tuple[str, ...]
    sensitivity: dict[str, float]
    all_int8: Comparison
    mixed: Comparison
    stopped: str | None = None


def sensitivity(
    placement: Placement,
    tasks: Mapping[str, Task],
    frames: Sequence[PackedFrame],
    states: Sequence[State] = (),
) -> dict[str, float]:
    """Share of labels that each node changes alone, largest first."""

    def results(model: onnx.ModelProto) -> list[list[NDArray[Any]]]:
        function = network_function(model, states)
        found = (function(frame.tensors) for frame in frames)
        return [
            [task.result(task.tensor_of(tensors)) for task in tasks.values()]
            for tensors in found
        ]

    expected, changes = results(placement.network), {}
    for node in placement.nodes:
        found = results(placement.alone(node))
        equal = [
            task.agreement(wanted, got)
            for own, other in zip(expected, found, strict=True)
            for task, wanted, got in zip(tasks.values(), own, other, strict=True)
        ]
        changes[node] = 1 - float(np.mean(equal))
    return dict(sorted(changes.items(), key=lambda item: -item[1]))


def search(
    placement: Placement,
    judge: Judge,
    progress: Callable[[str], None] = lambda _: None,
) -> MixedPrecision:
    """Keep in float what must be, and no more than a greedy search finds.

    Nodes go back in the order of their sensitivity, one, two, four and so on until
    the budget holds with some reserve; then the last step is halved until fewer do not
    hold it. What is too slow by then gives way to fewer nodes in float that are within
    the budget without reserve, or else to the most that are fast enough.
    """
    search = _Search(placement, judge)
    all_int8 = search.tried(0)
    if all_int8.has_reserve or search.is_proven():
        return search.result(all_int8)
    if not search.float_is_equal():
        return search.result(
            all_int8, "with every layer in float it would be over its budget, too"
        )
    progress("finding the layers that INT8 hurts")
    search.rank()
    few, many, count = 0, 1, len(placement.nodes)
    while True:
        many = min(many, count)
        progress(f"trying INT8 with {many} of {count} layers in float")
        found = search.tried(many)
        if found.has_reserve or many == count or search.is_slow(found):
            break
        few, many = many, 2 * many
    wanted = "has_reserve" if found.has_reserve else "is_within"
    while getattr(found, wanted) and many - few > max(1, many // _FINE):
        middle = (few + many) // 2
        progress(f"trying INT8 with {middle} of {count} layers in float")
        if getattr(search.tried(middle), wanted):
            many = middle
        else:
            few = middle
    return search.best()


@dataclass(frozen=True)
class _Attempt:
    """The network with the first ``count`` nodes in float."""

    count: int
    compared: Mapping[str, Comparison]
    is_within: bool
    has_reserve: bool

    @property
    def main(self) -> Comparison:
        return next(iter(self.compared.values()))


class _Search:
    def __init__(self, placement: Placement, judge: Judge) -> None:
        self._placement, self._judge = placement, judge
        self._fp32 = network_function(placement.network, judge.states)
        self._order, self._sensitivity = list(placement.nodes), dict[str, float]()
        self._attempts: dict[int, _Attempt] = {}
        self._speeds: dict[int, float] = {}

    def tried(self, count: int) -> _Attempt:
        if count not in self._attempts:
            budget = self._judge.budget
            found = self._compared(self._order[:count], self._judge.frames)
            self._attempts[count] = _Attempt(
                count,
                found,
                is_within=over(found, budget) is None,
                has_reserve=over(found, budget.with_reserve()) is None,
            )
        return self._attempts[count]

    def is_proven(self) -> bool:
        """Whether everything may be quantized whatever the labels say."""
        proves = self._judge.proves
        return proves is not None and proves(self._placement.quantized(()))

    def float_is_equal(self) -> bool:
        """Whether the budget holds if nothing at all is quantized."""
        found = self._compared(self._order, self._judge.few)
        return over(found, self._judge.budget) is None

    def rank(self) -> None:
        judge = self._judge
        self._sensitivity = sensitivity(
            self._placement, judge.tasks, judge.few, judge.states
        )
        self._order = list(self._sensitivity)

    def is_slow(self, attempt: _Attempt) -> bool:
        """Whether the nodes in float are what makes it too slow."""
        if self._judge.speed is None or self._speed(0) > self._judge.slowest:
            return False
        return self._speed(attempt.count) > self._judge.slowest

    def best(self) -> MixedPrecision:
        """The fewest nodes in float that will do."""
        attempts = [self._attempts[count] for count in sorted(self._attempts)]
        usable = [
            attempt
            for attempt in attempts
            if attempt.count < len(self._order) and not self.is_slow(attempt)
        ]
        for good in (
            [attempt for attempt in usable if attempt.has_reserve],
            [attempt for attempt in usable if attempt.is_within],
        ):
            if good:
                return self.result(good[0])
        more = [a for a in attempts if a.count > usable[-1].count]
        after = next((a for a in more if a.is_within), more[-1])
        return self.result(usable[-1], self._why_not(after))

    def result(self, attempt: _Attempt, stopped: str | None = None) -> MixedPrecision:
        return MixedPrecision(
            tuple(self._order[: attempt.count]),
            self._sensitivity,
            self._attempts[0].main,
            attempt.main,
            stopped,
        )

    def _why_not(self, attempt: _Attempt) -> str:
        """Why this attempt was not taken, which has more in float than what was."""
        count = len(self._order)
        if attempt.count == count:
            return f"with all {count} layers in float nothing of it would be INT8"
        found = "is within its budget but"
        if not attempt.is_within:
            found = "is over it still and"
        return (
            f"with {attempt.count} of {count} layers in float it {found} takes "
            f"{self._speed(attempt.count):.2f} of the time without INT8"
        )

    def _speed(self, count: int) -> float:
        assert self._judge.speed is not None, "it is asked for where there is one"
        if count not in self._speeds:
            self._speeds[count] = self._judge.speed(self._order[:count])
        return self._speeds[count]

    def _compared(
        self, kept: Collection[str], frames: Iterable[PackedFrame]
    ) -> dict[str, Comparison]:
        judge = self._judge
        function = network_function(self._placement.quantized(kept), judge.states)
        found = evaluate(frames, self._fp32, {"": function}, judge.tasks, judge.scored)
        return {name: evaluation.comparisons[""] for name, evaluation in found.items()}

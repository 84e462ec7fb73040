"""Networks that hand states on from one frame to the next, run along sequences.

A state carries a variant's errors on, so that frames judged one by one show little: an
INT8 network whose state was calibrated wrongly is right at the first frame, and wrong
ten frames later. Whoever is judged carries its own states.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from fuseg.manifest import State

from .frames.frame_set import SEQUENCE
from .outputs.plain import Plain
from .outputs.tensor import share_of_norm

__all__ = [
    "SEQUENCE",
    "NextState",
    "Recurrent",
    "along_sequences",
    "restart",
    "sequence_length",
]

_STARTS = 3  # of the sequences of a calibration

Tensors = Mapping[str, NDArray[Any]]
Found = TypeVar("Found")


class Recurrent(Generic[Found]):
    """A network as a function of its inputs, which hands its states on by itself.

    Args:
        function: Of its inputs and states; gives the states' next values, too.
        states: The manifest's.
        shapes: Of the states, by tensor.
        value: The array in what the function gives for a name.

    Attributes:
        now: The states, by tensor.
    """

    def __init__(
        self,
        function: Callable[[Tensors], Mapping[str, Found]],
        states: Sequence[State],
        shapes: Mapping[str, Sequence[int]],
        value: Callable[[Found], NDArray[Any]],
    ) -> None:
        self._function, self._states, self._value = function, states, value
        self._shapes = shapes
        self.restart()

    def restart(self) -> None:
        """Start the states anew."""
        self.now = {
            s.tensor: np.full(self._shapes[s.tensor], s.initial, np.float32)
            for s in self._states
        }

    def __call__(self, tensors: Tensors) -> Mapping[str, Found]:
        found = self._function({**tensors, **self.now})
        self.now = {s.tensor: self._value(found[s.next]) for s in self._states}
        return found


def restart(*functions: object) -> None:
    """Start the states of those functions anew that have any."""
    for function in functions:
        if isinstance(function, Recurrent):
            function.restart()


def sequence_length(frames: int) -> int:
    """Into how long sequences frames to calibrate on are cut, each from the start."""
    return max(SEQUENCE, math.ceil(frames / _STARTS))


def along_sequences(
    frames: Iterable[Tensors], length: int, fp32: Recurrent[Any]
) -> Iterator[dict[str, NDArray[Any]]]:
    """Frames with the states that the float32 network has when they come."""
    for number, tensors in enumerate(frames):
        if number % length == 0:
            fp32.restart()
        yield {**tensors, **fp32.now}
        fp32(tensors)


class NextState(Plain):
    """A state's next value, compared like an output; its record is the state's.

    Between variants it must be finite only: what its errors do is seen in the outputs.
    """

    EQUAL = "norm of its values is the same"
    LEAST_BETWEEN_STAGES = 0.9995
    LEAST = -1.0  # never reached, by half of what is left to 1 either

    @property
    def name(self) -> str:
        return str(self.record.next)

    @property
    def tensor(self) -> str:
        return str(self.record.next)

    def cut(self, model: Any, index: int) -> tuple[Any, NextState]:  # noqa: ARG002
        return model, self

    def result(self, tensor: NDArray[Any]) -> NDArray[Any]:
        return tensor

    def agreement(self, expected: NDArray[Any], found: NDArray[Any]) -> float:
        return share_of_norm(expected, found)

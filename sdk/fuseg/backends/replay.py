"""Plays recorded outputs: for testing what embeds a Segmenter, without a library."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import ArgumentError, DTypeError, ShapeError
from .base import Arrays


class ReplayBackend:
    """A backend that answers with what it was given.

    Args:
        recorded: The network's output of each run: by name the tensors that the
            manifest's outputs are made of, of its types and shapes; of a bundle with
            one, the array alone will do. Played in order, and from the start again
            after the last one.

    Attributes:
        fed: What each run was fed, ``{tensor name: copy}``, in order. It grows with
            every run.

    Raises:
        ArgumentError: ``recorded`` is empty.

    Example:
        >>> logits = np.zeros((1, 9, 60, 80), np.float32)
        >>> ReplayBackend([logits]).name
        'replay'
    """

    name = "replay"

    def __init__(self, recorded: Sequence[NDArray[Any] | Arrays]) -> None:
        if len(recorded) == 0:
            raise ArgumentError("recorded must hold at least one output, got none.")
        self._recorded = list(recorded)
        self.inputs: dict[str, NDArray[Any]] = {}
        self.outputs: dict[str, NDArray[Any]] = {}
        self.fed: list[dict[str, NDArray[Any]]] = []

    def bind(self, inputs: Arrays, outputs: Arrays) -> None:
        """See `Backend.bind`.

        Raises:
            ArgumentError: it is bound already, or an output was not recorded.
            ShapeError, DTypeError: an output is not the manifest's.
        """
        if self.inputs:
            raise ArgumentError(
                "backend must not be in use by another Segmenter: call that one's "
                "clone(), or make another ReplayBackend."
            )
        played = [self._arrays_of(given, outputs) for given in self._recorded]
        for i, (given, arrays) in enumerate(zip(self._recorded, played, strict=True)):
            for name, array in arrays.items():
                what = f"recorded[{i}]"
                what += f"[{name!r}]" if isinstance(given, Mapping) else ""
                if array.dtype != outputs[name].dtype:
                    raise DTypeError(
                        f"{what} must be {outputs[name].dtype}, got {array.dtype}."
                    )
                if array.shape != outputs[name].shape:
                    raise ShapeError(
                        f"{what} must have shape {outputs[name].shape}, got "
                        f"{array.shape}."
                    )
        self.inputs, self.outputs = dict(inputs), dict(outputs)
        self._played = played

    def run(self) -> None:
        """See `Backend.run`; but it keeps a copy of the inputs in ``fed``."""
        arrays = self._played[len(self.fed) % len(self._played)]
        for name, output in self.outputs.items():
            np.copyto(output, arrays[name])
        self.fed.append({name: array.copy() for name, array in self.inputs.items()})

    def clone(self) -> ReplayBackend:
        """See `Backend.clone`; it starts from the first recorded output."""
        return ReplayBackend(self._recorded)

    @staticmethod
    def _arrays_of(given: NDArray[Any] | Arrays, outputs: Arrays) -> Arrays:
        if not isinstance(given, Mapping):
            return dict.fromkeys(outputs, given)
        if given.keys() != outputs.keys():
            raise ArgumentError(
                f"recorded must hold the tensors {', '.join(outputs)}, got "
                f"{', '.join(given) or 'none'}."
            )
        return given

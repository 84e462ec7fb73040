"""Plays recorded outputs: for testing what embeds a Segmenter, without a library."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import ArgumentError, DTypeError, ShapeError
from .base import Arrays, shapes_of


class ReplayBackend:
    """A backend that answers with what it was given.

    Args:
        recorded: The network's output of each run: float32, of the shape that the
            manifest gives for its output tensor. Played in order, and from the start
            again after the last one.

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

    def __init__(self, recorded: Sequence[NDArray[Any]]) -> None:
        if len(recorded) == 0:
            raise ArgumentError("recorded must hold at least one output, got none.")
        self._recorded = list(recorded)
        self.inputs: dict[str, NDArray[Any]] = {}
        self.outputs: dict[str, NDArray[Any]] = {}
        self.fed: list[dict[str, NDArray[Any]]] = []

    def bind(self, inputs: Arrays, outputs: Arrays) -> None:
        """See `Backend.bind`.

        Raises:
            ArgumentError: it is bound already.
            ShapeError, DTypeError: an output is not the manifest's.
        """
        if self.inputs:
            raise ArgumentError(
                "backend must not be in use by another Segmenter: call that one's "
                "clone(), or make another ReplayBackend."
            )
        for shape in shapes_of(outputs).values():
            for i, scores in enumerate(self._recorded):
                if scores.dtype != np.float32:
                    raise DTypeError(
                        f"recorded[{i}] must be float32, got {scores.dtype}."
                    )
                if scores.shape != shape:
                    raise ShapeError(
                        f"recorded[{i}] must have shape {shape}, got {scores.shape}."
                    )
        self.inputs, self.outputs = dict(inputs), dict(outputs)

    def run(self) -> None:
        """See `Backend.run`; but it keeps a copy of the inputs in ``fed``."""
        scores = self._recorded[len(self.fed) % len(self._recorded)]
        for output in self.outputs.values():
            np.copyto(output, scores)
        self.fed.append({name: array.copy() for name, array in self.inputs.items()})

    def clone(self) -> ReplayBackend:
        """See `Backend.clone`; it starts from the first recorded output."""
        return ReplayBackend(self._recorded)

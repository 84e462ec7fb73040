"""The graphs of a bundle on NumPy arrays."""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..manifest import Manifest
from .base import Arrays, Backend, Shapes
from .program import Program

__all__ = ["ProgramBackend", "StateValue"]


class StateValue(NamedTuple):
    """A state between two frames.

    Attributes:
        now: What graphs read.
        next: What takes its place when the next frame of its clock begins; None if no
            frame was finished.
    """

    now: NDArray[np.float32]
    next: NDArray[np.float32] | None


class ProgramBackend:
    """See `Backend`: the graphs of a bundle, each on a CPU backend of its own.

    What crosses between two graphs is one array that both are bound to.

    Args:
        manifest: The bundle's.
        backends: By graph; none is bound yet.

    Attributes:
        ran: How often each graph ran for a frame, in the manifest's order.
        spent_ns: The time that took, likewise.
    """

    def __init__(self, manifest: Manifest, backends: Mapping[str, Backend]) -> None:
        self._manifest, self._backends = manifest, dict(backends)
        self._in_order = [self._backends[graph.name] for graph in manifest.graphs]
        self.name = self._in_order[0].name
        self.survives_fork = all(
            getattr(backend, "survives_fork", True) for backend in self._in_order
        )
        self.inputs: dict[str, NDArray[Any]] = {}
        self.outputs: dict[str, NDArray[Any]] = {}
        self.ran = [0] * len(manifest.graphs)
        self.spent_ns = [0] * len(manifest.graphs)
        self._arrays: dict[str, NDArray[Any]] = {}
        self._unsettled: set[str] = (
            set()
        )  # tensors that graphs may not have as they are
        self._program = Program(manifest.graphs, manifest.states)

    def bind(self, inputs: Arrays, outputs: Arrays) -> None:
        """See `Backend.bind`.

        Bound again, with other arrays for some tensors, it goes on: states are kept,
        and graphs run again that those arrays are for.
        """
        self.settle()
        arrays = self._arrays_for({**inputs, **outputs})
        before = self._arrays
        changed = {name for name in arrays if arrays[name] is not before.get(name)}
        # A backend that is bound runs once, and writes what it can.
        kept = [(array, array.copy()) for array in self._next_values()]
        self._unsettled = changed
        try:
            self._bind_graphs(arrays, changed)
        except BaseException:
            if before:
                self._bind_graphs(before, changed)
            _restore(kept)
            self._unsettled = set()
            raise
        _restore(kept)
        self.inputs, self.outputs = dict(inputs), dict(outputs)
        self._arrays = arrays
        self._program.renew(changed)
        self._unsettled = set()
        if not before:
            for index in range(len(self._manifest.states)):
                self._reset(index)

    def settle(self) -> None:
        """Bind again what an exception left half bound; a step before it is undone."""
        if self._unsettled and self._arrays:
            self._bind_graphs(self._arrays, self._unsettled)
            self.inputs = {name: self._arrays[name] for name in self.inputs}
            self.outputs = {name: self._arrays[name] for name in self.outputs}
            self._program.undo()
            self._program.renew(self._unsettled)
        self._unsettled = set()

    def resize(self, sizes: Shapes) -> None:
        """Bind again, with these sizes of some inputs and what follows from them.

        Raises:
            BackendError, BundleError: A graph refuses the size; the ones before are in
                force again.
        """
        new = {
            name: np.zeros(size, self.inputs[name].dtype)
            for name, size in sizes.items()
            if self.inputs[name].shape != tuple(size)
        }
        arrays = self._arrays_for({**self.inputs, **new})
        self.bind(
            {name: arrays[name] for name in self.inputs},
            {name: arrays[name] for name in self.outputs},
        )

    def renew(self, names: Collection[str]) -> None:
        """Say that inputs hold something new that is no frame: no state moves on."""
        self._program.renew(names)

    def run(self) -> None:
        """See `Backend.run`: with a new frame of every input."""
        self.step(self.inputs, ())

    def step(self, fresh: Collection[str], gone: Collection[str]) -> None:
        """Run what has something new to read; see `Program.put`.

        Raises:
            BackendError: A graph failed.
        """
        self._program.put(fresh, gone)
        self._program.step(self._run, self._advance, self._reset)

    def undo(self) -> None:
        """See `Program.undo`."""
        self._program.undo()

    def states(self) -> list[StateValue]:
        """Copies of the manifest's states."""
        return [
            StateValue(
                self._arrays[state.tensor].copy(),
                self._arrays[state.next].copy() if done else None,
            )
            for state, done in zip(
                self._manifest.states, self._program.done, strict=True
            )
        ]

    def load_states(self, values: Sequence[StateValue]) -> None:
        """Go on from these; nothing has run yet."""
        for state, value in zip(self._manifest.states, values, strict=True):
            np.copyto(self._arrays[state.tensor], value.now)
            if value.next is not None:
                np.copyto(self._arrays[state.next], value.next)
        self._program.resume([value.next is not None for value in values])

    def reset_state(self, index: int) -> None:
        """Start a state of the manifest anew."""
        self._program.reset(index, self._reset)

    def clone(self) -> ProgramBackend:
        """See `Backend.clone`; its states are at their start."""
        twins = {name: backend.clone() for name, backend in self._backends.items()}
        return ProgramBackend(self._manifest, twins)

    def _arrays_for(self, given: Arrays) -> dict[str, NDArray[Any]]:
        """An array for each tensor, the one that it has if its size is the same."""
        tensors = self._manifest.tensors
        sizes = {
            side: size
            for name, array in given.items()
            for side, size in zip(tensors[name].shape, array.shape, strict=False)
            if isinstance(side, str)
        }
        arrays: dict[str, NDArray[Any]] = {}
        for name, tensor in tensors.items():
            shape, found = tensor.sized(sizes), self._arrays.get(name)
            if name in given:
                arrays[name] = given[name]
            elif found is not None and found.shape == shape:
                arrays[name] = found
            else:
                arrays[name] = np.zeros(shape, tensor.dtype)
        for state in self._manifest.states:
            arrays[state.next] = self._arrays.get(
                state.next, np.zeros_like(arrays[state.tensor])
            )
        return arrays

    def _next_values(self) -> list[NDArray[Any]]:
        names = [state.next for state in self._manifest.states]
        return [self._arrays[name] for name in names if name in self._arrays]

    def _bind_graphs(self, arrays: Arrays, changed: Collection[str]) -> None:
        """Bind those that read or write changed tensors."""
        for graph in self._manifest.graphs:
            if not {*graph.reads, *graph.writes}.isdisjoint(changed):
                self._backends[graph.name].bind(
                    {name: arrays[name] for name in graph.reads},
                    {name: arrays[name] for name in graph.writes},
                )

    def _run(self, index: int) -> None:
        began = time.perf_counter_ns()
        self._in_order[index].run()
        self.spent_ns[index] += time.perf_counter_ns() - began
        self.ran[index] += 1

    def _advance(self, index: int) -> None:
        state = self._manifest.states[index]
        np.copyto(self._arrays[state.tensor], self._arrays[state.next])

    def _reset(self, index: int) -> None:
        state = self._manifest.states[index]
        self._arrays[state.tensor].fill(state.initial)


def _restore(kept: Sequence[tuple[NDArray[Any], NDArray[Any]]]) -> None:
    for array, value in kept:
        np.copyto(array, value)

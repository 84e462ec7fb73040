"""A bundle of several graphs on a GPU, all on one stream.

What a frame does is decided before any of it is put on the stream, since a frame that
was captured runs as one CUDA graph and calls nothing here. So it is planned on a copy
of the bookkeeping, which takes the place of the old one once the work was taken.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import numpy as np

from ..cuda.buffers import Buffers
from ..manifest import Manifest
from ..manifest.graphs import shared_tensors
from .base import GpuBackend, Shapes
from .program import Program
from .tensors import GpuTensor, Shared, resize

__all__ = ["GpuProgramBackend"]

_RUN, _ADVANCE, _RESET = "run", "advance", "reset"
Work = tuple[tuple[str, int], ...]


class _Stopped(Exception):
    """The bookkeeping has come to where the work was refused."""


class GpuProgramBackend:
    """See `GpuBackend`: the graphs of a bundle, each on a GPU backend of its own.

    A tensor that several graphs use is one buffer of plain planes, and the graphs
    share the memory that they work in: on one stream no two of them run at a time.

    Args:
        manifest: The bundle's.
        backends: By graph; none is bound yet.

    Attributes:
        ran: How often each graph ran for a frame, in the manifest's order.
        tensors: After `bind`: those that several graphs use, and states.
    """

    slots = 1  # a frame begins with what the last one left

    def __init__(self, manifest: Manifest, backends: Mapping[str, GpuBackend]) -> None:
        self._manifest, self._backends = manifest, dict(backends)
        self._in_order = [self._backends[graph.name] for graph in manifest.graphs]
        self.name, self.device = self._in_order[0].name, self._in_order[0].device
        self.capturable = False  # known after `bind`
        self.inputs: dict[str, GpuTensor] = {}
        self.outputs: dict[str, GpuTensor] = {}
        self.tensors: dict[str, GpuTensor] = {}
        self.ran = [0] * len(manifest.graphs)
        self._initial: list[int] = []  # by state: where its initial value lies
        self._program = self._planned = Program(manifest.graphs, manifest.states)
        self._resets: set[int] = set()  # states to start anew before the next frame
        self._work: Work = ()
        # How much of the work is on the stream; None before any of it was given to it.
        self._taken: int | None = None
        self.restart()

    def bind(
        self,
        inputs: Shapes,
        outputs: Shapes,
        buffers: Buffers,
        stream: int,
        shared: Shared | None = None,
    ) -> None:
        """See `GpuBackend.bind`."""
        manifest, self._stream = self._manifest, stream
        sizes = manifest.shapes("max")
        sizes |= {state.next: sizes[state.tensor] for state in manifest.states}
        dtypes = {name: tensor.dtype for name, tensor in manifest.tensors.items()}
        own = shared or Shared()
        self.tensors = known = own.tensors
        for name in sorted(shared_tensors(manifest.graphs, manifest.states)):
            if name not in known:
                known[name] = _tensor(sizes[name], dtypes.get(name, "float32"), buffers)
        self._initial = [
            buffers.copy_of(np.full(place.shape, state.initial, place.dtype), stream)
            for state in manifest.states
            for place in (known[state.tensor],)
        ]
        found: dict[str, GpuTensor] = {}
        for graph, backend in zip(manifest.graphs, self._in_order, strict=True):
            read, written = (
                {name: sizes[name] for name in names}
                for names in (graph.reads, graph.writes)
            )
            backend.bind(read, written, buffers, stream, own)
            found |= backend.inputs | backend.outputs
        self.inputs = {name: found[name] for name in inputs}
        self.outputs = {name: found[name] for name in outputs}
        if shared is None:
            own.give_scratch(buffers)
        self.capturable = all(backend.capturable for backend in self._in_order)

    def resize(self, shapes: Shapes) -> None:
        """See `GpuBackend.resize`; `renew` says which tensors hold something new."""
        for graph, backend in zip(self._manifest.graphs, self._in_order, strict=True):
            own = {n: shapes[n] for n in (*graph.reads, *graph.writes) if n in shapes}
            if own:
                backend.resize(own)
        for tensors in (self.inputs, self.outputs, self.tensors):
            resize(tensors, shapes)

    def renew(self, names: Collection[str]) -> None:
        """See `ProgramBackend.renew`: of what is put on the stream before the work."""
        self._program.renew(names)

    def plan(self, fresh: Collection[str], gone: Collection[str]) -> Work:
        """Decide what `enqueue` does next; see `Program.put`.

        Followed by `commit` or `fail`.

        Returns:
            The work: frames of equal work may run as the same CUDA graph.
        """
        work = [(_RESET, index) for index in sorted(self._resets)]
        self._program.put(fresh, gone)
        self._planned = self._program.copy()
        self._planned.step(
            lambda index: work.append((_RUN, index)),
            lambda index: work.append((_ADVANCE, index)),
            lambda index: work.append((_RESET, index)),
        )
        self._work, self._taken = tuple(work), None
        return self._work

    def enqueue(self) -> None:
        """See `GpuBackend.enqueue`: what was planned."""
        self._taken = 0
        for number, (what, index) in enumerate(self._work, 1):
            if what == _RUN:
                self._in_order[index].enqueue()
            else:
                self._write_state(index, initial=what == _RESET)
            self._taken = number

    def commit(self) -> None:
        """The work that was planned is on the stream."""
        self._program = self._planned
        self._resets.clear()
        self._count(self._work)

    def fail(self) -> None:
        """The work was refused, all of it or from somewhere on.

        States stay at the frame before: the frame may be given again.
        """
        if self._taken is None:
            return
        left = self._taken - len(self._resets)

        def take(_: int) -> None:
            nonlocal left
            left -= 1
            if left < 0:
                raise _Stopped

        try:
            self._program.step(take, take, take)
            self._program.undo()
        except _Stopped:
            pass
        self._count(self._work[: self._taken])

    def undo(self) -> None:
        """See `Program.undo`: of the step that was committed last."""
        self._program.undo()

    def restart(self) -> None:
        """Nothing is known of what is on the GPU: all runs, all states start anew."""
        self._program = Program(self._manifest.graphs, self._manifest.states)
        self._resets = {*range(len(self._manifest.states))}
        self._work, self._taken = (), None

    def reset_state(self, index: int) -> None:
        """Start a state of the manifest anew, before the next frame."""
        self._program.reset(index, self._resets.add)

    @property
    def anew(self) -> frozenset[int]:
        """The states that start anew with the next frame, whatever lies there."""
        return frozenset(self._resets)

    @property
    def done(self) -> tuple[bool, ...]:
        """See `Program.done`."""
        return self._program.done

    def resume(self, done: Sequence[bool]) -> None:
        """See `Program.resume`."""
        self._resets.clear()
        self._program.resume(done)

    def rehearse(self) -> None:
        """Put every graph on the stream once, stand-ins too; then none has run."""
        for index in range(len(self._manifest.states)):
            self._write_state(index, initial=True)
        for backend in self._in_order:
            backend.enqueue()
        self.ran = [0] * len(self.ran)
        self.restart()

    def clone(self) -> GpuProgramBackend:
        """See `GpuBackend.clone`; its states are at their start."""
        twins = {name: backend.clone() for name, backend in self._backends.items()}
        return GpuProgramBackend(self._manifest, twins)

    def _write_state(self, index: int, *, initial: bool) -> None:
        state = self._manifest.states[index]
        to = self.tensors[state.tensor]
        source = self._initial[index] if initial else self.tensors[state.next].address
        self.device.copy(to.address, source, to.nbytes, self._stream)

    def _count(self, work: Work) -> None:
        for what, index in work:
            self.ran[index] += what == _RUN


def _tensor(shape: tuple[int, ...], dtype: str, buffers: Buffers) -> GpuTensor:
    placeless = GpuTensor(0, shape, np.dtype(dtype))
    return placeless._replace(address=buffers.memory(placeless.nbytes))

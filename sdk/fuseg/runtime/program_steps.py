"""What a frame set means to a bundle of several graphs: new tensors, states, resets."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from ..backends.program_cpu import ProgramBackend, StateValue
from ..backends.program_gpu import GpuProgramBackend
from ..backends.tensors import GpuTensor, decode, encode
from ..manifest import Manifest
from .preprocess import FramePlan

_NS_PER_MS = 1e6


@dataclass(frozen=True)
class ProgramState:
    """What a program remembers, on whatever backend.

    Attributes:
        states: In the manifest's order.
        stepped: By tensor the stamp of its last frame.
        camera: The size of the last frame's camera.
    """

    states: Sequence[StateValue]
    stepped: dict[str, float]
    camera: tuple[int, int] | None


class ProgramSteps:
    """One frame set after another, for a program.

    Args:
        backend: Bound; its input tensors hold what the plans say.
    """

    def __init__(
        self, backend: ProgramBackend | GpuProgramBackend, manifest: Manifest
    ) -> None:
        self._backend, self._states = backend, manifest.states
        self._tensors = {entry.name: entry.tensor for entry in manifest.sensors}
        self.forget()

    def forget(self) -> None:
        """Go on as if there had been no frame."""
        self._substituted: set[str] = set()  # inputs whose planes hold their fill
        # By tensor the stamp of its last frame; and of the frame before.
        self._stepped: dict[str, float] = {}
        self._before: dict[str, float] = {}
        self._camera: tuple[int, int] | None = None

    def begin(self, plan: FramePlan) -> set[str]:
        """The tensors that are new; states that do not go on here start anew."""
        fresh, stamps = set(), dict(self._stepped)
        for name, decision in plan.decisions.items():
            tensor = self._tensors[name]
            if decision.state == "fresh":
                fresh.add(tensor)
                stamps[tensor] = plan.stamp_ns - (decision.age_ms or 0) * _NS_PER_MS
            elif decision.state == "substituted" and name not in self._substituted:
                fresh.add(tensor)
        for index, state in enumerate(self._states):
            if self._is_broken(state.steps_with, state.max_gap_ms, stamps, plan):
                self._backend.reset_state(index)
        # Until the end is known, planes that were substituted may hold a frame that a
        # graph has read.
        self._substituted = set()
        self._before, self._stepped = self._stepped, stamps
        return fresh

    def end(self, plan: FramePlan) -> None:
        """All that was new has been read."""
        self._camera = plan.sync_state.camera
        self._substituted = {
            name for name, d in plan.decisions.items() if d.state == "substituted"
        }

    def undo(self) -> None:
        """The frame that ended last has no result: it may be given again."""
        self._backend.undo()
        self.fail()

    def fail(self) -> None:
        """The frame that began last did not come to its end."""
        self._stepped = self._before

    def reset(self) -> None:
        """Start every state anew."""
        for index in range(len(self._states)):
            self._backend.reset_state(index)

    def remembered(self, states: Sequence[StateValue]) -> ProgramState:
        """What another one needs to go on from here."""
        return ProgramState(states, dict(self._stepped), self._camera)

    def resume(self, state: ProgramState) -> None:
        """Go on from another's last frame."""
        self._stepped, self._camera = dict(state.stepped), state.camera

    def _is_broken(
        self,
        clock: str,
        max_gap_ms: float | None,
        stamps: dict[str, float],
        plan: FramePlan,
    ) -> bool:
        """Whether this frame does not go on where the last one ended."""
        if self._camera not in (None, plan.sync_state.camera):
            return True
        before, now = self._stepped.get(clock), stamps.get(clock)
        if max_gap_ms is None or before is None or now is None:
            return False
        return abs(now - before) > max_gap_ms * _NS_PER_MS


class CpuProgramSteps(ProgramSteps):
    """On a CPU: when a step returns, it is done.

    Attributes:
        backend: What runs.
    """

    def __init__(self, backend: ProgramBackend, manifest: Manifest) -> None:
        super().__init__(backend, manifest)
        self.backend = backend

    def run(self, plan: FramePlan) -> None:
        """Run what has something new to read.

        Raises:
            BackendError: a graph failed; the frame may be given again.
        """
        fresh = self.begin(plan)
        try:
            self.backend.step(fresh, plan.gone)
        except BaseException:
            self.fail()
            raise
        self.end(plan)


class GpuProgramSteps(ProgramSteps):
    """On a GPU: work is taken, or refused, before it is done.

    Attributes:
        backend: What runs.
    """

    def __init__(self, backend: GpuProgramBackend, manifest: Manifest) -> None:
        super().__init__(backend, manifest)
        self.backend = backend

    def plan(self, plan: FramePlan) -> Hashable:
        """What `GpuProgramBackend.enqueue` will do."""
        return self.backend.plan(self.begin(plan), plan.gone)

    def taken(self, plan: FramePlan) -> None:
        """The work is on the stream."""
        self.backend.commit()
        self.end(plan)

    def refused(self, *, known: bool) -> None:
        """Some of it is not; what is, was waited for.

        Args:
            known: Whether `GpuProgramBackend.enqueue` knows how much that was.
        """
        if not known:
            self.lost()
            return
        self.backend.fail()
        self.fail()

    def state(self, read: Callable[[GpuTensor], NDArray[Any]]) -> ProgramState:
        """See `Executor.program_state`.

        Args:
            read: What lies in memory.
        """
        states, known = [], self.backend.tensors
        anew, done = self.backend.anew, self.backend.done
        for index, entry in enumerate(self._states):
            now, after = known[entry.tensor], known[entry.next]
            value = decode(read(now), now)
            if index in anew:
                value.fill(entry.initial)
            later = decode(read(after), after) if done[index] else None
            states.append(StateValue(value, later))
        return self.remembered(states)

    def load(
        self, program: ProgramState, write: Callable[[GpuTensor, NDArray[Any]], None]
    ) -> None:
        """See `Executor.load_state`.

        Args:
            write: Replaces what lies in memory.
        """
        known = self.backend.tensors
        for entry, value in zip(self._states, program.states, strict=True):
            for name, values in ((entry.tensor, value.now), (entry.next, value.next)):
                if values is not None:
                    write(known[name], encode(values, known[name]))
        self.backend.resume([value.next is not None for value in program.states])
        self.resume(program)

    def lost(self) -> None:
        """Work failed that was taken, or nobody knows whether it was."""
        self.backend.restart()
        self.forget()

    def rehearse(self) -> None:
        """Put every graph on the stream, and go on as if none had run."""
        self.backend.rehearse()
        self.forget()

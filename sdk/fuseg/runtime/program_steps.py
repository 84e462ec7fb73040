"""What a frame set means to a bundle of several graphs: new tensors, states, resets."""

from __future__ import annotations

from ..backends.program import ProgramBackend
from ..manifest import Manifest
from .preprocess import FramePlan

_NS_PER_MS = 1e6


class ProgramSteps:
    """Runs a program for one frame set after another.

    Args:
        backend: Bound; its input tensors hold what the plans say.
    """

    def __init__(self, backend: ProgramBackend, manifest: Manifest) -> None:
        self._backend, self._states = backend, manifest.states
        self._tensors = {entry.name: entry.tensor for entry in manifest.inputs}
        self._substituted: set[str] = set()  # inputs whose planes hold their fill
        self._stepped: dict[str, float] = {}  # by tensor: the stamp of its last frame
        self._camera: tuple[int, int] | None = None

    def run(self, plan: FramePlan) -> None:
        """Run what has something new to read.

        Raises:
            BackendError: a graph failed; the frame may be given again.
        """
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
        self._backend.step(fresh, plan.gone)
        self._stepped, self._camera = stamps, plan.sync_state.camera
        self._substituted = {
            name for name, d in plan.decisions.items() if d.state == "substituted"
        }

    def reset(self) -> None:
        """Start every state anew."""
        for index in range(len(self._states)):
            self._backend.reset_state(index)

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

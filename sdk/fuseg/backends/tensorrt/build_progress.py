"""How far a build is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

__all__ = ["Progress", "ProgressCallback", "ProgressTracker"]


@dataclass(frozen=True)
class Progress:
    """One report about a build.

    Attributes:
        seconds: Since it began.
        fraction: Of the work that is done, 0 to 1, as far as TensorRT tells; None
            before version 10, which tells nothing.
        phase: What TensorRT is at, in its words.
    """

    seconds: float
    fraction: float | None = None
    phase: str = ""


ProgressCallback = Callable[[Progress], None]


class ProgressTracker:
    """Makes one fraction of nested phases, which never goes back."""

    def __init__(self) -> None:
        self._phases: dict[str, tuple[str | None, int, int]] = {}
        self.fraction = 0.0
        self.phase = ""

    @property
    def is_idle(self) -> bool:
        """Whether all phases have ended."""
        return not self._phases

    def start(self, phase: str, parent: str | None, steps: int) -> None:
        self._phases[phase] = (parent, max(steps, 1), 0)
        self.phase = phase

    def step(self, phase: str, step: int) -> None:
        parent, steps, _ = self._phases.get(phase, (None, 1, 0))
        self._phases[phase] = (parent, steps, min(step + 1, steps))
        self.fraction = max(self.fraction, self._reached(phase))
        self.phase = phase

    def finish(self, phase: str) -> None:
        parent = self._phases.pop(phase, (None, 1, 0))[0]
        if not self._phases:
            self.fraction = 1.0
        self.phase = parent or phase

    def _reached(self, phase: str) -> float:
        """Its own share, as a part of the current step of the phase around it."""
        share = 0.0
        seen: set[str] = set()
        at: str | None = phase
        while at in self._phases and at not in seen:
            seen.add(at)
            parent, steps, done = self._phases[at]
            share = min((done + share) / steps, 1.0)
            at = parent
        return share

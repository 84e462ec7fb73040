"""What the pretend GPU answers when it refuses, and when it is told to."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

_NEVER_REFUSED = ("device_count", "current_device", "use_device")


class Refused(Exception):
    """The GPU's answer instead of doing it: CUDA's name of the error, and its text."""

    def __init__(
        self,
        name: str = "cudaErrorLaunchFailure",
        text: str = "unspecified launch failure",
    ) -> None:
        super().__init__(f"{name}: {text}")
        self.name, self.text = name, text


class OutOfMemory(Refused):
    """No memory is left on the GPU, or no more can be locked on the host."""

    def __init__(self) -> None:
        super().__init__("cudaErrorMemoryAllocation", "out of memory")


@dataclass
class _Fault:
    call: str
    left: int
    error: Exception
    lost: bool


class Faults:
    """Counts calls by name, and lets those fail that a test wants to."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self._planned: list[_Fault] = []
        self._lost: Exception | None = None

    def plan(self, call: str, nth: int, error: Exception | None, lost: bool) -> None:
        if error is None:
            error = OutOfMemory() if call in ("allocate", "pinned") else Refused()
        self._planned.append(_Fault(call, nth, error, lost))

    def forget(self) -> None:
        """Nothing fails any more."""
        self._planned.clear()
        self._lost = None

    def count(self, call: str) -> None:
        self.counts[call] += 1
        if call in _NEVER_REFUSED:
            return
        if self._lost is not None:
            raise self._lost
        for fault in [f for f in self._planned if f.call == call]:
            fault.left -= 1
            if fault.left == 0:
                self._planned.remove(fault)
                self._lost = fault.error if fault.lost else None
                raise fault.error

"""Queues of work, and graphs of it: what `machine.Machine` keeps its books with."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from .memory import Misuse

Range = tuple[int, ...]  # address, bytes, and perhaps what the address is a multiple of


def meet(some: Iterable[Range], others: Iterable[Range]) -> bool:
    """Whether any of these ranges share a byte."""
    listed = list(others)
    return any(a[0] < b[0] + b[1] and b[0] < a[0] + a[1] for a in some for b in listed)


@dataclass
class Task:
    """Something to do later, and all memory that it touches. ``sums``: checksums of the
    CPU's memory that it reads, which nobody may change before it ran."""

    what: str
    thunk: Callable[[], Any]
    reads: list[Range]
    writes: list[Range]
    by_kernel: bool = True
    sums: dict[tuple[int, int], int] = field(default_factory=dict)

    def again(self) -> Task:
        return Task(self.what, self.thunk, self.reads, self.writes, self.by_kernel)


@dataclass
class Wait:
    """Let another stream come to its ``until``-th item first."""

    stream: Stream
    until: int


@dataclass(eq=False)
class Stream:
    handle: int
    device: int | None  # None: of whichever is current
    queue: deque[tuple[int, Task | Wait]] = field(default_factory=deque)
    put: int = 0  # items so far
    knows: dict[int, int] = field(default_factory=dict)
    capture: Capture | None = None

    def add(self, item: Task | Wait) -> None:
        self.put += 1
        self.queue.append((self.put, item))

    def learn(self, other: Stream) -> None:
        """What comes from now on comes after all that ``other`` has, or waits for."""
        for handle, position in {**other.knows, other.handle: other.put}.items():
            self.knows[handle] = max(self.knows.get(handle, 0), position)

    def tasks(self) -> list[Task]:
        return [item for _, item in list(self.queue) if isinstance(item, Task)]

    def __str__(self) -> str:
        return f"stream {self.handle:#x}"


@dataclass(eq=False)
class Capture:
    """What streams record instead of queueing it. ``loose``: streams that were drawn in
    and have not yet led back to the first one."""

    origin: Stream
    thread: threading.Thread
    tasks: list[Task] = field(default_factory=list)
    members: list[Stream] = field(default_factory=list)
    loose: set[Stream] = field(default_factory=set)
    spoiled: bool = False

    def record(self, stream: Stream, task: Task) -> None:
        self.tasks.append(task)
        if stream is not self.origin:
            self.loose.add(stream)

    @staticmethod
    def join(after: Stream, before: Stream) -> None:
        """What `stream_wait` means where one of the two captures."""
        capture = before.capture
        if capture is None:
            raise Misuse(f"stream_wait: {after} captures and cannot wait for {before}")
        if after.capture not in (None, capture):
            raise Misuse(f"stream_wait: {after} and {before} capture different graphs")
        if after.capture is None:
            if after.queue:
                raise Misuse(f"stream_wait: {after} has work that is in no graph")
            after.capture = capture
            capture.members.append(after)
        capture.loose.discard(before)
        if after is not capture.origin:
            capture.loose.add(after)

    def end(self) -> None:
        loose = self.loose
        for stream in (self.origin, *self.members):
            stream.capture = None
        if loose:
            listed = ", ".join(map(str, loose))
            raise Misuse(f"end_capture: {listed} did not lead back to {self.origin}")


@dataclass
class Graph:
    handle: int
    device: int | None
    tasks: list[Task]
    alive: bool = True

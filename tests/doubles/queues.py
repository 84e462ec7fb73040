"""Streams with their work, and graphs: what runs when, and what must not."""

from __future__ import annotations

import itertools
import threading
import zlib
from collections.abc import Iterator

from .faults import Faults, Refused
from .memory import Allocation, Allocations, Misuse, view
from .streams import Capture, Graph, Range, Stream, Task, Wait, meet

DEFAULT_STREAM = 1  # as CUDA calls the one that is there without being made
_HANDLES = itertools.count(0x51000000, 0x100)


class Queues:
    """All streams and graphs of a `machine.Machine`, which holds its lock meanwhile.

    A finalizer that Python happens to run may come in between: loops go over copies.
    """

    def __init__(self, memory: Allocations, faults: Faults) -> None:
        self._memory, self._faults = memory, faults
        self._streams = {DEFAULT_STREAM: Stream(DEFAULT_STREAM, None)}
        self._destroyed: set[int] = set()
        self._graphs: dict[int, Graph] = {}

    def add_stream(self, device: int) -> int:
        handle = next(_HANDLES)
        self._streams[handle] = Stream(handle, device)
        return handle

    def add_graph(self, capture: Capture) -> int:
        handle = next(_HANDLES)
        self._graphs[handle] = Graph(handle, capture.origin.device, capture.tasks)
        return handle

    def stream(self, handle: int, what: str) -> Stream:
        found = self._streams.get(handle)
        if found is None:
            why = "destroyed" if handle in self._destroyed else "unknown"
            raise Misuse(f"{what}: stream {handle!r} is {why}")
        return found

    def drop(self, stream: Stream) -> None:
        self._destroyed.add(self._streams.pop(stream.handle).handle)

    def graph(self, handle: int, what: str) -> Graph:
        found = self._graphs.get(handle)
        if found is None or not found.alive:
            why = "unknown" if found is None else "destroyed"
            raise Misuse(f"{what}: graph {handle!r} is {why}")
        return found

    def tasks(self) -> Iterator[Task]:
        """All that is queued."""
        return (w for s in list(self._streams.values()) for w in s.tasks())

    def captures_on(self, thread: threading.Thread) -> bool:
        """Whether a capture is under way that this thread has begun."""
        found = [s.capture for s in self._streams.values() if s.capture is not None]
        return any(capture.thread is thread for capture in found)

    def live_streams(self) -> int:
        return len(self._streams) - 1

    def live_graphs(self) -> int:
        return sum(g.alive for g in self._graphs.values())

    def put(
        self, calls: tuple[str, ...], handle: int, task: Task, current: int
    ) -> None:
        """Queue or record work; ``calls``: what it counts as."""
        stream = self.stream(handle, task.what)
        if stream.device not in (None, current):
            raise Misuse(
                f"{task.what}: device {current} is current, and {stream} is another's"
            )
        touched = self._check(task, stream)
        try:
            for call in calls:
                self._faults.count(call)
        except Refused:
            if stream.capture is not None:
                stream.capture.spoiled = True
            raise
        if stream.capture is not None:
            stream.capture.record(stream, task)
            return
        self._refuse_race(stream, task)
        for allocation, (address, size, *_) in touched[: len(task.reads)]:
            if allocation.kind == "pinned" and not self._awaits(address, size):
                task.sums[address, size] = zlib.crc32(view(address, (size,)))
        stream.add(task)

    def _check(self, task: Task, stream: Stream) -> list[tuple[Allocation, Range]]:
        touched = []
        for address, size, *align in task.reads + task.writes:
            found = self._memory.find(address, size, task.what)
            if found.kind == "device" and stream.device not in (None, found.device):
                raise Misuse(f"{task.what}: the {found} is on another device")
            if task.by_kernel and not found.mapped:
                raise Misuse(f"{task.what}: the GPU cannot see the {found}")
            if align and address % align[0]:
                raise Misuse(
                    f"{task.what}: {address:#x} is no multiple of {align[0]} bytes"
                )
            touched.append((found, (address, size)))
        return touched

    def _awaits(self, address: int, size: int) -> bool:
        """Whether queued work will write there."""
        return any(meet([(address, size)], task.writes) for task in self.tasks())

    def _refuse_race(self, stream: Stream, task: Task) -> None:
        for other in list(self._streams.values()):
            known = stream.knows.get(other.handle, 0)
            for position, item in list(other.queue):
                if other is stream or position <= known or not isinstance(item, Task):
                    continue
                if meet(task.writes, item.reads + item.writes) or meet(
                    task.reads, item.writes
                ):
                    raise Misuse(
                        f"{task.what} on {stream} and {item.what} on {other} share "
                        "memory and nothing orders them"
                    )

    def run(self, stream: Stream, until: int) -> None:
        """Do the work of a stream up to its ``until``-th item, waiting as it says."""
        while stream.queue and stream.queue[0][0] <= until:
            _, item = stream.queue.popleft()
            if isinstance(item, Wait):
                self.run(item.stream, item.until)
                continue
            self._faults.count("run")
            touched = self._check(item, stream)
            for (address, size), was in item.sums.items():
                if zlib.crc32(view(address, (size,))) != was:
                    raise Misuse(
                        f"{item.what}: the {size} pinned bytes at {address:#x} were "
                        "overwritten before it had read them"
                    )
            item.thunk()
            for allocation, _ in touched:
                allocation.check_fence()

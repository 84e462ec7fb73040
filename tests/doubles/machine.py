"""A GPU made of host memory. It is late, and it is strict.

Late: work that is put on a stream runs when somebody waits for the stream, not before;
who forgets to wait reads poison. Strict: what a real GPU forbids, or lets pass by luck,
raises `Misuse` and says why.
"""

from __future__ import annotations

import ctypes
import functools
import itertools
import threading
import zlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from .faults import Faults, OutOfMemory, Refused
from .memory import Allocation, Memory, Misuse, view
from .streams import Capture, Graph, Stream, Wait, Work, meet

__all__ = ["Machine", "Misuse", "OutOfMemory", "Refused"]

DEFAULT_STREAM = 1  # as CUDA calls the one that is there without being made
_HANDLES = itertools.count(0x51000000, 0x100)


def _alone(method: Callable[..., Any]) -> Callable[..., Any]:
    """One thread at a time."""

    @functools.wraps(method)
    def locked(self: Machine, *arguments: Any, **named: Any) -> Any:
        with self.lock:
            return method(self, *arguments, **named)

    return locked


@dataclass
class Machine:
    """One GPU or several alike, and the driver's state.

    ``counts``: how often each call was made: allocate, free, pinned, free_pinned,
    create_stream, destroy_stream, upload, download, copy, synchronize, begin_capture,
    end_capture, launch_graph, destroy_graph, put_after, memory, use_device, kernel (and
    the name of the room), enqueue (by an engine), run (work that is due).
    """

    devices: int = 1
    name: str = "Pretend GPU"
    capability: tuple[int, int] = (8, 7)
    memory_bytes: int = 64 << 20
    integrated: bool = False
    driver_version: int = 12060
    runtime_version: int = 12060
    lock: threading.RLock = field(default_factory=threading.RLock, repr=False)

    def __post_init__(self) -> None:
        self._memory = Memory()
        self._streams: dict[int, Stream] = {}
        self._streams[DEFAULT_STREAM] = Stream(DEFAULT_STREAM, None)
        self._graphs: dict[int, Graph] = {}
        self._faults = Faults()
        self._local = threading.local()

    # Faults ----------------------------------------------------------------------

    @_alone
    def fail(
        self,
        call: str,
        nth: int = 1,
        error: Exception | None = None,
        lost: bool = False,
    ) -> None:
        """Let the ``nth`` ``call`` from now on raise ``error``; where ``lost``, every
        call after it too, as from a GPU that has fallen off the bus.

        Without ``error`` allocations are out of memory, others fail to launch.
        """
        self._faults.plan(call, nth, error, lost)

    @_alone
    def mend(self) -> None:
        """Nothing fails any more."""
        self._faults.forget()

    @_alone
    def maybe_fail(self, call: str) -> None:
        """Count a call, and raise what `fail` wants of it."""
        self._faults.count(call)

    @property
    def counts(self) -> Counter[str]:
        return self._faults.counts

    # The thread's device ---------------------------------------------------------

    @property
    def contexts(self) -> list[int]:
        """Devices that the calling thread has made its own; the last one counts."""
        if not hasattr(self._local, "contexts"):
            self._local.contexts = []
        found: list[int] = self._local.contexts
        return found

    def current_device(self) -> int:
        return self.contexts[-1] if self.contexts else 0

    def use_device(self, device: int) -> None:
        """As the runtime does it: what was current is so no longer."""
        self.maybe_fail("use_device")
        if device not in range(self.devices):
            raise Refused("cudaErrorInvalidDevice", "invalid device ordinal")
        self.contexts[-1:] = [device]

    def push(self, device: int) -> None:
        self.contexts.append(device)

    def pop(self, device: int) -> None:
        if self.contexts[-1:] != [device]:
            raise Misuse(f"pop: device {device} is not on top of {self.contexts}")
        self.contexts.pop()

    # Memory ----------------------------------------------------------------------

    @_alone
    def memory(self) -> tuple[int, int]:
        """Free and all bytes of the current device."""
        self.maybe_fail("memory")
        return self._free_bytes(), self.memory_bytes

    @_alone
    def allocate(self, size: int) -> int:
        return self._take("allocate", size, "device", True)

    @_alone
    def allocate_pinned(self, size: int, mapped: bool = True) -> int:
        """Page-locked; its address is the same for the GPU."""
        return self._take("pinned", size, "pinned", mapped)

    @_alone
    def free(self, address: int) -> None:
        self._give_back("free", address, "device")

    @_alone
    def free_pinned(self, address: int) -> None:
        self._give_back("free_pinned", address, "pinned")

    def _take(self, call: str, size: int, kind: str, mapped: bool) -> int:
        if not isinstance(size, int) or size < 1:
            raise Misuse(f"{call}: {size!r} is no number of bytes")
        self._refuse_in_capture(call)
        self.maybe_fail(call)
        counts = kind == "device" or self.integrated
        if counts and size > self._free_bytes():
            raise OutOfMemory
        return self._memory.take(size, self.current_device(), kind, mapped).base

    def _give_back(self, call: str, address: int, kind: str) -> None:
        self._refuse_in_capture(call)
        found = self._memory.find(address, 1, call)
        busy = [(found.base, found.size)]
        for stream in self._streams.values():
            for work in stream.works():
                if meet(busy, work.reads + work.writes):
                    raise Misuse(
                        f"{call}: '{work.what}' is queued and uses the {found}"
                    )
        self.maybe_fail(call)
        self._memory.give_back(address, kind)

    def _free_bytes(self) -> int:
        device = self.current_device()
        used = self._memory.live("device", device)
        if self.integrated:
            used += self._memory.live("pinned")
        return self.memory_bytes - sum(a.size for a in used)

    def _refuse_in_capture(self, call: str) -> None:
        if any(c.thread is threading.current_thread() for c in self._captures()):
            raise Misuse(
                f"{call}: this thread captures a graph, which that would spoil"
            )

    # Streams ---------------------------------------------------------------------

    @_alone
    def create_stream(self) -> int:
        self.maybe_fail("create_stream")
        handle = next(_HANDLES)
        self._streams[handle] = Stream(handle, self.current_device())
        return handle

    @_alone
    def destroy_stream(self, stream: int) -> None:
        found = self._stream(stream, "destroy_stream")
        if stream == DEFAULT_STREAM or found.capture is not None or found.queue:
            raise Misuse(f"destroy_stream: {found} is not idle, or nobody's to destroy")
        self.maybe_fail("destroy_stream")
        found.alive = False

    @_alone
    def synchronize(self, stream: int) -> None:
        """Do what is queued."""
        found = self._stream(stream, "synchronize")
        if found.capture is not None:
            raise Misuse(f"synchronize: {found} captures a graph: nothing runs there")
        self.maybe_fail("synchronize")
        self._run(found, found.put)

    @_alone
    def put_after(self, later: int, earlier: int) -> None:
        after = self._stream(later, "put_after")
        before = self._stream(earlier, "put_after")
        self.maybe_fail("put_after")
        if after.capture is not None or before.capture is not None:
            Capture.join(after, before)
            return
        after.add(Wait(before, before.put))
        after.learn(before)

    @_alone
    def enqueue(
        self,
        stream: int,
        what: str,
        thunk: Callable[[], None],
        reads: Iterable[tuple[int, ...]] = (),
        writes: Iterable[tuple[int, ...]] = (),
    ) -> None:
        """Put work of an engine on a stream, or into the graph that it captures.

        ``reads`` and ``writes`` are all that it touches: (address, bytes) or (address,
        bytes, what the address must be a multiple of).
        """
        self._put("enqueue", stream, Work(what, thunk, list(reads), list(writes)))

    @_alone
    def kernel(
        self,
        room: str,
        stream: int,
        thunk: Callable[[], None],
        reads: Iterable[tuple[int, ...]],
        writes: Iterable[tuple[int, ...]],
    ) -> None:
        """`enqueue` for a kernel of fuseg."""
        self.maybe_fail(room)
        self._put("kernel", stream, Work(room, thunk, list(reads), list(writes)))

    @_alone
    def copy(self, to: int, source: int, size: int, stream: int) -> None:
        kinds = [self._memory.find(a, size, "copy").kind for a in (source, to)]
        names = {("pinned", "device"): "upload", ("device", "pinned"): "download"}
        call = names.get((kinds[0], kinds[1]), "copy")
        work = Work(
            call,
            lambda: ctypes.memmove(to, source, size),
            [(source, size)],
            [(to, size)],
            by_kernel=False,
        )
        self._put(call, stream, work)

    # Graphs ----------------------------------------------------------------------

    @_alone
    def begin_capture(self, stream: int) -> None:
        found = self._stream(stream, "begin_capture")
        if found.capture is not None or stream == DEFAULT_STREAM:
            raise Misuse(f"begin_capture: {found} cannot begin one now")
        self.maybe_fail("begin_capture")
        found.capture = Capture(found, threading.current_thread())

    @_alone
    def end_capture(self, stream: int) -> int:
        found = self._stream(stream, "end_capture")
        capture = found.capture
        if capture is None or capture.origin is not found:
            raise Misuse(f"end_capture: {found} did not begin one")
        if capture.thread is not threading.current_thread():
            raise Misuse(f"end_capture: another thread began that of {found}")
        capture.end()
        self.maybe_fail("end_capture")
        if capture.spoiled:
            raise Refused(
                "cudaErrorStreamCaptureInvalidated",
                "operation failed due to a previous error during capture",
            )
        handle = next(_HANDLES)
        self._graphs[handle] = Graph(handle, found.device, capture.works)
        return handle

    @_alone
    def launch_graph(self, graph: int, stream: int) -> None:
        """Do again what was captured, with what is at its addresses by then."""
        found = self._graph(graph, "launch_graph")
        self.maybe_fail("launch_graph")
        for work in found.works:
            self._put(None, stream, work.again())

    @_alone
    def destroy_graph(self, graph: int) -> None:
        found = self._graph(graph, "destroy_graph")
        self.maybe_fail("destroy_graph")
        found.alive = False

    def is_capturing(self, stream: int) -> bool:
        return self._stream(stream, "is_capturing").capture is not None

    # What a test looks at --------------------------------------------------------

    @_alone
    def live(self) -> Counter[str]:
        """What was made and not yet given back."""
        return +Counter(
            allocations=len(self._memory.live("device")),
            pinned=len(self._memory.live("pinned")),
            streams=sum(s.alive for s in self._streams.values()) - 1,
            graphs=sum(g.alive for g in self._graphs.values()),
        )

    @_alone
    def pending(self, stream: int) -> list[str]:
        """What is queued on a stream."""
        return [w.what for w in self._stream(stream, "pending").works()]

    @_alone
    def check(self) -> None:
        """Raise `Misuse` for bytes written where nobody may."""
        self._memory.check()

    # Inside ----------------------------------------------------------------------

    def _captures(self) -> Iterator[Capture]:
        return (s.capture for s in self._streams.values() if s.capture is not None)

    def _stream(self, handle: int, what: str) -> Stream:
        found = self._streams.get(handle)
        if found is None or not found.alive:
            why = "unknown" if found is None else "destroyed"
            raise Misuse(f"{what}: stream {handle!r} is {why}")
        return found

    def _graph(self, handle: int, what: str) -> Graph:
        found = self._graphs.get(handle)
        if found is None or not found.alive:
            why = "unknown" if found is None else "destroyed"
            raise Misuse(f"{what}: graph {handle!r} is {why}")
        return found

    def _put(self, call: str | None, handle: int, work: Work) -> None:
        stream = self._stream(handle, work.what)
        if stream.device not in (None, self.current_device()):
            raise Misuse(
                f"{work.what}: device {self.current_device()} is current, and {stream} "
                "is another's"
            )
        touched = self._check(work, stream)
        try:
            if call is not None:
                self.maybe_fail(call)
        except Refused:
            if stream.capture is not None:
                stream.capture.spoiled = True
            raise
        if stream.capture is not None:
            stream.capture.record(stream, work)
            return
        self._refuse_race(stream, work)
        for allocation, (address, size, *_) in touched[: len(work.reads)]:
            if allocation.kind == "pinned" and not self._awaits(address, size):
                work.sums[address, size] = zlib.crc32(view(address, (size,)))
        stream.add(work)

    def _check(
        self, work: Work, stream: Stream
    ) -> list[tuple[Allocation, tuple[int, ...]]]:
        touched = []
        for address, size, *align in work.reads + work.writes:
            found = self._memory.find(address, size, work.what)
            if found.kind == "device" and stream.device not in (None, found.device):
                raise Misuse(f"{work.what}: the {found} is on another device")
            if work.by_kernel and not found.mapped:
                raise Misuse(f"{work.what}: the GPU cannot see the {found}")
            if align and address % align[0]:
                raise Misuse(
                    f"{work.what}: {address:#x} is no multiple of {align[0]} bytes"
                )
            touched.append((found, (address, size)))
        return touched

    def _awaits(self, address: int, size: int) -> bool:
        """Whether queued work will write there."""
        queued = (w for s in list(self._streams.values()) for w in s.works())
        return any(meet([(address, size)], work.writes) for work in queued)

    def _refuse_race(self, stream: Stream, work: Work) -> None:
        for other in list(self._streams.values()):
            known = stream.knows.get(other.handle, 0)
            for position, item in list(other.queue):  # a finalizer may wait meanwhile
                if other is stream or position <= known or not isinstance(item, Work):
                    continue
                if meet(work.writes, item.reads + item.writes) or meet(
                    work.reads, item.writes
                ):
                    raise Misuse(
                        f"{work.what} on {stream} and {item.what} on {other} share "
                        "memory and nothing orders them"
                    )

    def _run(self, stream: Stream, until: int) -> None:
        while stream.queue and stream.queue[0][0] <= until:
            _, item = stream.queue.popleft()
            if isinstance(item, Wait):
                self._run(item.stream, item.until)
                continue
            self.maybe_fail("run")
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

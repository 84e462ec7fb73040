"""A GPU made of host memory. It is late, and it is strict.

Late: work that is put on a stream runs when somebody waits for the stream, not before;
who forgets to wait reads poison. Strict: what a real GPU forbids, or lets pass by luck,
raises `Misuse` and says why.
"""

from __future__ import annotations

import ctypes
import functools
import threading
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from .faults import Faults, OutOfMemory, Refused
from .memory import Allocations, Misuse
from .queues import DEFAULT_STREAM, Queues
from .streams import Capture, Task, Wait, meet

__all__ = ["Machine", "Misuse", "OutOfMemory", "Refused"]


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
    end_capture, launch_graph, destroy_graph, stream_wait, memory, use_device, kernel
    (and the name of the kernel), enqueue (by an engine), compile (by a context of
    TensorRT for RTX), run (work that is due).
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
        self._memory, self._faults = Allocations(), Faults()
        self._queues = Queues(self._memory, self._faults)
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
    def device_of(self, address: int) -> int:
        """The device whose memory this is; -1 for pinned memory, -2 for nobody's."""
        self.maybe_fail("device_of")
        try:
            found = self._memory.find(address, 1, "device_of")
        except Misuse:
            return -2
        return found.device if found.kind == "device" else -1

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
        for task in self._queues.tasks():
            if meet([(found.base, found.size)], task.reads + task.writes):
                raise Misuse(f"{call}: '{task.what}' is queued and uses the {found}")
        self.maybe_fail(call)
        self._memory.give_back(address, kind)

    def _free_bytes(self) -> int:
        device = self.current_device()
        used = self._memory.live("device", device)
        if self.integrated:
            used += self._memory.live("pinned")
        return self.memory_bytes - sum(a.size for a in used)

    def _refuse_in_capture(self, call: str) -> None:
        if self._queues.captures_on(threading.current_thread()):
            raise Misuse(
                f"{call}: this thread captures a graph, which that would spoil"
            )

    # Streams ---------------------------------------------------------------------

    @_alone
    def create_stream(self) -> int:
        self.maybe_fail("create_stream")
        return self._queues.add_stream(self.current_device())

    @_alone
    def destroy_stream(self, stream: int) -> None:
        found = self._queues.stream(stream, "destroy_stream")
        if stream == DEFAULT_STREAM or found.capture is not None or found.queue:
            raise Misuse(f"destroy_stream: {found} is not idle, or nobody's to destroy")
        self.maybe_fail("destroy_stream")
        self._queues.drop(found)

    @_alone
    def synchronize(self, stream: int) -> None:
        """Do what is queued."""
        found = self._queues.stream(stream, "synchronize")
        if found.capture is not None:
            raise Misuse(f"synchronize: {found} captures a graph: nothing runs there")
        self.maybe_fail("synchronize")
        self._queues.run(found, found.put)

    @_alone
    def stream_wait(self, later: int, earlier: int) -> None:
        after = self._queues.stream(later, "stream_wait")
        before = self._queues.stream(earlier, "stream_wait")
        self.maybe_fail("stream_wait")
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
        self._put(("enqueue",), stream, Task(what, thunk, list(reads), list(writes)))

    @_alone
    def kernel(
        self,
        kernel: str,
        stream: int,
        thunk: Callable[[], None],
        reads: Iterable[tuple[int, ...]],
        writes: Iterable[tuple[int, ...]],
    ) -> None:
        """`enqueue` for a kernel of fuseg."""
        task = Task(kernel, thunk, list(reads), list(writes))
        self._put(("kernel", kernel), stream, task)

    @_alone
    def copy(self, to: int, source: int, size: int, stream: int) -> None:
        kinds = [self._memory.find(a, size, "copy").kind for a in (source, to)]
        names = {("pinned", "device"): "upload", ("device", "pinned"): "download"}
        call = names.get((kinds[0], kinds[1]), "copy")
        task = Task(
            call,
            lambda: ctypes.memmove(to, source, size),
            [(source, size)],
            [(to, size)],
            by_kernel=False,
        )
        self._put((call,), stream, task)

    # Graphs ----------------------------------------------------------------------

    @_alone
    def begin_capture(self, stream: int) -> None:
        found = self._queues.stream(stream, "begin_capture")
        if found.capture is not None or stream == DEFAULT_STREAM:
            raise Misuse(f"begin_capture: {found} cannot begin one now")
        self.maybe_fail("begin_capture")
        found.capture = Capture(found, threading.current_thread())

    @_alone
    def end_capture(self, stream: int) -> int:
        found = self._queues.stream(stream, "end_capture")
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
        return self._queues.add_graph(capture)

    @_alone
    def launch_graph(self, graph: int, stream: int) -> None:
        """Do again what was captured, with what is at its addresses by then."""
        found = self._queues.graph(graph, "launch_graph")
        self.maybe_fail("launch_graph")
        for task in found.tasks:
            self._put((), stream, task.again())

    @_alone
    def destroy_graph(self, graph: int) -> None:
        found = self._queues.graph(graph, "destroy_graph")
        self.maybe_fail("destroy_graph")
        found.alive = False

    def is_capturing(self, stream: int) -> bool:
        return self._queues.stream(stream, "is_capturing").capture is not None

    # Ranges of a profiler ---------------------------------------------------------

    @property
    def ranges(self) -> list[str]:
        """Names that the calling thread has pushed and not popped."""
        if not hasattr(self._local, "ranges"):
            self._local.ranges = []
        found: list[str] = self._local.ranges
        return found

    @_alone
    def push_range(self, name: str) -> None:
        self._faults.counts[f"range {name}"] += 1
        self.ranges.append(name)

    def pop_range(self) -> None:
        if not self.ranges:
            raise Misuse("pop_range: this thread has pushed no range")
        self.ranges.pop()

    # What a test looks at --------------------------------------------------------

    @_alone
    def live(self) -> Counter[str]:
        """What was made and not yet given back."""
        return +Counter(
            allocations=len(self._memory.live("device")),
            pinned=len(self._memory.live("pinned")),
            streams=self._queues.live_streams(),
            graphs=self._queues.live_graphs(),
        )

    @_alone
    def pending(self, stream: int) -> list[str]:
        """What is queued on a stream."""
        return [w.what for w in self._queues.stream(stream, "pending").tasks()]

    @_alone
    def check(self) -> None:
        """Raise `Misuse` for bytes written where nobody may."""
        self._memory.check()

    def _put(self, calls: tuple[str, ...], stream: int, task: Task) -> None:
        self._queues.put(calls, stream, task, self.current_device())

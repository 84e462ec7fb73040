"""CUDA graphs of one stream, by the kind of frame that they were captured from."""

from __future__ import annotations

import gc
import weakref
from collections import OrderedDict
from collections.abc import Callable, Hashable
from contextlib import suppress

from ..cuda import Device
from ..errors import BackendError, DeviceError

_MOST = 16  # kinds: frame sizes, sensors that are missing, graphs that run
_TRIES = 3  # captures in a row that may fail


class CudaGraphs:
    """Runs work directly the first two times it is of a kind, and as a graph from then
    on: it is captured the second time, while the GPU already computes. Work that never
    comes again costs no capture.

    Attributes:
        failed: Why nothing is captured any more; then all work runs directly.
    """

    def __init__(self, device: Device, stream: int) -> None:
        self._device, self._stream = device, stream
        self._known: OrderedDict[Hashable, int | None] = OrderedDict()
        self._unused: list[int] = []  # graphs to destroy
        self._capturing: list[int] = []  # the stream, while it does
        self._collecting = False  # whether garbage was collected before the capture
        self._refused = 0  # captures in a row
        self.failed: str | None = None
        kept = (self._known, self._unused, device)
        weakref.finalize(self, _close, *kept).atexit = False

    def run(self, kind: Hashable, enqueue: Callable[[], None]) -> None:
        """Put work on the stream, as one graph if there is one.

        Raises:
            BackendError: the work, or the launch of its graph, was refused.
        """
        again = kind in self._known
        graph = self._known.get(kind)
        if again:
            self._known.move_to_end(kind)
        elif len(self._known) == _MOST:
            self._unused += filter(None, (self._known.popitem(last=False)[1],))
            _destroy(OrderedDict(), self._unused, self._device)
        if graph is not None:
            self._device.launch_graph(graph, self._stream)
            return
        enqueue()
        if self.failed is not None:
            return
        if again and self._refused:  # see that nothing is left of that
            self._device.synchronize(self._stream)
        self._known[kind] = self._capture(enqueue) if again else None

    def forget(self) -> None:
        """Drop every graph: addresses have changed."""
        _destroy(self._known, self._unused, self._device)

    def settle(self) -> None:
        """Capture no longer, and collect garbage again; nothing to do but after an
        exception, which may have come at any line."""
        while self._capturing:
            with suppress(DeviceError):  # the first error is the one to raise
                self._unused.append(self._ended())
        if self._collecting:
            gc.enable()
        self._collecting = False

    def _capture(self, enqueue: Callable[[], None]) -> int | None:
        try:
            self._collecting = gc.isenabled()
            gc.disable()  # what one gives back to the GPU would spoil the capture
            begin, stream = self._device.begin_capture, self._stream
            self._capturing.append(begin(stream) or stream)
            enqueue()
            graph = self._ended()
        except (BackendError, MemoryError, RuntimeError) as err:
            self._refused += 1
            if self._refused == _TRIES:
                why = f"{err}".rstrip(".")
                self.failed = f"{why}; {_TRIES} captures in a row failed"
            return None
        else:
            self._refused = 0
            return graph
        finally:
            self.settle()

    def _ended(self) -> int:
        """The graph. One line ends the capture and notes it: nothing comes between."""
        try:
            stream = self._capturing[-1]
            return (self._device.end_capture(stream), self._capturing.pop())[0]
        except DeviceError:  # it records no longer all the same
            self._capturing.clear()
            raise


def _destroy(
    graphs: OrderedDict[Hashable, int | None], unused: list[int], device: Device
) -> None:
    while graphs:  # each is in one of the two or gone, at every line
        unused += filter(None, (graphs.popitem()[1],))
    for graph in tuple(unused):
        with suppress(DeviceError):  # a lost GPU has no graphs any more
            # One line, so that nothing comes between.
            device.destroy_graph(graph), unused.remove(graph)  # type: ignore[func-returns-value]


def _close(
    graphs: OrderedDict[Hashable, int | None], unused: list[int], device: Device
) -> None:
    with suppress(DeviceError), device.active():
        _destroy(graphs, unused, device)

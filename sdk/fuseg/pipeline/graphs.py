"""CUDA graphs of one stream, by the kind of frame that they were captured from."""

from __future__ import annotations

import gc
import weakref
from collections import OrderedDict
from collections.abc import Callable, Hashable, Mapping
from contextlib import suppress
from typing import Any

from .. import _device
from ..errors import BackendError, DeviceError

_MOST = 8  # kinds: frame sizes, sensors that are missing, addresses


class Graphs:
    """Runs work directly the first time it is of a new kind, and captures it the second
    time: addresses that never come again cost no capture.

    Attributes:
        failed: Why work could not be captured; then all of it runs directly.
    """

    def __init__(self, stream: int) -> None:
        self._stream = stream
        self._cuda = _device.kernels()
        self._known: OrderedDict[Hashable, int | None] = OrderedDict()
        self.failed: str | None = None
        weakref.finalize(self, _destroy, self._known, self._cuda).atexit = False

    def run(self, kind: Hashable, enqueue: Callable[[], None]) -> None:
        """Put work on the stream, as one graph if it can be.

        Raises:
            BackendError: the work, or the launch of its graph, was refused.
        """
        if self.failed is None and kind in self._known:
            graph = self._known[kind]
            if graph is None:
                graph = self._known[kind] = self._capture(enqueue)
            if graph is not None:
                self._known.move_to_end(kind)
                self._launch(graph)
                return
        elif self.failed is None:
            if len(self._known) == _MOST:
                _, oldest = self._known.popitem(last=False)
                _destroy({0: oldest}, self._cuda)
            self._known[kind] = None
        enqueue()

    def forget(self) -> None:
        """Drop every graph: addresses have changed."""
        _destroy(self._known, self._cuda)
        self._known.clear()

    def _capture(self, enqueue: Callable[[], None]) -> int | None:
        cuda, collecting = self._cuda, gc.isenabled()
        gc.disable()  # what a collection gives back to the GPU would spoil the capture
        try:
            cuda.begin_capture(self._stream)
            try:
                enqueue()
            except BaseException:
                with suppress(
                    MemoryError, RuntimeError
                ):  # the first error is the one to tell
                    cuda.destroy_graph(cuda.end_capture(self._stream))
                raise
            return int(cuda.end_capture(self._stream))
        except (BackendError, MemoryError, RuntimeError) as err:
            self.failed = f"{err}".rstrip(".")
            return None
        finally:
            if collecting:
                gc.enable()

    def _launch(self, graph: int) -> None:
        try:
            self._cuda.launch_graph(graph, self._stream)
        except (MemoryError, RuntimeError) as err:
            raise DeviceError(f"the GPU refused a frame's CUDA graph: {err}.") from err


def _destroy(graphs: Mapping[Any, int | None], cuda: Any) -> None:
    for graph in graphs.values():
        if graph is not None:
            with suppress(RuntimeError):  # a lost GPU has no graphs any more
                cuda.destroy_graph(graph)

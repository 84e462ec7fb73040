"""CUDA graphs of one stream, by the kind of frame that they were captured from."""

from __future__ import annotations

import weakref
from collections import OrderedDict
from collections.abc import Callable, Hashable
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
        self._known: OrderedDict[Hashable, int | None] = OrderedDict()
        self.failed: str | None = None
        weakref.finalize(self, _destroy, self._known).atexit = False

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
                _destroy({0: oldest})
            self._known[kind] = None
        enqueue()

    def forget(self) -> None:
        """Drop every graph: addresses have changed."""
        _destroy(self._known)
        self._known.clear()

    def _capture(self, enqueue: Callable[[], None]) -> int | None:
        kernels = _device.kernels()
        try:
            kernels.begin_capture(self._stream)
            try:
                enqueue()
            except BaseException:
                with suppress(RuntimeError):  # the first error is the one to tell
                    kernels.destroy_graph(kernels.end_capture(self._stream))
                raise
            return int(kernels.end_capture(self._stream))
        except (BackendError, RuntimeError) as err:
            self.failed = f"{err}".rstrip(".")
            return None

    def _launch(self, graph: int) -> None:
        try:
            _device.kernels().launch_graph(graph, self._stream)
        except RuntimeError as err:
            raise DeviceError(f"the GPU refused a frame's CUDA graph: {err}.") from err


def _destroy(graphs: Any) -> None:
    for graph in graphs.values():
        if graph is not None:
            with suppress(RuntimeError):  # a lost GPU has no graphs any more
                _device.kernels().destroy_graph(graph)

"""CUDA graphs through fuseg's own module, whatever gives memory and streams: PyCUDA has
no call for them (2026.1)."""

from __future__ import annotations

from types import ModuleType
from typing import Any

from . import launch
from .device import device_error


class GraphCalls:
    """The part of `fuseg.cuda.Device` that captures and launches graphs."""

    ordinal: int
    _module: ModuleType | None = None  # the same for all graphs

    def begin_capture(self, stream: int) -> None:
        self._graph("no graph can be captured", "begin_capture", stream)

    def end_capture(self, stream: int) -> int:
        return int(self._graph("no graph was captured", "end_capture", stream))

    def launch_graph(self, graph: int, stream: int) -> None:
        self._graph("a graph was not launched", "launch_graph", graph, stream)

    def destroy_graph(self, graph: int) -> None:
        self._graph("a graph was not destroyed", "destroy_graph", graph)

    def _graph(self, what: str, call: str, *arguments: int) -> Any:
        try:
            if self._module is None:
                self._module = launch.kernels()
            return getattr(self._module, call)(*arguments)
        except (MemoryError, RuntimeError) as err:
            raise device_error(what, self.ordinal, err) from err

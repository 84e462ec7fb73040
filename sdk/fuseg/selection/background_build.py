"""An engine that is made in the background while another one labels frames."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from ..backends import Backend, GpuBackend
from ..errors import FusegError
from ..manifest import Variant
from ..runtime.pipeline import Pipeline

_log = logging.getLogger("fuseg")


@dataclass(frozen=True)
class Ready:
    """What came of it: a pipeline, or in ``why`` the reason that there is none."""

    pipeline: Pipeline | None
    why: str | None = None


class Later:
    """Makes an engine in a thread.

    Args:
        subject: What the log's lines begin with.
        backend: The engine's name.
        variant: What it will run.
        prepare: Makes the engine, which may take minutes.
    """

    def __init__(
        self,
        subject: str,
        backend: str,
        variant: Variant,
        prepare: Callable[[], Backend | GpuBackend],
    ) -> None:
        self.variant = variant
        self._subject, self._backend, self._prepare = subject, backend, prepare
        self._ready: Ready | None = None

    def begin(self, bind: Callable[[Backend | GpuBackend], Pipeline]) -> None:
        """Start; ``bind`` makes a pipeline of the engine."""
        thread = threading.Thread(
            target=self._work, args=(bind,), name="fuseg-build", daemon=True
        )
        thread.start()

    def take(self) -> Ready | None:
        """What came of it; None while it goes on."""
        return self._ready

    def _work(self, bind: Callable[[Backend | GpuBackend], Pipeline]) -> None:
        began = time.perf_counter()
        told = (self._subject, self.variant.name, self._backend)
        try:
            pipeline = bind(self._prepare())
        except FusegError as err:
            why = f"variant {self.variant.name} does not run on {self._backend}: {err}"
            _log.warning("%s: it stays as it is: %s", self._subject, why)
            self._ready = Ready(None, why)
            return
        seconds = time.perf_counter() - began
        line = "%s: variant %s on %s from the next frame on, ready after %.1f s"
        _log.warning(line, *told, seconds)
        self._ready = Ready(pipeline)

"""A backend that is made in the background while another one labels frames."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from ..errors import FusegError
from ..manifest import Variant
from ..runtime.executor import Executor

_log = logging.getLogger("fuseg")


@dataclass(frozen=True)
class BuildResult:
    """What came of it: an executor, or the reason that there is none."""

    executor: Executor | None
    reason: str | None = None


class BackgroundBuild:
    """Makes an executor in a thread.

    Args:
        subject: What the log's lines begin with.
        backend: The backend's name.
        variant: What it will run.
        make: Makes the executor, which may take minutes.
    """

    def __init__(
        self,
        subject: str,
        backend: str,
        variant: Variant,
        make: Callable[[], Executor],
    ) -> None:
        self.variant = variant
        self._subject, self._backend, self._make = subject, backend, make
        self._result: BuildResult | None = None

    def start(self) -> None:
        """Begin, in a thread that does not keep the process alive."""
        threading.Thread(target=self._work, name="fuseg-build", daemon=True).start()

    def result(self) -> BuildResult | None:
        """What came of it; None while it goes on."""
        return self._result

    def _work(self) -> None:
        began = time.perf_counter()
        try:
            executor = self._make()
        except FusegError as err:
            name = self.variant.name
            reason = f"variant {name} does not run on {self._backend}: {err}"
            _log.warning("%s: it stays as it is: %s", self._subject, reason)
            self._result = BuildResult(None, reason)
            return
        seconds = time.perf_counter() - began
        line = "%s: variant %s on %s from the next frame on, ready after %.1f s"
        log_args = (self._subject, self.variant.name, self._backend, seconds)
        _log.warning(line, *log_args)
        self._result = BuildResult(executor)

"""The child process that builds, as its parent sees it."""

from __future__ import annotations

import json
import logging
import os
import queue
import signal
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from typing import Any

from ...errors import BuildError
from ...host.child_process import environment
from ...manifest import Manifest
from .record import plain

__all__ = ["COMMAND", "Child", "Profile", "profile_of"]

# By input that has a dimension: its smallest shape, the one to tune for, its largest.
Profile = Mapping[str, tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]]

_log = logging.getLogger("fuseg")

COMMAND = [sys.executable, "-m", "fuseg.backends.tensorrt.build_worker"]
_TICK_S = 0.5
_GRACE_S = 5.0  # to end in order, for a child that has answered


def profile_of(manifest: Manifest, reads: Iterable[str]) -> Profile:
    """The shapes that an engine is built for which reads these tensors."""
    least, most = manifest.shapes("min"), manifest.shapes("max")
    typical = manifest.shapes("typical")
    return {
        name: (least[name], typical[name], most[name])
        for name in reads
        if manifest.tensors[name].dimensions
    }


class Child:
    """The process, its events, and the last lines of its log."""

    def __init__(self, request: dict[str, Any], data: bytes, *, device: int) -> None:
        self._events: queue.Queue[dict[str, Any] | None] = queue.Queue()
        self._lines: deque[str] = deque(maxlen=20)
        self._answered = False
        # In a session of its own the terminal's Ctrl-C reaches this process alone,
        # which then ends the child.
        try:
            self._process = subprocess.Popen(
                COMMAND,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                cwd="/",  # which `python -m` looks into first
                env=environment(device),
                start_new_session=True,
            )
        except OSError as err:
            raise BuildError(
                "the process that builds engines cannot be started: "
                f"{err.strerror or err}. Nothing is lost by that; end other programs."
            ) from err
        line = (json.dumps(request) + "\n").encode()
        self._threads = [
            threading.Thread(target=target, args=args, daemon=True)
            for target, args in (
                (self._feed, (line + data,)),
                (self._read_events, ()),
                (self._read_log, ()),
            )
        ]
        for thread in self._threads:
            thread.start()

    @property
    def code(self) -> int | None:
        return self._process.returncode

    def how_it_ended(self) -> str:
        """As in "crashed with SIGSEGV"."""
        code = self.code
        if code is not None and code < 0:
            with suppress(ValueError):
                return f"crashed with {signal.Signals(-code).name}"
            return f"crashed with signal {-code}"
        return f"ended with exit code {code}"

    def last_words(self) -> str:
        return plain(self._lines[-1]).rstrip(".") if self._lines else "none"

    def events(self) -> Iterator[dict[str, Any]]:
        """Each event, or "tick" after half a second; ends when the child does."""
        while True:
            try:
                event = self._events.get(timeout=_TICK_S)
            except queue.Empty:
                yield {"event": "tick"}
                continue
            if event is None:
                self._process.wait()
                return
            self._answered = event["event"] != "progress"
            yield event

    def end(self) -> None:
        """See to it that the child, its own children and the threads are gone."""
        try:
            self._process.wait(_GRACE_S if self._answered else 0)
        except subprocess.TimeoutExpired:
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
        for thread in self._threads:
            thread.join(_GRACE_S)
        for stream in (self._process.stdout, self._process.stderr):
            if stream is not None:
                stream.close()

    def _feed(self, data: bytes) -> None:
        stream = self._process.stdin
        assert stream is not None
        with suppress(BrokenPipeError):  # it died: the exit code will tell
            stream.write(data)
            stream.flush()
        with suppress(BrokenPipeError):
            stream.close()

    def _read_events(self) -> None:
        stream = self._process.stdout
        assert stream is not None
        try:
            for line in stream:
                event = json.loads(line)
                if event["event"] == "engine":
                    event["plan"] = stream.read(event["bytes"])
                    if len(event["plan"]) != event["bytes"]:
                        break
                self._events.put(event)
        except ValueError:  # a line that is cut off, as when the child is killed
            pass
        finally:
            self._events.put(None)

    def _read_log(self) -> None:
        stream = self._process.stderr
        assert stream is not None
        for line in stream:
            text = line.decode(errors="replace").rstrip()
            if text:
                self._lines.append(text)
                _log.debug("%s", text)

"""What the child that builds an engine says."""

from __future__ import annotations

import json
import sys
import threading
import time
from typing import Any, BinaryIO

from .build_progress import ProgressTracker
from .record import plain

__all__ = ["BuildFailed", "BuildLog", "Reporter"]

_PAUSE_S = 0.1  # between two reports


class BuildFailed(Exception):
    """The build failed in a way that its sentence explains."""


class BuildLog:
    """What TensorRT said: all on stderr, warnings and errors kept."""

    def __init__(self) -> None:
        self.warnings: list[str] = []
        self.errors: list[str] = []

    def add(self, severity: str, sentence: str) -> None:
        if severity == "VERBOSE":
            return
        sys.stderr.write(f"[TensorRT {severity}] {plain(sentence)}\n")
        sys.stderr.flush()
        if severity == "WARNING":
            self.warnings.append(sentence)
        elif severity != "INFO":
            self.errors.append(sentence)

    def reason(self, otherwise: str) -> str:
        """The errors since the last call, in one sentence."""
        reason = "; ".join(plain(e).rstrip(".") for e in self.errors[-3:]) or otherwise
        self.errors.clear()
        return reason


class Reporter:
    """Writes events; some threads of TensorRT may do so at once."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream, self._lock, self._last = stream, threading.Lock(), 0.0

    def say(self, event: str, data: bytes = b"", **facts: Any) -> None:
        with self._lock:
            line = json.dumps({"event": event, **facts}) + "\n"
            self._stream.write(line.encode() + data)
            self._stream.flush()

    def progress(self, tracker: ProgressTracker) -> None:
        now = time.monotonic()
        if now - self._last >= _PAUSE_S:
            self._last = now
            phase = plain(tracker.phase)
            self.say("progress", fraction=tracker.fraction, phase=phase)

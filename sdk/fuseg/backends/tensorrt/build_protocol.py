"""What the child that builds an engine says."""

from __future__ import annotations

import json
import re
import sys
import threading
import time
from typing import Any, BinaryIO

from .build_progress import ProgressTracker
from .record import plain

__all__ = ["BuildFailed", "BuildLog", "GpuFailed", "Reporter"]

_PAUSE_S = 0.1  # between two reports
_CONSEQUENCE = "[checkMacros.cpp"  # how CUDA's errors begin, and what follows from any


class BuildFailed(Exception):
    """The build failed in a way that its sentence explains."""


class GpuFailed(BuildFailed):
    """The GPU is to blame: other I/O formats would make no difference."""


class BuildLog:
    """What TensorRT said: all on stderr, errors and each different warning kept."""

    def __init__(self) -> None:
        self.warnings: list[str] = []
        self.errors: list[str] = []
        self.keeps_all = False
        self.everything: list[str] = []  # of each severity, if it keeps all

    def add(self, severity: str, sentence: str) -> None:
        if self.keeps_all:
            self.everything.append(sentence)
        if severity == "VERBOSE":
            return
        sys.stderr.write(f"[TensorRT {severity}] {plain(sentence)}\n")
        sys.stderr.flush()
        if severity == "WARNING":
            if sentence not in self.warnings:  # it says some once per layer
                self.warnings.append(sentence)
        elif severity != "INFO":
            self.errors.append(sentence)

    def reason(self, otherwise: str) -> str:
        """The errors since the last call, in one sentence."""
        errors = [e for e in self.errors if not e.startswith(_CONSEQUENCE)]
        last = (errors or self.errors)[-3:]
        self.errors.clear()
        return "; ".join(plain(e).rstrip(".") for e in last) or otherwise

    def reason_of_parser(self, errors: list[Any]) -> str:
        """What each ``ParserError`` is about, in one sentence.

        What the parser logged is dropped: it is the same in five lines.
        """
        sentences = (f"{_node_of(e)}{_cause_of(e)}" for e in errors)
        self.errors = list(dict.fromkeys(sentences))  # one for each axis, say
        return self.reason("TensorRT gives no reason")


def _node_of(error: Any) -> str:
    if error.node() < 0:
        return ""
    if not hasattr(error, "node_operator"):  # before version 10
        return f"node {error.node()}: "
    return f"{error.node_operator()} node {error.node_name() or error.node()}: "


def _cause_of(error: Any) -> str:
    """Of several lines the first that says more than which node it was."""
    lines = [
        line
        for line in error.desc().splitlines()
        if not line.startswith(("Invalid Node - ", _CONSEQUENCE))
    ]
    first = lines[0] if lines else str(error.desc())
    said = re.search(r'&& "(.+)"', first)  # behind the condition that is not met
    return said[1] if said else first


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
        if tracker.is_idle or now - self._last >= _PAUSE_S:  # the end is not left out
            self._last = now
            phase = plain(tracker.phase)
            self.say("progress", fraction=tracker.fraction, phase=phase)

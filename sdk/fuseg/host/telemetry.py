"""Turns off the telemetry of libraries.

ONNX Runtime from 1.29 on keeps a device id and a queue of events in the user's home and
sends them from a thread of its own as soon as it is imported. Any later setting is too
late, so `turn_off` is the first thing that ``import fuseg`` does, and child processes
inherit it. (OpenVINO's has no such switch: see `backends.openvino`.)
"""

from __future__ import annotations

import os


def turn_off() -> None:
    """Set ``ORT_DISABLE_TELEMETRY``, unless the user has set it to anything."""
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

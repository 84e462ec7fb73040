"""Power mode, clocks and temperatures of this machine: read, never changed.

A time is worth little without them. A Jetson gives NVML nothing of this, so its own
files are read; they need no root. Other NVIDIA GPUs answer ``nvidia-smi``.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from . import desktop, jetson, sysfs

__all__ = ["describe"]


def describe(root: Path = Path("/")) -> dict[str, Any]:
    """What limits the speed of this machine now.

    On a desktop GPU the clocks are the current ones, and an idle GPU is slow: call this
    while it works.

    Args:
        root: The file system to read, ``/`` but for tests.

    Returns:
        Always these keys, None (or empty) where nothing is known:

        - ``kind``: "jetson", "nvidia" or "other"
        - ``board``, ``release``: a Jetson's name, and its Linux's version, "36.4.3"
        - ``mode``, ``mode_id``, ``fastest_mode``, ``fastest_mode_id``: of nvpmodel
        - ``gpus``: of each ``name``, ``mhz``, ``min_mhz``, ``max_mhz``, ``governor``,
          ``power_limit_w``, ``persistence``, ``driver``
        - ``memory``, ``cpu``: ``mhz``, ``min_mhz``, ``max_mhz``, ``governor``; of the
          core whose clock may fall furthest
        - ``temperatures_c``: by thermal zone
        - ``fan_pwm``: 0 to 255; ``fan_mode``: the name of its profile
        - ``at_maximum``: whether nothing below was found; None if too little is known
        - ``why_not``: words for each thing that is below its maximum
        - ``fix``: the commands that change that, for a person to run
    """
    found: dict[str, Any] = {
        "kind": "other",
        "board": None,
        "release": None,
        "mode": None,
        "mode_id": None,
        "fastest_mode": None,
        "fastest_mode_id": None,
        "gpus": [],
        "memory": None,
        "cpu": sysfs.cpu(root),
        "temperatures_c": sysfs.temperatures(root),
        "fan_pwm": sysfs.fan(root),
        "fan_mode": None,
        "at_maximum": None,
        "why_not": [],
        "fix": None,
    }
    if jetson.is_jetson(root):
        found |= jetson.describe(root)
        known, why, fix = jetson.judge(found)
    else:
        desktop.describe(found)
        known, why, fix = desktop.judge(found)
    if known or why:
        found["at_maximum"] = not why
    if why:
        found |= {"why_not": why, "fix": " && ".join(fix)}
    return found

"""What this computer is, in words."""

from __future__ import annotations

import os
import platform
from collections.abc import Collection
from pathlib import Path

from . import cgroups


def cpu_name() -> str:
    """The processor's own name, as far as Linux tells it; of a Jetson, the board's."""
    board = Path("/proc/device-tree/model")
    if board.is_file():
        return board.read_text(errors="replace").strip("\0\n ")
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.is_file():
        with cpuinfo.open(errors="replace") as lines:  # as many as cores
            for line in lines:
                key, _, value = line.partition(":")
                if key.strip() == "model name":
                    return value.strip()
    return platform.processor() or platform.machine()


def cores(root: Path = Path("/")) -> int:
    """Logical cores that this process may use, of its affinity and its CPU quota.

    Args:
        root: The file system to read the quota from, ``/`` but for tests.
    """
    return _within_quota(len(_affinity()), root)


def fewer_cores(root: Path = Path("/")) -> int | None:
    """Physical cores that this process may use, if the machine has more; else None.

    ONNX Runtime and OpenVINO start a thread for each physical core of the machine (the
    latter of the affinity): more of them than may run at once wait for each other in
    every operator, and under a quota all of them stand still until its next period.
    """
    every = _physical(range(os.cpu_count() or 1), root)
    allowed = _within_quota(_physical(_affinity(), root), root)
    return allowed if allowed < every else None


def _affinity() -> Collection[int]:
    if hasattr(os, "sched_getaffinity"):
        return os.sched_getaffinity(0)
    return range(os.cpu_count() or 1)


def _physical(logical: Collection[int], root: Path) -> int:
    """Cores that these logical ones lie on; each counts as one where unknown."""
    found = set()
    for number in logical:
        cpu = root / f"sys/devices/system/cpu/cpu{number}"
        try:
            found.add((cpu / "topology/thread_siblings_list").read_text().strip())
        except OSError:
            found.add(f"cpu{number}")
    return len(found)


def _within_quota(count: int, root: Path) -> int:
    quota = cgroups.cpu_quota(root)
    # Rounded down: a thread more than the quota lasts for stops all of them for the
    # rest of each period, some ten milliseconds late in every frame.
    return count if quota is None else max(1, min(count, int(quota)))


def describe() -> dict[str, str | int]:
    """CPU, cores, operating system; stable keys, as in the JSON of the commands."""
    return {
        "cpu": cpu_name(),
        "cores": cores(),
        "system": f"{platform.system()} {platform.machine()}",
    }

"""What a child process is started with, and how it ends with its parent."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from pathlib import Path

_PARENT = "FUSEG_PARENT"
_PR_SET_PDEATHSIG = 1


def environment(device: int = 0) -> dict[str, str]:
    """A child's environment: the parent's, with fuseg importable and one GPU first.

    Args:
        device: The GPU that the child is to see as its number 0.
    """
    found = dict(os.environ)
    paths = [
        os.path.abspath(p) for p in found.get("PYTHONPATH", "").split(os.pathsep) if p
    ]
    package = str(Path(__file__).resolve().parents[2])
    found["PYTHONPATH"] = os.pathsep.join([*paths, package])
    found[_PARENT] = str(os.getpid())
    found.setdefault("CUDA_MODULE_LOADING", "LAZY")  # less GPU memory for kernels
    if device:
        listed = [d for d in found.get("CUDA_VISIBLE_DEVICES", "").split(",") if d]
        chosen = listed[device] if device < len(listed) else str(device)
        found["CUDA_VISIBLE_DEVICES"] = chosen
    return found


def die_with_parent() -> None:
    """End this process with its parent, who alone waits for the result (Linux)."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.environ.get(_PARENT) != str(os.getppid()):
        os._exit(1)

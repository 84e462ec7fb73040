"""How a build of the TensorRT doubles goes, from the environment of its process.

FUSEG_TENSORRT_DOUBLE_GPU      the GPU's name
FUSEG_TENSORRT_DOUBLE_SECONDS  how long a build takes
FUSEG_TENSORRT_DOUBLE_BUILDS   a file that gets a line at the start of every build
FUSEG_TENSORRT_DOUBLE_FAULT    "kill", "crash", "exit" or "refuse": half way through the
                               build; "io_formats": unless all ends are linear float32;
                               "no gpu"; "linear": formats are not as was asked for;
                               "workspace": unless it may have 64 MiB; "load": what was
                               built cannot be loaded
"""

from __future__ import annotations

import os
import signal
import time
from typing import Any

_NAME = "FUSEG_TENSORRT_DOUBLE_"
_STEPS = 8


def gpu() -> str:
    return os.environ.get(f"{_NAME}GPU", "Pretend GPU")


def is_on(fault: str) -> bool:
    return os.environ.get(f"{_NAME}FAULT") == fault


def strike(network: Any, workspace: int, logger: Any) -> str | None:
    """Note the build; why it fails at once, if so."""
    os.write(1, b"what a library prints on stdout\n")
    network._state.warning(logger, "a pretend GPU has no tactics to time")
    path = os.environ.get(f"{_NAME}BUILDS")
    if path:
        with open(path, "a") as file:
            file.write(f"{os.getpid()} {network._state.version}\n")
    if is_on("io_formats"):
        for tensors in network._tensors.values():
            for tensor in tensors:
                if tensor._io.dtype != "FLOAT" or tensor._io.formats not in (0, 1):
                    return f"Error Code 10: no implementation for {tensor._io.name}"
    if is_on("workspace") and workspace <= 1 << 20:
        return (
            "Error Code 1: Myelin ([tactic.cpp:1676: enumerate_tactics] Tactic "
            "Selection: no tactics to implement the operation within workspace limit. "
            "Consider increase the allowed workspace size if applicable.)"
        )
    if is_on("workspace") and workspace < 64 << 20:
        return "Error Code 2: OutOfMemory (Requested size was 35228180 bytes.)"
    return None


def work(monitor: Any) -> bool:
    """Take the time of a build; False if it is to stop."""
    seconds = float(os.environ.get(f"{_NAME}SECONDS", "0"))
    fault = os.environ.get(f"{_NAME}FAULT")
    if monitor is not None:
        monitor.phase_start("Building engine", None, 2)
        monitor.phase_start("Timing tactics", "Building engine", _STEPS)
    for step in range(_STEPS):
        time.sleep(seconds / _STEPS)
        if step == _STEPS // 2 and not _goes_on(fault):
            return False
        if monitor is not None and not monitor.step_complete("Timing tactics", step):
            return False
    if monitor is not None:
        monitor.phase_finish("Timing tactics")
        monitor.step_complete("Building engine", 0)
        monitor.step_complete("Building engine", 1)
        monitor.phase_finish("Building engine")
    return True


def _goes_on(fault: str | None) -> bool:
    if fault == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    if fault == "crash":
        os.kill(os.getpid(), signal.SIGSEGV)
    if fault == "exit":
        os._exit(3)
    return fault != "refuse"

"""The child process of `first_run`: loads one variant of a bundle, and runs it.

Stdin: a line of JSON, what runs it and the limits; then a bundle of that variant alone.
Stdout: one JSON object, how alike the results are, or the error. The limits are the
network's: they begin after the libraries are imported.
"""

from __future__ import annotations

import json
import math
import os
import sys
import time
from typing import Any

from ..backends import registry
from ..backends.base import CpuBackendInfo
from ..bundle import Bundle
from ..errors import BackendError, FusegError
from ..host.child_process import die_with_parent
from .first_run import in_process

_NO_MEMORY = ("bad_alloc", "allocate", "out of memory")  # words of the libraries


def main() -> None:
    """Answer the request; a run that goes beyond its limits ends without an answer."""
    die_with_parent()
    stream = os.dup(1)
    os.dup2(2, 1)  # what a library prints is no answer
    request = json.loads(sys.stdin.buffer.readline())
    try:
        answer: dict[str, Any] = {"agreement": _run(request)}
    except MemoryError:
        answer = {"error": "MemoryError"}
    except FusegError as err:
        answer = {"error": type(err).__name__, "sentence": str(err)}
        if isinstance(err, BackendError) and _is_of_memory(err):
            answer = {"error": "MemoryError"}
    os.write(stream, json.dumps(answer).encode())
    os._exit(0)  # past what the libraries do at exit


def _run(request: dict[str, Any]) -> dict[str, float] | None:
    bundle = Bundle.open(sys.stdin.buffer.read())
    (variant,) = bundle.manifest.variants
    _import(request["backend"])
    _limit(request["seconds"], request["bytes"])
    return in_process(bundle, request["backend"], variant)


def _import(backend: str) -> None:
    """Import the backend's library; what it takes is not the network's doing."""
    info = registry.info_of(backend)
    if isinstance(info, CpuBackendInfo):
        info.import_library()


def _limit(seconds: int, extra: int) -> None:
    """Let the system end this process beyond so much more time, or memory on Linux."""
    import resource

    used = math.ceil(time.process_time())
    soft = {resource.RLIMIT_CORE: 0, resource.RLIMIT_CPU: used + seconds}
    if sys.platform == "linux":
        soft[resource.RLIMIT_DATA] = _data_bytes() + extra
    for kind, limit in soft.items():
        most = resource.getrlimit(kind)[1]  # that of the user, who may be bound already
        hard = limit + (kind == resource.RLIMIT_CPU)  # SIGXCPU, a second later SIGKILL
        if most != resource.RLIM_INFINITY:
            limit, hard = min(limit, most), min(hard, most)
        resource.setrlimit(kind, (limit, hard))


def _data_bytes() -> int:
    """Memory of this process that counts for ``RLIMIT_DATA``."""
    with open("/proc/self/status") as lines:
        for line in lines:
            if line.startswith("VmData:"):
                return int(line.split()[1]) << 10
    return 0


def _is_of_memory(err: BaseException) -> bool:
    words = f"{err} {err.__cause__}"
    return any(word in words for word in _NO_MEMORY)


if __name__ == "__main__":
    main()

"""The first run of a network on this machine: in a process of its own, with limits.

A bundle may hold a network that is made of nothing but good operators and yet fills the
memory or computes for hours. So what never ran here is loaded once by ``python -m
fuseg.selection._first_run_child``, which the system ends if it goes beyond its limits,
and which this process ends if it is interrupted itself. What passed is remembered by
`tuning_cache`.
"""

from __future__ import annotations

import json
import math
import os
import re
import signal
import subprocess
import sys
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from .. import errors
from ..backends import registry
from ..bundle import Bundle
from ..bundle.container import pack
from ..errors import BackendError, FusegError
from ..host.child_process import environment
from ..manifest import Variant
from ..runtime.frame_loop import Request, loop_for
from ..runtime.outputs import agreements

__all__ = ["Limits", "in_child", "in_process", "limits_of"]

_MIB = 1 << 20
_LONGEST_S = 120
_LEAST_BYTES = 256 * _MIB
_ADVICE = (
    "if the file is known to be good, give its sha256, or the key that signed it, as "
    "trust (--trust)"
)


@dataclass(frozen=True)
class Limits:
    """What a first run may take beside what the libraries take by themselves.

    Attributes:
        seconds: Of processor time; on a busy machine it may wait for longer.
        bytes: Of memory.
    """

    seconds: int
    bytes: int


def limits_of(bundle: Bundle, variant: Variant) -> Limits:
    """Those of one variant: more for more weights and for larger tensors.

    2 s, 0.1 s for a MiB of weights and 20 s for a million pixels; 512 MiB, 6 times the
    weights, 8 times the inputs and outputs and 1 KiB a pixel, as 256 planes of the
    network's size would take; but never more than 120 s, nor, from 256 MiB on, than
    half of the memory that is free.
    """
    manifest = bundle.manifest
    shapes = manifest.shapes("max").values()
    pixels = max(math.prod(shape[2:]) for shape in shapes)
    files = {manifest.network(graph, variant).file for graph in manifest.graphs}
    weights = sum(manifest.files[file].bytes for file in files)
    seconds = 2 + math.ceil(0.1 * weights / _MIB + 20e-6 * pixels)
    tensors = sum(4 * math.prod(shape) for shape in shapes)
    wanted = 512 * _MIB + 6 * weights + 8 * tensors + 1024 * pixels
    most = max(_free_memory() // 2, _LEAST_BYTES)
    return Limits(min(seconds, _LONGEST_S), min(wanted, most))


def in_process(
    bundle: Bundle, backend: str, variant: Variant
) -> dict[str, float] | None:
    """Run a network here, on one thread, without limits: on zeros, and on a sample.

    Args:
        backend: The name of a CPU backend.

    Returns:
        How alike the results are to those of the first sample, by output name; None
        without one.

    Raises:
        BackendError: The backend cannot be made or fails, or each score is NaN.
        BundleError: The network's tensors are not the manifest's.
    """
    loaded = registry.load(bundle, backend, variant, threads=1)
    loop = loop_for(bundle, loaded)
    found = None
    if bundle.manifest.samples:
        arrays, expected = bundle.samples()[0]
        result = loop.label(Request(arrays))
        found = agreements(bundle.manifest, expected, result)
    outputs: Mapping[str, Any] = loaded.outputs
    if all(np.isnan(scores).all() for scores in outputs.values()):
        raise BackendError(
            f"the scores of variant {variant.name} on {backend} are NaN everywhere: "
            "export the bundle again."
        )
    return found


def in_child(bundle: Bundle, backend: str, variant: Variant) -> dict[str, float] | None:
    """The same in a child process, with limits.

    Ctrl-C here, and the end of this process, end the child too.

    Raises:
        BackendError: It went beyond a limit, crashed, or no process can be started.
        And what `in_process` raises, there.
    """
    subject = f"the first run of variant {variant.name} on {backend}"
    limits = limits_of(bundle, variant)
    request = {"backend": backend, "seconds": limits.seconds, "bytes": limits.bytes}
    line = json.dumps(request).encode() + b"\n"
    code, answer, log = _run_child(line + _part_of(bundle, variant), limits, subject)
    if answer is None:
        raise BackendError(f"{subject} {_how_it_ended(code, limits, log)}: {_ADVICE}.")
    if answer.get("error") == "MemoryError":
        took = f"takes more than {limits.bytes // _MIB} MiB of memory"
        raise BackendError(f"{subject} {took} and was stopped: {_ADVICE}.")
    if "error" in answer:
        raise _as_raised(answer["error"], answer["sentence"])
    found: dict[str, float] | None = answer["agreement"]
    return found


def _part_of(bundle: Bundle, variant: Variant) -> bytes:
    """A bundle of one variant and one sample, read as it was when it was opened."""
    whole = bundle.manifest
    graphs = tuple(
        replace(graph, networks={variant.name: whole.network(graph, variant)})
        for graph in whole.graphs
    )
    part = replace(
        whole, graphs=graphs, variants=(variant,), samples=whole.samples[:1], files={}
    )
    files = {name: whole.files[name] for name in part.members()}
    text = replace(part, files=files).dump().encode()
    return pack(text, {name: bundle.read(name) for name in files})


def _run_child(
    request: bytes, limits: Limits, subject: str
) -> tuple[int | None, dict[str, Any] | None, str]:
    """The child's exit code, None if it was ended here, its answer and last words."""
    try:
        child = subprocess.Popen(
            [_interpreter(subject), "-m", "fuseg.selection._first_run_child"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd="/",  # which `python -m` looks into first
            env=environment() | {"PYTHONPATH": _python_path()},
            start_new_session=True,  # the terminal's Ctrl-C comes to this process alone
        )
    except OSError as err:
        raise BackendError(
            f"{subject} needs a process of its own, which cannot be started "
            f"({err.strerror or err}): end other programs; or, {_ADVICE}."
        ) from err
    code: int | None = None
    out, log = b"", b""
    try:
        out, log = child.communicate(request, timeout=60 + 4 * limits.seconds)
        code = child.returncode
    except subprocess.TimeoutExpired:
        pass
    finally:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(child.pid, signal.SIGKILL)
        child.wait()
        for stream in (child.stdin, child.stdout, child.stderr):
            if stream is not None:
                with suppress(OSError):
                    stream.close()
    answer = None
    with suppress(ValueError):
        answer = json.loads(out)
    last = log.decode(errors="replace").strip().rpartition("\n")[2]
    return code, answer if isinstance(answer, dict) else None, last


def _python_path() -> str:
    """Where this process finds its packages, also in an archive or a sandbox."""
    here = os.getcwd()
    found = [p for p in sys.path if os.path.isabs(p) and p != here]
    package = str(Path(__file__).resolve().parents[2])
    return os.pathsep.join([*found, package])


def _interpreter(subject: str) -> str:
    """What to start; an application that holds Python must not be started again."""
    path = sys.executable or ""
    named = re.search("python|pypy", os.path.basename(path), re.IGNORECASE)
    if not named or getattr(sys, "frozen", False):
        raise BackendError(
            f"{subject} needs a process of its own, and sys.executable is not a Python "
            f"that could be started ({path[:200]!a}): {_ADVICE}."
        )
    return path


def _how_it_ended(code: int | None, limits: Limits, log: str) -> str:
    if code in (None, -signal.SIGXCPU, -signal.SIGKILL):
        return f"takes more than {limits.seconds} s of processor time and was stopped"
    said = f" ({ascii(log[:200])[1:-1]})" if log else ""
    if code is not None and code < 0:
        name = f"signal {-code}"
        with suppress(ValueError):
            name = signal.Signals(-code).name
        return f"crashed with {name}{said}"
    return f"ended with exit code {code}{said}"


def _as_raised(kind: str, sentence: str) -> FusegError:
    found = getattr(errors, kind, BackendError) if kind in errors.__all__ else None
    return (found or BackendError)(sentence)


def _free_memory() -> int:
    """Bytes that programs may still take, as far as the system tells."""
    with suppress(OSError, ValueError, IndexError), open("/proc/meminfo") as lines:
        for line in lines:
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) << 10
    return 1 << 62

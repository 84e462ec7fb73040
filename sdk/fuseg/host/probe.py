"""Questions to libraries that can end the process which asks them.

A TensorRT or a CUDA module made for another driver may abort as it is imported, or
hang. So `query` starts ``python -m fuseg.host.probe NAME``, which answers with one line
of JSON, and waits for it with a limit.
"""

from __future__ import annotations

import base64
import ctypes
import importlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from typing import Any, NamedTuple

SECONDS = 60.0  # TensorRT from a cold SD card takes its time

# An ONNX model of one Identity: float x (1) -> y.
_IDENTITY = base64.b64decode(
    "CAg6NwoQCgF4EgF5IghJZGVudGl0eRIBaVoPCgF4EgoKCAgBEgQKAggBYg8KAXkSCgoICAESBAoCCAFC"
    "BAoAEA0="
)


class Answer(NamedTuple):
    """What a library said, or why it said nothing: one of the two.

    ``log`` is the last line that it left on stderr, if any.
    """

    facts: dict[str, Any] | None
    fault: str | None
    log: str = ""


def query(name: str) -> Answer:
    """Put the question ``name`` of this module to its library, in another process."""
    try:
        done = subprocess.run(
            [sys.executable, "-m", "fuseg.host.probe", name],
            capture_output=True,
            check=False,
            encoding="utf-8",
            errors="replace",
            stdin=subprocess.DEVNULL,
            timeout=SECONDS,
        )
    except subprocess.TimeoutExpired:
        return Answer(None, f"did not answer within {SECONDS:g} seconds")
    log = done.stderr.strip().rpartition("\n")[2]
    try:
        answer = json.loads(done.stdout.strip().rpartition("\n")[2])
    except ValueError:
        return Answer(None, f"{_how_it_ended(done.returncode)} {log}".strip(": "), log)
    if "fault" in answer:
        return Answer(None, answer["fault"], log)
    return Answer(answer, None, log)


def _how_it_ended(code: int) -> str:
    if code >= 0:
        return f"left the process with exit code {code}:"
    try:
        return f"ended the process by {signal.Signals(-code).name}:"
    except ValueError:  # a real-time signal
        return f"ended the process by signal {-code}:"


def driver() -> dict[str, Any]:
    """CUDA's version as the driver speaks it, and the GPUs it shows to this user."""
    cuda = ctypes.CDLL("libcuda.so.1")
    number = ctypes.c_int()
    found: dict[str, Any] = {"cuda": None, "gpus": [], "fault_of_gpus": None}
    if cuda.cuDriverGetVersion(ctypes.byref(number)) == 0:
        found["cuda"] = cuda_version(number.value)
    code = cuda.cuInit(0) or cuda.cuDeviceGetCount(ctypes.byref(number))
    if code:
        words = ctypes.c_char_p()
        cuda.cuGetErrorName(code, ctypes.byref(words))
        found["fault_of_gpus"] = (words.value or b"").decode() or f"CUDA error {code}"
        return found
    found["gpus"] = [_gpu(cuda, ordinal) for ordinal in range(number.value)]
    return found


def _gpu(cuda: Any, ordinal: int) -> dict[str, Any]:
    device, size = ctypes.c_int(), ctypes.c_size_t()
    name = ctypes.create_string_buffer(256)
    cuda.cuDeviceGet(ctypes.byref(device), ordinal)
    cuda.cuDeviceGetName(name, len(name), device)
    cuda.cuDeviceTotalMem_v2(ctypes.byref(size), device)

    def attribute(number: int) -> int:
        value = ctypes.c_int()
        cuda.cuDeviceGetAttribute(ctypes.byref(value), number, device)
        return value.value

    return {
        "name": name.value.decode(errors="replace"),
        "capability": [attribute(75), attribute(76)],
        "memory_bytes": size.value,
        "integrated": bool(attribute(18)),
    }


def tensorrt() -> dict[str, Any]:
    """The version of the TensorRT that imports here."""
    return {"version": importlib.import_module("tensorrt").__version__}


def tensorrt_rtx() -> dict[str, Any]:
    """The version of TensorRT for RTX, if that imports here."""
    return {"version": importlib.import_module("tensorrt_rtx_bindings").__version__}


def pycuda() -> dict[str, Any]:
    """The version of the pycuda whose driver module imports here."""
    importlib.import_module("pycuda.driver")
    return {"version": importlib.import_module("pycuda").VERSION_TEXT}


def kernels() -> dict[str, Any]:
    """The GPUs that fuseg's own CUDA module sees, and its reason if it sees none."""
    module = importlib.import_module("fuseg._kernels_cuda")
    found = {"gpus": module.device_count(), "why_none": None}
    if not found["gpus"]:
        try:
            module.device_properties(0)
        except RuntimeError as err:
            found["why_none"] = str(err)
    return found


def onnxruntime() -> dict[str, Any]:
    """Whether ONNX Runtime offers its CUDA provider, and a session really gets it."""
    library = importlib.import_module("onnxruntime")
    wanted = "CUDAExecutionProvider"
    found = {"offered": wanted in library.get_available_providers(), "runs": False}
    if found["offered"]:
        providers = [wanted, "CPUExecutionProvider"]
        session = library.InferenceSession(_IDENTITY, providers=providers)
        found["runs"] = wanted in session.get_providers()
    return found


def cuda_version(number: int) -> str:
    """12060, as CUDA has it, is "12.6"."""
    return f"{number // 1000}.{number % 1000 // 10}"


QUESTIONS: dict[str, Callable[[], dict[str, Any]]] = {
    question.__name__: question
    for question in (driver, tensorrt, tensorrt_rtx, pycuda, kernels, onnxruntime)
}


def main() -> None:
    """Answer the question on the command line."""
    try:
        answer = QUESTIONS[sys.argv[1]]()
    except (ImportError, AttributeError, OSError, RuntimeError) as err:
        answer = {"fault": f"{type(err).__name__}: {err}"}
    print("\n" + json.dumps(answer), flush=True)
    os._exit(0)  # past what the library does at exit


if __name__ == "__main__":
    main()

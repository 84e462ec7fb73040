"""Libraries that break, asked in a process of their own."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import textwrap

import pytest

from fuseg.host import probe
from fuseg.host.probe import Answer

GPU = {
    "name": "Orin",
    "capability": [8, 7],
    "memory_bytes": 7989432320,
    "integrated": True,
}
ORIN = {"cuda": "12.6", "fault_of_gpus": None, "gpus": [GPU]}


@pytest.fixture
def package(tmp_path, monkeypatch):
    """``package("tensorrt", code)``: a package of this name for child processes."""

    def write(name, code):
        path = tmp_path / "site" / f"{name.replace('.', '/')}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(code))
        here = [str(tmp_path / "site"), *filter(None, sys.path)]
        monkeypatch.setenv("PYTHONPATH", os.pathsep.join(here))

    return write


def test_a_library_that_aborts_is_reported_and_does_not_end_this_process(package):
    package("tensorrt", "import os; os.abort()")
    answer = probe.query("tensorrt")
    assert answer.facts is None
    assert answer.fault == "ended the process by SIGABRT"


def test_a_library_that_hangs_is_given_up(package, monkeypatch):
    monkeypatch.setattr(probe, "SECONDS", 2.0)
    package("tensorrt", "import time; time.sleep(60)")
    assert probe.query("tensorrt").fault == "did not answer within 2 seconds"


@pytest.mark.parametrize(
    ("code", "fault"),
    [
        (
            "raise ImportError('libnvinfer.so.10: cannot open shared object file')",
            "ImportError: libnvinfer.so.10: cannot open shared object file",
        ),
        ("raise ZeroDivisionError('odd')", "left the process with exit code 1: "),
        ("import sys; sys.exit(3)", "left the process with exit code 3"),
    ],
)
def test_a_library_that_does_not_import_says_why(package, code, fault):
    package("tensorrt", code)
    assert probe.query("tensorrt").fault.startswith(fault)


def test_a_library_that_talks_as_it_is_imported_and_dies_at_exit_is_understood(package):
    package(
        "tensorrt",
        """
        import atexit, os
        print("[TRT] [I] hello")
        atexit.register(os.abort)
        atexit.register(print, "good-bye", flush=True)
        __version__ = "10.3.0"
        """,
    )
    assert probe.query("tensorrt") == Answer({"version": "10.3.0"}, None)


def test_pycuda_is_asked_for_its_driver_module(package):
    package("pycuda.__init__", "VERSION_TEXT = '2026.1'")
    package("pycuda.driver", "")
    assert probe.query("pycuda").facts == {"version": "2026.1"}
    package("pycuda.driver", "raise ImportError('undefined symbol: cuCtxCreate_v4')")
    assert (
        probe.query("pycuda").fault == "ImportError: undefined symbol: cuCtxCreate_v4"
    )


def test_onnxruntime_is_asked_for_a_session_not_for_its_list(package):
    package(
        "onnxruntime",
        """
        import sys

        class InferenceSession:
            def __init__(self, model, providers):
                assert isinstance(model, bytes)
                print("libcublas is missing", file=sys.stderr)

            def get_providers(self):
                return ["CPUExecutionProvider"]

        def get_available_providers():
            return ["CUDAExecutionProvider", "CPUExecutionProvider"]
        """,
    )
    answer = probe.query("onnxruntime")
    assert answer.facts == {"offered": True, "runs": False}
    assert answer.log == "libcublas is missing"


def test_the_model_for_that_session_is_one_that_onnxruntime_runs():
    onnxruntime = pytest.importorskip("onnxruntime")
    session = onnxruntime.InferenceSession(
        probe._IDENTITY, providers=["CPUExecutionProvider"]
    )
    (y,) = session.run(None, {"x": [1.5]})
    assert y.tolist() == [1.5]


def test_cuda_writes_its_version_as_a_number():
    assert probe.cuda_version(12060) == "12.6"
    assert probe.cuda_version(11040) == "11.4"
    assert probe.cuda_version(13000) == "13.0"


# What the driver's own library is asked; its signatures are those of cuda.h.
LIBCUDA = """
#include <stddef.h>
#include <string.h>
int cuInit(unsigned flags) { return flags == 0 ? INIT : 1; }
int cuDriverGetVersion(int* v) { *v = 12060; return 0; }
int cuDeviceGetCount(int* n) { *n = 1; return 0; }
int cuDeviceGet(int* d, int ordinal) { *d = 40 + ordinal; return 0; }
int cuDeviceGetName(char* s, int n, int d) {
  strncpy(s, d == 40 ? "Orin" : "?", n);
  return 0;
}
int cuDeviceTotalMem_v2(size_t* n, int d) { *n = d == 40 ? 7989432320 : 0; return 0; }
int cuDeviceGetAttribute(int* v, int a, int d) {
  *v = d != 40 ? -1 : a == 75 ? 8 : a == 76 ? 7 : a == 18 ? 1 : -1;
  return 0;
}
int cuGetErrorName(int e, const char** s) {
  *s = e == 100 ? "CUDA_ERROR_NO_DEVICE" : 0;
  return 0;
}
"""


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        (0, ORIN),
        (100, ORIN | {"gpus": [], "fault_of_gpus": "CUDA_ERROR_NO_DEVICE"}),
        (9999, ORIN | {"gpus": [], "fault_of_gpus": "CUDA error 9999"}),
    ],
)
def test_the_driver_is_asked_for_its_version_and_its_gpus(
    tmp_path, monkeypatch, code, expected
):
    compiler = shutil.which("gcc") or shutil.which("cc")
    if compiler is None:
        pytest.skip("there is no C compiler to make a driver with")
    source = tmp_path / "libcuda.c"
    source.write_text(LIBCUDA)
    library = tmp_path / "libcuda.so.1"
    words = [compiler, "-shared", "-fPIC", f"-DINIT={code}", "-o", library, source]
    subprocess.run(words, check=True)
    monkeypatch.setenv("LD_LIBRARY_PATH", str(tmp_path))
    assert probe.query("driver") == Answer(expected, None)

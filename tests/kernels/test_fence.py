"""The fence itself: it stops overruns that AddressSanitizer lets through."""

from __future__ import annotations

import ctypes
import faulthandler
import os
import platform
import shutil
import signal
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest

COMPILER = shutil.which("g++")
SOURCE = Path(__file__).with_name("overrun.cpp")
COUNT = 5
MASKED = ["masked_read", "masked_write", "gather"]
PLAIN = ["plain_read", "plain_write"]

pytestmark = [
    pytest.mark.skipif(platform.machine() != "x86_64", reason="has AVX2 inside"),
    pytest.mark.skipif(COMPILER is None, reason="needs g++"),
    pytest.mark.skipif("LD_PRELOAD" in os.environ, reason="a sanitizer is in the way"),
]

# The array is malloc's, so that a sanitizer knows its end.
CALL_IT = f"""
import ctypes, sys
library = ctypes.CDLL(sys.argv[1])
libc = ctypes.CDLL(None)
libc.malloc.restype = ctypes.c_void_p
array = ctypes.c_void_p(libc.malloc(4 * {COUNT}))
ctypes.memset(array, 0, 4 * {COUNT})
getattr(library, sys.argv[2])(array, {COUNT})
"""


def built(folder: Path, *flags: str) -> Path:
    library = folder / "overrun.so"
    subprocess.run(
        [COMPILER, "-O1", "-shared", "-fPIC", *flags, SOURCE, "-o", library], check=True
    )
    return library


@pytest.fixture(scope="module")
def overruns(tmp_path_factory) -> ctypes.CDLL:
    return ctypes.CDLL(str(built(tmp_path_factory.mktemp("overrun"))))


@pytest.fixture(scope="module")
def watched(tmp_path_factory) -> Path:
    return built(tmp_path_factory.mktemp("watched"), "-fsanitize=address")


def death(function, array: np.ndarray) -> int:
    """The signal that ``function(array, COUNT)`` dies of in a process of its own."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # other threads: torch's
        child = os.fork()
    if child == 0:
        faulthandler.disable()
        function(array.ctypes.data_as(ctypes.c_void_p), COUNT)
        os._exit(0)
    return os.WTERMSIG(os.waitpid(child, 0)[1])


@pytest.mark.parametrize(
    ("name", "fenced"),
    [(n, "at its end") for n in MASKED + PLAIN] + [("read_before", "at its start")],
    indirect=["fenced"],
)
def test_an_overrun_into_the_fence_is_fatal(name, overruns, fenced):
    array = fenced((COUNT,), np.float32)
    assert death(getattr(overruns, name), array) == signal.SIGSEGV


def test_a_masked_access_that_ends_at_the_fence_is_not(overruns, fenced):
    array = fenced((COUNT,), np.float32)
    assert death(overruns.masked_read_within, array) == 0


def under_the_sanitizer(watched: Path, name: str) -> subprocess.CompletedProcess[str]:
    runtimes = [
        subprocess.run(
            [COMPILER, f"-print-file-name={library}"],
            capture_output=True,
            text=True,
            check=True,
        ).stdout.strip()
        for library in ("libasan.so", "libstdc++.so")
    ]
    return subprocess.run(
        [sys.executable, "-c", CALL_IT, watched, name],
        env=os.environ
        | {"LD_PRELOAD": " ".join(runtimes), "ASAN_OPTIONS": "detect_leaks=0"},
        check=False,
        capture_output=True,
        text=True,
    )


@pytest.mark.slow
@pytest.mark.parametrize("name", PLAIN)
def test_the_sanitizer_sees_a_plain_overrun(name, watched):
    done = under_the_sanitizer(watched, name)
    assert done.returncode != 0
    assert "AddressSanitizer: heap-buffer-overflow" in done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("name", MASKED)
def test_the_sanitizer_misses_a_masked_one(name, watched):
    """Why there are fences. Should this fail one day, they can go."""
    done = under_the_sanitizer(watched, name)
    assert done.returncode == 0, done.stderr

"""What CMake decides about the CUDA kernels; nothing is compiled but its own probes."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

TOOLS = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
CMAKE = shutil.which("cmake", path=TOOLS)

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        not (CMAKE and shutil.which("nvcc")), reason="needs cmake and nvcc"
    ),
]


@pytest.fixture
def configure(tmp_path, monkeypatch):
    """``configure(nvcc, *definitions)``: cmake with an nvcc that says it is of that
    release, or with the one of this machine."""
    pybind = [sys.executable, "-m", "pybind11", "--cmakedir"]
    found = subprocess.check_output(pybind, text=True).strip()

    def run(nvcc, *definitions):
        if nvcc is not None:
            script = tmp_path / "bin" / "nvcc"
            script.parent.mkdir()
            said = f"Cuda compilation tools, release {nvcc}, V{nvcc}.1"
            script.write_text(
                f'#!/bin/sh\n[ "$1" = --version ] && exec echo "{said}"\n'
                f'exec {shutil.which("nvcc")} "$@"\n'
            )
            script.chmod(0o755)
            path = f"{script.parent}{os.pathsep}{os.environ['PATH']}"
            monkeypatch.setenv("PATH", path)
        words = [str(CMAKE), "-S", str(ROOT), "-B", str(tmp_path / "build")]
        words += [f"-DPython_EXECUTABLE={sys.executable}", f"-Dpybind11_DIR={found}"]
        words += [f"-D{each}" for each in definitions]
        return subprocess.run(words, capture_output=True, text=True, check=False)

    return run


def test_an_old_nvcc_turns_the_cuda_kernels_off_with_a_sentence(configure, tmp_path):
    done = configure("11.4", "FUSEG_CUDA=AUTO")
    assert done.returncode == 0, done.stderr
    nvcc = tmp_path / "bin" / "nvcc"
    wanted = f"not built, nvcc must be 11.8 or newer, and {nvcc} is 11.4"
    assert f"CUDA kernels: {wanted}" in done.stdout


def test_an_old_nvcc_that_must_be_used_is_an_error(configure):
    done = configure("11.4", "FUSEG_CUDA=ON")
    assert done.returncode == 1
    assert "nvcc must be 11.8 or newer" in " ".join(done.stderr.split())


@pytest.mark.parametrize("release", [False, True])
def test_a_warning_is_an_error_in_a_release_alone(configure, tmp_path, release):
    words = ["FUSEG_CUDA=ON", "CMAKE_EXPORT_COMPILE_COMMANDS=ON"]
    done = configure(None, *words, f"FUSEG_CUDA_RELEASE={'ON' if release else 'OFF'}")
    assert done.returncode == 0, done.stderr
    commands = (tmp_path / "build" / "compile_commands.json").read_text()
    assert "--fmad=false" in commands
    assert ("-Werror=all-warnings" in commands) == release

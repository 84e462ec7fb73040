"""Sections of gpu_check.py about the kernels: built, tested, sanitized, timed."""

from __future__ import annotations

import json
import os
import platform
import re
import shutil
import sys
import time
from typing import Any

from gpu_place import CHECKS, Place, run
from gpu_sources import ROOT, digest

SUITES = ("tests/cuda", "tests/device", "tests/pipeline")
NO_GPU = r"SKIPPED.*(no CUDA device|no real GPU through native)"


class Kernels:
    """Each method is a section: it fills a record, and raises if something is wrong."""

    def __init__(self, place: Place) -> None:
        self._place = place

    def machine(self, record: dict[str, Any]) -> None:
        record["host"] = platform.platform()
        record["python"] = platform.python_version()
        record["nvcc"] = run("nvcc", "--version", seconds=30).splitlines()[-2]
        import torch

        record["torch"] = torch.__version__
        if torch.cuda.is_available():
            record["gpu"] = torch.cuda.get_device_name()
            record["capability"] = torch.cuda.get_device_capability()
            query = "--query-gpu=name,driver_version,clocks.sm,clocks.mem,power.limit"
            record["nvidia-smi"] = run("nvidia-smi", query, "--format=csv", seconds=30)
        elif not self._place.dry:
            raise RuntimeError("PyTorch finds no CUDA device here; try --dry-run")

    def build(self, record: dict[str, Any]) -> None:
        begin = time.perf_counter()
        place = self._place
        cmakedir = run(
            *(sys.executable, "-m", "pybind11", "--cmakedir"),
            seconds=30,
            PYTHONPATH=place.python_path(),
        )
        architectures = "75-virtual" if place.dry else "native"
        folder = place.work / "build"
        configured = run(
            *("cmake", "-S", ROOT, "-B", folder, "-DFUSEG_CUDA=ON"),
            f"-DCMAKE_CUDA_ARCHITECTURES={architectures}",
            f"-DPython_EXECUTABLE={sys.executable}",
            f"-Dpybind11_DIR={cmakedir.strip()}",
            seconds=60,
        )
        record["built for"] = re.findall(r"CUDA rooms: (.*)", configured)
        jobs = os.cpu_count() or 1
        run("cmake", "--build", folder, "-j", jobs, seconds=420)
        shutil.rmtree(place.site, ignore_errors=True)
        shutil.copytree(ROOT / "sdk", place.site, ignore=shutil.ignore_patterns("*.so"))
        for library in folder.glob("_kernels*.so"):
            shutil.copy(library, place.site / "fuseg")
        record["seconds"] = round(time.perf_counter() - begin, 1)

    def tests(self, record: dict[str, Any]) -> None:
        """What is marked gpu; a suite that cannot be collected loses no other one."""
        place, failed = self._place, []
        chosen = "not gpu" if place.dry else "gpu"
        suites = ("tests/cuda/test_device.py",) if place.dry else SUITES
        for suite in suites:
            try:
                said = run(
                    *(sys.executable, "-m", "pytest", "-q", "-rs", "-m", chosen),
                    *(suite, "-W", "default", "-p", "no:cacheprovider"),
                    seconds=150,
                    PYTHONPATH=place.python_path(),
                )
            except RuntimeError as error:
                said = str(error)
                if "ended with 5" in said:  # pytest's word for: nothing to run
                    record[suite] = "nothing there is marked gpu"
                    continue
                failed.append(suite)
            record[suite] = said.splitlines()[-8:]
            if not place.dry and re.search(NO_GPU, said):
                failed.append(f"{suite} (it found no CUDA device)")
        if failed:
            raise RuntimeError(f"tests failed: {', '.join(failed)}")

    def sanitizer(self, record: dict[str, Any]) -> None:
        place = self._place
        tool = shutil.which("compute-sanitizer")
        small = (sys.executable, CHECKS / "gpu_times.py", "--small")
        path = {"PYTHONPATH": place.python_path()}
        if place.dry:
            run(*small, "--device", "cpu", seconds=120, **path)
            record["small run"] = "ran on the CPU"
        if tool is None:
            record["skipped"] = "compute-sanitizer is not on PATH"
            return
        if place.dry:
            return
        for kind in ("memcheck", "racecheck"):
            words = (tool, "--tool", kind, "--error-exitcode", "9", *small)
            said = run(*words, seconds=150, **path)
            record[kind] = [line for line in said.splitlines() if "=====" in line][-3:]

    def times(self, record: dict[str, Any]) -> None:
        place = self._place
        out = place.work / "times.json"
        out.unlink(missing_ok=True)
        small = ["--small", "--device", "cpu"] if place.dry else []
        words = (sys.executable, CHECKS / "gpu_times.py", "--save", out, *small)
        try:
            print(run(*words, seconds=280, PYTHONPATH=place.python_path()))
        finally:  # what was measured before something failed
            if out.exists():
                record |= json.loads(out.read_text())


def add_carried_kernels(place: Place) -> None:
    """Put the compiled modules for the carried Python beside those of this one.

    Raises:
        RuntimeError: They were made of other sources than the ones that are here.
    """
    folder = place.unpacked / "tensorrt-python" / "kernels"
    made_of = json.loads((folder / "sources.json").read_text())["kernels"]
    if made_of != digest("kernels"):
        raise RuntimeError(
            "the chunks of tensorrt-python must hold kernels of these sources, and "
            "hold others: `make gpu-check-prepare ARGS=--tensorrt` makes them again."
        )
    for library in folder.glob("_kernels*.so"):
        shutil.copy(library, place.site / "fuseg")

"""Everything that only a GPU can show, from a copy of the tree and without a network.

    python tests/checks/gpu_check.py    on a machine with a GPU and nvcc
    python tests/checks/gpu_check.py --dry-run    what needs no GPU, anywhere

Needs cmake, pybind11, numpy, pytest and PyTorch (with CUDA). Sections, each on its own,
so that one that fails loses nothing: what the machine is; the build for its GPU; every
CUDA test, with fresh inputs; compute-sanitizer; the times. The record goes to $OUT, or
to benchmarks/results/<version>/gpu-check--<machine>.json. A wrong answer or a failed
section makes the exit status 1.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
Section = Callable[[dict[str, Any]], None]


def run(*words: object, seconds: float, **environment: str) -> str:
    """The output of a command; its end is in the exception if it fails."""
    done = subprocess.run(
        [str(w) for w in words],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=seconds,
        check=False,
        env=os.environ | environment,
        cwd=ROOT,
    )
    if done.returncode != 0:
        raise RuntimeError(
            f"{words[0]} ended with {done.returncode}\n{done.stdout[-6000:]}"
        )
    return done.stdout


class Check:
    def __init__(self, dry: bool, work: Path) -> None:
        self.dry = dry
        self.work = work
        self.site = work / "site"
        self.path = os.pathsep.join(
            [str(self.site), *filter(None, [os.environ.get("PYTHONPATH")])]
        )

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
        elif not self.dry:
            raise RuntimeError("PyTorch finds no CUDA device here; try --dry-run")

    def build(self, record: dict[str, Any]) -> None:
        begin = time.perf_counter()
        cmakedir = run(sys.executable, "-m", "pybind11", "--cmakedir", seconds=30)
        architectures = "75-virtual" if self.dry else "native"
        folder = self.work / "build"
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
        shutil.rmtree(self.site, ignore_errors=True)
        shutil.copytree(ROOT / "sdk", self.site, ignore=shutil.ignore_patterns("*.so"))
        for library in folder.glob("_kernels*.so"):
            shutil.copy(library, self.site / "fuseg")
        record["seconds"] = round(time.perf_counter() - begin, 1)

    def tests(self, record: dict[str, Any]) -> None:
        chosen = "not gpu" if self.dry else "gpu"
        some = ["tests/cuda/test_device.py"] if self.dry else ["tests/cuda"]
        said = run(
            *(sys.executable, "-m", "pytest", "-q", "-rs", "-m", chosen, *some),
            *("-W", "default", "-p", "no:cacheprovider"),
            seconds=240,
            PYTHONPATH=self.path,
        )
        record["said"] = said.splitlines()[-8:]
        if not self.dry and re.search(r"SKIPPED.*no CUDA device", said):
            raise RuntimeError("the tests found no CUDA device")

    def sanitizer(self, record: dict[str, Any]) -> None:
        tool = shutil.which("compute-sanitizer")
        small = (sys.executable, Path(__file__).with_name("gpu_times.py"), "--small")
        if self.dry:
            run(*small, "--device", "cpu", seconds=120, PYTHONPATH=self.path)
            record["small run"] = "ran on the CPU"
        if tool is None:
            record["skipped"] = "compute-sanitizer is not on PATH"
            return
        if self.dry:
            return
        for kind in ("memcheck", "racecheck"):
            said = run(
                *(tool, "--tool", kind, "--error-exitcode", "9", *small),
                seconds=150,
                PYTHONPATH=self.path,
            )
            record[kind] = [line for line in said.splitlines() if "=====" in line][-3:]

    def times(self, record: dict[str, Any]) -> None:
        out = self.work / "times.json"
        out.unlink(missing_ok=True)
        try:
            said = run(
                *(
                    sys.executable,
                    Path(__file__).with_name("gpu_times.py"),
                    "--save",
                    out,
                ),
                *(["--small", "--device", "cpu"] if self.dry else []),
                seconds=280,
                PYTHONPATH=self.path,
            )
            print(said)
        finally:  # what was measured before something failed
            if out.exists():
                record |= json.loads(out.read_text())


def place_of(record: dict[str, Any], dry: bool) -> Path:
    name = str(record.get("machine", {}).get("gpu", platform.machine()))
    name = re.sub(r"\W+", "-", name).strip("-").lower() + ("--dry-run" if dry else "")
    if "OUT" in os.environ:
        return Path(os.environ["OUT"]) / f"gpu-check--{name}.json"
    if dry:
        return ROOT / "out" / f"gpu-check--{name}.json"
    text = (ROOT / "pyproject.toml").read_text()
    version = re.findall(r'^version = "(.*)"', text, re.MULTILINE)[0]
    return ROOT / "benchmarks" / "results" / version / f"gpu-check--{name}.json"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--dry-run", action="store_true", help="without a GPU")
    parser.add_argument("--work", type=Path, default=ROOT / "out" / "gpu-check")
    parser.add_argument("--only", metavar="SECTION", action="append")
    options = parser.parse_args()
    options.work.mkdir(parents=True, exist_ok=True)
    check = Check(options.dry_run, options.work.resolve())
    sections: dict[str, Section] = {
        "machine": check.machine,
        "build": check.build,
        "tests": check.tests,
        "times": check.times,
        "sanitizer": check.sanitizer,
    }
    record: dict[str, Any] = {"title": "gpu-check", "dry run": options.dry_run}
    failed = []
    for name, section in sections.items():
        if options.only and name not in options.only:
            continue
        begin = time.perf_counter()
        found: dict[str, Any] = {}
        try:
            section(found)
            state = "skipped: " + found["skipped"] if "skipped" in found else "ok"
        except Exception as error:  # noqa: BLE001 - a section that fails must not lose the others
            found["error"] = str(error)
            found["traceback"] = traceback.format_exc()
            state = "FAILED"
            failed.append(name)
        record[name] = found
        print(f"{name:10s} {time.perf_counter() - begin:6.1f} s  {state}", flush=True)
        if "error" in found:
            print(found["error"], flush=True)
        place = place_of(record, options.dry_run)
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(json.dumps(record, indent=1, default=str) + "\n")
    print(f"record: {place}")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()

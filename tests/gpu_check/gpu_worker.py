"""A process that runs one program of gpu_programs.py; gpu_team.py speaks to it.

Requests are lines of JSON on stdin, answers lines on stdout. What a library prints goes
to stderr. With a double's version the GPU is one of tests/doubles, to try things out.
"""

from __future__ import annotations

import json
import os
import statistics
import sys
import time
import traceback
from pathlib import Path
from typing import Any

import gpu_programs
import numpy as np

SPLIT = ("pack", "network", "label", "total")


class Worker:
    def __init__(self) -> None:
        self.program: Any = None
        self.frames: list[dict[str, np.ndarray]] = []

    def setup(self, what: dict[str, Any], frames: str, most: int) -> dict[str, Any]:
        """Make the program and let it label two frames, as long as that takes."""
        with np.load(frames) as file:
            stacked = {name: file[name] for name in file.files if name != "labels"}
        count = min(most, *map(len, stacked.values()))
        self.frames = [{n: a[i] for n, a in stacked.items()} for i in range(count)]
        begin = time.perf_counter()
        self.program = gpu_programs.make(what)
        for index in range(4):
            self.program.label(self.frames[index % len(self.frames)])
        seconds = round(time.perf_counter() - begin, 2)
        return {"seconds": seconds, **self.program.facts()}

    def labels(self, save: str) -> dict[str, Any]:
        """The labels of all frames into a file of NumPy's."""
        found = [np.array(self.program.label(frames)) for frames in self.frames]
        np.save(save, np.stack(found))
        return {}

    def time(self, before: int, index: int) -> dict[str, Any]:
        """One timed call after an untimed one, in ms."""
        first, frames = self.frames[before], self.frames[index]
        self.program.label(first)
        begin = time.perf_counter_ns()
        self.program.label(frames)
        ms = (time.perf_counter_ns() - begin) / 1e6
        return {"ms": ms, "split": getattr(self.program, "split", None)}

    def solo(self, calls: int) -> dict[str, Any]:
        """Calls one after another: percentiles in ms, the medians of the split, and
        the clocks right after."""
        from fuseg import power

        times, splits = [], []
        for index in range(calls):
            frames = self.frames[index % len(self.frames)]
            begin = time.perf_counter_ns()
            self.program.label(frames)
            times.append((time.perf_counter_ns() - begin) / 1e6)
            splits.append(getattr(self.program, "split", None) or [])
        state = power.describe()
        p50, p90, p99 = np.percentile(times, (50, 90, 99)).tolist()
        middle = [statistics.median(part) for part in zip(*splits, strict=True)]
        found = {"p50": p50, "p90": p90, "p99": p99, "calls": calls}
        found["power"] = state
        return found | {"split_ms": dict(zip(SPLIT, middle, strict=False))}

    def bars(self, rounds: int, calls: int) -> dict[str, Any]:
        """What gpu_bars.py measures; of fuseg on TensorRT alone."""
        import gpu_bars

        return gpu_bars.measure(self.program.segmenter, self.frames, rounds, calls)

    def check(self) -> dict[str, Any]:
        """What the program finds out about itself."""
        found: dict[str, Any] = self.program.check(self.frames)
        return found


def install_doubles(version: str) -> None:
    """A pretend GPU; TensorRT of this version and ONNX Runtime's provider on it."""
    import importlib.machinery

    import doubles
    import doubles.onnxruntime_cuda
    import doubles.tensorrt
    import pytest

    machine = doubles.Machine(memory_bytes=1 << 30)
    doubles.install(pytest.MonkeyPatch(), machine)
    trt = doubles.tensorrt.make(machine, version)
    trt.__spec__ = importlib.machinery.ModuleSpec("tensorrt", None)
    sys.modules["tensorrt"] = trt
    sys.modules["onnxruntime"] = doubles.onnxruntime_cuda.make(machine)
    site = str(Path(doubles.__file__).parent / "site")
    paths = [site, os.environ.get("PYTHONPATH", "")]
    os.environ["PYTHONPATH"] = os.pathsep.join(paths)
    os.environ["FUSEG_TENSORRT_DOUBLE"] = version


def main() -> None:
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    if sys.argv[1:]:
        install_doubles(sys.argv[1])
    worker = Worker()
    for line in sys.stdin:
        request = json.loads(line)
        try:
            answer = getattr(worker, request.pop("do"))(**request)
        except Exception as error:  # noqa: BLE001 - whatever it is, the parent is told
            traceback.print_exc()
            answer = {"error": f"{type(error).__name__}: {error}"}
        answers.write(json.dumps(answer, default=float) + "\n")
        answers.flush()


if __name__ == "__main__":
    main()

"""Programs from frames to labels side by side: labels first, then times in turns."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from gpu_place import CHECKS, Place, run
from gpu_sources import ROOT
from gpu_team import Worker, WorkerError, interleave, stop_all

CHECKPOINT = ROOT / "export" / "checkpoints" / "rgbd.safetensors"
DOUBLE = "8.6.1"
GPU_ENGINES = ("tensorrt", "onnxruntime-cuda")
CPU = "fuseg on the CPU, fp32"
TORCH = ("eager", "compile", "compile, float16")
# Of the labels, those of float32 on the CPU; what the exporter asks is 0.995 a frame.
LEAST = {"fp32": 0.999, "fp16": 0.998, "int8-trt": 0.99, "int8-trt8": 0.99}


class Team:
    """Begins programs, each in a process of its own, and compares them.

    Attributes:
        calls: Frames of one measurement.
    """

    def __init__(self, place: Place, keep: Callable[[], None]) -> None:
        self._place, self._keep = place, keep
        self._workers: dict[str, Worker] = {}
        self._ready: dict[str, dict[str, Any]] = {}  # what the peers said of themselves
        small = place.dry
        self._rooms, self._size = (3, "60x80") if small else (50, "480x640")
        self._timed = 3 if small else 8  # of the rooms, in turns
        self._rounds, self.calls = (2, 4) if small else (200, 300)

    def __getitem__(self, name: str) -> Worker:
        return self._workers[name]

    def close(self) -> None:
        stop_all(self._workers.values())
        self._workers.clear()

    def compare(
        self, record: dict[str, Any], ours: list[str], seconds: float
    ) -> list[str]:
        """Labels first, then times in turns, then the latency of each of ours alone.

        Returns:
            What is wrong with ours.
        """
        end = time.monotonic() + seconds
        peers = self._peers()
        self._set_up_together(record, [*ours, *peers], end)
        labels = self._all_labels(record, [*ours, *peers])
        ready = list(labels)
        wrong = self._judge(record, ours, labels)
        self._keep()
        timed = [self._workers[n] for n in ready if n != CPU]
        left = max(20.0, min(60.0, end - time.monotonic()))
        record["frames_ms"] = times = interleave(timed, self._timed, self._rounds, left)
        for name, row in times.items():
            if "p50" in row:
                print(f"  {name:44s} p50 {row['p50']:8.3f} ms  p99 {row['p99']:8.3f}")
        for name in ours:
            if name in ready:
                try:
                    record[name]["alone"] = self._alone(self._workers[name])
                except WorkerError as error:
                    wrong.append(str(error))
        return wrong

    def _set_up_together(
        self, record: dict[str, Any], names: list[str], end: float
    ) -> None:
        """Those that are not ready yet, all at once: compiling takes most of it."""
        begun = []
        for name in names:
            if name in record:
                continue
            record[name] = dict(self._ready.get(name, {}))
            if record[name]:
                continue
            try:
                self._send_setup(self._workers[name])
                begun.append(name)
            except WorkerError as error:
                record[name] = {"unavailable": str(error)}
        for name in begun:
            try:
                answer = self._workers[name].receive(end - time.monotonic())
                self._ready[name], record[name] = answer, dict(answer)
            except WorkerError as error:
                record[name] = {"unavailable": str(error)}

    def _all_labels(
        self, record: dict[str, Any], names: list[str]
    ) -> dict[str, np.ndarray]:
        """Of every program that gives any."""
        found = {}
        for name in names:
            if "unavailable" in record.setdefault(name, {}):
                continue
            try:
                found[name] = self.labels(self._workers[name], 60)
            except WorkerError as error:
                record[name]["unavailable"] = str(error)
        return found

    def _judge(
        self, record: dict[str, Any], ours: list[str], labels: dict[str, np.ndarray]
    ) -> list[str]:
        """Shares of labels and mIoU of each program; what is wrong with ours."""
        folder, wrong = self._place.work / "labels", []
        files = [folder / f"{self._file(name)}.npy" for name in labels]
        rooms = self._make_rooms()
        words = (sys.executable, CHECKS / "gpu_rooms.py", "--judge", rooms, *files)
        told = run(*words, seconds=60, PYTHONPATH=self._place.python_path())
        mious = json.loads(told)
        for name, found in labels.items():
            row = record[name]
            row["miou"] = mious[self._file(name)]
            for other in (CPU, "torch, eager"):
                if other in labels and other != name:
                    row[f"labels as {other}"] = float(np.mean(found == labels[other]))
        for name in ours:
            if name not in labels:
                wrong.append(record[name]["unavailable"])
                continue
            variant = self._workers[name].what["variant"]
            share = record[name].get(f"labels as {CPU}", 0.0)
            if share < LEAST[variant]:
                wrong.append(f"{name}: {share:.5f} of the labels are the CPU's")
        return wrong

    def _peers(self) -> list[str]:
        """Begin them, if a section before this one did not."""
        place, bundle = self._place, str(self._place.bundle)
        device, kind = ("cpu", "CPU") if place.dry else ("cuda", "CUDA")
        cpu = {"program": "fuseg", "backend": "onnxruntime", "variant": "fp32"}
        whats = {CPU: cpu | {"bundle": bundle}}
        whats[f"OpenCV, NumPy, ONNX Runtime {kind}"] = {
            "program": "recipe",
            "bundle": bundle,
            "provider": f"{kind}ExecutionProvider",
        }
        for how in TORCH:
            whats[f"torch, {how}"] = {
                "program": "torch",
                "bundle": bundle,
                "checkpoint": str(CHECKPOINT),
                "how": how,
                "device": device,
            }
        for name, what in whats.items():
            if name not in self._workers:
                self.begin(name, what, place.onnxruntime)
        return list(whats)

    def begin(
        self,
        name: str,
        what: dict[str, Any],
        *before: Path,
        python: Path | None = None,
        environment: dict[str, str] | None = None,
    ) -> Worker:
        place = self._place
        gpu = what.get("backend") in GPU_ENGINES or what["program"] == "copying"
        logs = place.work / "logs"
        logs.mkdir(parents=True, exist_ok=True)
        if name in self._workers:
            self._workers.pop(name).stop()
        self._ready.pop(name, None)
        self._workers[name] = Worker(
            *(name, what, logs / f"{self._file(name)}.log"),
            python=python,
            environment=environment or place.environment(*before),
            double=DOUBLE if gpu and place.dry else None,
        )
        return self._workers[name]

    def _send_setup(self, worker: Worker) -> None:
        rooms = str(self._make_rooms())
        worker.send("setup", what=worker.what, frames=rooms, most=self._rooms)

    def set_up(self, worker: Worker, seconds: float) -> dict[str, Any]:
        self._send_setup(worker)
        return worker.receive(seconds)

    def labels(self, worker: Worker, seconds: float) -> np.ndarray:
        path = self._place.work / "labels" / f"{self._file(worker.name)}.npy"
        path.parent.mkdir(parents=True, exist_ok=True)
        worker.ask("labels", seconds, save=str(path))
        return np.load(path)

    def _alone(self, worker: Worker) -> dict[str, Any]:
        return worker.ask("solo", 60, calls=3 * self.calls)

    def _make_rooms(self) -> Path:
        path = self._place.work / f"rooms-{self._rooms}-{self._size}.npz"
        if not path.exists():
            words = (sys.executable, CHECKS / "gpu_rooms.py", "--save", path)
            words += ("--count", str(self._rooms), "--size", self._size)
            run(*words, seconds=120, PYTHONPATH=self._place.python_path())
        return path

    @staticmethod
    def _file(name: str) -> str:
        return "".join(c if c.isalnum() or c in ".-" else "_" for c in name)

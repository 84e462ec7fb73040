"""Sections of gpu_check.py about whole frames: fuseg's engines beside their peers."""

from __future__ import annotations

import importlib.util
import itertools
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gpu_tensorrt86
import numpy as np
from gpu_build import add_carried_kernels
from gpu_place import CHECKS, Place, run
from gpu_sources import ROOT
from gpu_team import Worker, WorkerError, interleave, stop_all

CHECKPOINT = ROOT / "export" / "checkpoints" / "rgbd.safetensors"
DOUBLE = "8.6.1"
CPU = "fuseg on the CPU, fp32"
TORCH = ("eager", "compile", "compile, float16")
# Of the labels, those of float32 on the CPU; what the exporter asks is 0.995 a frame.
LEAST = {"fp32": 0.999, "fp16": 0.998, "int8-trt": 0.99, "int8-trt8": 0.99}
VARIANTS = {True: ("fp16", "int8-trt8", "fp32"), False: ("fp16", "int8-trt", "fp32")}


class Frames:
    """Each public method is a section; `close` ends the programs they have begun.

    Args:
        keep: Called when a record has become longer: a command may be cut off.
    """

    def __init__(self, place: Place, keep: Callable[[], None] = lambda: None) -> None:
        self._place, self._keep = place, keep
        self._team: dict[str, Worker] = {}
        self._logs = itertools.count()
        small = place.dry
        self._rooms, self._size = (3, "60x80") if small else (50, "480x640")
        self._timed = 3 if small else 8  # of the rooms, in turns
        self._rounds, self._calls = (2, 4) if small else (200, 300)

    def close(self) -> None:
        stop_all(self._team.values())
        self._team.clear()

    # Sections --------------------------------------------------------------------

    def native(self, record: dict[str, Any]) -> None:
        """The same frames through each seam, with a network that copies."""
        seams, wrong, labels = ["native"], [], {}
        if self._place.dry or importlib.util.find_spec("pycuda") is not None:
            seams.append("pycuda")
        else:
            record["pycuda"] = "skipped: pycuda cannot be imported"
        for seam in seams:
            what = {"program": "copying", "bundle": self._bundle(), "seam": seam}
            worker = self._begin(f"copying, {seam}", what)
            found = record[seam] = self._set_up(worker, 60)
            found["labels as the CPU's"] = ways = worker.ask("check", 60)
            graph = ways.pop("without graph")
            labels[seam] = self._labels(worker, 60)
            self._keep()
            for way, share in ways.items():
                if isinstance(share, float) and share < LEAST["fp32"]:
                    wrong.append(f"{seam}, {way}: {share:.5f} of the labels fit")
                elif str(share).startswith("failed"):
                    wrong.append(f"{seam}, {way} {share}")
            if graph is not None:
                wrong.append(f"{seam}: no CUDA graph: {graph}")
        if len(seams) == 2:
            record["equal labels"] = bool(np.array_equal(*labels.values()))
            if not record["equal labels"]:
                wrong.append("the two seams give different labels")
        _refuse(wrong)

    def onnxruntime(self, record: dict[str, Any]) -> None:
        place = self._place
        if not place.dry and not place.onnxruntime.exists():
            record["from"] = "this Python's own: no chunks were unpacked"
        place.link_nvidia()
        backend = "onnxruntime" if place.dry else "onnxruntime-cuda"
        record["ours"] = names = []
        for variant in ("fp32", "fp16"):
            what = {"program": "fuseg", "backend": backend, "variant": variant}
            name = f"fuseg, {backend}, {variant}"
            self._begin(name, what | {"bundle": self._bundle()}, place.onnxruntime)
            names.append(name)
        self._compare(record, names, seconds=240)

    def tensorrt(self, record: dict[str, Any]) -> None:
        place = self._place
        python, environment = self._python_of_tensorrt(record)
        version = DOUBLE
        if not place.dry:
            told = run(
                *(python, "-c", "import tensorrt as t; print(t.__version__)"),
                seconds=120,
                **environment,
            )
            version = told.split()[-1]
        record["tensorrt"] = version
        record["ours"] = names = []
        record["failed"] = failed = {}
        for variant in VARIANTS[version.startswith("8.")]:
            what = {"program": "fuseg", "backend": "tensorrt", "variant": variant}
            name = f"fuseg, tensorrt, {variant}"
            worker = self._begin(
                *(name, what | {"bundle": self._bundle()}),
                python=python,
                environment=environment,
            )
            try:  # one after another: TensorRT times kernels as it builds
                record[name] = self._set_up(worker, 150)
                names.append(name)
            except WorkerError as error:
                failed[name] = str(error)
            self._keep()
        if not names:
            raise RuntimeError("; ".join(failed.values()))
        self._compare(record, names, seconds=240)
        for name in names:
            rounds = 2 if place.dry else 5
            worker = self._team[name]
            told = worker.ask("bars", 90, rounds=rounds, calls=self._calls)
            record[name] |= told
            self._keep()
            for bar in () if place.dry else told["bars"]:
                word = "met   " if bar["met"] else "MISSED"
                print(f"  {word} {name}: {bar['bar']} {bar['reached']:.4g}", flush=True)
        _refuse(list(failed.values()))

    # What they share -------------------------------------------------------------

    def _compare(self, record: dict[str, Any], ours: list[str], seconds: float) -> None:
        """Labels first, then times in turns, then the latency of each of ours alone."""
        end = time.monotonic() + seconds
        peers = self._peers()
        new = [self._team[n] for n in (*ours, *peers) if n not in record]
        for worker in new:  # all at once: compiling takes most of it
            self._send_setup(worker)
        for worker in new:
            try:
                record[worker.name] = worker.receive(end - time.monotonic())
            except WorkerError as error:
                record[worker.name] = {"unavailable": str(error)}
        ready = [n for n in (*ours, *peers) if "unavailable" not in record[n]]
        labels = {n: self._labels(self._team[n], 60) for n in ready}
        wrong = self._judge(record, ours, labels)
        self._keep()
        timed = [self._team[n] for n in ready if n != CPU]
        left = max(20.0, min(60.0, end - time.monotonic()))
        record["frames_ms"] = times = interleave(timed, self._timed, self._rounds, left)
        for name, row in times.items():
            if "p50" in row:
                print(f"  {name:44s} p50 {row['p50']:8.3f} ms  p99 {row['p99']:8.3f}")
        for name in ours:
            if name in ready:
                record[name] |= {"alone": self._alone(self._team[name])}
        _refuse(wrong)

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
            variant = self._team[name].what["variant"]
            share = record[name].get(f"labels as {CPU}", 0.0)
            if share < LEAST[variant]:
                wrong.append(f"{name}: {share:.5f} of the labels are the CPU's")
        return wrong

    def _peers(self) -> list[str]:
        """Begin them, if a section before this one did not."""
        place, bundle = self._place, self._bundle()
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
            if name not in self._team:
                self._begin(name, what, place.onnxruntime)
        return list(whats)

    def _begin(
        self,
        name: str,
        what: dict[str, Any],
        *before: Path,
        python: Path | None = None,
        environment: dict[str, str] | None = None,
    ) -> Worker:
        place = self._place
        gpu = what.get("backend") == "tensorrt" or what["program"] == "copying"
        logs = place.work / "logs"
        logs.mkdir(parents=True, exist_ok=True)
        if name in self._team:
            self._team.pop(name).stop()
        self._team[name] = Worker(
            *(name, what, logs / f"{self._file(name)}.log"),
            python=python,
            environment=environment or place.environment(*before),
            double=DOUBLE if gpu and place.dry else None,
        )
        return self._team[name]

    def _send_setup(self, worker: Worker) -> None:
        rooms = str(self._make_rooms())
        worker.send("setup", what=worker.what, frames=rooms, most=self._rooms)

    def _set_up(self, worker: Worker, seconds: float) -> dict[str, Any]:
        self._send_setup(worker)
        return worker.receive(seconds)

    def _labels(self, worker: Worker, seconds: float) -> np.ndarray:
        path = self._place.work / "labels" / f"{self._file(worker.name)}.npy"
        path.parent.mkdir(parents=True, exist_ok=True)
        worker.ask("labels", seconds, save=str(path))
        return np.load(path)

    def _alone(self, worker: Worker) -> dict[str, Any]:
        worker.ask("solo", 60, calls=self._calls)  # clocks and caches
        return worker.ask("solo", 60, calls=self._calls)

    def _make_rooms(self) -> Path:
        path = self._place.work / f"rooms-{self._rooms}-{self._size}.npz"
        if not path.exists():
            words = (sys.executable, CHECKS / "gpu_rooms.py", "--save", path)
            words += ("--count", str(self._rooms), "--size", self._size)
            run(*words, seconds=120, PYTHONPATH=self._place.python_path())
        return path

    def _python_of_tensorrt(
        self, record: dict[str, Any]
    ) -> tuple[Path | None, dict[str, str]]:
        place = self._place
        if place.dry:
            return None, place.environment()
        if importlib.util.find_spec("tensorrt") is not None:
            record["from"] = "this Python's own"
            return Path(sys.executable), place.environment()
        python = gpu_tensorrt86.executable(place.unpacked)
        if not python.exists() or not (place.unpacked / "tensorrt").exists():
            raise RuntimeError(
                "tensorrt must be importable, or the chunks of tensorrt and "
                "tensorrt-python unpacked: `make gpu-check-prepare ARGS=--tensorrt`."
            )
        add_carried_kernels(place)
        record["from"] = "chunks, TensorRT 8.6.0"
        return python, place.carried_tensorrt()

    def _bundle(self) -> str:
        return str(self._place.bundle)

    @staticmethod
    def _file(name: str) -> str:
        return "".join(c if c.isalnum() or c in ".-" else "_" for c in name)


def _refuse(wrong: list[str]) -> None:
    if wrong:
        raise RuntimeError("; ".join(wrong))

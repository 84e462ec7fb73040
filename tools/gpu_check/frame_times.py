"""Sections of gpu_check.py about whole frames: fuseg's engines beside their peers."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gpu_tensorrt86
import numpy as np
from gpu_build import add_carried_kernels
from gpu_compare import DOUBLE, LEAST, Team
from gpu_place import Place, run
from gpu_team import WorkerError

VARIANTS = {True: ("fp16", "int8-trt8", "fp32"), False: ("fp16", "int8-trt", "fp32")}


class Frames:
    """Each public method is a section.

    Args:
        keep: Called when a record has become longer: a command may be cut off.

    Attributes:
        team: The programs that the sections have begun, which go on until it is closed.
    """

    def __init__(self, place: Place, keep: Callable[[], None] = lambda: None) -> None:
        self._place, self._keep = place, keep
        self.team = Team(place, keep)

    # Sections --------------------------------------------------------------------

    def native(self, record: dict[str, Any]) -> None:
        """The same frames through each seam, with a network that copies."""
        place, team = self._place, self.team
        seams, wrong, labels = ["native"], [], {}
        if place.dry or importlib.util.find_spec("pycuda") is not None:
            seams.append("pycuda")
        else:
            record["pycuda"] = "skipped: pycuda cannot be imported"
        for seam in seams:
            what = {"program": "copying", "bundle": str(place.bundle), "seam": seam}
            worker = team.begin(f"copying, {seam}", what)
            try:
                found = record[seam] = team.set_up(worker, 60)
                found["labels as the CPU's"] = ways = worker.ask("check", 60)
                labels[seam] = team.labels(worker, 60)
            except WorkerError as error:
                wrong.append(str(error))
                continue
            graph = ways.pop("without graph")
            self._keep()
            for way, share in ways.items():
                if isinstance(share, float) and share < LEAST["fp32"]:
                    wrong.append(f"{seam}, {way}: {share:.5f} of the labels fit")
                elif str(share).startswith("failed"):
                    wrong.append(f"{seam}, {way} {share}")
            if graph is not None:
                wrong.append(f"{seam}: no CUDA graph: {graph}")
        if len(labels) == 2:
            record["equal labels"] = bool(np.array_equal(*labels.values()))
            if not record["equal labels"]:
                wrong.append("the two seams give different labels")
        _refuse(wrong)

    def onnxruntime(self, record: dict[str, Any]) -> None:
        place, team = self._place, self.team
        if not place.dry and not place.onnxruntime.exists():
            record["from"] = "this Python's own: no chunks were unpacked"
        place.link_nvidia()
        backend = "onnxruntime-cuda"
        record["ours"] = names = []
        for variant in ("fp32", "fp16"):
            what = {"program": "fuseg", "backend": backend, "variant": variant}
            name = f"fuseg, {backend}, {variant}"
            team.begin(name, what | {"bundle": str(place.bundle)}, place.onnxruntime)
            names.append(name)
        _refuse(team.compare(record, names, seconds=240))

    def tensorrt(self, record: dict[str, Any]) -> None:
        place, team = self._place, self.team
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
            worker = team.begin(
                *(name, what | {"bundle": str(place.bundle)}),
                python=python,
                environment=environment,
            )
            try:  # one after another: TensorRT times kernels as it builds
                record[name] = team.set_up(worker, 150)
                names.append(name)
            except WorkerError as error:
                failed[name] = str(error)
            self._keep()
        if not names:
            raise RuntimeError("; ".join(failed.values()))
        wrong = [*failed.values(), *team.compare(record, names, seconds=240)]
        for name in names:
            rounds = 2 if place.dry else 5
            try:
                told = team[name].ask("bars", 90, rounds=rounds, calls=team.calls)
            except WorkerError as error:
                wrong.append(str(error))
                continue
            record[name] |= told
            self._keep()
            for bar in () if place.dry else told["bars"]:
                word = "met   " if bar["met"] else "MISSED"
                print(f"  {word} {name}: {bar['bar']} {bar['reached']:.4g}", flush=True)
        _refuse(wrong)

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


def _refuse(wrong: list[str]) -> None:
    if wrong:
        raise RuntimeError("; ".join(wrong))

"""Frames to labels with one backend on a GPU, beside what one would write oneself.

    python tools/gpu_check/frame_times.py tensorrt --bundle FILE --checkpoint FILE \\
        --save FILE

First every program labels the same 50 rooms, which the network has never seen: the
labels must be those of float32 on the CPU, and mIoU says how well they fit the truth.
Then all take turns on whole frames; at last fuseg is timed alone, stage by stage.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import engine_overhead
import frame_peers
import numpy as np
from frame_peers import Frames, Label

import fuseg
from fuseg import power
from fuseg.bench import percentiles, time_frames
from fuseg.bundle import Bundle
from fuseg.dataset.metrics import confusion, miou
from fuseg.errors import ArgumentError, FusegError
from fuseg_export.scenes import CLASSES, HELD_OUT_SEEDS, IGNORE, render_many

CPU = "fuseg on the CPU, fp32"
GPU_BACKENDS = ("tensorrt", "tensorrt-rtx", "onnxruntime-cuda")
# Of the labels, those of float32 on the CPU; what the exporter asks is 0.995 a frame.
LEAST = {"fp32": 0.999, "fp16": 0.998, "int8-trt": 0.99, "int8-trt8": 0.99}
MODES = ("eager", "compile", "compile, float16")


def rooms(count: int, height: int, width: int) -> tuple[list[Frames], np.ndarray]:
    """Held-out frames and their true labels."""
    workers = min(-(-count // 4), os.cpu_count() or 1)
    rgb, depth, truth = render_many(
        HELD_OUT_SEEDS[-count:], height, width, workers=workers
    )
    frames = [{"rgb": r, "depth": d} for r, d in zip(rgb, depth, strict=True)]
    return frames, truth


def load_all(
    bundle: Bundle, backend: str, record: dict[str, Any]
) -> dict[str, fuseg.Segmenter]:
    """A Segmenter for each variant that is meant for this backend, by name."""
    found = {}
    for variant in bundle.manifest.variants:
        name, begin = f"fuseg, {backend}, {variant.name}", time.perf_counter()
        try:
            found[name] = fuseg.load(bundle, backend=backend, variant=variant.name)
        except ArgumentError:  # it is meant for another backend
            continue
        except FusegError as error:
            record[name] = {"unavailable": str(error)}
            continue
        seconds = round(time.perf_counter() - begin, 1)
        record[name] = {"variant": variant.name, "load_s": seconds}
    return found


def peers(bundle: Bundle, checkpoint: Path) -> dict[str, Callable[[], Label]]:
    """How each peer is made."""
    made = {"OpenCV, NumPy, ONNX Runtime CUDA": partial(frame_peers.recipe, bundle)}
    for mode in MODES:
        made[f"torch, {mode}"] = partial(frame_peers.pytorch, bundle, checkpoint, mode)
    return made


def label_all(
    programs: Mapping[str, Callable[[], Label]],
    frames: list[Frames],
    record: dict[str, Any],
) -> tuple[dict[str, Label], dict[str, np.ndarray]]:
    """The programs that run here, and the labels of each."""
    ready, labels = {}, {}
    for name, make in programs.items():
        row = record.setdefault(name, {})
        try:
            label = make()
            labels[name] = np.stack([label(given) for given in frames])
            ready[name] = label
        except Exception as error:  # noqa: BLE001 - a program that fails stops no other
            row["unavailable"] = f"{type(error).__name__}: {error}"
    return ready, labels


def judge(
    labels: Mapping[str, np.ndarray], truth: np.ndarray, record: dict[str, Any]
) -> None:
    """mIoU of each program, and the shares of its labels that others give too."""
    for name, found in labels.items():
        row = record[name]
        row["miou"] = float(miou(confusion(truth, found, len(CLASSES), IGNORE)))
        for other in (CPU, "torch, eager"):
            if other in labels and other != name:
                row[f"labels as {other}"] = float(np.mean(found == labels[other]))


def wrong(ours: list[str], record: Mapping[str, Any]) -> list[str]:
    """A sentence for each of ours that failed, or whose labels are not the CPU's."""
    faults = []
    for name in ours:
        row = record[name]
        if "unavailable" in row:
            faults.append(f"{name}: {row['unavailable']}")
        elif row.get(f"labels as {CPU}", 0.0) < LEAST[row["variant"]]:
            share = row.get(f"labels as {CPU}", 0.0)
            faults.append(f"{name}: {share:.5f} of the labels are the CPU's")
    return faults


def alone(
    segmenter: fuseg.Segmenter, frames: list[Frames], calls: int
) -> dict[str, Any]:
    """Calls one after another: percentiles and the stages' medians, in ms."""
    timings = [segmenter(**frames[i % len(frames)]).timing for i in range(calls)]
    state = power.describe()  # right after work, while the clocks are up
    stages = {
        name: statistics.median(getattr(t, f"{name}_ms") for t in timings)
        for name in ("pack", "network", "label", "total")
    }
    whole = percentiles([t.total_ms for t in timings])
    return whole | {"calls": calls, "stages_ms": stages, "power": state}


def check(
    segmenters: Mapping[str, fuseg.Segmenter],
    others: Mapping[str, Callable[[], Label]],
    frames: list[Frames],
    truth: np.ndarray,
    record: dict[str, Any],
    *,
    rounds: int = 200,
    calls: int = 900,
    keep: Callable[[], object] = lambda: None,
) -> list[str]:
    """Fill ``record``; what is wrong with fuseg, in sentences.

    Args:
        segmenters: Those to check, by name; ``others`` make what they are compared
            with, `CPU` among them.
        keep: Called when there is something new in the record.
    """

    def labeling(segmenter: fuseg.Segmenter) -> Callable[[], Label]:
        return lambda: lambda given: segmenter(**given).labels

    programs = {n: labeling(s) for n, s in segmenters.items()} | dict(others)
    ready, labels = label_all(programs, frames, record)
    judge(labels, truth, record)
    keep()
    failed = wrong(record["ours"], record)
    timed = {name: label for name, label in ready.items() if name != CPU}
    times = time_frames(timed, frames[:8], range(rounds))
    record["frames_ms"] = {
        name: percentiles(ms) | {"rounds": rounds} for name, ms in times.items()
    }
    keep()
    for name, segmenter in segmenters.items():
        if name in ready:
            record[name]["no CUDA graph"] = segmenter.cuda_graph_disabled_reason
            record[name]["alone"] = alone(segmenter, frames, calls)
            if segmenter.backend_name.startswith("tensorrt"):
                count = max(1, calls // 3)
                found = engine_overhead.measure(segmenter, frames, 5, count)
                record[name] |= found
    return failed


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("backend", choices=GPU_BACKENDS)
    for option in ("--bundle", "--checkpoint", "--save"):
        parser.add_argument(option, type=Path, required=True, metavar="FILE")
    options = parser.parse_args()
    record: dict[str, Any] = {}

    def keep() -> None:
        options.save.write_text(json.dumps(record, default=float))

    bundle = Bundle.open(options.bundle)
    segmenters = load_all(bundle, options.backend, record)
    record["ours"] = list(record)
    keep()
    on_cpu = fuseg.load(bundle, backend="onnxruntime", variant="fp32")
    others = {CPU: lambda: lambda given: on_cpu(**given).labels}
    others |= peers(bundle, options.checkpoint)
    frames, truth = rooms(50, 480, 640)
    failed = check(segmenters, others, frames, truth, record, keep=keep)
    keep()
    for name, row in record["frames_ms"].items():
        print(f"{name:44s} p50 {row['p50']:8.3f} ms  p99 {row['p99']:8.3f} ms")
    if not segmenters:
        failed.append(f"no variant of the bundle runs on {options.backend} here")
    print("".join(f"WRONG {each}\n" for each in failed), end="")
    return int(bool(failed))


if __name__ == "__main__":
    sys.exit(main())

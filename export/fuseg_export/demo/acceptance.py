"""The demo's bundle labels like the trained network, and how fast: ``make demo``.

python -m fuseg_export.demo.acceptance --checkpoints export/checkpoints --demo out/demo
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

import fuseg
from fuseg import explain
from fuseg.cli.printing import print_table
from fuseg.dataset.metrics import confusion, miou

from ..frames.rendered import CAMERA
from ..models import REFERENCE
from ..network.checkpoint import load_checkpoint
from ..reference import at_size, labels, preprocess
from ..scenes import HELD_OUT_SEEDS, Scene, render_many

_PERCENTILES = ("p50", "p90", "p99")
# What a bundle must reach to be called the same network (see `shortfalls`).
MIN_MIOU = 0.75
MAX_MIOU_GAP = 0.002
MIN_GAIN_OF_FUSION = 0.05
MIN_LEFT = 0.8
MIN_SHARE = 0.8
NEEDED = {"rgb": ("rug", "poster"), "depth": ("platform", "pillar")}
MIN_AGREEMENT = 0.9995
MAX_SCORE_GAP = 1e-4
MIN_AGREEMENT_FRAMES = 0.999


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m fuseg_export.demo.acceptance", description=__doc__
    )
    parser.add_argument("--checkpoints", type=Path, required=True)
    parser.add_argument("--demo", type=Path, required=True)
    parser.add_argument("--frames", type=int, default=120)
    args = parser.parse_args()
    bundle = args.demo / "rgbd.fuseg"
    checkpoint = args.checkpoints / "rgbd.safetensors"

    print(f"rendering {args.frames} scenes that the network has never seen")
    scenes = [
        Scene(*parts)
        for parts in zip(
            *render_many(
                HELD_OUT_SEEDS[-args.frames :], *CAMERA, workers=os.cpu_count() or 1
            ),
            strict=True,
        )
    ]
    report = accuracy(bundle, checkpoint, scenes)
    report |= of_sensors(bundle, scenes)
    report["bundle_bytes"] = bundle.stat().st_size
    report |= speed(bundle, checkpoint)

    (args.demo / "report.json").write_text(json.dumps(report, indent=1) + "\n")
    show(report)
    print(f"\nreport: {args.demo / 'report.json'}")
    if missed := shortfalls(report):
        sys.exit("\n".join(missed))


def accuracy(bundle: Path, checkpoint: Path, scenes: list[Scene]) -> dict[str, Any]:
    """The bundle and the PyTorch network on the same frames, pixel by pixel."""
    model = REFERENCE["rgbd"]
    torch.set_num_threads(1)  # sums in one order: the same report on every machine
    network = model.network().eval()
    load_checkpoint(network, checkpoint)
    segmenter = fuseg.load(bundle, threads=1)
    output = segmenter.manifest.label_outputs[0]
    classes, ignore, size = len(output.classes), output.ignore, output.tail.size
    counts = {
        name: np.zeros((classes, classes), np.int64)
        for name in ("miou", "miou_torch", "miou_camera")
    }
    same = same_frames = pixels = 0
    largest_gap = 0.0
    order = list(dict.fromkeys(spec.tensor for spec in model.inputs))
    for scene in scenes:
        frames: dict[str, Any] = {"rgb": scene.color, "depth": scene.depth}
        packed = segmenter.preprocess(**frames)
        logits = run(network, [packed[name] for name in order])
        exact = preprocess(model.inputs, frames)
        wanted = labels(
            run(network, [exact[name].astype(np.float32) for name in order])
        )
        ours = segmenter(**frames, size=size).labels
        truth = at_size(scene.labels, size)

        differs = ours != labels(logits)
        top = np.sort(logits[:, differs], axis=0)[-2:]
        largest_gap = max(largest_gap, float(np.max(top[1] - top[0], initial=0.0)))
        same += int((~differs).sum())
        same_frames += int((ours == wanted).sum())
        pixels += ours.size
        camera = segmenter(**frames).labels
        for name, (t, p) in {
            "miou": (truth, ours),
            "miou_torch": (truth, wanted),
            "miou_camera": (scene.labels, camera),
        }.items():
            counts[name] += confusion(t, p, classes, ignore)
    return {
        "frames": len(scenes),
        **{name: miou(table) for name, table in counts.items()},
        "label_agreement": same / pixels,
        "disagreeing_pixels": pixels - same,
        "largest_gap_of_disagreeing": largest_gap,
        "label_agreement_frames": same_frames / pixels,
    }


def of_sensors(bundle: Path, scenes: list[Scene]) -> dict[str, float]:
    """What one sensor alone is worth, and its shares in the classes that need it."""
    gone = {"policy": "sibling"}
    segmenter = fuseg.load(bundle, threads=1, missing={"rgb": gone, "depth": gone})
    frames = (({"rgb": s.color, "depth": s.depth}, s.labels) for s in scenes)
    classes = explain.contributions(segmenter, frames).classes
    found = {}
    for sensor, needing in NEEDED.items():
        alone = [c.values[(sensor,)] for c in classes.values() if c is not None]
        found[f"miou_{sensor}_only"] = float(np.mean(alone))
        for name in needing:
            known = classes[name]
            shares = known.shares if known is not None else None
            found[f"share_{name}_{sensor}"] = shares[sensor] if shares else 0.0
    return found


@torch.inference_mode()
def run(
    network: torch.nn.Module, tensors: list[NDArray[np.float32]]
) -> NDArray[np.float32]:
    """Logits ``(C, H, W)`` of the network as it was trained."""
    logits = network(*map(torch.from_numpy, tensors))[0].numpy()
    return np.asarray(logits, np.float32)


def speed(bundle: Path, checkpoint: Path) -> dict[str, Any]:
    """End to end latency beside the peers', from ``fuseg bench``.

    On one thread: what else runs on the machine disturbs that least.
    """
    words = ["bench", bundle, "--torch", "rgbd", "--checkpoint", checkpoint]
    words += ["--threads", "1", "--json"]
    done = subprocess.run(
        [sys.executable, "-m", "fuseg", *map(str, words)],
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    )
    result = json.loads(done.stdout)
    return {
        "latency_ms": result["total_ms"],
        "stages_ms": result["stages_ms"],
        "peers": result["peers"],
        "pre_post": result["pre_post"],
        "threads": result["settings"]["threads"],
        "machine": result["machine"],
    }


def show(report: dict[str, Any]) -> None:
    numbers = {key: v for key, v in report.items() if isinstance(v, float)}
    print_table(
        ("measure", "value"),
        [(key, f"{value:.6f}") for key, value in numbers.items()],
        right=("value",),
        title=f"{report['frames']} held-out frames",
    )
    height, width = CAMERA
    rows = []
    for name, row in {"fuseg": report["latency_ms"], **report["peers"]}.items():
        if "p50" in row:
            rows.append((name, *(f"{row[q]:.2f}" for q in _PERCENTILES)))
        else:
            rows.append((name, str(row.get("unavailable")), "", ""))
    print_table(
        ("program", *_PERCENTILES),
        rows,
        right=_PERCENTILES,
        title=f"{height}x{width} frames to labels, ms, one thread",
    )


def shortfalls(report: dict[str, Any]) -> list[str]:
    """One line for each promise that the report does not keep."""
    best_alone = max(report["miou_rgb_only"], report["miou_depth_only"])
    left = np.mean([report[f"miou{only}"] for only in ("", "_rgb_only", "_depth_only")])
    promises = {
        f"mean over the sensors left >= {MIN_LEFT} of both": left
        >= MIN_LEFT * report["miou"],
        f"miou >= {MIN_MIOU}": report["miou"] >= MIN_MIOU,
        f"miou within {MAX_MIOU_GAP} of torch": abs(
            report["miou"] - report["miou_torch"]
        )
        <= MAX_MIOU_GAP,
        f"fusion gains {MIN_GAIN_OF_FUSION}": report["miou"] - best_alone
        >= MIN_GAIN_OF_FUSION,
        f"label_agreement >= {MIN_AGREEMENT}": report["label_agreement"]
        >= MIN_AGREEMENT,
        f"disagreeing pixels within {MAX_SCORE_GAP} of a tie": report[
            "largest_gap_of_disagreeing"
        ]
        < MAX_SCORE_GAP,
        f"label_agreement_frames >= {MIN_AGREEMENT_FRAMES}": report[
            "label_agreement_frames"
        ]
        >= MIN_AGREEMENT_FRAMES,
    }
    for sensor, needing in NEEDED.items():
        for name in needing:
            share = report[f"share_{name}_{sensor}"]
            promises[f"share of {sensor} in {name} >= {MIN_SHARE}"] = share >= MIN_SHARE
    return [f"not reached: {what}" for what, kept in promises.items() if not kept]


if __name__ == "__main__":
    main()

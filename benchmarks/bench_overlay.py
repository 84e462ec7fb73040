"""overlay, and colours alone, against NumPy, torch, and OpenCV as usually written and
tuned.

python benchmarks/bench_overlay.py
"""

from __future__ import annotations

import cv2
import numpy as np
import torch

from fuseg.ops import Overlay
from record import Bar, Call, Row, compare, report
from scenes import scene_labels

# (H, W, classes). The last is the worst: any label beside any other.
CASES = [(480, 640, 12), (1024, 2048, 19), (1024, 2048, 150)]
NOISE = (1024, 2048, 19)
OURS, IGNORING, THIRD = "fuseg.ops.overlay", "ours, a label ignored", "ours, alpha 0.3"
TUNED = "cv2 (tuned)"
BARRED = (1024, 2048, 19)


def bench(case: str, labels: np.ndarray, classes: int, barred: bool) -> list[Row]:
    rng = np.random.default_rng(0)
    palette = rng.integers(0, 256, (classes, 3), dtype=np.uint8)
    frame = rng.integers(0, 256, (*labels.shape, 3), dtype=np.uint8)
    out, merged, colours, blended = (np.empty_like(frame) for _ in range(4))
    table = np.zeros((256, 1, 3), np.uint8)
    table[:classes, 0] = palette
    torch_palette = torch.from_numpy(palette)
    torch_labels, torch_frame = torch.from_numpy(labels), torch.from_numpy(frame)
    half, third = Overlay(palette), Overlay(palette, alpha=0.3)
    ignoring = Overlay(palette, ignore=3)

    def recipe() -> np.ndarray:
        return cv2.LUT(cv2.merge([labels] * 3), table)

    def tuned() -> np.ndarray:
        cv2.merge([labels] * 3, dst=merged)
        return cv2.LUT(merged, table, dst=colours)

    def blend_by_torch() -> torch.Tensor:
        mixed = torch_frame * 0.5 + torch_palette[torch_labels.long()] * 0.5
        return (mixed + 0.5).to(torch.uint8)

    over_frame = {
        OURS: lambda: half(labels, frame=frame, out=out),
        IGNORING: lambda: ignoring(labels, frame=frame, out=out),
        THIRD: lambda: third(labels, frame=frame, out=out),
        "NumPy": lambda: (frame * 0.5 + palette[labels] * 0.5 + 0.5).astype(np.uint8),
        "torch eager": blend_by_torch,
        "cv2.LUT, addWeighted": lambda: cv2.addWeighted(frame, 0.5, recipe(), 0.5, 0),
        TUNED: lambda: cv2.addWeighted(frame, 0.5, tuned(), 0.5, 0, dst=blended),
    }
    alone = {
        OURS: lambda: half(labels, out=out),
        IGNORING: lambda: ignoring(labels, out=out),
        "NumPy": lambda: palette[labels],
        "numpy.take": lambda: np.take(palette, labels, axis=0, out=out, mode="clip"),
        "torch eager": lambda: torch_palette[torch_labels.long()],
        "cv2.LUT": recipe,
        TUNED: tuned,
    }
    check(over_frame, tolerance=1)  # they round halves in three ways
    check(alone, tolerance=0)
    return [
        *compare(
            f"{case}, over a frame",
            over_frame,
            read=labels.nbytes + frame.nbytes,
            written=out.nbytes,
            bars=[Bar(15, TUNED, avx2=6)] if barred else (),
        ),
        *compare(
            f"{case}, colours alone",
            alone,
            read=labels.nbytes,
            written=out.nbytes,
            bars=[Bar(30, TUNED, avx2=10)] if barred else (),
        ),
    ]


def check(calls: dict[str, Call], tolerance: int) -> None:
    wanted = calls["NumPy"]().astype(int)
    for name in calls.keys() - {IGNORING, THIRD}:
        apart = np.abs(np.asarray(calls[name]()).astype(int) - wanted).max()
        assert apart <= tolerance, name


def cases() -> list[Row]:
    rng = np.random.default_rng(0)
    rows = []
    for height, width, classes in CASES:
        labels = scene_labels(classes, (height, width), 120, rng)
        barred = (height, width, classes) == BARRED
        rows += bench(f"{height}x{width} C{classes} scene", labels, classes, barred)
    height, width, classes = NOISE
    labels = rng.integers(0, classes, (height, width), dtype=np.uint8)
    return rows + bench(f"{height}x{width} C{classes} noise", labels, classes, True)


if __name__ == "__main__":
    report("overlay: labels over a uint8 frame, half and half", cases)

"""overlay, and colours alone, against NumPy, torch, OpenCV as usually written, and
OpenCV tuned.

python benchmarks/bench_overlay.py
python benchmarks/bench_overlay.py --save overlay.json
"""

from __future__ import annotations

import cv2
import numpy as np
import torch

from fuseg.ops import Painter
from record import Row, compare, report

# Labels in patches, as from a network; a new label every pixel; and 150 classes.
CASES = [
    (480, 640, 12, 16),
    (1024, 2048, 19, 16),
    (1024, 2048, 19, 1),
    (1024, 2048, 150, 16),
]


def bench(
    height: int, width: int, classes: int, patch: int, rng: np.random.Generator
) -> list[Row]:
    coarse = rng.integers(0, classes, (-(-height // patch), -(-width // patch)))
    labels = coarse.astype(np.uint8).repeat(patch, 0).repeat(patch, 1)
    labels = np.ascontiguousarray(labels[:height, :width])
    palette = rng.integers(0, 256, (classes, 3), dtype=np.uint8)
    frame = rng.integers(0, 256, (height, width, 3), dtype=np.uint8)
    out, merged, colours, blended = (np.empty_like(frame) for _ in range(4))
    table = np.zeros((256, 1, 3), np.uint8)
    table[:classes, 0] = palette
    torch_palette, torch_labels, torch_frame = map(
        torch.from_numpy, (palette, labels, frame)
    )

    def ours(paint: Painter, under: np.ndarray | None = frame) -> np.ndarray:
        paint(labels, under, out)
        return out

    def recipe() -> np.ndarray:
        return cv2.LUT(cv2.merge([labels] * 3), table)

    def tuned() -> np.ndarray:
        cv2.merge([labels] * 3, dst=merged)
        return cv2.LUT(merged, table, dst=colours)

    def blend_by_torch() -> torch.Tensor:
        mixed = torch_frame * 0.5 + torch_palette[torch_labels.long()] * 0.5
        return (mixed + 0.5).to(torch.uint8)

    half, third = Painter(palette), Painter(palette, alpha=0.3)
    ignoring = Painter(palette, ignore=3)
    overlays = {
        "fuseg.ops.overlay": lambda: ours(half),
        "ours, one label ignored": lambda: ours(ignoring),
        "ours, alpha 0.3": lambda: ours(third),
        "NumPy": lambda: (frame * 0.5 + palette[labels] * 0.5 + 0.5).astype(np.uint8),
        "torch": blend_by_torch,
        "cv2.LUT, addWeighted (usual)": lambda: cv2.addWeighted(
            frame, 0.5, recipe(), 0.5, 0
        ),
        "cv2.LUT, addWeighted (tuned)": lambda: cv2.addWeighted(
            frame, 0.5, tuned(), 0.5, 0, dst=blended
        ),
    }
    alone = {
        "fuseg.ops.overlay": lambda: ours(half, None),
        "ours, one label ignored": lambda: ours(ignoring, None),
        "NumPy": lambda: palette[labels],
        "numpy.take": lambda: np.take(palette, labels, axis=0, out=out, mode="clip"),
        "torch": lambda: torch_palette[torch_labels.long()],
        "cv2.LUT (usual)": recipe,
        "cv2.LUT (tuned)": tuned,
    }
    for calls in (overlays, alone):
        wanted = calls["NumPy"]().astype(int)
        for name, call in calls.items():
            if name not in ("ours, one label ignored", "ours, alpha 0.3"):
                assert np.abs(np.asarray(call()) - wanted).max() <= 1, name

    kind = "patches" if patch > 1 else "noise"
    case = f"{height}x{width} C{classes} {kind}"
    least = labels.nbytes + out.nbytes
    return [
        *compare(f"{case}, over a frame", overlays, least + frame.nbytes),
        *compare(f"{case}, colours alone", alone, least),
    ]


def cases() -> list[Row]:
    cv2.setNumThreads(1)
    torch.set_num_threads(1)
    rng = np.random.default_rng(0)
    return [row for case in CASES for row in bench(*case, rng)]


if __name__ == "__main__":
    report("overlay: labels over a uint8 frame, half and half", cases)

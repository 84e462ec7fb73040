"""overlay against NumPy, OpenCV as usually written, and OpenCV tuned.

python benchmarks/bench_overlay.py
"""

from __future__ import annotations

import cv2
import numpy as np

from fuseg.ops import overlay
from record import Bar, Row, compare, report

# Labels in patches, as from a network, and the worst: a new label every pixel.
CASES = [(480, 640, 16), (480, 640, 1), (1080, 1920, 16), (1024, 2048, 64)]
CLASSES = 12
TUNED = "cv2.LUT, addWeighted (tuned)"
COLOURS = "cv2.LUT (tuned), without a frame"
ALONE = "ours, without a frame"
BARS = {
    (1024, 2048): [Bar(15, TUNED, avx2=6), Bar(30, COLOURS, avx2=10, ours=ALONE)],
}


def bench(height: int, width: int, patch: int, rng: np.random.Generator) -> list[Row]:
    coarse = rng.integers(0, CLASSES, (-(-height // patch), -(-width // patch)))
    labels = coarse.astype(np.uint8).repeat(patch, 0).repeat(patch, 1)
    labels = np.ascontiguousarray(labels[:height, :width])
    palette = rng.integers(0, 256, (CLASSES, 3), dtype=np.uint8)
    frame = rng.integers(0, 256, (height, width, 3), dtype=np.uint8)
    out = np.empty_like(frame)

    def ours() -> np.ndarray:
        return overlay(labels, palette=palette, frame=frame, out=out)

    def numpy() -> np.ndarray:
        return (frame * 0.5 + palette[labels] * 0.5 + 0.5).astype(np.uint8)

    table = np.zeros((256, 1, 3), np.uint8)
    table[:CLASSES, 0] = palette

    def recipe() -> np.ndarray:
        colours = cv2.LUT(cv2.merge([labels] * 3), table)
        return cv2.addWeighted(frame, 0.5, colours, 0.5, 0)

    merged, colours, blended = (np.empty_like(frame) for _ in range(3))

    def tuned_colours() -> np.ndarray:
        cv2.merge([labels] * 3, dst=merged)
        return cv2.LUT(merged, table, dst=colours)

    def tuned() -> np.ndarray:
        tuned_colours()
        return cv2.addWeighted(frame, 0.5, colours, 0.5, 0, dst=blended)

    for peer in (numpy, recipe, tuned):
        assert np.abs(peer().astype(int) - ours()).max() <= 1, peer.__name__

    kind = "patches" if patch > 1 else "noise"
    case = f"{height}x{width} {kind}"
    calls = {
        "fuseg.ops.overlay": ours,
        "NumPy": numpy,
        "cv2.LUT, addWeighted (usual)": recipe,
        TUNED: tuned,
        COLOURS: tuned_colours,
        "ours, one label ignored": lambda: overlay(
            labels, palette=palette, frame=frame, ignore=3, out=out
        ),
        ALONE: lambda: overlay(labels, palette=palette, out=out),
    }
    return compare(
        case,
        calls,
        read=labels.nbytes + frame.nbytes,
        written=out.nbytes,
        bars=BARS.get((height, width), ()),
    )


def cases() -> list[Row]:
    rng = np.random.default_rng(0)
    return [row for case in CASES for row in bench(*case, rng)]


if __name__ == "__main__":
    report("overlay: labels over a uint8 frame, half and half", cases)

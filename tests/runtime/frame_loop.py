"""Run by test_frame_loop.py under LD_PRELOAD: prints big allocations as JSON."""

from __future__ import annotations

import ctypes
import json
import sys

import numpy as np

import fuseg
from fuseg import Frame

FRAMES = 20
PERIOD_NS = 10_000_000  # FRAMES of them are a fifth of the bundle's max_age_ms


def main(library: str, bundle: str, backend: str) -> None:
    """Print ``{case: [calls, bytes, state of depth]}``, each of FRAMES frames."""
    counter = ctypes.CDLL(library)
    for name in ("big_malloc_calls", "big_malloc_bytes"):
        getattr(counter, name).restype = ctypes.c_ulong
    segmenter = fuseg.load(bundle, backend=backend, threads=1)
    rng = np.random.default_rng(0)
    rgb = rng.integers(0, 256, (480, 640, 3)).astype(np.uint8)
    depth = rng.integers(1, 6000, (480, 640)).astype(np.uint16)
    nothing = np.zeros_like(depth)
    out = np.empty((480, 640), np.uint8)
    keep = []

    def counted(depth, *, first=0, planted=0, kept=False, **options):
        calls, size = counter.big_malloc_calls(), counter.big_malloc_bytes()
        for i in range(first, first + FRAMES):
            given = {"rgb": Frame(rgb, i * PERIOD_NS)}
            if depth is not None:
                given["depth"] = Frame(depth, i * PERIOD_NS)
            result = segmenter(**given, **options)
            if kept:
                keep.append(result)
            np.empty(planted, np.uint8)
        return [
            counter.big_malloc_calls() - calls,
            counter.big_malloc_bytes() - size,
            result.sources["depth"].state,
        ]

    counted(depth, out=out)  # OpenVINO makes the last of its scratch in early frames
    cases = {
        "out": counted(depth, out=out),
        "held": counted(nothing, first=FRAMES, out=out),
        "substituted": counted(None, first=100 * FRAMES, out=out),
        "kept": counted(depth, kept=True),
        "confidence": counted(depth, kept=True, confidence=True),
        "planted": counted(depth, planted=100_000, out=out),
    }
    print(json.dumps(cases))


if __name__ == "__main__":
    main(*sys.argv[1:])

"""Class scores of the shipped checkpoint on its own sample frames.

Scenes are drawn; these are what a network really gives, so that one can see whether
the scenes' share of mixed cells is real. `make demo` makes the bundle.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from fuseg import load
from fuseg.bundle import Bundle

BUNDLE = Path(__file__).parents[1] / "out" / "demo" / "rgbd.fuseg"


def shipped_scores() -> list[np.ndarray]:
    """Scores (C, h, w) float32, one array per sample; none without the bundle."""
    if not BUNDLE.exists():
        print(f"no {BUNDLE}: nothing of the shipped checkpoint (make demo)")
        return []
    bundle = Bundle.open(BUNDLE)
    segmenter = load(bundle, backend="onnxruntime", variant="fp32", threads=1)
    name = bundle.manifest.label_outputs[0].tensor
    scores = []
    for frames, _ in bundle.samples():
        segmenter(**frames)
        scores.append(segmenter.backend.outputs[name][0].copy())
    return scores

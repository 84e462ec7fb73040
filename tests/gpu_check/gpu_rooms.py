"""Rooms that the shipped network has never seen, and how well labels fit them.

python tests/gpu_check/gpu_rooms.py --save ROOMS.npz --count 50
python tests/gpu_check/gpu_rooms.py --judge ROOMS.npz LABELS.npy ...   mIoU, as JSON
"""

from __future__ import annotations

import argparse
import json
import os
from pathlib import Path

import numpy as np

from fuseg.dataset.metrics import confusion, miou
from fuseg_export.scenes import CLASSES, HELD_OUT_SEEDS, IGNORE, render_many


def save(path: Path, count: int, height: int, width: int) -> None:
    workers = min(-(-count // 4), os.cpu_count() or 1)
    rooms = render_many(HELD_OUT_SEEDS[-count:], height, width, workers=workers)
    arrays = dict(zip(("rgb", "depth", "labels"), rooms, strict=True))
    draft = path.with_name(f"draft-{path.name}")
    np.savez(draft, **arrays)
    draft.replace(path)


def judge(rooms: Path, predictions: list[Path]) -> dict[str, float]:
    """The mIoU of each file of labels, by name; it may hold fewer rooms."""
    truth = np.load(rooms)["labels"]
    found = {}
    for path in predictions:
        labels = np.load(path)
        counts = confusion(truth[: len(labels)], labels, len(CLASSES), IGNORE)
        found[path.stem] = float(miou(counts))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--save", type=Path)
    parser.add_argument("--count", type=int, default=50)
    parser.add_argument("--size", default="480x640", metavar="HxW")
    parser.add_argument("--judge", type=Path, nargs="+")
    options = parser.parse_args()
    if options.save:
        height, width = map(int, options.size.split("x"))
        save(options.save, options.count, height, width)
    if options.judge:
        rooms, *predictions = options.judge
        print(json.dumps(judge(rooms, predictions)))


if __name__ == "__main__":
    main()

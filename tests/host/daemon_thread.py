"""A process that ends while a daemon thread of it labels; see test_process_end.py.

Usage: daemon_thread.py WHAT BUNDLE SECONDS
"""

from __future__ import annotations

import sys
import threading
import time

import numpy as np

import fuseg
from fuseg import ops

what, bundle, seconds = sys.argv[1], sys.argv[2], float(sys.argv[3])
SIZE = (480, 640)
rng = np.random.default_rng(0)
scores = rng.standard_normal((4, 60, 80)).astype(np.float32)
color = rng.integers(0, 256, (*SIZE, 3)).astype(np.uint8)
depth = rng.integers(1, 9000, SIZE).astype(np.uint16)
labels = rng.integers(0, 4, SIZE).astype(np.uint8)
palette = np.zeros((4, 3), np.uint8)
boxes = rng.random((9999, 4)).astype(np.float32)
chances, kinds = rng.random(9999).astype(np.float32), np.zeros(9999, np.int32)
calls = {
    "upsample_argmax": lambda: ops.upsample_argmax(scores, size=SIZE, threads=2),
    "fuse_argmax": lambda: ops.fuse_argmax([scores, scores], size=SIZE),
    "overlay": lambda: ops.overlay(labels, palette=palette, frame=color),
    "pack_color": lambda: ops.pack_color(color, size=(240, 320)),
    "pack_depth": lambda: ops.pack_depth(depth, size=(240, 320)),
    "confusion_matrix": lambda: ops.confusion_matrix(labels, labels, classes=4),
    "nms": lambda: ops.nms(boxes, chances, kinds, iou_threshold=0.5, max_boxes=9999),
}
if what in calls:
    call = calls[what]
elif what == "load":

    def call() -> object:
        return fuseg.load(bundle, threads=1)

else:
    segmenter = fuseg.load(bundle, backend=what, threads=2)

    def call() -> object:
        return segmenter(rgb=color, depth=depth)


begun = threading.Event()


def work() -> None:
    try:
        while True:
            call()
            begun.set()
    finally:  # it failed: nobody needs to wait
        begun.set()


threading.Thread(target=work, daemon=True).start()
begun.wait()
time.sleep(seconds)

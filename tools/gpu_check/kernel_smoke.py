"""Every kernel once on a GPU, then from a CUDA graph, beside the CPU's answer.

    python tools/gpu_check/kernel_smoke.py --save FILE

The first thing to run on a GPU: seconds, no PyTorch, and it shows at once if kernels
have no code for this GPU, take too many arguments or cannot be captured.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from fuseg import ops
from fuseg.cuda import Device, open_device

CAMERA, SIZE = (37, 53), (29, 141)  # in the middle of blocks and vectors


@dataclass
class Smoke:
    """``call(*inputs, out=, stream=)`` writes all of ``out``, or adds to its zeros."""

    name: str
    inputs: list[np.ndarray]
    out: np.ndarray
    call: Callable[..., object]
    within: float = 0.0  # that elements may be apart
    differ: float = 0.0  # the share that may be further apart


def all_kernels(rng: np.random.Generator) -> Iterator[Smoke]:
    color = rng.integers(0, 256, (*CAMERA, 3), dtype=np.uint8)
    pack_color = ops.PackColor(size=SIZE)
    yield Smoke(
        "pack_color", [color], np.zeros((3, *SIZE), np.float32), pack_color, 1e-4
    )

    depth = rng.integers(0, 9000, CAMERA).astype(np.uint16)
    pack_depth = ops.PackDepth(np.uint16, size=SIZE, filter="bilinear", scale=0.001)
    yield Smoke("pack_depth", [depth], np.zeros(SIZE, np.float32), pack_depth, 1e-4)

    scores = [
        rng.standard_normal((5, *grid)).astype("f4") for grid in ((9, 13), (4, 6))
    ]
    labels = np.zeros(SIZE, np.uint8)
    upsample = ops.UpsampleArgmax(scores[0].shape, np.float32, size=SIZE)
    yield Smoke("upsample_argmax", scores[:1], labels, upsample, differ=1e-3)

    fuse = ops.FuseArgmax(5, [s.shape[1:] for s in scores], size=SIZE)
    fused = lambda *maps, **more: fuse(list(maps), **more)
    yield Smoke("fuse_argmax", scores, labels, fused, differ=1e-3)

    shown = rng.integers(0, 9, CAMERA, dtype=np.uint8)
    paint = ops.Overlay(rng.integers(0, 256, (9, 3), dtype=np.uint8))
    painted = lambda labels, frame, **more: paint(labels, frame=frame, **more)
    yield Smoke("overlay", [shown, color], np.zeros_like(color), painted)

    count = ops.ConfusionMatrix(np.uint8, classes=9)
    truth = np.ascontiguousarray(shown[::-1])
    yield Smoke("confusion_matrix", [truth, shown], np.zeros((9, 9), np.int64), count)

    corners = (rng.random((1100, 4)) * 64).astype(np.float32)  # more than threads
    sure = rng.random(1100, dtype=np.float32)
    kinds = rng.integers(0, 3, 1100, dtype=np.int32)
    suppress = ops.Nms(iou_threshold=0.3, max_candidates=1200, max_boxes=200)
    yield Smoke("nms", [corners, sure, kinds], np.zeros(200, np.int32), suppress)


class OnDevice:
    """A copy of an array in memory of its own; `device` has it all."""

    def __init__(self, device: Device, array: np.ndarray, stream: int) -> None:
        self.device, self.like, self.stream = device, array, stream
        self.address = device.allocate(array.nbytes)
        self.pinned = device.pinned(array.nbytes)
        self.host = (
            self.pinned.array[: array.nbytes].view(array.dtype).reshape(array.shape)
        )
        self.fill(array)

    def fill(self, array: np.ndarray) -> None:
        self.host[...] = array
        self.device.upload(self.address, self.host, self.stream)
        self.device.synchronize(self.stream)

    def fetch(self) -> np.ndarray:
        self.device.download(self.host, self.address, self.stream)
        self.device.synchronize(self.stream)
        return self.host.copy()

    @property
    def __cuda_array_interface__(self) -> dict[str, Any]:
        where = {"data": (self.address, False), "stream": self.stream, "version": 3}
        return {"shape": self.like.shape, "typestr": self.like.dtype.str, **where}

    def free(self) -> None:
        self.device.free(self.address)
        self.device.free_pinned(self.pinned)


def wrong(smoke: Smoke, got: np.ndarray, wanted: np.ndarray) -> str | None:
    off = np.abs(got.astype(np.float64) - wanted.astype(np.float64)) > smoke.within
    share = off.mean()
    return f"{share:.2%} of the elements differ" if share > smoke.differ else None


def check(device: Device, smoke: Smoke, stream: int) -> list[str]:
    """What is wrong with one kernel, at once and from a graph."""
    wanted = smoke.out.copy()
    smoke.call(*smoke.inputs, out=wanted)
    inputs = [OnDevice(device, array, stream) for array in smoke.inputs]
    out = OnDevice(device, smoke.out, stream)
    found = {}
    smoke.call(*inputs, out=out, stream=stream)
    found["launched"] = wrong(smoke, out.fetch(), wanted)

    out.fill(smoke.out)
    device.begin_capture(stream)
    try:
        smoke.call(*inputs, out=out, stream=stream)
    finally:
        graph = device.end_capture(stream)
    found["captured, not run"] = wrong(smoke, out.fetch(), smoke.out)
    device.launch_graph(graph, stream)
    found["replayed"] = wrong(smoke, out.fetch(), wanted)
    device.destroy_graph(graph)
    for array in (*inputs, out):
        array.free()
    return [f"{smoke.name}, {how}: {fault}" for how, fault in found.items() if fault]


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--save", type=Path, metavar="FILE", help="write JSON here")
    options = parser.parse_args()
    device = open_device(0, binding="native")
    print(device.properties, flush=True)
    failed: list[str] = []
    with device.active():
        stream = device.create_stream()
        for smoke in all_kernels(np.random.default_rng(5)):
            print(smoke.name, flush=True)  # the last one, if it hangs
            failed += check(device, smoke, stream)
        device.destroy_stream(stream)
    if options.save:
        record = {"gpu": str(device.properties), "wrong": failed}
        options.save.write_text(json.dumps(record))
    print("\n".join(f"WRONG {fault}" for fault in failed) or "right")
    return int(bool(failed))


if __name__ == "__main__":
    sys.exit(main())

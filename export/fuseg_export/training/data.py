"""Rendered frames, and batches of the tensors that the runtime would make of them."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from fuseg.manifest import ImageInput, input_shapes
from fuseg.runtime.inputs import InputAdapter, adapter_of

from ..reference import at_size
from ..scenes import render_many

__all__ = ["RenderedFrames", "frames_of", "pack", "random_batch"]


@dataclass(frozen=True)
class RenderedFrames:
    """``color`` (N, H, W, 3) uint8, ``depth`` (N, H, W) uint16 in mm, ``labels``
    (N, H, W) uint8."""

    color: NDArray[np.uint8]
    depth: NDArray[np.uint16]
    labels: NDArray[np.uint8]

    def __len__(self) -> int:
        return len(self.labels)


def frames_of(
    seeds: Sequence[int], height: int, width: int, cache: Path
) -> RenderedFrames:
    """The rendered scenes of ``seeds``, from the folder ``cache`` if it has them."""
    stem = f"{seeds[0]}-{seeds[-1]}-{height}x{width}"
    paths = [cache / f"{stem}-{part}.npy" for part in ("color", "depth", "labels")]
    if not all(path.exists() for path in paths):
        cache.mkdir(parents=True, exist_ok=True)
        parts = render_many(seeds, height, width, workers=os.cpu_count() or 1)
        for path, part in zip(paths, parts, strict=True):
            unfinished = path.with_suffix(".part.npy")
            np.save(unfinished, np.asarray(part))
            unfinished.replace(path)
    return RenderedFrames(*(np.load(path, mmap_mode="r") for path in paths))


def pack(spec: ImageInput, frame: NDArray[Any] | None) -> NDArray[np.float32]:
    """One frame -> planes ``(C, h, w)``, as the runtime packs it; None: substituted."""
    (shape,) = input_shapes([spec]).values()
    tensor = np.empty(shape, np.float32)
    if frame is None:
        _sensor(spec).substitute({spec.tensor: tensor})
    else:
        _sensor(spec).write(frame, {spec.tensor: tensor})
    planes: NDArray[np.float32] = tensor[0]
    return planes


@cache
def _sensor(spec: ImageInput) -> InputAdapter:
    return adapter_of(spec)


def random_batch(
    frames: RenderedFrames,
    inputs: Sequence[ImageInput],
    size: int,
    *,
    rng: np.random.Generator,
    depth_dropout: float,
) -> tuple[list[Tensor], Tensor]:
    """``size`` random frames, each mirrored with probability 1/2.

    With probability ``depth_dropout`` a frame's depth is a substituted one (no reading
    anywhere), so that the network stays of use when the sensor fails.
    """
    tensors: list[list[NDArray[np.float32]]] = [[] for _ in inputs]
    labels = []
    shape = (inputs[0].resize.height, inputs[0].resize.width)
    for index in rng.integers(len(frames), size=size):
        step = -1 if rng.random() < 0.5 else 1
        labels.append(at_size(frames.labels[index], shape)[:, ::step])
        dropped = len(inputs) > 1 and rng.random() < depth_dropout
        for spec, planes in zip(inputs, tensors, strict=True):
            stack = frames.color if spec.kind == "color" else frames.depth
            frame = np.ascontiguousarray(stack[index][:, ::step])
            planes.append(
                pack(spec, None if dropped and spec.kind == "depth" else frame)
            )
    return (
        [torch.from_numpy(np.stack(planes)) for planes in tensors],
        torch.from_numpy(np.stack(labels)).long(),
    )

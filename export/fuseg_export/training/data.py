"""Rendered frames, and batches of the tensors that the runtime would make of them."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from fuseg.errors import ArgumentError
from fuseg.manifest import ImageInput, input_shapes
from fuseg.runtime.inputs import InputAdapter, adapter_of

from ..reference import at_size
from ..scenes import render_many
from ..scenes.frame_cache import cached_arrays
from .augment import Augmentation

__all__ = ["RenderedFrames", "frames_of", "pack", "random_batch"]


@dataclass(frozen=True)
class RenderedFrames:
    """``color`` (N, H, W, 3) uint8, ``depth`` (N, H, W) uint16 in mm, ``labels``
    (N, H, W) uint8; of scenes with more sensors theirs, by the inputs' kinds."""

    color: NDArray[np.uint8]
    depth: NDArray[np.uint16]
    labels: NDArray[np.uint8]
    thermal: NDArray[np.uint16] | None = None
    range: NDArray[np.float32] | None = None

    def __len__(self) -> int:
        return len(self.labels)

    def of(self, spec: ImageInput, index: int) -> NDArray[Any]:
        """What this input sees of one scene.

        Raises:
            ArgumentError: These scenes were rendered without such a sensor.
        """
        stack: NDArray[Any] | None = getattr(self, spec.kind, None)
        if stack is None:
            raise ArgumentError(
                f"the frames to train on must have a {spec.kind} sensor for the input "
                f"{spec.name}, got none: render them with one."
            )
        frame: NDArray[Any] = stack[index]
        return frame


def frames_of(
    seeds: Sequence[int], height: int, width: int, folder: Path
) -> RenderedFrames:
    """The rooms of ``seeds``, from a folder if it has them; see `cached_arrays`."""
    stem = f"{seeds[0]}-{seeds[-1]}-{height}x{width}"

    parts = ("color", "depth", "labels")

    def render() -> dict[str, NDArray[Any]]:
        rendered = render_many(seeds, height, width, workers=os.cpu_count() or 1)
        return dict(zip(parts, rendered, strict=True))

    return RenderedFrames(**cached_arrays(folder, stem, parts, render))


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
    dropout: Mapping[str, float],
    augmentation: Augmentation | None = None,
    chances: NDArray[np.float64] | None = None,
    ignore: int = 255,
) -> tuple[list[Tensor], Tensor]:
    """``size`` random frames, each mirrored with probability 1/2.

    With the probabilities of ``dropout``, by input name, one of a frame's inputs is a
    substituted one (no reading anywhere), so that the network stays of use when that
    sensor fails; of an only input nothing is dropped.

    Args:
        augmentation: What else happens to each.
        chances: How likely each frame is drawn; None: all alike.
        ignore: The label of no class.
    """
    tensors: list[list[NDArray[np.float32]]] = [[] for _ in inputs]
    labels = []
    shape = (inputs[0].resize.height, inputs[0].resize.width)
    if chances is None:
        drawn = rng.integers(len(frames), size=size)
    else:
        drawn = rng.choice(len(frames), size=size, p=chances)
    for index in drawn:
        step = -1 if rng.random() < 0.5 else 1
        truth = frames.labels[index][:, ::step]
        seen = {spec.name: frames.of(spec, index)[:, ::step] for spec in inputs}
        dropped = _dropped(dropout, rng) if len(inputs) > 1 else None
        if augmentation is not None:
            seen, truth = augmentation(seen, truth, ignore=ignore, rng=rng)
        labels.append(at_size(truth, shape))
        for spec, planes in zip(inputs, tensors, strict=True):
            frame = None
            if spec.name != dropped:
                frame = np.ascontiguousarray(seen[spec.name])
            planes.append(pack(spec, frame))
    return (
        [torch.from_numpy(np.stack(planes)) for planes in tensors],
        torch.from_numpy(np.stack(labels)).long(),
    )


def _dropped(dropout: Mapping[str, float], rng: np.random.Generator) -> str | None:
    """The input that fails in a frame, or none: never two at once."""
    drawn = rng.random()
    for name, share in dropout.items():
        drawn -= share
        if drawn < 0:
            return name
    return None

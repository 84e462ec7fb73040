"""Batches of rooms of named things."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..network.inputs import read_inputs
from ..scenes import HELD_OUT_SEEDS, TRAIN_SEEDS
from ..scenes.things import HEIGHT, VALIDATION_SEEDS, WIDTH, ThingFrames, things_of
from .data import pack

__all__ = ["SEEDS", "frames_of_things", "pictures"]

# A recipe is chosen on validation scenes, and judged on test scenes.
SEEDS = {"train": TRAIN_SEEDS, "validation": VALIDATION_SEEDS, "test": HELD_OUT_SEEDS}

(_INPUT,) = read_inputs((f"rgb=color:{HEIGHT}x{WIDTH}",), (), {}).pictures


def frames_of_things(part: str, count: int, work: Path) -> ThingFrames:
    """The first ``count`` rooms of a part of `SEEDS`, kept under ``work``."""
    return things_of(SEEDS[part][:count], HEIGHT, WIDTH, work / "frames")


def pictures(frames: Sequence[NDArray[np.uint8]]) -> Tensor:
    """Colour frames ``(H, W, 3)`` as the network is given them, ``(N, 3, H, W)``."""
    planes = [pack(_INPUT, np.ascontiguousarray(frame)) for frame in frames]
    stacked = torch.from_numpy(np.stack(planes))
    return stacked.contiguous(memory_format=torch.channels_last)

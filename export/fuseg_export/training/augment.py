"""Frames as they might have been: cropped, turned, gray, noisy; all sensors alike."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["Augmentation", "frame_chances"]


@dataclass(frozen=True)
class Augmentation:
    """How a frame set is changed; by itself not at all.

    What moves pixels moves those of all sensors and of the labels alike. Pixels from
    outside the picture are 0, which is no reading of a distance, and have no label.

    Attributes:
        crop: The shortest sides of a crop, as a share of the picture's.
        rotate: The largest angle, in degrees, either way.
        gray: Share of frames whose colour is taken away.
        noise: Standard deviation of the noise on colour, in its 256 steps.
    """

    crop: float = 1.0
    rotate: float = 0.0
    gray: float = 0.0
    noise: float = 0.0

    def __call__(
        self,
        frames: Mapping[str, NDArray[Any]],
        labels: NDArray[np.uint8],
        *,
        ignore: int,
        rng: np.random.Generator,
    ) -> tuple[dict[str, NDArray[Any]], NDArray[np.uint8]]:
        """Change one frame set.

        Args:
            frames: By input name, ``(H, W)`` or ``(H, W, planes)`` of one size; those
                of three uint8 planes are colour.
            labels: ``(H, W)``.
            ignore: The label of no class.
            rng: What happens is drawn from it.
        """
        changed = dict(frames)
        if self.crop < 1:
            window = _window(labels.shape, rng.uniform(self.crop, 1.0), rng)
            changed = {name: frame[window] for name, frame in changed.items()}
            labels = labels[window]
        if self.rotate:
            rows, columns, inside = _turned(
                labels.shape, np.radians(rng.uniform(-self.rotate, self.rotate))
            )
            for name, frame in changed.items():
                moved = frame[rows, columns]
                moved[~inside] = 0
                changed[name] = moved
            labels = np.where(inside, labels[rows, columns], ignore).astype(np.uint8)
        gray = rng.random() < self.gray
        for name, frame in changed.items():
            if frame.ndim == 3 and frame.dtype == np.uint8:
                changed[name] = self._color(frame, gray, rng)
        return changed, labels

    def _color(
        self, frame: NDArray[Any], gray: bool, rng: np.random.Generator
    ) -> NDArray[Any]:
        values: NDArray[Any] = frame.astype(np.float32)
        if gray:
            luma = values @ np.array([0.299, 0.587, 0.114], np.float32)
            values = np.repeat(luma[..., None], 3, axis=2)
        if self.noise:
            values = values + rng.normal(0.0, self.noise, values.shape)
        return np.asarray(np.rint(values).clip(0, 255), np.uint8)


def frame_chances(
    labels: NDArray[np.uint8], classes: int, rare: float
) -> NDArray[np.float64]:
    """How likely each frame is drawn if rare classes are to be seen more often.

    A class in a share f of the frames is repeated ``sqrt(rare / f)`` times, at least
    once, and a frame as often as its rarest class.

    Args:
        labels: Of all frames, ``(N, H, W)``.
        classes: Their number; larger labels do not count.
        rare: The share below which a class is rare.

    Returns:
        Probabilities, shape ``(N,)``.

    Source: Gupta et al., *LVIS*, 2019, section 5.1: repeat factors.
    """
    seen = np.stack([np.bincount(f.ravel(), minlength=256)[:classes] for f in labels])
    occurs = seen > 0
    shares = np.maximum(occurs.mean(axis=0), 1 / len(labels))
    repeats = np.maximum(1.0, np.sqrt(rare / shares))
    of_frames = np.where(occurs, repeats, 1.0).max(axis=1)
    return np.asarray(of_frames / of_frames.sum())


def _window(
    shape: tuple[int, ...], share: float, rng: np.random.Generator
) -> tuple[slice, slice]:
    sides = [max(1, round(side * share)) for side in shape[:2]]
    starts = [
        int(rng.integers(side - kept + 1))
        for side, kept in zip(shape, sides, strict=False)
    ]
    rows, columns = (slice(a, a + n) for a, n in zip(starts, sides, strict=True))
    return rows, columns


def _turned(
    shape: tuple[int, ...], angle: float
) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.bool_]]:
    """For each pixel of the turned picture the nearest one that it was, and whether
    there is one."""
    height, width = shape[:2]
    y, x = np.mgrid[:height, :width].astype(np.float64)
    y -= (height - 1) / 2
    x -= (width - 1) / 2
    rows = np.rint(np.cos(angle) * y - np.sin(angle) * x + (height - 1) / 2)
    columns = np.rint(np.sin(angle) * y + np.cos(angle) * x + (width - 1) / 2)
    inside = (rows >= 0) & (rows < height) & (columns >= 0) & (columns < width)
    return (
        rows.clip(0, height - 1).astype(np.intp),
        columns.clip(0, width - 1).astype(np.intp),
        inside,
    )

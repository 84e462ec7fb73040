"""Class scores and label maps that look like a network's on a street or in a room.

Regions with curved boundaries and a few thin objects, averaged down to the network's
grid and softened, with slow drift and a little noise. What matters to the kernels is
the share of cells on a boundary, `mixed`, which every benchmark prints.
"""

from __future__ import annotations

import cv2
import numpy as np

THIN_OBJECTS = 40
MARGIN, DRIFT, NOISE = 12.0, 1.5, 0.3


def scene_labels(
    classes: int, size: tuple[int, int], sites: int, rng: np.random.Generator
) -> np.ndarray:
    """A label map, (H, W) uint8, of about ``sites`` regions."""
    height, width = size
    ys, xs = np.mgrid[:height, :width].astype(np.float32)
    for axis in (ys, xs):
        bend = rng.standard_normal(size, np.float32)
        bend = cv2.GaussianBlur(bend, (0, 0), max(width / 60, 2))
        axis += bend / bend.std() * width / 60
    labels = np.zeros(size, np.uint8)
    nearest = np.full(size, np.inf, np.float32)
    for _ in range(sites):
        y, x = rng.uniform(0, height), rng.uniform(0, width)
        distance = (ys - y) ** 2 * 1.5 + (xs - x) ** 2
        closer = distance < nearest
        nearest[closer] = distance[closer]
        labels[closer] = rng.integers(classes)
    for _ in range(THIN_OBJECTS):
        y, x = rng.integers(height), rng.integers(width)
        tall = rng.integers(height // 30 + 1, height // 5 + 2)
        wide = rng.integers(2, max(3, width // 60))
        labels[y : y + tall, x : x + wide] = rng.integers(classes)
    return labels


def scene_scores(
    classes: int, grid: tuple[int, int], sites: int, rng: np.random.Generator
) -> np.ndarray:
    """Scores of a scene, (C, h, w) float32, the label map at four times the grid."""
    labels = scene_labels(classes, (grid[0] * 4, grid[1] * 4), sites, rng)
    scores = np.empty((classes, *grid), np.float32)
    for c, plane in enumerate(scores):
        share = (labels == c).astype(np.float32)
        share = cv2.resize(share, grid[::-1], interpolation=cv2.INTER_AREA)
        plane[...] = MARGIN * cv2.GaussianBlur(share, (0, 0), 0.8)
        drift = cv2.GaussianBlur(rng.standard_normal(grid, np.float32), (0, 0), 4)
        plane += DRIFT * drift / drift.std()
        plane += NOISE * rng.standard_normal(grid, np.float32)
    return scores


def mixed(scores: np.ndarray) -> float:
    """Share of the cells whose four corners have more than one best class."""
    winners = scores.argmax(0)
    first = winners[:-1, :-1]
    others = winners[1:, :-1], winners[:-1, 1:], winners[1:, 1:]
    return float(np.any([other != first for other in others], axis=0).mean())

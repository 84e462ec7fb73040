"""Kinds, colours and boxes of things, and the class of the place."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from fuseg.dataset.metrics import confusion, miou
from fuseg.manifest import BoxesOutput

from ...models.multitask import STRIDE
from ...outputs.boxes import Boxes
from ...scenes.things import HEIGHT, KINDS, WIDTH, ThingFrames, boxes_of
from ...scenes.things.render import kind_labels
from ..detection import Detection, average_precision, components
from ..things_data import pictures

__all__ = ["MultiTask", "Truth"]

# Most pixels are of the room.
_ROOM_WEIGHT, _THING_WEIGHT = 0.4, 1.2
# A place belongs to a thing where its Gaussian is above this.
_INSIDE = 0.6
_AT_ONCE = 50


class Truth(NamedTuple):
    """What a batch of N pictures shows.

    Attributes:
        labels, colors: Shape ``(N, H, W)``, int64.
        heat: How near each place is to the centre of a thing of each kind, shape
            ``(N, h * w, kinds)``; 1 at centres.
        corners: The box of the thing at each place, shape ``(N, h * w, 4)``.
        inside: Whether there is one, shape ``(N, h * w)``.
        place: Shape ``(N,)``, int64.
    """

    labels: Tensor
    colors: Tensor
    heat: Tensor
    corners: Tensor
    inside: Tensor
    place: Tensor


@dataclass(frozen=True)
class MultiTask:
    """See `Task`.

    Attributes:
        train: Frames of batches.
        judged: Frames of `evaluate`.
        size: Frames of a batch.
    """

    train: ThingFrames
    judged: ThingFrames
    size: int = 8

    def batch(self, rng: np.random.Generator) -> tuple[Tensor, Truth]:
        """Random frames, half of them mirrored."""
        frames, truths = [], []
        for index in rng.integers(len(self.train), size=self.size):
            step = -1 if rng.random() < 0.5 else 1
            frames.append(self.train.color[index][:, ::step])
            truths.append(truth_of(self.train, int(index), step))
        return pictures(frames), Truth(*map(torch.stack, zip(*truths, strict=True)))

    def loss(self, network: nn.Module, batch: tuple[Tensor, Truth]) -> Tensor:
        """The sum of each task's."""
        rgb, truth = batch
        found = network(rgb)
        total = of_pixels(found["labels"], truth.labels)
        total = total + 0.5 * of_pixels(found["colors"], truth.colors)
        total = total + _of_boxes(found["boxes"], truth)
        return total + 0.3 * F.cross_entropy(found["place"], truth.place)

    @torch.inference_mode()
    def evaluate(self, network: nn.Module) -> dict[str, float]:
        """mIoU of kinds and colours, AP50 of boxes, accuracy of places.

        ``ap50_components`` is that of boxes around the connected parts of the
        network's own labels, ``place_majority`` the share of the commonest place.
        """
        network.eval()
        counts: dict[str, NDArray[np.int64]] = {}
        found: list[list[Detection]] = []
        parts, wanted, places = [], [], []
        for start in range(0, len(self.judged), _AT_ONCE):
            indices = range(start, min(start + _AT_ONCE, len(self.judged)))
            made = network(pictures([self.judged.color[i] for i in indices]))
            for row, index in enumerate(indices):
                truth = {
                    "labels": self.judged.labels(index),
                    "colors": color_labels(self.judged, index),
                }
                own = {n: made[n][row].argmax(0).numpy() for n in truth}
                for name, labels in truth.items():
                    classes = made[name].shape[1]
                    both = confusion(labels, own[name], classes, 255)
                    counts[name] = counts.get(name, np.zeros_like(both)) + both
                found.append(detections(made["boxes"][row : row + 1].numpy()))
                parts.append(components(own["labels"]))
                wanted.append(true_boxes(self.judged, index))
            places += made["place"].argmax(1).tolist()
        right = np.equal(places, self.judged.places)
        return {
            "miou": miou(counts["labels"]),
            "miou_colors": miou(counts["colors"]),
            "ap50": mean_precision(found, wanted),
            "ap50_components": mean_precision(parts, wanted),
            "place": float(right.mean()),
            "place_majority": float(
                np.bincount(self.judged.places).max() / len(self.judged)
            ),
        }


def mean_precision(
    found: Sequence[Sequence[Detection]], truth: Sequence[Sequence[Detection]]
) -> float:
    """AP50, the mean over kinds."""
    return float(
        np.nanmean([average_precision(found, truth, k) for k in range(len(KINDS))])
    )


def detections(tensor: NDArray[np.float32]) -> list[Detection]:
    """What the runtime makes of ``boxes``, with a threshold low enough for a curve."""
    output = BoxesOutput(
        name="boxes",
        tensor="boxes",
        form="xyxy",
        score="class",
        activation="sigmoid",
        score_threshold=0.05,
        max_candidates=100,
        iou_threshold=0.5,
        classes=KINDS,
    )
    rows = Boxes(output, (HEIGHT, WIDTH)).result(tensor)
    return [Detection(tuple(row[:4]), int(row[5]), float(row[4])) for row in rows]


def true_boxes(frames: ThingFrames, index: int) -> list[Detection]:
    """The boxes of what is in sight, and its kinds."""
    kinds = frames.attributes[index, :, 0]
    return [
        Detection((box.left, box.top, box.right, box.bottom), int(kinds[box.thing - 1]))
        for box in boxes_of(frames.instances[index])
    ]


def color_labels(frames: ThingFrames, index: int) -> NDArray[np.uint8]:
    """0 for the room, else 1 + index into `COLORS`, shape ``(H, W)``."""
    return kind_labels(frames.instances[index], frames.attributes[index, :, 1])


def truth_of(frames: ThingFrames, index: int, step: int) -> list[Tensor]:
    """The fields of `Truth` for one frame, mirrored if ``step`` is -1."""
    planes = [frames.labels(index), color_labels(frames, index)]
    boxes = true_boxes(frames, index)
    if step == -1:
        boxes = [
            box._replace(corners=(WIDTH - x1, y0, WIDTH - x0, y1))
            for box in boxes
            for x0, y0, x1, y1 in [box.corners]
        ]
    made = [torch.from_numpy(p[:, ::step].astype(np.int64)) for p in planes]
    made += map(torch.from_numpy, box_targets(boxes))
    return [*made, torch.tensor(int(frames.places[index]))]


def box_targets(
    boxes: Sequence[Detection],
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.bool_]]:
    """``heat``, ``corners`` and ``inside`` of one frame, as in `Truth`.

    Source: the Gaussians of CenterNet (Zhou et al., *Objects as Points*, 2019), as
    wide and as high as the box.
    """
    rows, columns = HEIGHT // STRIDE, WIDTH // STRIDE
    y, x = (np.mgrid[:rows, :columns] + 0.5) * STRIDE
    heat = np.zeros((rows, columns, len(KINDS)), np.float32)
    corners = np.zeros((rows, columns, 4), np.float32)
    inside = np.zeros((rows, columns), np.bool_)
    # Smaller ones last: what is in front of another is mostly smaller in sight.
    for box in sorted(boxes, key=lambda box: -_area(box)):
        left, top, right, bottom = box.corners
        middle = (left + right) / 2, (top + bottom) / 2
        wide, high = max((right - left) / 6, 2.5), max((bottom - top) / 6, 2.5)
        near = np.exp(
            -((x - middle[0]) ** 2) / (2 * wide**2)
            - (y - middle[1]) ** 2 / (2 * high**2)
        )
        near[int(middle[1]) // STRIDE, int(middle[0]) // STRIDE] = 1
        heat[..., box.label] = np.maximum(heat[..., box.label], near)
        corners[near > _INSIDE] = box.corners
        inside |= near > _INSIDE
    return heat.reshape(-1, len(KINDS)), corners.reshape(-1, 4), inside.reshape(-1)


def _area(box: Detection) -> float:
    left, top, right, bottom = box.corners
    return (right - left) * (bottom - top)


def of_pixels(scores: Tensor, labels: Tensor) -> Tensor:
    weights = torch.full((scores.shape[1],), _THING_WEIGHT)
    weights[0] = _ROOM_WEIGHT
    return F.cross_entropy(scores, labels, weights)


def _of_boxes(found: Tensor, truth: Truth) -> Tensor:
    """CenterNet's focal loss of centres, and overlap and distance of corners."""
    chance = found[..., 4:].sigmoid().clamp(1e-4, 1 - 1e-4)
    center = truth.heat.eq(1)
    at = (1 - chance).square() * chance.log() * center
    off = (1 - truth.heat) ** 4 * chance.square() * (1 - chance).log() * ~center
    total = -0.5 * (at.sum() + off.sum()) / center.sum().clamp(min=1)
    if not truth.inside.any():
        return total
    own, wanted = found[..., :4][truth.inside], truth.corners[truth.inside]
    low = torch.maximum(own[:, :2], wanted[:, :2])
    high = torch.minimum(own[:, 2:], wanted[:, 2:])
    shared = (high - low).clamp(min=0).prod(1)
    areas = [(box[:, 2:] - box[:, :2]).prod(1) for box in (own, wanted)]
    overlap = shared / (areas[0] + areas[1] - shared + 1e-6)
    return total + (1 - overlap).mean() + 0.2 * F.l1_loss(own / 16, wanted / 16)

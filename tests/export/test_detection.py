from __future__ import annotations

import math

import numpy as np
import pytest

from fuseg_export.outputs.boxes import overlap
from fuseg_export.training.detection import (
    Detection,
    average_precision,
    components,
)


def drawn(rng, count, label_count=2):
    """Boxes on a small picture, many of them alike; no two scores are equal."""
    boxes = []
    for _ in range(count):
        x, y = rng.integers(0, 20, 2)
        wide, high = rng.integers(4, 12, 2)
        corners = tuple(map(float, (x, y, x + wide, y + high)))
        boxes.append(
            Detection(corners, int(rng.integers(label_count)), float(rng.random()))
        )
    return boxes


def shaken(rng, boxes):
    return [
        Detection(
            tuple(v + float(rng.integers(-2, 3)) for v in box.corners),
            box.label,
            float(rng.random()),
        )
        for box in boxes
        if rng.random() < 0.8
    ]


def naive(found, truth, label):
    """By thresholds: for each recall that can be reached the best precision of all
    thresholds that reach it, counted on pixels of a grid."""

    def cells(box):
        x0, y0, x1, y1 = map(int, box.corners)
        return {(x, y) for x in range(x0, x1) for y in range(y0, y1)}

    def share(one, other):
        one, other = cells(one), cells(other)
        return len(one & other) / len(one | other)

    def right_of(threshold):
        right = 0
        for own, there in zip(found, truth, strict=True):
            free = [box for box in there if box.label == label]
            mine = [b for b in own if b.label == label and b.score >= threshold]
            for box in sorted(mine, key=lambda b: b.score, reverse=True):
                best = max(free, key=lambda other: share(box, other), default=None)
                if best is not None and share(box, best) >= 0.5:
                    free.remove(best)
                    right += 1
        return right

    scores = {b.score for own in found for b in own if b.label == label}
    total = sum(b.label == label for there in truth for b in there)
    points = []
    for threshold in scores:
        kept = sum(
            b.label == label and b.score >= threshold for own in found for b in own
        )
        right = right_of(threshold)
        points.append((right, right / kept))
    return (
        sum(
            max((precision for right, precision in points if right >= k), default=0)
            for k in range(1, total + 1)
        )
        / total
    )


@pytest.mark.parametrize("seed", range(8))
def test_average_precision_is_the_area_over_all_thresholds(seed):
    rng = np.random.default_rng(seed)
    truth = [drawn(rng, int(rng.integers(1, 6))) for _ in range(8)]
    found = [shaken(rng, boxes) + drawn(rng, 2) for boxes in truth]
    for label in (0, 1):
        got = average_precision(found, truth, label)
        assert got == pytest.approx(naive(found, truth, label), abs=1e-12)
        assert 0 < got < 1


def test_all_found_and_nothing_else_is_one():
    rng = np.random.default_rng(1)
    truth = [drawn(rng, 3, 1) for _ in range(4)]
    assert average_precision(truth, truth, 0) == 1.0
    assert average_precision([[]] * 4, truth, 0) == 0.0


def test_a_box_found_twice_is_wrong_once():
    box = Detection((0.0, 0.0, 8.0, 8.0), 0, 0.9)
    twice = [[box._replace(score=0.95), box]]
    assert average_precision(twice, [[box]], 0) == 1.0
    later = Detection((20.0, 20.0, 28.0, 28.0), 0, 0.5)
    assert average_precision([[*twice[0], later]], [[box, later]], 0) == pytest.approx(
        0.5 + 0.5 * 2 / 3
    )


def test_a_class_that_is_not_there_has_no_precision():
    assert math.isnan(average_precision([[]], [[]], 0))
    assert math.isnan(average_precision([drawn(np.random.default_rng(0), 3)], [[]], 1))


def test_overlap_of_boxes():
    assert overlap((0, 0, 4, 4), (2, 0, 6, 4)) == pytest.approx(8 / 24)
    assert overlap((0, 0, 4, 4), (4, 0, 6, 4)) == 0.0
    assert overlap((0, 0, 0, 4), (0, 0, 0, 4)) == 0.0


def flooded(labels, label):
    """Connected parts by walking from pixel to pixel."""
    height, width = labels.shape
    left = {(y, x) for y, x in np.ndindex(height, width) if labels[y, x] == label}
    parts = []
    while left:
        todo = [left.pop()]
        part = set(todo)
        while todo:
            y, x = todo.pop()
            for step in ((y + 1, x), (y - 1, x), (y, x + 1), (y, x - 1)):
                if step in left:
                    left.remove(step)
                    part.add(step)
                    todo.append(step)
        parts.append(part)
    return parts


@pytest.mark.parametrize("seed", range(4))
def test_components_are_boxes_of_what_is_connected_by_sides(seed):
    rng = np.random.default_rng(seed)
    labels = (rng.random((24, 32)) < 0.6).astype(np.uint8)
    labels[:, 16:] *= 2
    wanted = set()
    for label in (1, 2):
        for part in flooded(labels, label):
            if len(part) >= 20:
                ys, xs = zip(*part, strict=True)
                corners = (min(xs), min(ys), max(xs) + 1, max(ys) + 1)
                wanted.add((corners, label - 1, round(len(part) / 768, 9)))
    found = {(b.corners, b.label, round(b.score, 9)) for b in components(labels)}
    assert found == wanted
    assert wanted


def test_a_picture_of_one_class_is_one_component():
    (box,) = components(np.full((6, 8), 3))
    assert box == ((0, 0, 8, 6), 2, 1.0)
    assert components(np.zeros((6, 8), np.uint8)) == []

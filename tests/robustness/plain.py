"""mIoU and the card's sums in plain Python, pixel by pixel."""

from __future__ import annotations

import itertools

CLASSES = 4


def miou(pairs):
    """Of (truth, labels) of frames together; None for labels is a refused frame."""
    values = []
    for index in range(CLASSES):
        both = either = 0
        for truth, labels in pairs:
            for y, x in itertools.product(range(truth.shape[0]), range(truth.shape[1])):
                if truth[y, x] == 255:
                    continue
                is_true = truth[y, x] == index
                is_found = labels is not None and labels[y, x] == index
                both += is_true and is_found
                either += is_true or is_found
        if either:
            values.append(both / either)
    return sum(values) / len(values)


def expected(mious, sensors, p):
    """Every outcome of every sensor's coin, but that all of them fail."""
    total = likely = 0.0
    for fails in itertools.product([False, True], repeat=len(sensors)):
        there = tuple(s for s, failed in zip(sensors, fails, strict=True) if not failed)
        chance = 1.0
        for failed in fails:
            chance *= p if failed else 1 - p
        if there:
            total += chance * mious[there]
            likely += chance
    return total / likely

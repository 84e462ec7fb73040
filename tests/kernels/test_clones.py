"""Every instruction set gives the same bits; see kernels/common/widest.h."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from fuseg import _kernels, ops

LEVELS = [level for level in (3, 4) if level <= _kernels.widest_level()]


@pytest.fixture(autouse=True)
def restored() -> Iterator[None]:
    yield
    _kernels.use_level(_kernels.widest_level())


def packed_depth(rng):
    for dtype in (np.uint8, np.uint16, np.float32):
        frame = rng.integers(0, 200, (67, 303)).astype(dtype)
        if dtype is np.float32:
            frame[frame == 7] = np.nan
        for width in (303, 101, 150, 555):
            plane, readings = ops.pack_depth(
                frame, size=(50, width), scale=0.3, mean=0.7, std=1.1, invalid=(0, 9)
            )
            yield plane
            yield np.array(readings)


def labelled(rng):
    for kind in ("noise", "ties", "flat", "not finite"):
        scores = rng.standard_normal((12, 23, 37), dtype=np.float32)
        if kind == "ties":
            scores = np.rint(scores)
        elif kind == "flat":
            scores = np.ascontiguousarray(scores[:, :1, :1] + scores * 1e-3)
        elif kind == "not finite":
            scores[rng.random(scores.shape) < 0.001] = np.nan
        for size in [(23, 37), (92, 148), (50, 333), (11, 17)]:
            for align_corners in (False, True):
                confidence = np.empty(size, np.float32)
                yield ops.upsample_argmax(
                    scores,
                    size=size,
                    align_corners=align_corners,
                    confidence=confidence,
                )
                yield confidence


def painted(rng):
    frame = rng.integers(0, 256, (41, 700, 3), dtype=np.uint8)
    palette = rng.integers(0, 256, (9, 3), dtype=np.uint8)
    for patch in (1, 25):
        labels = rng.integers(0, 9, (41, 700 // patch), dtype=np.uint8).repeat(patch, 1)
        for ignore in (None, 4):
            yield ops.overlay(labels, palette=palette, frame=frame, ignore=ignore)
            yield ops.overlay(labels, palette=palette, ignore=ignore)


@pytest.mark.skipif(not LEVELS, reason="this processor runs the plain code only")
@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("results", [packed_depth, labelled, painted])
def test_same_bits_as_the_plain_code(results, level):
    def at(level):
        _kernels.use_level(level)
        return [r.tobytes() for r in results(np.random.default_rng(5))]

    plain = at(0)
    assert at(level) == plain
    assert len(plain) > 4


def test_a_level_above_the_processors_is_not_used():
    _kernels.use_level(99)
    assert not ops.upsample_argmax(np.zeros((2, 3, 4), np.float32), size=(6, 8)).any()

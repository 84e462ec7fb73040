"""place: crops, turns, letterbox and its rounding, refusals."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fuseg.errors import ArgumentError, ShapeError
from fuseg.ops.placement import Placement, place

SIDES = st.integers(1, 3000)


def test_a_frame_fills_the_tensor_unless_told_otherwise():
    placed = place((480, 640), (240, 300))
    assert placed == Placement(0, 0, 480, 640, 0, 240, 300, 0, 0, 240, 300)
    assert placed.picture == (0, 0, 240, 300)


def test_a_crop_is_the_part_that_is_read():
    placed = place((480, 640), (240, 320), crop=(1, 2, 300, 400))
    assert placed[:4] == (1, 2, 300, 400)
    assert placed.picture == (0, 0, 240, 320)


@pytest.mark.parametrize(("rotate", "turns"), [(0, 0), (90, 1), (180, 2), (270, 3)])
def test_degrees_become_quarter_turns(rotate, turns):
    assert place((4, 6), (8, 8), rotate=rotate).quarter_turns == turns
    assert place((4, 6), (8, 8), rotate=np.int32(rotate)).quarter_turns == turns


# frame, tensor, picture: wide, high, exact, odd padding, half pixels up, a sliver.
@pytest.mark.parametrize(
    ("frame", "size", "picture"),
    [
        ((480, 640), (640, 640), (80, 0, 480, 640)),
        ((480, 640), (480, 480), (60, 0, 360, 480)),
        ((640, 480), (480, 480), (0, 60, 480, 360)),
        ((480, 640), (240, 320), (0, 0, 240, 320)),
        ((10, 10), (20, 25), (0, 2, 20, 20)),  # 5 columns: 2 left, 3 right
        ((10, 10), (23, 20), (1, 0, 20, 20)),
        ((3, 2), (5, 5), (0, 1, 5, 3)),  # 3 1/3 columns
        ((4, 6), (9, 3), (3, 0, 2, 3)),
        ((4, 8), (9, 5), (3, 0, 3, 5)),  # 2 1/2 rows are 3
        ((1, 5000), (7, 11), (3, 0, 1, 11)),
        ((5000, 1), (7, 11), (0, 5, 7, 1)),
    ],
)
def test_letterbox(frame, size, picture):
    assert place(frame, size, fit="letterbox").picture == picture


def test_letterbox_looks_at_the_frame_as_it_is_cropped_and_turned():
    turned = place((480, 640), (480, 480), rotate=90, fit="letterbox")
    assert turned.picture == (0, 60, 480, 360)
    cropped = place((480, 640), (480, 480), crop=(0, 0, 480, 120), fit="letterbox")
    assert cropped.picture == (0, 180, 480, 120)


@given(frame=st.tuples(SIDES, SIDES), size=st.tuples(SIDES, SIDES))
def test_letterbox_keeps_the_aspect_as_well_as_whole_pixels_can(frame, size):
    top, left, *picture = place(frame, size, fit="letterbox").picture
    factor = min(Fraction(size[0], frame[0]), Fraction(size[1], frame[1]))
    for side, got, target, before in zip(
        frame, picture, size, (top, left), strict=True
    ):
        exact = side * factor
        assert got == max(1, int(exact + Fraction(1, 2)))
        assert got <= target
        after = target - got - before
        assert after - before in (0, 1)
    assert size[0] == picture[0] or size[1] == picture[1]


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        ({"size": (0, 4)}, ArgumentError, "size must be two whole numbers above 0"),
        ({"size": (4, 65537)}, ArgumentError, "size must be at most 65536 pixels"),
        ({"frame": (4, 1 << 25)}, ShapeError, "frame must be at most 16777216"),
        ({"crop": (0, 0, 5, 6)}, ArgumentError, "crop must be .* 4 x 6 pixels"),
        ({"crop": (-1, 0, 2, 2)}, ArgumentError, "crop must be"),
        ({"crop": (0, 0, 0, 2)}, ArgumentError, "crop must be"),
        ({"crop": (0, 0, 2)}, ArgumentError, "crop must be"),
        ({"crop": (0, 0, 2.0, 2)}, ArgumentError, "crop must be"),
        ({"crop": 7}, ArgumentError, "crop must be .*, got 7"),
        ({"rotate": 1}, ArgumentError, "rotate must be 0, 90, 180 or 270, got 1"),
        ({"rotate": -90}, ArgumentError, "rotate must be"),
        ({"rotate": 90.0}, ArgumentError, "rotate must be"),
        ({"rotate": None}, ArgumentError, "rotate must be"),
        ({"fit": "cover"}, ArgumentError, "fit must be one of 'stretch', 'letterbox'"),
        ({"fit": None}, ArgumentError, "fit must be one of"),
    ],
)
def test_refuses(arguments, error, words):
    with pytest.raises(error, match=words):
        place(**({"frame": (4, 6), "size": (8, 8)} | arguments))

"""Panes of a page: numbers as brightness, labels as colours."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from fuseg.dataset.panes import draw_heat, draw_labels, draw_sensor
from fuseg.manifest import Class


def pixels(png):
    return np.asarray(Image.open(io.BytesIO(png)).convert("RGB"))


def test_heat_gets_brighter_with_its_numbers_and_takes_any():
    ramp = np.linspace(0, 1, 64)[None].repeat(4, 0)
    drawn = pixels(draw_heat(ramp, (8, 128), (0, 1)))
    assert drawn.shape == (8, 128, 3)
    brightness = drawn[0].astype(int).sum(axis=1)
    assert (np.diff(brightness) >= 0).all()
    assert (brightness[0], brightness[-1]) == (0, 3 * 255 - 15)
    for odd in (np.full((3, 3), 2.0), np.array([[np.nan, 1.0], [np.inf, 0.0]])):
        assert pixels(draw_heat(odd, (3, 3))).shape == (3, 3, 3)


@pytest.mark.parametrize("order", [None, "BGR", "RGBA", "BGRA", "GRAY"])
def test_a_camera_s_colours_are_drawn_in_any_order(color_input, order):
    shown = [200, 100, 50]
    given = {
        None: shown,
        "BGR": shown[::-1],
        "RGBA": [*shown, 255],
        "BGRA": [*shown[::-1], 255],
        "GRAY": 90,
    }[order]
    frame = np.full((4, 6, *np.shape(given)), given, np.uint8)
    drawn = pixels(draw_sensor(color_input(), frame, (2, 3), order))
    wanted = [90] * 3 if order == "GRAY" else shown
    assert np.unique(drawn.reshape(-1, 3), axis=0).tolist() == [wanted]


def test_labels_of_no_class_are_black():
    classes = [Class("a", (1, 2, 3)), Class("b", (4, 5, 6))]
    drawn = pixels(draw_labels(np.array([[0, 1, 255]], np.uint8), classes))
    assert drawn[0].tolist() == [[1, 2, 3], [4, 5, 6], [0, 0, 0]]

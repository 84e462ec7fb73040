from __future__ import annotations

import numpy as np
import pytest

from fuseg.dataset.pictures import sheet, with_legend
from fuseg.manifest import Class

RED, GREEN, BLUE = (230, 20, 40), (0, 160, 90), (60, 110, 255)
CLASSES = (Class("floor", RED), Class("wall", GREEN), Class("ball", BLUE))


def colours(picture):
    return {tuple(pixel) for pixel in picture.reshape(-1, 3).tolist()}


def strip(names, labels, width=640, caption=""):
    """The part beneath the picture, for classes of these names, all red."""
    picture = np.zeros((10, width, 3), np.uint8)
    classes = [Class(name, RED) for name in names]
    whole = with_legend(picture, classes, [np.array([labels], np.uint8)], caption)
    return whole[10:]


@pytest.mark.parametrize("size", [(6, 8), (480, 640), (1080, 1920)])
def test_the_picture_stays_as_it_is_above_its_legend(size):
    picture = np.random.default_rng(0).integers(0, 256, (*size, 3)).astype(np.uint8)
    whole = with_legend(picture, CLASSES, [np.array([[0, 1]], np.uint8)], "a caption")
    np.testing.assert_array_equal(whole[: size[0], : size[1]], picture)
    assert whole.shape[0] > size[0]
    assert whole.shape[1] >= size[1]
    assert (whole[: size[0], size[1] :] == 255).all()


def test_the_legend_has_the_colours_of_the_classes_that_occur():
    picture = np.zeros((10, 640, 3), np.uint8)
    maps = [np.array([[0, 0]], np.uint8), np.array([[2]], np.uint8)]
    found = colours(with_legend(picture, CLASSES, maps)[10:])
    assert (RED in found, GREEN in found, BLUE in found) == (True, False, True)


def test_two_names_are_drawn_differently_and_long_ones_are_not_cut():
    assert (strip(["floor"], [0]) != strip(["flood"], [0])).any()
    narrow = strip(["a name that is longer than the picture"], [0], width=20)
    wide = strip(["a name that is longer than the picture"], [0], width=500)
    ink = [(s < 128).all(axis=2).sum() for s in (narrow, wide)]
    assert ink[0] == ink[1] > 100


def test_accents_are_left_off_and_names_in_other_letters_become_numbers():
    np.testing.assert_array_equal(strip(["véhicule"], [0]), strip(["vehicule"], [0]))
    np.testing.assert_array_equal(strip(["дорога"], [0]), strip(["class 0"], [0]))


def test_labels_beyond_the_classes_are_named_no_class():
    plain, more = strip(["floor"], [0, 0]), strip(["floor"], [0, 255])
    assert (plain.shape, (plain != more).any()) == (more.shape, True)


def test_a_sheet_is_its_panes_under_their_titles():
    shape = (2, 3, 40, 60, 3)
    panes = np.random.default_rng(0).integers(0, 256, shape).astype(np.uint8)
    titles = ["colour", "depth", "labels"]
    made = sheet(titles, panes)
    body = np.vstack([np.hstack(list(row)) for row in panes])
    np.testing.assert_array_equal(made[-80:], body)
    head = made[:-80]
    for column in range(3):
        assert (head[:, column * 60 : column * 60 + 60] < 128).any()
    other = sheet(["colour", "truth", "labels"], panes)[:-80]
    assert (head[:, 60:120] != other[:, 60:120]).any()
    np.testing.assert_array_equal(head[:, :60], other[:, :60])

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fuseg.dataset.label_ids import TruthReader
from fuseg.errors import ArgumentError, InputFileError
from fuseg.manifest import Class

NAMES = ("road", "sidewalk", "bicycle")
CLASSES = tuple(Class(name, (0, 0, 0)) for name in NAMES)
IDS = np.array([[7, 8, 33], [0, 255, 7]], np.uint8)


@pytest.fixture
def read(tmp_path):
    """``read(ids, text, classes)``: the class indices by a truth map of this text."""

    def call(ids, text=None, classes=CLASSES, ignore=255):
        path, truth_map = tmp_path / "ids.npy", None
        np.save(path, ids)
        if text is not None:
            truth_map = tmp_path / "map.txt"
            data = text if isinstance(text, bytes) else text.encode()
            truth_map.write_bytes(data)
        labels = TruthReader(classes, ignore, truth_map)(path)
        assert labels.dtype == np.uint8
        return labels.tolist()

    return call


def test_without_a_map_ids_are_indices_and_ignore(read):
    assert read(np.array([[0, 1, 2, 255]])) == [[0, 1, 2, 255]]


CITYSCAPES = "7 = road\n8 = sidewalk\n# riders too\n\n33 = bicycle\n0 = ignore\n"


@pytest.mark.parametrize(
    "text",
    [
        CITYSCAPES,
        CITYSCAPES.replace("\n", "\r\n"),
        b"\xef\xbb\xbf" + CITYSCAPES.encode(),
        "7-8 = 0-1\n33=2\n* = ignore",
        '{"7": "road", "8": 1, "33": "bicycle", "*": "ignore"}',
    ],
)
def test_a_map_says_what_each_id_means(read, text):
    assert read(IDS, text) == [[0, 1, 2], [255, 255, 0]]


def test_zero_is_void_takes_two_lines(read):
    ids = np.array([[0, 1, 2, 3]], np.uint16)
    assert read(ids, "0 = ignore\n1-3 = 0-2") == [[255, 0, 1, 2]]


def test_a_0_255_mask_takes_two_lines(read):
    assert read(np.array([[0, 255]]), "0 = road\n255 = bicycle") == [[0, 2]]


def test_negative_and_wide_ids_are_mapped(read):
    ids = np.array([[-1, 1000, 64000]], np.int64)
    assert read(ids, "-1 = ignore\n1000 = 1\n1001-65000 = bicycle") == [[255, 1, 2]]


def test_ids_of_the_bundles_classes_count_where_no_map_is_given(read):
    own = (Class("road", (0, 0, 0), (7, 9)), Class("bicycle", (0, 0, 0), (33,)))
    ids = np.array([[7, 9, 33, 1, 255]])
    assert read(ids, classes=own) == [[0, 0, 1, 255, 255]]
    assert read(ids, "* = bicycle", classes=own) == [[1, 1, 1, 1, 255]]


def advised(sentence):
    return "\n".join(re.findall(r"'([^']+ = [^']+)'", sentence))


def test_an_id_of_no_class_is_refused_and_the_advice_works(read):
    with pytest.raises(ArgumentError, match=r"truth must be 0 to 2, or ignore") as err:
        read(np.array([[0, 3]]))
    assert advised(str(err.value)).endswith("0 = ignore\n1-3 = 0-2")
    assert read(np.array([[0, 3]]), "0 = ignore\n1-3 = 0-2") == [[255, 2]]
    with pytest.raises(ArgumentError, match="ids of the --truth-map, got 9") as err:
        read(np.array([[0, 9]]), "0 = road")
    assert "'* = ignore'" in str(err.value)
    assert read(np.array([[0, 9]]), "0 = road\n* = ignore") == [[0, 255]]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("7 road", "must have lines ID = CLASS"),
        ("7 = rode", "or ignore; did you mean road?"),
        ("7 = 3", "an index from 0 to 2"),
        ("x = road", "must be an id, a range"),
        ("9-7 = road", "must be an id, a range"),
        ("1-3 = 0-1", "got 3 ids and 2 classes"),
        ("7 = road\n7 = bicycle", "7 must occur once"),
        ("* = road\n* = bicycle", "or * once for all others"),
        ("# nothing", "must hold a line"),
        ("{7: 1}", "must be JSON"),
        ('{"7": 0, "7": 1}', "7 must occur once"),
    ],
)
def test_what_is_no_truth_map_is_refused_by_its_name(read, text, words):
    with pytest.raises(ArgumentError) as caught:
        read(IDS, text)
    assert str(caught.value).startswith("--truth-map ")
    assert words in str(caught.value)


def test_files_in_another_encoding_are_named(read):
    with pytest.raises(InputFileError, match="must be text in UTF-8"):
        read(IDS, "7 = road".encode("utf-16"))


def test_instance_maps_are_refused(read):
    with pytest.raises(ArgumentError, match="ids of classes, got 0 to 100000"):
        read(np.array([[0, 100000]]))


def test_labels_of_a_png_of_16_bits_are_mapped(tmp_path):
    path = tmp_path / "a.png"
    Image.fromarray(np.array([[300, 0]], np.uint16)).save(path)
    (tmp_path / "map").write_text("300 = bicycle\n0 = ignore")
    reader = TruthReader(CLASSES, 255, tmp_path / "map")
    assert reader(path).tolist() == [[2, 255]]


def test_the_truth_maps_of_the_documentation_are_some(tmp_path):
    page = Path(__file__).parents[2] / "docs" / "files.md"
    maps = re.findall(r"```text\n(# .*?)```", page.read_text(), re.DOTALL)
    assert len(maps) == 4
    names = ["road", "sidewalk", "bicycle", "background", "crop"]
    names += [f"class{i}" for i in range(len(names), 40)]
    classes = [Class(name, (0, 0, 0)) for name in names]
    np.save(tmp_path / "a.npy", np.array([[0, 255]]))
    for text in maps:
        (tmp_path / "map.txt").write_text(text)
        read = TruthReader(classes, 255, tmp_path / "map.txt")
        expected = [3, 4] if "mask" in text else [255, 255]
        if "0-18" in text:
            expected = [1, 255]
        assert read(tmp_path / "a.npy").tolist() == [expected]

"""Panes of a frame against what they must show, pixel by pixel."""

from __future__ import annotations

import io
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from fuseg.manifest import Class, SegmentationOutput, Tail, Upsample
from fuseg_export.frames.frame_set import FrameSet
from fuseg_export.frames.packing import PackedFrame
from fuseg_export.network.input_options import make_inputs
from fuseg_export.report.pictures import draw_frame

SIZE = (20, 40)
COLORS = np.array([(230, 20, 40), (0, 160, 90)], np.uint8)
CLASSES = tuple(Class(f"c{i}", tuple(map(int, c))) for i, c in enumerate(COLORS))
WORDS = ["rgb=color:20x40", "depth=depth:20x40", "ir=thermal:20x40"]


def pixels(png):
    with Image.open(io.BytesIO(png)) as image:
        return np.array(image.convert("RGB"))


def program(labels):
    """Scores that give these labels of two classes."""
    scores = np.stack([labels == 0, labels == 1]).astype(np.float32)[None]
    return lambda _: {"scores": np.ascontiguousarray(scores)}


def panes(variants, truth=None, order="RGB"):
    inputs = make_inputs(WORDS, [], {"rgb": {"channels": order}})
    output = SegmentationOutput(
        name="labels",
        tensor="scores",
        upsample=Upsample(align_corners=False),
        ignore=255,
        classes=CLASSES,
        tail=Tail((), SIZE),
    )
    manifest = SimpleNamespace(inputs=inputs, sensors=inputs, label_outputs=(output,))
    depth = np.tile(np.arange(1000, 5000, 100, dtype=np.uint16), (20, 1))
    depth[:, 0] = 0
    arrays = {
        "rgb": np.full((*SIZE, 3), (1, 2, 3), np.uint8),
        "depth": depth,
        "ir": np.tile(np.arange(40, dtype=np.uint16), (20, 1)),
    }
    functions = {name: program(labels) for name, labels in variants.items()}
    drawn = draw_frame(
        FrameSet(arrays, truth), PackedFrame({}, truth), functions, manifest
    )
    return {pane.title: pixels(pane.png) for pane in drawn}


FULL = np.zeros(SIZE, np.uint8)
OTHER = FULL.copy()
OTHER[3:5, 10:20] = 1


def test_sensors_truth_labels_and_differences_are_side_by_side():
    truth = FULL.copy()
    truth[:, :2] = 1
    truth[:, 2:4] = 255
    shown = panes({"fp32": FULL, "int8": OTHER}, truth)
    assert list(shown) == [
        *("rgb", "depth", "ir", "truth", "fp32", "fp32: 5.26% differ from truth"),
        *("int8", "int8: 2.50% differ from fp32"),
    ]
    assert (shown["rgb"] == (1, 2, 3)).all()
    assert (shown["depth"][:, 0] == 0).all(), "no reading"
    depth, ir = (shown[name][0, 1:, 0].astype(int) for name in ("depth", "ir"))
    assert (np.diff(depth) <= 0).all(), "near is bright"
    assert (np.diff(ir) >= 0).all(), "warm is bright"
    assert depth[0] > 200
    assert 0 < depth[-1] < 60
    known = truth != 255
    expected = np.where(known[..., None], COLORS[truth * known], 0)
    np.testing.assert_array_equal(shown["truth"], expected)
    np.testing.assert_array_equal(shown["int8"], COLORS[OTHER])
    white = np.repeat((OTHER != FULL)[..., None], 3, 2) * 255
    np.testing.assert_array_equal(shown["int8: 2.50% differ from fp32"], white)
    wrong = np.repeat(((truth != FULL) & known)[..., None], 3, 2) * 255
    np.testing.assert_array_equal(shown["fp32: 5.26% differ from truth"], wrong)


def test_colour_of_a_bgr_camera_is_turned():
    shown = panes({"fp32": FULL}, order="BGR")
    assert (shown["rgb"] == (3, 2, 1)).all()


@pytest.mark.parametrize("names", [["fp16"], ["fp16", "int8"]])
def test_what_nobody_could_see_is_not_shown(names):
    variants = {"fp16": FULL, "int8": OTHER}
    shown = panes({"fp32": FULL} | {name: variants[name] for name in names})
    assert bool(shown) == ("int8" in names)
    assert not any("fp16" in title for title in shown)

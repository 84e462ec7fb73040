"""Boxes: a detector's tensor in every form, as boxes of the camera's pixels."""

from __future__ import annotations

import numpy as np
import pytest
from runtime.detector import NAMES, SIZE, drawn, output, write_detector
from typer.testing import CliRunner

import fuseg
from fuseg.backends.replay import ReplayBackend
from fuseg.cli import app
from fuseg.errors import BackendError, ManifestError
from fuseg.runtime.outputs.boxes import BoxesAdapter


@pytest.fixture
def made(color_input, tmp_path):
    color, path = color_input(size=SIZE), tmp_path / "boxes.fuseg"
    return lambda *spec, **options: write_detector(path, color, *spec, **options)


def by_definition(spec, values, camera, crop):
    """One box after the other, in float64; lists of (box, score, class)."""
    (top, left, high, wide), found = crop, []
    for index, row in enumerate(values.astype(np.float64)):
        objects, scores = 1.0, row[4:]
        if spec.score == "objectness":
            objects, scores = row[4], row[5:]
        if spec.activation == "sigmoid":
            scores, objects = 1 / (1 + np.exp(-scores)), 1 / (1 + np.exp(-objects))
            objects = objects if spec.score == "objectness" else 1.0
        if spec.activation == "softmax":
            scores = np.exp(scores) / np.exp(scores).sum()
        if spec.background == "first":
            scores = scores[1:]
        elif spec.background == "last":
            scores = scores[:-1]
        scores = scores * objects
        a, b, c, d = row[:4]
        if spec.form == "cxcywh":
            a, b, c, d = a - c / 2, b - d / 2, a + c / 2, b + d / 2
        elif spec.form == "xywh":
            c, d = a + c, b + d
        taken = [int(scores.argmax())] if spec.labels == "best" else range(len(scores))
        found += [
            (scores[k], index, k, (a, b, c, d))
            for k in taken
            if scores[k] > spec.score_threshold
        ]
    found.sort(key=lambda f: (-f[0], f[1], f[2]))
    kept = []
    for candidate in found[: spec.max_candidates]:
        box, k = candidate[3], candidate[2]
        if spec.iou_threshold is None or not any(
            other[2] == k and overlap(other[3], box) > spec.iou_threshold
            for other in kept
        ):
            kept.append(candidate)
    height, width = camera
    unit = (SIZE[1], SIZE[0]) * 2 if spec.unit == "fractions" else (1, 1, 1, 1)
    results = []
    for score, _, k, box in kept[: spec.max_boxes]:
        x0, y0, x1, y1 = (edge * u for edge, u in zip(box, unit, strict=True))
        x0, x1 = (min(max((x - left) * width / wide, 0), width) for x in (x0, x1))
        y0, y1 = (min(max((y - top) * height / high, 0), height) for y in (y0, y1))
        if x1 > x0 and y1 > y0:
            results.append((x0, y0, x1, y1, score, k))
    return np.array(results).reshape(-1, 6)


def overlap(a, b):
    wide = min(a[2], b[2]) - max(a[0], b[0])
    high = min(a[3], b[3]) - max(a[1], b[1])
    if wide <= 0 or high <= 0:
        return 0.0
    areas = [(c[2] - c[0]) * (c[3] - c[1]) for c in (a, b)]
    return wide * high / (sum(areas) - wide * high)


def array_of(result):
    return BoxesAdapter.as_array(result["objects"])


FORMS = [
    {},
    {"form": "cxcywh"},
    {"form": "xywh", "unit": "fractions"},
    {"order": "values-boxes"},
    {"labels": "all"},
    {"score": "class"},
    {"score": "class", "activation": "sigmoid", "score_threshold": 0.6},
    {"activation": "sigmoid", "labels": "all"},
    {"score": "class", "activation": "softmax", "background": "last"},
    {"score": "class", "activation": "softmax", "background": "first"},
    {"iou_threshold": None},
    {"iou_threshold": 0.2, "max_boxes": 4},
    {"max_candidates": 9, "labels": "all"},
    {"score_threshold": 0.0},
]


@pytest.mark.parametrize("changes", FORMS)
@pytest.mark.parametrize(
    ("fit", "camera", "crop"),
    [
        ("stretch", (48, 96), (0, 0, *SIZE)),
        ("letterbox", (48, 96), (4, 0, 16, 32)),
        ("letterbox", (96, 64), (0, 8, 24, 16)),
    ],
)
def test_boxes_are_those_of_the_definition(made, changes, fit, camera, crop):
    spec = output(**changes)
    for seed in range(3):
        values = drawn(spec, seed)
        if spec.form != "xyxy":
            values[:, 2:4] -= values[:, :2]
        if spec.form == "cxcywh":
            values[:, :2] += values[:, 2:4] / 2
        if spec.unit == "fractions":
            values[:, :4] /= np.array(SIZE[::-1] * 2, np.float32)
        stored = values if spec.order == "boxes-values" else values.T
        backend = ReplayBackend([np.ascontiguousarray(stored)[None]])
        segmenter = fuseg.load(made(spec, fit).path, backend=backend)
        found = array_of(segmenter(rgb=np.zeros((*camera, 3), np.uint8)))
        wanted = by_definition(spec, values, camera, crop)
        assert len(wanted) > 1
        np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-4)


def test_nothing_above_the_threshold_is_no_box(made):
    spec = output()
    values = drawn(spec) * np.float32(0)
    segmenter = fuseg.load(made(spec).path, backend=ReplayBackend([values[None]]))
    result = segmenter(rgb=np.zeros((48, 64, 3), np.uint8))["objects"]
    assert (len(result), result.boxes.shape) == (0, (0, 4))
    assert BoxesAdapter.as_array(result).shape == (0, 6)
    assert BoxesAdapter.as_json(result) == []


@pytest.mark.parametrize(
    ("column", "wrong"),
    [
        *((0, np.nan), (3, np.inf), (1, -np.inf)),
        *((4, np.nan), (6, np.nan), (4, np.inf), (6, np.inf)),
    ],
)
def test_numbers_that_are_none_are_refused(made, column, wrong):
    spec, values = output(), drawn(output())
    values[:, column] = wrong
    segmenter = fuseg.load(made(spec).path, backend=ReplayBackend([values[None]]))
    with pytest.raises(BackendError, match="gave boxes or scores of objects that"):
        segmenter(rgb=np.zeros((48, 64, 3), np.uint8))


def test_a_result_is_words_json_and_lines(made):
    spec = output(max_boxes=3)
    backend = ReplayBackend([drawn(spec)[None]])
    segmenter = fuseg.load(made(spec).path, backend=backend)
    result = segmenter(rgb=np.zeros((48, 64, 3), np.uint8))["objects"]
    said = BoxesAdapter.as_json(result)
    assert [entry["class"] for entry in said] == [NAMES[k] for k in result.classes]
    assert said[0]["score"] == pytest.approx(float(result.scores[0]), abs=1e-6)
    words = BoxesAdapter.words(result).split(", ")
    assert sum(int(word.split()[0]) for word in words) == 3
    picture = np.zeros((48, 64, 3), np.uint8)
    BoxesAdapter.draw(result, picture)
    left, top, *_ = np.rint(result.boxes[0]).astype(int)
    assert picture[min(top, 47), min(left, 63)].any()
    assert not picture.all(2).any()


def test_how_alike_two_results_are():
    one = np.array([[0, 0, 10, 10, 0.9, 1], [20, 20, 30, 30, 0.8, 1]], np.float32)
    agreement = BoxesAdapter.agreement
    none = np.empty((0, 6), np.float32)
    assert agreement(one, one[::-1]) == 1.0
    assert agreement(one, one[:1]) == agreement(one[:1], one) == 0.5
    assert agreement(none, none) == 1.0
    assert agreement(one, none) == agreement(none, one) == 0.0
    shifted, other = one.copy(), one.copy()
    shifted[0, :4] += [0, 0, 0, 2]
    other[0, 5] = 2
    assert agreement(one, shifted) == pytest.approx((10 / 12 + 1) / 2)
    assert agreement(one, other) == 0.5
    twice = np.stack([one[0], one[0]])
    assert agreement(twice, np.stack([one[0], one[1]])) == 0.5


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"classes": ()}, "classes must not be empty"),
        ({"classes": ("a", "a")}, "classes must be unique, got 'a' twice"),
        ({"score_threshold": 1.5}, "score_threshold must be 0 to 1, got 1.5"),
        ({"iou_threshold": -0.1}, "iou_threshold must be 0 to 1, got -0.1"),
        ({"max_boxes": 0}, "max_boxes must be 1 to 100000, got 0"),
        ({"form": "ltrb"}, "form must be one of 'xyxy', 'cxcywh', 'xywh', got 'ltrb'"),
    ],
)
def test_an_output_that_cannot_be_is_refused(changes, sentence):
    with pytest.raises(ManifestError, match=sentence):
        output(**changes)


@pytest.mark.parametrize(
    ("dtype", "shape", "sentence"),
    [
        ("float32", (1, 8), r"tensor must be \[1, boxes, values\] or the last two the"),
        ("float32", (1, 9, 7), "must have 8 values a box, with 3 classes, got 7"),
        ("int64", (1, 9, 8), "float32"),
    ],
)
def test_a_tensor_that_does_not_fit_is_refused(dtype, shape, sentence):
    with pytest.raises(ManifestError, match=sentence):
        output().require_fits(dtype, shape)


def test_samples_are_replayed_and_shown(made, frames):
    frame = frames(1, 48, 64)["rgb"]
    spec = output(score_threshold=0.0, score="class", activation="sigmoid")
    plain = fuseg.load(made(spec).path)
    expected = array_of(plain(rgb=frame))
    assert len(expected) > 3
    path = made(spec, samples=[(frame, expected)]).path
    assert len(fuseg.load(path)(rgb=frame)["objects"]) == len(expected)
    run = CliRunner().invoke(app, ["verify", str(path)])
    assert run.exit_code == 0, run.output
    assert "1.0" in run.output
    shown = CliRunner().invoke(app, ["inspect", str(path)])
    assert "at most 300, 3 classes: person, car, dog" in shown.output
    none = np.empty((0, 6), np.float32)  # in a picture with nothing in it
    quiet = output(score_threshold=1.0, score="class", activation="sigmoid")
    path = made(quiet, samples=[(frame, none)]).path
    run = CliRunner().invoke(app, ["verify", str(path)])
    assert run.exit_code == 0, run.output
    wrong = expected.copy()
    wrong[:, 5] = (wrong[:, 5] + 1) % 3
    path = made(spec, samples=[(frame, wrong)]).path
    assert CliRunner().invoke(app, ["verify", str(path)]).exit_code == 1

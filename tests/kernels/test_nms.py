"""nms: ONNX's NonMaxSuppression, ties, what is no number, limits, at every level."""

from __future__ import annotations

import functools

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from fuseg import _kernels
from fuseg.errors import ArgumentError, DTypeError, FusegError, LayoutError, ShapeError
from fuseg.ops import Nms, nms

LEVELS = _kernels.levels()
EDGES = [0.0, -0.0, 1.0, 4.0, 4.5, 1e-30, 3e38, -3e38, np.inf, -np.inf, np.nan]

pytestmark = pytest.mark.usefixtures("every_level")


def defined(boxes, scores, classes, iou_threshold, max_boxes=10**6):
    """The definition, one box after the other, each step rounded to float32."""
    kept = []
    numbers = [n for n in range(len(scores)) if not np.isnan(scores[n])]
    for n in sorted(numbers, key=lambda n: (-scores[n], n)):
        if len(kept) == max_boxes:
            break
        if not any(
            classes[k] == classes[n]
            and share(boxes[k], boxes[n]) > np.float32(iou_threshold)
            for k in kept
        ):
            kept.append(n)
    return kept


@np.errstate(all="ignore")
def share(one, other):
    (low, high), (other_low, other_high) = (
        (np.minimum(box[:2], box[2:]), np.maximum(box[:2], box[2:]))
        for box in (one, other)
    )
    sides = np.minimum(high, other_high) - np.maximum(low, other_low)
    areas = np.prod(high - low, dtype="f4") + np.prod(
        other_high - other_low, dtype="f4"
    )
    shared = np.prod(np.maximum(sides, np.float32(0)), dtype="f4")
    return shared / (areas - shared) if shared > 0 else np.float32(0)


@functools.cache
def operator():
    """Boxes (1, N, 4), scores (1, C, N) and the overlap -> (K, 3) indices."""
    onnx = pytest.importorskip("onnx")
    onnxruntime = pytest.importorskip("onnxruntime")
    helper, kinds = onnx.helper, onnx.TensorProto
    names = {"boxes": (1, "n", 4), "scores": (1, "c", "n"), "most": (1,), "iou": (1,)}
    types = {"most": kinds.INT64}
    graph = helper.make_graph(
        [helper.make_node("NonMaxSuppression", [*names], ["kept"])],
        "nms",
        [
            helper.make_tensor_value_info(n, types.get(n, kinds.FLOAT), shape)
            for n, shape in names.items()
        ],
        [helper.make_tensor_value_info("kept", kinds.INT64, ("k", 3))],
    )
    opset = [helper.make_opsetid("", 17)]
    model = helper.make_model(graph, opset_imports=opset, ir_version=8)
    return onnxruntime.InferenceSession(model.SerializeToString())


def by_onnx(boxes, scores, classes, iou):
    """The same of ONNX's: a box has a score in its class and none in the others."""
    dense = np.full((1, classes.max() + 1, len(boxes)), -np.inf, np.float32)
    dense[0, classes, np.arange(len(boxes))] = scores
    (kept,) = operator().run(
        None,
        {
            "boxes": boxes[None],
            "scores": dense,
            "most": np.array([len(boxes)]),
            "iou": np.array([iou], np.float32),
        },
    )
    found = [n for _, c, n in kept.tolist() if classes[n] == c]
    return sorted(found, key=lambda n: (-scores[n], n))


def crowd(rng, count, step=0.25, size=40.0, kinds=5, scores=50.0):
    """Boxes around few places, with ties of every kind, some from their last corner."""
    places = rng.random((rng.integers(1, 7), 2)) * 60
    centres = places[rng.integers(0, len(places), count)] + rng.normal(0, 4, (count, 2))
    sizes = rng.random((count, 2)) * size
    boxes = np.concatenate([centres - sizes / 2, centres + sizes / 2], 1)
    boxes = (np.round(boxes / step) * step).astype(np.float32)
    flipped = rng.random(count) < 0.1
    boxes[flipped] = boxes[flipped][:, [2, 1, 0, 3]]
    found = np.round(rng.random(count) * scores).astype(np.float32)
    return boxes, found, rng.integers(0, kinds, count).astype(np.int32)


CROWDS = st.builds(
    lambda seed, *words: crowd(np.random.default_rng(seed), *words),
    st.integers(0, 2**32),
    st.integers(1, 250),
    st.sampled_from([1.0, 0.25, 1e-3]),
    st.sampled_from([0.0, 5.0, 40.0]),
    st.integers(1, 5),
    st.sampled_from([3, 50, 1e6]),
)


@pytest.mark.parametrize("examples", [40, pytest.param(3000, marks=pytest.mark.slow)])
def test_what_stays_is_what_onnx_keeps(examples):
    seen = set()

    @settings(max_examples=examples, deadline=None, database=None)
    @given(CROWDS, st.sampled_from([0.0, 0.3, 0.5, 0.75, 1.0]))
    def check(given_crowd, iou):
        boxes, scores, classes = given_crowd
        found = nms(boxes, scores, classes, iou_threshold=iou).tolist()
        assert found == by_onnx(boxes, scores, classes, iou)
        seen.add(len(found) < len(boxes))

    check()
    assert seen == {True, False}


# About the sixteen boxes of a group, the vectors in it, and the sets of classes.
@pytest.mark.parametrize("count", [1, 4, 5, 15, 16, 17, 33, 130])
def test_matches_the_definition(count, rng):
    for kinds in (1, 3, 70, 2**31 - 1):
        for size in (2.0, 30.0):
            boxes, scores, classes = crowd(rng, count, size=size, kinds=kinds)
            if kinds == 70:
                classes = (classes * 64).astype(np.int32) - 999  # of one set, some
            for most in (1, 5, 17, 100_000):
                wanted = defined(boxes, scores, classes, 0.3, most)
                out = np.full(most, 77, np.int32)
                found = nms(
                    boxes, scores, classes, iou_threshold=0.3, max_boxes=most, out=out
                )
                assert found.dtype == np.int32
                assert found.tolist() == wanted
                assert (out[len(wanted) :] == -1).all()


@settings(max_examples=100, deadline=None)
@given(
    st.lists(
        st.tuples(st.tuples(*4 * [st.sampled_from(EDGES)]), st.sampled_from(EDGES)),
        max_size=40,
    ),
    st.sampled_from([0.0, 0.5]),
)
def test_numbers_that_are_none_overlap_nothing_and_score_nothing(rows, iou):
    boxes = np.array([box for box, _ in rows], np.float32).reshape(-1, 4)
    scores = np.array([score for _, score in rows], np.float32)
    classes = np.zeros(len(rows), np.int32)
    found = nms(boxes, scores, classes, iou_threshold=iou).tolist()
    assert found == defined(boxes, scores, classes, iou)


def test_every_level_keeps_the_same(rng):
    given_crowd = crowd(rng, 5000, step=1e-3, kinds=90, scores=1e6)
    found = []
    for level in LEVELS:
        _kernels.use_level(level)
        found.append(nms(*given_crowd, iou_threshold=0.4, max_boxes=5000).tolist())
    assert len(found[0]) > 300
    assert all(kept == found[0] for kept in found)


def test_of_equal_boxes_and_scores_the_first_stays():
    boxes = np.tile(np.array([[0, 0, 4, 4]], np.float32), (3, 1))
    scores = np.array([0.0, -0.0, 0.0], np.float32)
    same = np.zeros(3, np.int32)
    assert nms(boxes, scores, same, iou_threshold=0.5).tolist() == [0]
    two = np.array([1, 0, 1], np.int32)
    assert nms(boxes, scores, two, iou_threshold=0.5).tolist() == [0, 1]
    assert nms(boxes, scores, same, iou_threshold=1).tolist() == [0, 1, 2]
    assert nms(boxes, -scores - 1, same, iou_threshold=1).tolist() == [0, 1, 2]


def test_an_overlap_that_rounds_to_the_threshold_is_not_above_it():
    """The share is divided in float32: the threshold times 22 is below 13."""
    boxes = np.zeros((2, 4), np.float32)
    scores, classes = np.ones(2, np.float32), np.zeros(2, np.int32)
    for union in range(2, 60):
        for shared in range(1, union):
            iou = np.float32(shared / union)
            side = (union + shared) / 2
            boxes[:] = [0, 0, side, 1], [side - shared, 0, union, 1]
            for threshold, kept in (
                (iou, [0, 1]),
                (np.nextafter(iou, np.float32(0)), [0]),
            ):
                found = nms(boxes, scores, classes, iou_threshold=threshold)
                assert found.tolist() == kept


def test_scores_of_any_size_are_in_order():
    scores = [0.5, -np.inf, 1e-45, -3.0, np.nan, np.inf, 0.25, -1e-45, 3e38, -2.0]
    count = len(scores)
    boxes, classes = np.zeros((count, 4), np.float32), np.zeros(count, np.int32)
    found = nms(boxes, np.array(scores, np.float32), classes, iou_threshold=0.5)
    assert found.tolist() == [5, 8, 0, 6, 2, 7, 9, 3, 1]


def none(count=0):
    return (
        np.zeros((count, 4), np.float32),
        np.zeros(count, np.float32),
        np.zeros(count, np.int32),
    )


def test_no_boxes_are_no_boxes():
    out = np.full(3, 7, np.int32)
    assert nms(*none(), iou_threshold=0.5, max_boxes=3, out=out).tolist() == []
    assert out.tolist() == [-1, -1, -1]
    shared = map(torch.from_numpy, none())
    assert nms(*shared, iou_threshold=0.5).tolist() == []


def test_an_object_takes_frames_of_any_number(rng):
    suppress = Nms(iou_threshold=0.4, max_candidates=200, max_boxes=9)
    out = np.empty(9, np.int32)
    for count in (200, 1, 0, 37, 200):
        boxes, scores, classes = crowd(rng, count)
        found = suppress(boxes, scores, classes, out=out)
        assert found.base is out
        assert found.tolist() == defined(boxes, scores, classes, 0.4, 9)
    with pytest.raises(ShapeError, match="boxes must be at most 200, got 201: take"):
        suppress(*crowd(rng, 201))


def test_stays_inside_its_arrays(fenced, rng):
    for count in (1, 5, 33, 130):
        given_crowd = crowd(rng, count)
        arrays = [fenced(array.shape, array.dtype) for array in given_crowd]
        for array, values in zip(arrays, given_crowd, strict=True):
            array[...] = values
        for most in (1, 7, 200):
            out = fenced((most,), np.int32)
            found = nms(*arrays, iou_threshold=0.2, max_boxes=most, out=out)
            assert found.tolist() == defined(*given_crowd, 0.2, most)


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        ({"boxes": [0, 1]}, DTypeError, "boxes must be a NumPy array, got list"),
        (
            {"boxes": np.zeros((4, 4))},
            DTypeError,
            "boxes must be float32, got float64",
        ),
        ({"boxes": none(4)[1]}, ShapeError, r"boxes must have shape \(N, 4\), got"),
        ({"boxes": none(8)[0][::2]}, LayoutError, "boxes must be C-contiguous"),
        ({"boxes": none()[0]}, ShapeError, r"scores must have shape \(0\), got \(4,\)"),
        ({"scores": none(5)[1]}, ShapeError, r"scores must have shape \(4\), got"),
        ({"classes": none(5)[2]}, ShapeError, r"classes must have shape \(4\), got"),
        ({"classes": none(4)[1]}, DTypeError, "classes must be int32, got float32"),
        (
            {"boxes": none(100_001)[0]},
            ShapeError,
            "boxes must be at most 100000, got 100001: take the best by score before",
        ),
        ({"iou_threshold": 1.5}, ArgumentError, "iou_threshold must be from 0 to 1"),
        ({"iou_threshold": np.nan}, ArgumentError, "iou_threshold must be a finite"),
        ({"max_boxes": 0}, ArgumentError, "max_boxes must be .* from 1 to 100000"),
        ({"out": none(3)[2]}, ShapeError, r"out must have shape \(300\), got \(3,\)"),
        ({"out": none(300)[1]}, DTypeError, "out must be int32, got float32"),
        ({"stream": 3}, ArgumentError, "stream must be omitted when boxes is on the"),
    ],
)
def test_refuses(arguments, error, words):
    boxes, scores, classes = none(4)
    usual = {"boxes": boxes, "scores": scores, "classes": classes, "iou_threshold": 0.5}
    with pytest.raises(error, match=words):
        nms(**(usual | arguments))


def test_refuses_an_out_that_is_locked_or_holds_an_input():
    boxes, scores, classes = none(4)
    limits = {"iou_threshold": 0.5, "max_boxes": 4}
    with pytest.raises(ArgumentError, match="out must not share memory with classes"):
        nms(boxes, scores, classes, out=classes, **limits)
    with pytest.raises(ArgumentError, match="out must not share memory with scores"):
        nms(boxes, scores, classes, out=scores.view(np.int32), **limits)
    out = np.zeros(4, np.int32)
    out.flags.writeable = False
    with pytest.raises(ArgumentError, match="out must be writable"):
        nms(boxes, scores, classes, out=out, **limits)


DTYPES = st.sampled_from([np.float32, np.float32, np.int32, np.float64])
SHAPES = st.sampled_from([(3, 4), (3, 4), (3,), (0, 4), (0,), (4, 3), ()])


@settings(max_examples=200, deadline=None)
@given(data=st.data())
def test_misuse(data):
    """Finds them, or says in one sentence why not and leaves ``out`` as it was."""

    def arrays(*usual):
        array = np.zeros(data.draw(SHAPES), data.draw(DTYPES))
        wrong = [array, np.flip(array), None]
        return data.draw(st.sampled_from([*usual, *usual, *wrong]))

    boxes, scores, classes = none(3)
    given_arrays = arrays(boxes), arrays(scores), arrays(classes)
    out = data.draw(st.sampled_from([np.full(2, 7, np.int32), np.full(3, 7), None]))
    refused = None
    try:
        found = nms(*given_arrays, iou_threshold=0.5, max_boxes=2, out=out)
    except FusegError as error:
        refused = str(error)
    if refused is not None:
        assert "\n" not in refused
        assert out is None or (out == 7).all()
    else:
        assert found.tolist() == [0, 1][: len(given_arrays[1])]

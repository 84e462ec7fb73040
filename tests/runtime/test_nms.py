"""Suppression is ONNX's NonMaxSuppression, number for number."""

from __future__ import annotations

import functools

import numpy as np
import onnxruntime
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper

from fuseg.runtime.outputs.nms import suppress


@functools.cache
def operator():
    """Boxes (1, N, 4), scores (1, C, N) and the overlap -> (K, 3) indices."""
    names = {"boxes": (1, "n", 4), "scores": (1, "c", "n"), "most": (1,), "iou": (1,)}
    types = {"most": TensorProto.INT64}
    graph = helper.make_graph(
        [
            helper.make_node(
                "NonMaxSuppression", ["boxes", "scores", "most", "iou"], ["kept"]
            )
        ],
        "nms",
        [
            helper.make_tensor_value_info(n, types.get(n, TensorProto.FLOAT), shape)
            for n, shape in names.items()
        ],
        [helper.make_tensor_value_info("kept", TensorProto.INT64, ("k", 3))],
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


@st.composite
def crowds(draw):
    """Boxes around few places, with ties of every kind."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    count, step = draw(st.integers(1, 250)), draw(st.sampled_from([1.0, 0.25, 1e-3]))
    places = rng.random((draw(st.integers(1, 6)), 2)) * 60
    centres = places[rng.integers(0, len(places), count)] + rng.normal(0, 4, (count, 2))
    sizes = rng.random((count, 2)) * draw(st.sampled_from([0.0, 5.0, 40.0]))
    boxes = np.concatenate([centres - sizes / 2, centres + sizes / 2], 1)
    boxes = (np.round(boxes / step) * step).astype(np.float32)
    flipped = rng.random(count) < 0.1
    boxes[flipped] = boxes[flipped][:, [2, 1, 0, 3]]
    scores = np.round(rng.random(count) * draw(st.sampled_from([3, 50, 1e6])))
    classes = rng.integers(0, draw(st.integers(1, 5)), count)
    return boxes, scores.astype(np.float32), classes


@pytest.mark.parametrize("examples", [100, pytest.param(5000, marks=pytest.mark.slow)])
def test_what_stays_is_what_onnx_keeps(examples):
    seen = set()

    @settings(max_examples=examples, deadline=None, database=None)
    @given(crowds(), st.sampled_from([0.0, 0.3, 0.5, 0.75, 1.0]))
    def check(crowd, iou):
        boxes, scores, classes = crowd
        found = suppress(boxes, scores, classes, iou).tolist()
        assert found == by_onnx(boxes, scores, classes, iou)
        seen.add(len(found) < len(boxes))

    check()
    assert seen == {True, False}


def test_of_equal_boxes_and_scores_the_first_stays():
    boxes = np.tile(np.array([[0, 0, 4, 4]], np.float32), (3, 1))
    one = np.ones(3, np.float32)
    assert suppress(boxes, one, np.zeros(3, np.intp), 0.5).tolist() == [0]
    assert suppress(boxes, one, np.array([1, 0, 1]), 0.5).tolist() == [0, 1]
    assert suppress(boxes, one, np.zeros(3, np.intp), 1.0).tolist() == [0, 1, 2]


def test_no_boxes_are_no_boxes():
    none = np.empty((0, 4), np.float32), np.empty(0, np.float32), np.empty(0, np.intp)
    assert suppress(*none, 0.5).tolist() == []

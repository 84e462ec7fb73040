"""A network whose scores are no numbers gives no labels."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

import fuseg
from fuseg import bundle as bundles
from fuseg.errors import BackendError


@pytest.mark.parametrize("confidence", [False, True])
@pytest.mark.parametrize(
    "bias",
    [
        [0, np.nan, 0, 0],
        [0, 0, np.inf, 0],
        [-np.inf] * 4,
    ],
    ids=["one NaN", "infinity", "all -infinity"],
)
def test_scores_that_are_no_numbers_are_refused(frames, linear_of, bias, confidence):
    path = linear_of(np.float32(bias))
    segmenter = fuseg.load(path, backend="onnxruntime")
    with pytest.raises(BackendError, match="onnxruntime gave scores that are not numb"):
        segmenter(**frames(1, 60, 80), confidence=confidence)


def test_a_class_that_is_switched_off_is_no_fault(frames, linear_of):
    path = linear_of(np.float32([0, -np.inf, 0, 0]))
    result = fuseg.load(path)(**frames(1, 60, 80), confidence=True)
    assert not (result.labels == 1).any()
    assert np.isfinite(result.confidence).all()


def test_the_next_frame_is_labelled_again(frames, linear_of):
    path = linear_of(np.zeros(4, np.float32))
    segmenter = fuseg.load(path)
    backend = segmenter.backend
    run, wrong = backend.run, [True]

    def once():
        run()
        if wrong.pop():
            (scores,) = backend.outputs.values()
            scores[0, :, 3, 4] = np.nan
        wrong.append(False)

    backend.run = once
    given = frames(1, 60, 80)
    with pytest.raises(BackendError, match=r"at 1 of the network's 12 x 16 positions"):
        segmenter(**given)
    assert segmenter(**given).labels.shape == (60, 80)


@pytest.fixture
def linear_of(make_bundle, color_input, plane_input):
    """``linear_of(bias)``: the path of a bundle whose network has this bias."""

    def make(bias):
        inputs = color_input(size=(24, 32)), plane_input(size=(24, 32))
        good = make_bundle(*inputs, stride=2)
        opened = bundles.Bundle.open(good.path)
        model = onnx.load_from_string(opened.read("fp32.onnx"))
        for tensor in model.graph.initializer:
            if tensor.name == "bias":
                tensor.CopyFrom(numpy_helper.from_array(bias, "bias"))
        made = model.SerializeToString()
        return make_bundle(*inputs, stride=2, onnx=made).path

    return make

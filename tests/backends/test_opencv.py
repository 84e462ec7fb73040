"""OpenCV labels as ONNX Runtime does."""

from __future__ import annotations

import numpy as np

import fuseg


def test_labels_are_those_of_onnx_runtime(rgbd, frames):
    camera = frames(0, 12, 16)
    wanted = fuseg.load(rgbd.path, backend="onnxruntime", threads=1)(**camera)
    found = fuseg.load(rgbd.path, backend="opencv")(**camera)
    np.testing.assert_array_equal(found.labels, wanted.labels)
    assert len(np.unique(found.labels)) > 1

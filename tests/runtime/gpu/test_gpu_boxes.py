"""Boxes and planes on a GPU backend: tensors are brought to the CPU and read there."""

from __future__ import annotations

import numpy as np
import pytest
from runtime.detector import SIZE, output, write_detector

import fuseg
from fuseg.manifest import PlaneOutput, Upsample
from fuseg.runtime.outputs.boxes import BoxesAdapter


@pytest.mark.parametrize("order", ["boxes-values", "values-boxes"])
def test_boxes_are_those_of_a_cpu(color_input, tmp_path, on_gpu, frames, order):
    spec = output(score="class", activation="sigmoid", score_threshold=0.5, order=order)
    path = tmp_path / "boxes.fuseg"
    made = write_detector(path, color_input(size=SIZE), spec)
    segmenter, cpu = on_gpu(made), fuseg.load(path, backend="onnxruntime")
    for seed in range(4):  # from the third on as a graph
        rgb = frames(seed, 48, 96)["rgb"]
        found, wanted = (
            BoxesAdapter.as_array(s(rgb=rgb)["objects"]) for s in (segmenter, cpu)
        )
        assert len(wanted)
        np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-3)
    assert segmenter.cuda_graph_disabled_reason is None


def test_planes_are_those_of_a_cpu(color_input, tmp_path, on_gpu, frames):
    spec = PlaneOutput("far", "found", Upsample(align_corners=False))
    path = tmp_path / "plane.fuseg"
    color = color_input(size=SIZE)
    made = write_detector(path, color, spec, fit="letterbox", axes=(1, 6, 8))
    segmenter, cpu = on_gpu(made), fuseg.load(path, backend="onnxruntime")
    for seed in range(4):
        rgb = frames(seed, 48, 96)["rgb"]
        found, wanted = (s(rgb=rgb)["far"] for s in (segmenter, cpu))
        np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-4)

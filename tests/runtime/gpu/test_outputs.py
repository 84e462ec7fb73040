"""Bundles with several outputs on a GPU: labels made there, the others read back."""

from __future__ import annotations

import numpy as np
import pytest
from runtime.many_outputs import expected, write_outputs


class _Made:
    def __init__(self, path):
        self.path = path


@pytest.mark.parametrize("in_flight", [1, 2])
def test_every_output_is_that_of_a_cpu(on_gpu, rgbd, frames, tmp_path, in_flight):
    segmenter = on_gpu(_Made(write_outputs(tmp_path / "outputs.fuseg", rgbd)))
    waiting, found = [], []
    for seed in range(8):  # from the third on, one CUDA graph
        given = frames(seed)
        wanted = expected(segmenter.preprocess(**given))
        waiting.append((segmenter.submit(**given, confidence=seed % 2 == 0), wanted))
        if len(waiting) == in_flight:
            ticket, wanted = waiting.pop(0)
            found.append((segmenter.result(ticket), wanted))
    assert segmenter.cuda_graph_disabled_reason is None
    for result, wanted in found:
        np.testing.assert_array_equal(result.labels, wanted.labels)
        np.testing.assert_array_equal(result["parts"].labels, wanted.parts)
        np.testing.assert_allclose(result["scene"].scores, wanted.scene, atol=1e-5)
        np.testing.assert_allclose(result["mean"], wanted.mean, atol=1e-4)
    assert (found[0][0]["parts"].confidence is None) == (found[0][0].confidence is None)

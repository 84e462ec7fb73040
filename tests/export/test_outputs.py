"""Whether what a network returns can be scores of a picture, by its shape alone."""

from __future__ import annotations

import pytest
import torch

from fuseg.errors import ExportError
from fuseg_export.network.outputs import Source, require_planes

VGA = {"rgb": (1, 3, 480, 640)}


@pytest.mark.parametrize(
    ("shape", "inputs"),
    [
        ((1, 9, 480, 640), VGA),
        ((1, 9, 15, 20), VGA),  # stride 32
        ((1, 9, 14, 19), VGA),  # the same, unpadded
        ((1, 9, 960, 1280), VGA),
        ((1, 480, 640), VGA),  # labels
        ((480, 640), VGA),
        ((1, 9, 46, 62), {"x": (1, 3, 48, 64)}),  # one unpadded 3x3 layer
        ((1, 9, 17, 33), {"x": (1, 3, 65, 129)}),  # stride 4, aligned corners
        ((1, 9, 32, 512), {"rgb": (1, 3, 480, 640), "lidar": (1, 1, 64, 1024)}),
        ((1, 2, 8, 8), {"x": (1, 3, 64, 64)}),
        ((1, 8, 8, 8), {"x": (1, 3, 64, 64)}),
        ((1, 15, 20, 27), {"x": (1, 3, 480, 641)}),
    ],
)
def test_a_stride_of_one_input_gives_both_sides(shape, inputs):
    require_planes(torch.zeros(shape), inputs)


@pytest.mark.parametrize(
    ("shape", "inputs", "advice"),
    [
        ((1, 480, 640, 9), VGA, "--layout nhwc"),
        ((1, 15, 20, 9), VGA, "--layout nhwc"),
        ((1, 480, 640, 1), VGA, "--layout nhwc"),
        ((1, 60, 80, 4), {"x": (1, 3, 60, 80)}, "--layout nhwc"),
        ((1, 8, 8, 7), {"x": (1, 3, 64, 64)}, "--layout nhwc"),
        ((1, 9, 640, 480), VGA, "turned"),
        ((1, 9, 1, 1), VGA, "pooled"),
        ((1, 9, 1, 1), {"x": (1, 3, 48, 64)}, "pooled"),
        ((1, 2, 300, 460), VGA, "cropped"),
        ((1, 1000, 768), VGA, "pooled"),
    ],
)
def test_no_stride_of_an_input_does(shape, inputs, advice):
    with pytest.raises(ExportError) as caught:
        require_planes(torch.zeros(shape), inputs)
    assert f"got {shape}: " in str(caught.value)
    assert advice in str(caught.value)


def test_the_advised_layout_gives_a_shape_that_passes():
    scores = torch.zeros(1, 60, 80, 4)
    require_planes(Source(layout="nhwc")(scores), {"x": (1, 3, 60, 80)})

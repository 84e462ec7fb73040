"""A log in the form of the real one; tests/tensorrt_real reads real ones."""

from __future__ import annotations

import pytest

from fuseg.backends.tensorrt.engine_log import EngineLog, read_engine_log

LAYER = (
    "Name: {}, LayerType: {}, Inputs: [ {{ Name: x, Datatype: Half }}], Constants: []"
)
TENSOR = (
    " Name: {}, IOMode: {}, DataType: {}, Dimensions: [1,3,4,5], Location: Device, "
    "ProfileInfo: [ {{ Format: some words (k{}) }}]"
)
LOG = [
    "Total Activation Memory: 4096 bytes",
    "Layers:\n" + LAYER.format("a", "kgen") + "\n" + LAYER.format("b", "correlation"),
    LAYER.format("c", "signal"),
    LAYER.format("d", "wait"),
    "I/O Tensors:\n" + TENSOR.format("rgb", "Input", "Int8", "CHW4"),
    TENSOR.format("scores", "Output", "Half", "HWC16"),
]


def test_kernels_memory_and_formats_are_read():
    formats = {"rgb": ("int8", "chw4"), "scores": ("float16", "HWC16")}
    assert read_engine_log(LOG) == EngineLog(formats, 2, 4096)


@pytest.mark.parametrize("left", [LOG[:1], LOG[1:], LOG[:4], LOG[:1] + LOG[4:], []])
def test_a_log_that_describes_no_whole_engine_is_refused(left):
    with pytest.raises(ValueError, match="must describe an engine"):
        read_engine_log(left)

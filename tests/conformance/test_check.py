"""The checker names what a version would refuse."""

from __future__ import annotations

import pytest
from conformance import check
from doubles.tensorrt_api import Use


@pytest.mark.parametrize(
    ("version", "use", "sentence"),
    [
        ("11.4.0", Use("trt", "IInt8Calibrator", "get"), "trt has no IInt8Calibrator"),
        ("11.4.0", Use("BuilderFlag", "FP16", "get"), "BuilderFlag has no FP16"),
        ("8.6.1", Use("Nothing", "run", 0), "no class Nothing, used for its run"),
        (
            "10.3.0",
            Use("ICudaEngine", "get_tensor_name", 2),
            "ICudaEngine.get_tensor_name does not take (_, _)",
        ),
        (
            "8.6.1",
            Use("ICudaEngine", "create_execution_context", 0, ("strategy",)),
            "ICudaEngine.create_execution_context does not take (strategy=)",
        ),
        (
            "10.3.0",
            Use("ICudaEngine", "num_io_tensors", "set"),
            "ICudaEngine.num_io_tensors cannot be set",
        ),
        (
            "10.3.0",
            Use("ICudaEngine", "num_io_tensors", 0),
            "ICudaEngine.num_io_tensors does not take ()",
        ),
        ("8.6.1", Use("Builder", "__init__", 0), "Builder.__init__ does not take ()"),
        ("8.6.1", Use("Severity", "FATAL", "get"), "Severity has no FATAL"),
    ],
)
def test_a_recorded_use_that_a_version_refuses_is_named(version, use, sentence, real):
    api = real(version)
    assert check.recorded(api, [use]) == [f"TensorRT {api.version}: {sentence}."]

"""What is made of TensorRT's log: one sentence that says why."""

from __future__ import annotations

from doubles import tensorrt
from onnx import helper

from fuseg.backends.tensorrt.build_protocol import BuildLog


def test_an_error_of_the_parser_is_told_by_the_line_that_says_why():
    sums = helper.make_node("Add", ["x", "y"], ["z"], name="sum")
    cuda = "[checkMacros.cpp::catchCudaError::250] Error Code 1: Cuda Runtime (35)"
    why = "ITensor::getDimensions: Error Code 4: Float and Half."
    error = tensorrt.make(None, "10.3.0").ParserError
    log = BuildLog()
    log.add("ERROR", "ModelImporter.cpp:143: --- End node ---")
    told = log.reason_of_parser([error(f"Invalid Node - sum\n{why}\n{cuda}", 7, sums)])
    assert told == "Add node sum: ITensor::getDimensions: Error Code 4: Float and Half"
    sums.name = ""
    assert log.reason_of_parser([error(f"{cuda}\n{why}", 7, sums)]).startswith(
        "Add node 7: ITensor"
    )
    assert log.reason_of_parser([error("Unsupported type", -1)]) == "Unsupported type"


def test_what_follows_from_an_error_is_told_only_if_nothing_else_is_known():
    log = BuildLog()
    cuda = "[checkMacros.cpp::catchCudaError::250] Error Code 1: Cuda Runtime (35)"
    log.add("ERROR", cuda)
    assert log.reason("") == cuda
    for sentence in (cuda, "Error Code 10: no implementation", cuda):
        log.add("ERROR", sentence)
    assert log.reason("") == "Error Code 10: no implementation"


def test_a_warning_that_is_said_for_every_layer_is_kept_once():
    log = BuildLog()
    for _ in range(132):
        log.add("WARNING", "Converting conv activation/weight scales to fp32.")
    log.add("WARNING", "another")
    assert log.warnings == [
        "Converting conv activation/weight scales to fp32.",
        "another",
    ]

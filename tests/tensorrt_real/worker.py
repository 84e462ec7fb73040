"""Parses and builds the networks whose paths it reads, a line of JSON for each.

Run with the folder of TensorRT for RTX on PYTHONPATH; it may crash, and then the next
one goes on.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

import tensorrt_rtx_bindings as trt


class Logger(trt.ILogger):
    def __init__(self) -> None:
        trt.ILogger.__init__(self)
        self.errors: list[str] = []

    def log(self, severity: Any, msg: str) -> None:
        if severity.name in ("ERROR", "INTERNAL_ERROR"):
            self.errors.append(msg)


def verdict(builder: Any, logger: Logger, model: bytes) -> dict[str, Any]:
    """What the parser, and if that takes it the builder, says of an ONNX model."""
    logger.errors.clear()
    typed = 1 << int(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED)
    network = builder.create_network(typed)
    parser = trt.OnnxParser(network, logger)
    if not parser.parse(model):
        first = parser.get_error(0)
        return {
            "stage": "parse",
            "node": first.node_name(),
            "operator": first.node_operator(),
            "reason": first.desc(),
        }
    config = builder.create_builder_config()
    if builder.build_serialized_network(network, config) is None:
        return {"stage": "build", "reason": " ".join(logger.errors[-2:])}
    return {"stage": "built"}


def main() -> None:
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what a library prints is no answer
    logger = Logger()
    builder = trt.Builder(logger)
    for line in sys.stdin:
        answer = verdict(builder, logger, Path(line.rstrip("\n")).read_bytes())
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


if __name__ == "__main__":
    main()

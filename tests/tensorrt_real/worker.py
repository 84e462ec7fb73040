"""Parses and builds the networks whose paths it reads; both in lines of JSON.

Run with the folder of TensorRT for RTX on PYTHONPATH; it may crash, and then the next
one goes on.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

from fuseg.backends.tensorrt.formats import make_logger


class Builder:
    """The real one, of version 10 or later, or a double."""

    def __init__(self, trt: Any) -> None:
        self._trt, self._errors = trt, list[str]()
        self._logger = make_logger(trt, self._log)
        self._builder = trt.Builder(self._logger)

    def verdict(
        self,
        model: bytes,
        formats: dict[str, list[str]],
        profile: dict[str, Any] | None = None,
    ) -> dict[str, Any]:
        """What the parser, and if that takes it the builder, says of an ONNX model.

        Args:
            formats: By name of inputs those that are allowed; without a name, all.
            profile: By name of inputs their smallest, typical and largest shape.
        """
        trt = self._trt
        self._errors.clear()
        typed = 1 << int(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED)
        network = self._builder.create_network(typed)
        parser = trt.OnnxParser(network, self._logger)
        if not parser.parse(model):
            first = parser.get_error(0)
            return {
                "stage": "parse",
                "node": first.node_name(),
                "operator": first.node_operator(),
                "reason": first.desc(),
            }
        for tensor in map(network.get_input, range(network.num_inputs)):
            if tensor.name in formats:
                kinds = (getattr(trt.TensorFormat, f) for f in formats[tensor.name])
                tensor.allowed_formats = sum(1 << int(kind) for kind in kinds)
        config = self._builder.create_builder_config()
        if profile is not None:
            sizes = self._builder.create_optimization_profile()
            for name, shapes in profile.items():
                sizes.set_shape(name, *map(tuple, shapes))
            config.add_optimization_profile(sizes)
        if self._builder.build_serialized_network(network, config) is None:
            return {"stage": "build", "reason": " ".join(self._errors[-2:])}
        return {"stage": "built"}

    def _log(self, severity: str, sentence: str) -> None:
        if severity in ("ERROR", "INTERNAL_ERROR"):
            self._errors.append(sentence)


def main() -> None:
    import tensorrt_rtx_bindings

    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what a library prints is no answer
    builder = Builder(tensorrt_rtx_bindings)
    for line in sys.stdin:
        path, formats, profile = json.loads(line)
        answer = builder.verdict(Path(path).read_bytes(), formats, profile)
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


if __name__ == "__main__":
    main()

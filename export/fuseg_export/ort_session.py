"""ONNX Runtime for checking graphs: one thread, so that every run gives the same."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray

from fuseg.backends.onnxruntime import saturates
from fuseg.errors import ExportError

from .errors import first_sentence

__all__ = ["open_cpu_session", "run_all", "run_once"]


def open_cpu_session(model: onnx.ModelProto, threads: int = 1) -> Any:
    """Open a session on the CPU.

    Raises:
        ExportError: ONNX Runtime refuses the graph.
    """
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3  # its warnings are about its own optimisations
    if saturates():  # as the runtime does: or INT8 would be judged by wrong sums
        options.add_session_config_entry("session.x64quantprecision", "1")
    try:
        return onnxruntime.InferenceSession(
            model.SerializeToString(), options, providers=["CPUExecutionProvider"]
        )
    except Exception as err:  # its exceptions share no narrower base
        raise ExportError(
            f"ONNX Runtime refuses the graph: {first_sentence(err)}."
        ) from err


def run_once(model: onnx.ModelProto, feed: Mapping[str, NDArray[Any]]) -> NDArray[Any]:
    """The first output of a graph."""
    return next(iter(run_all(model, feed).values()))


def run_all(
    model: onnx.ModelProto, feed: Mapping[str, NDArray[Any]]
) -> dict[str, NDArray[Any]]:
    """The outputs of a graph, by name, in its order."""
    try:
        found = open_cpu_session(model).run(None, dict(feed))
    except ExportError:
        raise
    except Exception as err:  # its exceptions share no narrower base
        raise ExportError(
            f"ONNX Runtime cannot run the graph: {first_sentence(err)}."
        ) from err
    names = [value.name for value in model.graph.output]
    return {name: np.asarray(a) for name, a in zip(names, found, strict=True)}

"""ONNX Runtime for checking graphs: one thread, so that every run gives the same."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray

from fuseg.backends.onnxruntime import saturates
from fuseg.errors import ExportError

from .errors import first_sentence
from .weights_apart import write_apart

__all__ = ["open_cpu_session", "run_all", "run_once"]

_LARGE = 2**25  # bytes of a graph whose weights are not copied to open it


def open_cpu_session(
    model: onnx.ModelProto, threads: int = 1, *, folder: Path | None = None
) -> Any:
    """Open a session on the CPU.

    Args:
        folder: Where large tensors of the graph are, if they are apart.

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
        return _opened(model, options, folder)
    except Exception as err:  # its exceptions share no narrower base
        raise ExportError(
            f"ONNX Runtime refuses the graph: {first_sentence(err)}."
        ) from err


def _opened(
    model: onnx.ModelProto, options: onnxruntime.SessionOptions, folder: Path | None
) -> Any:
    providers = ["CPUExecutionProvider"]
    if folder is not None:
        with tempfile.NamedTemporaryFile(dir=folder, suffix=".onnx") as file:
            file.write(model.SerializeToString())
            file.flush()
            return onnxruntime.InferenceSession(file.name, options, providers=providers)
    if model.ByteSize() < _LARGE:
        data = model.SerializeToString()
        return onnxruntime.InferenceSession(data, options, providers=providers)
    with tempfile.TemporaryDirectory(prefix="fuseg-") as own:
        path = write_apart(model, Path(own))
        return onnxruntime.InferenceSession(path, options, providers=providers)


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

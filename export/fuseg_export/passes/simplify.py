"""A simpler graph from onnxsim, if it survives, and only if it computes the same.

onnxsim is native code that has crashed, hung and returned broken graphs. It runs in a
process of its own, and whatever it does the export goes on: without it if need be.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]
from numpy.typing import NDArray

from fuseg.errors import ExportError

from ..ort_session import run_all
from .tidy import count_nodes, tidy

__all__ = ["simplify"]

TIMEOUT_S = 300.0
TOLERANCE = 1e-3  # of the largest score, or of 1; of the labels

# Run in an empty folder: nothing but installed packages can be imported from there.
# onnxsim loads torch where it finds it, which takes seconds, and needs none of it here.
_CHILD = """
import sys
sys.modules["torch"] = None
import onnx, onnxsim
simplified, _ = onnxsim.simplify(onnx.load(sys.argv[1]))
onnx.save(simplified, sys.argv[2])
"""


def simplify(
    model: onnx.ModelProto, example: Mapping[str, NDArray[Any]]
) -> tuple[onnx.ModelProto, str | None]:
    """Simplify a graph with onnxsim, in a child process.

    Args:
        model: The graph; it is not changed.
        example: A tensor for each input, to compare both graphs with.

    Returns:
        The simplified graph and None; or ``model`` itself and one sentence why: the
        child crashed or took longer than ``TIMEOUT_S``, or what it made is not valid,
        of another opset, larger, or computes something else.
    """
    try:
        simplified = _in_child(model)
        tidy(simplified)
        _restore_ends(model, simplified)
    except (ExportError, DecodeError, OSError) as err:
        return model, f"the graph was not simplified: {err}"
    opset, was = (m.opset_import[0].version for m in (simplified, model))
    if opset != was:
        return model, (
            f"the graph was not simplified: onnxsim turned opset {was} into {opset}."
        )
    if count_nodes(simplified) > count_nodes(model):
        return model, (
            f"the graph was not simplified: onnxsim made it larger, "
            f"{count_nodes(model)} to {count_nodes(simplified)} nodes."
        )
    try:
        difference = _largest_difference(model, simplified, example)
    except ExportError as err:
        return model, f"the graph was not simplified: {err}"
    if not difference <= TOLERANCE:  # NaN is a difference too
        return model, (
            "the graph was not simplified: what onnxsim made of it computes something "
            f"else (relative difference {difference:.2g})."
        )
    return simplified, None


def _in_child(model: onnx.ModelProto) -> onnx.ModelProto:
    with tempfile.TemporaryDirectory(prefix="fuseg-") as folder:
        given, made = Path(folder, "given.onnx"), Path(folder, "made.onnx")
        given.write_bytes(model.SerializeToString())
        try:
            child = subprocess.run(
                [sys.executable, "-c", _CHILD, given.name, made.name],
                cwd=folder,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                errors="replace",
                timeout=TIMEOUT_S,
                check=False,
            )
        except subprocess.TimeoutExpired as err:
            raise ExportError(f"onnxsim took longer than {TIMEOUT_S:g} s.") from err
        if child.returncode:
            last = child.stderr.strip().splitlines()[-1:] or ["without a message"]
            raise ExportError(
                f"onnxsim failed with status {child.returncode} ({last[0][:200]})."
            )
        return onnx.load_from_string(made.read_bytes())


def _restore_ends(model: onnx.ModelProto, simplified: onnx.ModelProto) -> None:
    """Declare inputs and outputs as before: onnxsim renames dimensions of inputs."""
    graph = model.graph
    declared = {value.name: value for value in (*graph.input, *graph.output)}
    for value in (*simplified.graph.input, *simplified.graph.output):
        if value.name in declared:
            value.CopyFrom(declared[value.name])


def _largest_difference(
    model: onnx.ModelProto,
    simplified: onnx.ModelProto,
    example: Mapping[str, NDArray[Any]],
) -> float:
    """Of all outputs; NaN if one of them is."""
    names = [value.name for value in model.graph.output]
    if names != [value.name for value in simplified.graph.output]:
        return float("inf")
    expected, got = (run_all(m, example) for m in (model, simplified))
    return float(np.max([_difference(expected[n], got[n]) for n in names]))


def _difference(expected: NDArray[Any], got: NDArray[Any]) -> float:
    if (expected.shape, expected.dtype) != (got.shape, got.dtype):
        return float("inf")
    if expected.dtype.kind != "f":
        return float(np.mean(expected != got))
    with np.errstate(invalid="ignore"):  # infinity minus infinity is a difference
        largest = np.abs(expected - got).max()
    return float(largest / max(1.0, np.abs(expected).max()))

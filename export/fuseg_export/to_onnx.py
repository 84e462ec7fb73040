"""A torch network as an ONNX graph of fixed shapes: pure, and the same every time."""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import onnx
import torch
from google.protobuf.message import Message
from torch import Tensor

from fuseg.errors import ArgumentError, ExportError

from .outputs import OneOutput
from .sentence import cause

__all__ = ["OUTPUT", "Exported", "all_nodes", "tidy", "to_onnx"]

OUTPUT = "output"
OPSETS = range(13, 21)  # 13: Softmax and friends by axis; 20: TorchScript's last
_DYNAMO_OPSET = 18  # asked for an older one, it silently gives this
_RANDOM = {
    "Bernoulli",
    "Multinomial",
    "RandomNormal",
    "RandomNormalLike",
    "RandomUniform",
    "RandomUniformLike",
}


@dataclass(frozen=True)
class Exported:
    """An ONNX graph, and how it was made.

    Attributes:
        model: Inputs as given, one output called ``OUTPUT``.
        exporter: "torchscript" or "dynamo".
        opset: Of the graph; not always the one asked for.
        warnings: What the user should know, one sentence each.
    """

    model: onnx.ModelProto
    exporter: str
    opset: int
    warnings: tuple[str, ...]


def to_onnx(network: OneOutput, example: Mapping[str, Tensor], opset: int) -> Exported:
    """Export a network with the shapes of ``example``.

    TorchScript first, because it keeps to ``opset``; torch's newer exporter if that
    fails. Nothing is in the graph that depends on the machine, the folder or the
    time, and no other random number generator than the trained weights.

    Args:
        network: In eval mode, on the CPU.
        example: A tensor for each of its positional arguments, by the name it gets
            in the graph. The graph is traced with their values.
        opset: 13 to 20.

    Raises:
        ArgumentError: ``opset`` is another one.
        ExportError: Neither exporter takes the network, it draws random numbers, it
            ignores an input, or it uses operators that are not ONNX's own.
    """
    if opset not in OPSETS:
        raise ArgumentError(
            f"--opset must be {OPSETS[0]} to {OPSETS[-1]}, got {opset}."
        )
    said: tuple[str, ...] = ()
    try:
        model, said = _by_torchscript(network, example, opset)
        exporter = "torchscript"
    except Exception as err:  # tracing runs foreign code
        model = _by_dynamo(network, example, max(opset, _DYNAMO_OPSET), err)
        exporter = "dynamo"
    tidy(model)
    _refuse_impure(model)
    _refuse_other_inputs(model, list(example))
    got = model.opset_import[0].version
    if exporter == "torchscript" and got != opset:
        raise ExportError(
            f"torch wrote opset {got} where {opset} was asked for: use a torch version "
            "that fuseg was tested with."
        )
    if exporter == "dynamo":
        said = (
            f"TorchScript cannot export this network, so torch's newer exporter wrote "
            f"opset {got}"
            + (f" instead of {opset}, too new for TensorRT 8.6" if got > 17 else "")
            + f" ({_reasons[-1]})",
        )
    return Exported(model, exporter, got, said)

"""What a user says of an ONNX file, as a network to export."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from fuseg.errors import ArgumentError

from ...dimensions import Shape
from ...network.state_options import StateRequest
from ...outputs import OutputRequest, further_paths
from .network import OnnxNetwork
from .read import OnnxFile

__all__ = ["make_network", "require_absent", "with_shapes"]


def require_absent(file: OnnxFile, options: Mapping[str, Any]) -> None:
    """Refuse what an ONNX file makes needless.

    Args:
        options: By name; None or empty if it was not given.

    Raises:
        ArgumentError: One was given.
    """
    given = [name for name, value in options.items() if value]
    if given:
        raise ArgumentError(
            f"{', '.join(given)} must be absent for {file.path}: an ONNX file holds "
            "the network and its weights, and is taken as it is."
        )


def with_shapes(
    states: Sequence[StateRequest], file: OnnxFile
) -> tuple[StateRequest, ...]:
    """States whose shapes are the file's where nobody said them."""
    shapes = {
        value.name: [side.dim_value for side in value.type.tensor_type.shape.dim]
        for value in file.model.graph.input
    }
    made = []
    for request in states:
        own = shapes.get(request.state.tensor, [])[1:]
        if request.shape is None and (not own or not all(own)):
            raise ArgumentError(
                f"--state {request.state.tensor}=PATH:CxHxW must say the state's "
                f"shape, as {file.path} has none of that name."
            )
        made.append(replace(request, shape=request.shape or tuple(own)))
    return tuple(made)


def make_network(
    file: OnnxFile,
    shapes: Mapping[str, Shape],
    states: Sequence[StateRequest],
    outputs: Sequence[OutputRequest],
    constants: Mapping[str, Any],
) -> OnnxNetwork:
    """The file's network, which gives what the outputs and states ask for.

    Raises:
        ArgumentError, ExportError: See `OnnxNetwork`.
    """
    for request in outputs:
        if request.masks is not None:
            raise ArgumentError(
                f"--spec: outputs.{request.name}.masks must be absent for {file.path}: "
                "let the network that it was made from return class scores."
            )
    shapes = {
        **shapes,
        **{s.state.tensor: (1, *(s.shape or ())) for s in states},
    }
    asked = [request.path for request in outputs if request.path]
    asked += [path for request in outputs for _, path in further_paths(request)]
    asked += [request.path for request in states]
    return OnnxNetwork(file, shapes, constants, asked)

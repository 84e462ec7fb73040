"""A network tried on one frame set, and wrapped so that it has the outputs wanted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from fuseg.errors import ExportError
from fuseg.manifest import input_shapes

from ..errors import first_sentence
from ..frames.frame_set import FrameSet
from ..outputs import KINDS, ExportedOutput, OutputRequest
from ..reference import preprocess
from .outputs import SelectedOutputs, choose, find, take
from .target import Target

__all__ = ["example_tensors", "with_outputs"]


def example_tensors(target: Target, frame: FrameSet) -> dict[str, Tensor]:
    """The network's tensors of one frame set, float32, in the order of its forward."""
    tensors = preprocess(target.inputs, frame.arrays)
    return {
        name: torch.from_numpy(tensors[name].astype(np.float32))
        for name in input_shapes(target.inputs)
    }


def with_outputs(
    target: Target, example: Mapping[str, Tensor]
) -> tuple[SelectedOutputs, list[ExportedOutput], list[str]]:
    """The network as a graph needs it, run twice to try it.

    Returns:
        The network, its outputs, and a note if one was chosen without the user.

    Raises:
        ArgumentError: See `outputs.choose` and `outputs.find`.
        ExportError: It fails, gives an output that is none of its kind or not finite,
            or gives two results for one input.
    """
    given = ", ".join(f"{name} {tuple(t.shape)}" for name, t in example.items())
    try:
        with torch.inference_mode():
            returned = target.network(*example.values())
            again = target.network(*example.values())
    except Exception as err:  # foreign code may raise anything
        raise ExportError(
            f"the network's forward failed on {given}: {first_sentence(err)}."
        ) from err
    paths, notes = _paths(returned, target.outputs)
    outputs: list[ExportedOutput] = []
    for request, path in zip(target.outputs, paths, strict=True):
        one, two = take(returned, path), take(again, path)
        outputs.append(
            KINDS[request.kind].of(request, one, input_shapes(target.inputs))
        )
        _require_usable(request, one, two)
    return SelectedOutputs(target.network, paths), outputs, notes


def _paths(
    returned: Any, requests: Sequence[OutputRequest]
) -> tuple[list[tuple[str | int, ...]], list[str]]:
    if len(requests) == 1 and not requests[0].named:
        path, note = choose(returned, requests[0].path)
        return [path], [note] if note else []
    return [find(returned, r.path or "", f"--output {r.name}") for r in requests], []


def _require_usable(request: OutputRequest, one: Tensor, two: Tensor) -> None:
    which = f" as its output {request.name}" if request.named else ""
    if not one.isfinite().all():
        raise ExportError(
            f"the network gives scores that are NaN or infinite{which}: look at its "
            "weights, and at the inputs' scale, mean and std."
        )
    if not torch.equal(one, two):
        raise ExportError(
            f"the network gives two results for one input{which}, so no graph can be "
            "verified against it: draw random numbers once, when it is built."
        )

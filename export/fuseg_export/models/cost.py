"""What a reference model costs: its parameters, and the multiply-adds of a frame."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import Any

import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from fuseg.manifest import input_shapes

from .reference_model import ReferenceModel

__all__ = ["Cost", "cost_of"]


@dataclass(frozen=True)
class Cost:
    """Attributes: ``parameters``; ``multiply_adds`` of one frame, of every text the
    typical number: those of convolutions, matrix products and recurrent layers."""

    parameters: int
    multiply_adds: int


def cost_of(model: ReferenceModel) -> Cost:
    """Count by running the network once, on zeros."""
    network = model.network().eval()
    tensors = _inputs(model)
    recurrent = {torch.ops.aten.mkldnn_rnn_layer: _of_layer}
    with (
        torch.inference_mode(),
        FlopCounterMode(display=False, custom_mapping=recurrent) as counter,
    ):
        network(*tensors)
    parameters = sum(p.numel() for p in network.parameters())
    return Cost(parameters, counter.get_total_flops() // 2)


def _inputs(model: ReferenceModel) -> list[Tensor | None]:
    """Zeros for every argument of forward; None for a state of unknown shape."""
    given = model.given
    shapes: dict[str, tuple[int | str, ...]] = {**input_shapes(given.pictures)}
    sizes: dict[str, int] = {}
    kinds = {}
    for other in given.others:
        shapes[other.record.tensor] = other.shape
        if other.dimension:
            sizes[str(other.shape[0])] = other.dimension.typical
        if other.record.kind == "text":
            kinds[other.record.tensor] = torch.int64
    tensors: list[Tensor | None] = [
        torch.zeros(
            [int(sizes.get(str(side), side)) for side in shapes[name]],
            dtype=kinds.get(name, torch.float32),
        )
        for name in given.tensors
    ]
    for state in model.said.states:
        shape = state.get("shape")
        tensors.append(torch.zeros(1, *shape) if shape else None)
    return tensors


def _of_layer(*shapes: Any, **_: Any) -> int:
    """Twice the multiply-adds of a recurrent layer in one direction.

    Args:
        shapes: Of its arguments: a sequence (T, N, C), weights of what comes in and of
            what comes back, and more.
    """
    (steps, batch, _), enters, returns = shapes[:3]
    return int(2 * steps * batch * (prod(enters) + prod(returns)))

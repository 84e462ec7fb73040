"""The forms of a network that an export compares, as functions of its tensors."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import onnx
import torch
from torch import Tensor, nn

from .frames.packing import Tensors
from .ort_session import open_cpu_session
from .outputs.base import ExportedOutput, Prediction, places_of

__all__ = ["Program", "onnx_program", "together", "torch_program"]

Program = Callable[[Tensors], Mapping[str, Prediction]]  # by output name


def torch_program(
    network: nn.Module, names: Sequence[str], outputs: Sequence[ExportedOutput]
) -> Program:
    """A torch network that returns these outputs, in a tuple.

    Args:
        names: Of the tensors that it takes, in order.
    """

    places = places_of(outputs)

    def program(tensors: Tensors) -> dict[str, Prediction]:
        given = [torch.from_numpy(tensors[name].copy()) for name in names]
        with torch.inference_mode(), _Reductions() as tap:
            returned = network(*given)
            found = {}
            for output, place in zip(outputs, places, strict=True):
                count = len(output.exported_as)
                first, *further = returned[place : place + count]
                found[output.name] = output.of_torch(first, tap.seen, *further)
            return found

    return program


def together(*programs: Program) -> Program:
    """All of their outputs."""

    def program(tensors: Tensors) -> dict[str, Prediction]:
        return {n: found for each in programs for n, found in each(tensors).items()}

    return program


def onnx_program(
    model: onnx.ModelProto,
    outputs: Sequence[ExportedOutput],
    folder: Path | None = None,
) -> Program:
    """An ONNX graph of these outputs.

    Args:
        model: It is given more outputs.
        folder: Where its large tensors are, if they are apart.
    """
    places = places_of(outputs)
    readers = [o.reader(model, i) for o, i in zip(outputs, places, strict=True)]
    given = [value.name for value in model.graph.output]
    for name in dict.fromkeys(name for reader in readers for name in reader.needs):
        if name not in given:
            model.graph.output.append(onnx.ValueInfoProto(name=name))
            given.append(name)
    session = open_cpu_session(model, folder=folder)

    def program(tensors: Tensors) -> dict[str, Prediction]:
        arrays = dict(zip(given, session.run(None, dict(tensors)), strict=True))
        return {
            output.name: reader.read(arrays)
            for output, reader in zip(outputs, readers, strict=True)
        }

    return program


class _Reductions(torch.overrides.TorchFunctionMode):
    """Remembers what was reduced to labels, while a network runs."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[Tensor] = []

    def __torch_function__(
        self, func: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        if getattr(func, "__name__", "") in ("argmax", "max", "topk"):
            self.seen += [a for a in args[:1] if isinstance(a, Tensor) and a.ndim == 4]
        return func(*args, **(kwargs or {}))

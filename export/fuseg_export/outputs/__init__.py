"""Outputs of the network that is exported: one file for each kind."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from torch import Tensor

from ..network.outputs import Shapes
from .base import ExportedOutput, OutputRequest
from .boxes import Boxes
from .classes import Classes
from .plane import Plane
from .segmentation import Segmentation
from .tensor import Passed
from .tokens import Tokens

__all__ = ["KINDS", "ExportedOutput", "OutputRequest", "main_first", "truth_size"]

Make = Callable[[OutputRequest, Tensor, Shapes], ExportedOutput]

KINDS: dict[str, Make] = {
    "segmentation": Segmentation.of,
    "classes": Classes.of,
    "boxes": Boxes.of,
    "plane": Plane.of,
    "tokens": Tokens.of,
    "tensor": Passed.of,
}


def main_first(outputs: Sequence[ExportedOutput]) -> list[ExportedOutput]:
    """The first segmentation, which true labels are of, before all others."""
    return sorted(outputs, key=lambda output: not isinstance(output, Segmentation))


def truth_size(outputs: Sequence[ExportedOutput]) -> tuple[int, int] | None:
    """(H, W) of the labels that the network gives itself; None if it gives none."""
    main = main_first(outputs)[0]
    return main.record.tail.size if isinstance(main, Segmentation) else None

"""A number for every pixel: depth, disparity, height."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from ..schema import require
from ..tensors import require_floats
from .base import BaseOutput
from .form import Form
from .segmentation import Upsample

__all__ = ["PlaneOutput"]


@dataclass(frozen=True)
class PlaneOutput(BaseOutput):
    """A number for every pixel of the first image input's frame.

    The tensor is ``[1, 1, height, width]`` or ``[1, height, width]``, over the whole of
    the network's input; a resize and a letterbox are undone.

    Attributes:
        upsample: How it reaches the camera's size.
    """

    kind: Literal["plane"] = field(default="plane", kw_only=True)
    upsample: Upsample

    def require_fits(self, dtype: str, shape: tuple[int, ...]) -> None:
        """Refuse a tensor that this cannot be made of."""
        require_floats(dtype)
        require(
            len(shape) == 3 or (len(shape) == 4 and shape[1] == 1),
            f"tensor must be [1, 1, height, width] or [1, height, width], got "
            f"{list(shape)}.",
        )

    @property
    def expected(self) -> Form:
        """What its array in a sample is: the numbers, at the camera's size."""
        return Form("float32", ("H", "W"))

    @property
    def words(self) -> list[str]:
        """What it does, for people."""
        corners = "align_corners" if self.upsample.align_corners else "half-pixel"
        return [f"a number for every pixel, {self.upsample.filter}, {corners}"]

"""What a whole frame shows: one score for each class."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from ..schema import require, require_unique
from ..tensors import require_floats
from .base import BaseOutput
from .form import Form

__all__ = ["ClassesOutput"]


@dataclass(frozen=True)
class ClassesOutput(BaseOutput):
    """Classes of the whole frame, each with a score.

    The tensor is ``[1, classes]``.

    Attributes:
        tensor: The tensor of the scores, by name.
        activation: What makes the result's scores of the tensor's: ``softmax`` where
            one class is right, ``sigmoid`` where several may be, ``none`` where the
            network has done it.
        classes: Their names, in the order of the tensor.
    """

    kind: Literal["classes"] = field(default="classes", kw_only=True)
    activation: Literal["softmax", "sigmoid", "none"]
    classes: tuple[str, ...]

    def _check(self) -> None:
        super()._check()
        require_unique("classes", self.classes)

    def require_fits(self, dtype: str, shape: tuple[int, ...]) -> None:
        """Refuse a tensor that this cannot be made of."""
        require_floats(dtype)
        require(len(shape) == 2, f"tensor must be [1, classes], got {list(shape)}.")
        require(
            len(self.classes) == shape[1],
            f"classes must name the {shape[1]} classes of tensor {self.tensor!r}, got "
            f"{len(self.classes)}.",
        )

    @property
    def expected(self) -> Form:
        """What its array in a sample is: the scores after the activation."""
        return Form("float32", (len(self.classes),))

    @property
    def words(self) -> list[str]:
        """What it does, for people."""
        names = ", ".join(self.classes)
        return [f"activation {self.activation}, {len(self.classes)} classes: {names}"]

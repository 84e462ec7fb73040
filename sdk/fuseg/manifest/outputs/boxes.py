"""What is where, as boxes: a detector's candidates, thinned out."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from ..schema import require, require_unique, within
from ..tensors import require_floats
from .base import BaseOutput
from .form import Form

__all__ = ["BoxesOutput"]

_MOST = 100_000


@dataclass(frozen=True)
class BoxesOutput(BaseOutput):
    """Boxes with a class and a score, in the pixels of the first image input's camera.

    The tensor is ``[1, boxes, values]``. The values of a box are its four numbers, the
    score that there is anything, if ``score`` says so, and a score for each class.

    In this order: activation, score, threshold, the best ``max_candidates``,
    suppression, the best ``max_boxes``, the resize undone, clipped to the frame. Of
    equal scores the lower index wins, as in ONNX's NonMaxSuppression.

    Attributes:
        form: What the four numbers are: two corners, ``xyxy``; the centre, width and
            height, ``cxcywh``; or the upper left corner, width and height, ``xywh``.
        unit: What they are counted in: ``pixels`` of the network's input, or
            ``fractions`` of its width and height.
        order: ``boxes-values``, or ``values-boxes`` where the tensor's axes are the
            other way round.
        score: A box's score: of its ``class``, or ``objectness`` times that.
        activation: What makes scores of the tensor's: ``sigmoid``, ``softmax`` over
            the classes, or ``none``.
        background: Which of the tensor's classes is "nothing", ``first`` or ``last``,
            and has no name; ``null`` if none is.
        labels: ``best``, one class a box, or ``all``, a candidate for each class that
            is above the threshold.
        score_threshold: Scores must be above it.
        iou_threshold: Of two boxes of one class whose areas' overlap, as a share of
            their union, is above it, the better one stays; ``null`` keeps both.
        max_candidates: How many are looked at, the best ones.
        max_boxes: How many there are in a result, the best ones.
        classes: Their names, in the order of the tensor.
    """

    kind: Literal["boxes"] = field(default="boxes", kw_only=True)
    form: Literal["xyxy", "cxcywh", "xywh"]
    unit: Literal["pixels", "fractions"] = field(default="pixels", kw_only=True)
    order: Literal["boxes-values", "values-boxes"] = field(
        default="boxes-values", kw_only=True
    )
    score: Literal["class", "objectness"]
    activation: Literal["sigmoid", "softmax", "none"]
    background: Literal["first", "last"] | None = field(default=None, kw_only=True)
    labels: Literal["best", "all"] = field(default="best", kw_only=True)
    score_threshold: float = field(metadata=within(0, 1))
    iou_threshold: float | None = field(metadata=within(0, 1))
    max_candidates: int = field(default=1000, metadata=within(1, _MOST), kw_only=True)
    max_boxes: int = field(default=300, metadata=within(1, _MOST), kw_only=True)
    classes: tuple[str, ...]

    def _check(self) -> None:
        super()._check()
        require(bool(self.classes), "classes must not be empty.")
        require_unique("classes", self.classes)

    @property
    def values(self) -> int:
        """How many values a box has in the tensor."""
        extra = (self.score == "objectness") + (self.background is not None)
        return 4 + extra + len(self.classes)

    def require_fits(self, dtype: str, shape: tuple[int, ...]) -> None:
        """Refuse a tensor that this cannot be made of."""
        require_floats(dtype)
        require(
            len(shape) == 3,
            f"tensor must be [1, boxes, values] or the last two the other way round, "
            f"got {list(shape)}.",
        )
        found = shape[2] if self.order == "boxes-values" else shape[1]
        require(
            found == self.values,
            f"tensor must have {self.values} values a box, with {len(self.classes)} "
            f"classes, got {found}.",
        )

    @property
    def expected(self) -> Form:
        """What its array in a sample is: x0, y0, x1, y1, score and class in a row."""
        return Form("float32", ("N", 6))

    @property
    def words(self) -> list[str]:
        """What it does, for people."""
        names = ", ".join(self.classes)
        overlap = self.iou_threshold
        limits = f"score above {self.score_threshold:g}"
        limits += "" if overlap is None else f", overlap up to {overlap:g}"
        return [
            f"{self.form} in {self.unit}, {limits}",
            f"at most {self.max_boxes}, {len(self.classes)} classes: {names}",
        ]

"""What counted labels score, and what the numbers leave out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from .metrics import iou

__all__ = ["Score", "other_convention", "score"]

_NAMED = 8  # classes that a warning names


@dataclass(frozen=True)
class Score:
    """How labels score on true ones, and what these numbers leave out.

    Attributes:
        pixels: How many were counted.
        ignored_pixels: How many of the truth were not, because they are of no class.
        ignored_share: Of all pixels of the truth, 0 to 1; None if there are none.
        miou: Over the classes that occur in the truth or in the labels; None if no
            pixel was counted, as is ``pixel_accuracy``.
        miou_classes: How many classes these are.
        pixel_accuracy: Share of the counted pixels whose label is the true one.
        iou: By class, None if it occurs in neither.
        absent: Classes that never occur in the truth.
        warnings: What makes the numbers doubtful, a sentence each.
    """

    pixels: int
    ignored_pixels: int
    ignored_share: float | None
    miou: float | None
    miou_classes: int
    pixel_accuracy: float | None
    iou: dict[str, float | None]
    absent: tuple[str, ...]
    warnings: tuple[str, ...]

    @property
    def words(self) -> tuple[str, ...]:
        """The numbers as lines to print, each beside what it leaves out."""
        if self.miou is None or self.ignored_share is None:
            return ()
        total = len(self.iou)
        over = f"all {total} classes"
        if self.miou_classes < total:
            over = f"the {self.miou_classes} of {total} classes that occur"
        right = f"pixel accuracy {self.pixel_accuracy:.4f}"
        left_out = f"{self.ignored_share:.2%} of the truth's pixels are ignore"
        return f"mIoU {self.miou:.4f} over {over}   {right}", f"left out: {left_out}"


def score(
    confusion: NDArray[np.int64],
    ignored_pixels: int,
    classes: Sequence[str],
    ignore: int,
    *,
    mapped: bool = False,
) -> Score:
    """Turn counts into scores that say what they leave out.

    Args:
        confusion: Counts of all frames, shape ``(C, C)``, as `confusion` gives them.
        ignored_pixels: How many pixels of the truth were ``ignore``.
        classes: C names.
        ignore: The label of no class.
        mapped: Whether the user said what the ids in the truth's files mean; else
            files that look as if they meant something else are warned about.

    Raises:
        ShapeError: ``confusion`` is not square.
    """
    values = [None if np.isnan(v) else float(v) for v in iou(confusion)]
    pixels, right = int(confusion.sum()), int(np.trace(confusion))
    total = pixels + ignored_pixels
    known = confusion.sum(axis=1)
    absent = tuple(n for n, count in zip(classes, known, strict=True) if not count)
    occurring = [value for value in values if value is not None]
    found = Score(
        pixels=pixels,
        ignored_pixels=ignored_pixels,
        ignored_share=ignored_pixels / total if total else None,
        miou=float(np.mean(occurring)) if occurring else None,
        miou_classes=len(occurring),
        pixel_accuracy=right / pixels if pixels else None,
        iou=dict(zip(classes, values, strict=True)),
        absent=absent,
        warnings=(),
    )
    if not pixels:
        return found
    warnings = []
    convention = None
    if not mapped:
        convention = other_convention(confusion, ignored_pixels, classes, ignore)
    if convention is not None:
        warnings.append(convention)
    elif ignored_pixels > total / 2:
        warnings.append(
            f"{ignored_pixels / total:.1%} of the truth's pixels are ignore and "
            "count nowhere."
        )
    if absent:
        names = ", ".join(absent[:_NAMED])
        more = f" and {len(absent) - _NAMED} more" if len(absent) > _NAMED else ""
        warnings.append(
            f"{len(absent)} of {len(classes)} classes never occur in the truth: "
            f"{names}{more}."
        )
    return replace(found, warnings=tuple(warnings))


def other_convention(
    confusion: NDArray[np.int64],
    ignored_pixels: int,
    classes: Sequence[str],
    ignore: int,
    *,
    what: str = "the truth",
    least: float = 0.0,
) -> str | None:
    """Say what ids of files look like if they are no class indices, and the way out.

    Args:
        confusion: Counts, shape ``(C, C)``; rows are the classes read from the files.
        ignored_pixels: How many pixels of the files were ``ignore``.
        classes: C names.
        ignore: The label of no class.
        what: Whose ids they are, in the sentence.
        least: Share of the counted pixels, 0 to 1, that ids one too high or too low
            must explain.

    Returns:
        A sentence that names ``--truth-map`` and its lines, or None if the ids look
        right.
    """
    known, count = confusion.sum(axis=1), len(classes)
    if count > 1 and ignore == 255 and ignored_pixels and not known[1:].any():
        marked = classes[1] if count == 2 else "CLASS"
        return (
            f"{what} looks like a 0/255 mask: 255 means ignore here, so what the "
            "mask marks is of no class; if it is one, say which with --truth-map "
            f"FILE and the lines '0 = {classes[0]}' and '255 = {marked}'."
        )
    pixels, right = int(known.sum()), int(np.trace(confusion))
    high, low = (int(np.trace(confusion, offset=step)) for step in (-1, 1))
    if high > max(right, least * pixels):
        return (
            f"{what}'s ids look one too high: {high / pixels:.1%} of the labels "
            f"are the id minus one, {right / pixels:.1%} the id; if 0 means ignore, "
            "say so with --truth-map FILE and the lines '0 = ignore' and "
            f"'1-{count} = 0-{count - 1}'."
        )
    # Where the last id occurs, ids plus one would be of no class.
    mendable = ignore >= count and not known[-1] and np.count_nonzero(known) > 1
    if mendable and low > max(right, least * pixels):
        return (
            f"{what}'s ids look one too low: {low / pixels:.1%} of the labels are "
            f"the id plus one, {right / pixels:.1%} the id; if {classes[0]} has no id, "
            "say so with --truth-map FILE and the line "
            f"'0-{count - 2} = 1-{count - 1}'."
        )
    return None

"""Which part of a frame is read, how it is turned, and where it lands in the tensor."""

from __future__ import annotations

import operator
from typing import NamedTuple

from .._check import require_box, require_choice, require_size
from ..errors import ArgumentError, ShapeError

FITS = ("stretch", "letterbox")
_TURNS = (0, 90, 180, 270)
_LONGEST_SIDE = 1 << 16  # of a tensor; of a frame 256 times that
LONGEST_FRAME = _LONGEST_SIDE << 8


class Placement(NamedTuple):
    """What `place` decided, in pixels; ``Geometry`` of ``kernels/common/geometry.h``.

    The frame's rectangle ``top, left, height, width`` is turned clockwise and fills the
    rectangle ``picture_*`` of the tensor; the rest of the tensor is filled.
    """

    top: int
    left: int
    height: int
    width: int
    quarter_turns: int
    out_height: int
    out_width: int
    picture_top: int
    picture_left: int
    picture_height: int
    picture_width: int

    @property
    def picture(self) -> tuple[int, int, int, int]:
        """The picture in the tensor: (top, left, height, width)."""
        return self[7:]


def place(
    frame: tuple[int, int],
    size: tuple[int, int],
    *,
    crop: tuple[int, int, int, int] | None = None,
    rotate: int = 0,
    fit: str = "stretch",
) -> Placement:
    """Lay a frame of shape ``frame`` into a tensor of shape ``size``.

    In this order: crop, turn, resize.

    Args:
        frame: ``(H, W)`` of the camera's image, in pixels.
        size: ``(h, w)`` of the tensor, in pixels.
        crop: ``(top, left, height, width)`` of the part to read; all of it if omitted.
        rotate: Degrees clockwise: 0, 90, 180 or 270.
        fit: ``"stretch"`` fills the tensor. ``"letterbox"`` keeps the aspect: the side
            that fits tighter is filled, the other one is rounded to the nearest pixel
            (half up, at least 1) and centred, with the odd pixel of padding at the
            bottom or the right.

    Raises:
        ShapeError: ``frame`` has a side above 16,777,216 pixels.
        ArgumentError: ``size`` has a side above 65,536 pixels, ``crop`` does not lie
            in the frame, or a word or number is not one of those above.
    """
    height, width = require_size("size", size)
    if max(height, width) > _LONGEST_SIDE:
        raise ArgumentError(
            f"size must be at most {_LONGEST_SIDE} pixels a side, got {size!r}."
        )
    if max(frame) > LONGEST_FRAME:
        raise ShapeError(
            f"frame must be at most {LONGEST_FRAME} pixels a side, got {frame}."
        )
    if crop is None:
        crop = (0, 0, *frame)
    top, left, crop_height, crop_width = require_box("crop", crop, frame)
    try:
        turns = _TURNS.index(operator.index(rotate))
    except (TypeError, ValueError):
        raise ArgumentError(
            f"rotate must be 0, 90, 180 or 270, got {rotate!r}."
        ) from None
    require_choice("fit", fit, FITS)
    turned = (crop_height, crop_width)
    if turns % 2:
        turned = (crop_width, crop_height)
    picture = (height, width)
    if fit == "letterbox":
        picture = _fitted(turned, (height, width))
    return Placement(
        *(top, left, crop_height, crop_width),
        turns,
        *(height, width),
        *((height - picture[0]) // 2, (width - picture[1]) // 2),
        *picture,
    )


def _fitted(inner: tuple[int, int], outer: tuple[int, int]) -> tuple[int, int]:
    (h, w), (height, width) = inner, outer
    if height * w <= width * h:
        return height, max(1, (2 * w * height + h) // (2 * h))
    return max(1, (2 * h * width + w) // (2 * w)), width

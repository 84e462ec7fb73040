"""Panes of an HTML page: sensors' frames, labels and maps as PNG."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..manifest import Class, ImageInput

if TYPE_CHECKING:
    from PIL import Image

__all__ = ["Pane", "draw_heat", "draw_labels", "draw_mask", "draw_sensor"]

_ENDS = (2, 98)  # per cent of the readings between black and white
# Black, violet, red, yellow, white: brighter is more, without colour, too.
_HEAT = np.array(
    [(0, 0, 0), (80, 18, 123), (200, 60, 70), (250, 180, 60), (255, 255, 240)], float
)


@dataclass(frozen=True)
class Pane:
    """A PNG, and what it shows."""

    title: str
    png: bytes


def draw_sensor(
    entry: ImageInput,
    array: NDArray[Any],
    size: tuple[int, int],
    channels: str | None = None,
) -> bytes:
    """A frame at this size (H, W): its colours, or near in white; no reading in black.

    Args:
        channels: The order of a colour frame, if not the input's own.
    """
    from .pillow import Image

    height, width = size
    if entry.kind == "color":
        swapped = (channels or entry.channels) in ("BGR", "BGRA")
        rgb = array[..., 2::-1] if swapped else array[..., :3]
        rgb = np.dstack([array] * 3) if array.ndim == 2 else rgb
        picture = Image.fromarray(np.ascontiguousarray(rgb))
        return _png(picture.resize((width, height), Image.Resampling.BILINEAR))
    array = array[..., 0] if array.ndim == 3 else array
    values = array.astype(np.float64)
    valid = np.isfinite(values) & ~np.isin(array, entry.invalid)
    share = _between_ends(values, valid)
    near = share if entry.kind in ("thermal", "plane") else 1 - share
    gray = np.where(valid, 40 + 215 * near, 0).astype(np.uint8)
    return _png(Image.fromarray(gray).resize((width, height), Image.Resampling.NEAREST))


def draw_labels(
    labels: NDArray[np.uint8],
    classes: Sequence[Class],
    known: NDArray[np.bool_] | None = None,
) -> bytes:
    """Labels in their classes' colours; black where there is no class.

    Args:
        known: Where there is one; wherever the label is one of ``classes`` if omitted.
    """
    from .pillow import Image

    palette = [value for entry in classes for value in entry.color]
    fits = labels < len(classes) if known is None else known
    picture = Image.fromarray(np.where(fits, labels, np.uint8(255)))
    picture.putpalette([*palette, *[0] * (768 - len(palette))])
    return _png(picture)


def draw_mask(where: NDArray[np.bool_]) -> bytes:
    """White where it is true."""
    from .pillow import Image

    return _png(Image.fromarray(where))


def draw_heat(
    values: NDArray[Any],
    size: tuple[int, int],
    limits: tuple[float, float] | None = None,
) -> bytes:
    """A map of numbers (h, w) at this size (H, W), from black (least) to white.

    Args:
        limits: What is black and what is white; nearly the least and the largest value
            if omitted.
    """
    from .pillow import Image

    numbers = np.asarray(values, np.float64)
    if limits is None:
        share = _between_ends(numbers, np.isfinite(numbers))
    else:
        share = np.clip((numbers - limits[0]) / (limits[1] - limits[0]), 0, 1)
    place = np.nan_to_num(share) * (len(_HEAT) - 1)
    low = np.minimum(place.astype(int), len(_HEAT) - 2)
    part = (place - low)[..., None]
    rgb = _HEAT[low] * (1 - part) + _HEAT[low + 1] * part
    picture = Image.fromarray(np.rint(rgb).astype(np.uint8))
    return _png(picture.resize(size[::-1], Image.Resampling.NEAREST))


def _between_ends(
    values: NDArray[np.float64], valid: NDArray[np.bool_]
) -> NDArray[np.float64]:
    low, high = np.percentile(values[valid], _ENDS) if valid.any() else (0.0, 1.0)
    spread = max(float(high - low), 1e-9)
    return np.clip((np.where(valid, values, low) - low) / spread, 0, 1)


def _png(picture: Image.Image) -> bytes:
    file = io.BytesIO()
    picture.save(file, "PNG", optimize=True)
    return file.getvalue()

"""Pictures for people: panes with titles, and a legend of the classes in them."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..manifest import Class

__all__ = ["sheet", "with_legend"]

Picture = NDArray[np.uint8]

_PAPER, _INK = (255, 255, 255), (20, 20, 20)


def with_legend(
    picture: Picture,
    classes: Sequence[Class],
    labels: Sequence[NDArray[np.uint8]],
    caption: str = "",
) -> Picture:
    """Add a white strip beneath a picture that names the colours in it.

    Args:
        picture: ``(H, W, 3)``, uint8, RGB. It stays as it is, at the top left.
        classes: Name and colour of each label.
        labels: Label maps that the picture shows; the classes that occur in one of
            them are named, each as its label and its name, and "no class" in black
            if there is a label beyond them. Pillow's own font has the letters of ASCII:
            accents are left off, and a name without these letters is ``class N``.
        caption: A line above the names.

    Returns:
        A new picture, ``(H + strip, at least W, 3)``, uint8, RGB.
    """
    from .pillow import Image, ImageDraw

    found = np.zeros(256, np.int64)
    for label_map in labels:
        found += np.bincount(label_map.ravel(), minlength=256)
    entries = [
        (f"{index} {_ascii(entry.name) or f'class {index}'}", entry.color)
        for index, entry in enumerate(classes)
        if found[index]
    ]
    if found[len(classes) :].any():
        entries.append(("no class", (0, 0, 0)))
    height, width = picture.shape[:2]
    font, line = _font(width)
    widths = [int(font.getlength(text)) + 2 * line for text, _ in entries]
    width = max(width, *widths, 0) if widths else width
    rows = _wrapped(caption, font, width - line) if caption else []
    texts, x, y = [], line // 2, (len(rows) + 0.25) * line
    for (text, color), taken in zip(entries, widths, strict=True):
        if x + taken > width and x > line // 2:
            x, y = line // 2, y + line
        texts.append((x, int(y), text, color))
        x += taken
    below = int(y + line * (1.5 if entries else 0.25))
    strip = Image.new("RGB", (width, below), _PAPER)
    pen = ImageDraw.Draw(strip)
    for number, text in enumerate(rows):
        pen.text((line // 2, int((number + 0.2) * line)), text, _INK, font)
    for x, y, text, color in texts:
        side = line * 2 // 3
        box = (x, y + line // 5, x + side, y + line // 5 + side)
        pen.rectangle(box, fill=color, outline=_INK)
        pen.text((x + line, y + line // 8), text, _INK, font)
    whole = np.full((height + strip.height, width, 3), 255, np.uint8)
    whole[:height, : picture.shape[1]] = picture
    whole[height:] = np.asarray(strip)
    return whole


def sheet(titles: Sequence[str], rows: Sequence[Sequence[Picture]]) -> Picture:
    """Lay panes side by side, each column under its title.

    Args:
        titles: One a column.
        rows: Panes ``(H, W, 3)``, uint8, RGB, all of one size; as many in each row as
            there are titles.

    Returns:
        A new picture, ``(title + rows * H, columns * W, 3)``, uint8, RGB.
    """
    from .pillow import Image, ImageDraw

    body = np.vstack([np.hstack(list(row)) for row in rows])
    column = rows[0][0].shape[1]
    font, line = _font(column * 2)
    head = Image.new("RGB", (body.shape[1], line + line // 2), _PAPER)
    pen = ImageDraw.Draw(head)
    for number, title in enumerate(titles):
        text = _wrapped(title, font, column)[0]
        pen.text((number * column + line // 4, line // 4), text, _INK, font)
    return np.vstack([np.asarray(head), body])


@lru_cache(16)  # Pillow decodes the font anew for each
def _font(width: int) -> tuple[Any, int]:
    """Pillow's own font, readable in a picture of this width, and its line height."""
    from .pillow import ImageFont, features

    size = min(max(14, width // 64), 30)
    if not features.check("freetype2"):  # one size, drawn by hand
        return ImageFont.load_default(), 14
    return ImageFont.load_default(size), size * 4 // 3


def _ascii(text: str) -> str:
    """The text in the letters that the font has; empty if none of them is left."""
    letters = unicodedata.normalize("NFKD", text)
    letters = "".join(c for c in letters if not unicodedata.combining(c))
    drawn = letters.encode("ascii", "replace").decode()
    drawn = "".join(c if c.isprintable() else "?" for c in drawn)
    return drawn if any(c.isalnum() for c in drawn) else ""


def _wrapped(text: str, font: Any, width: int) -> list[str]:
    lines = [""]
    for word in (_ascii(text) or "?").split(" "):
        longer = f"{lines[-1]} {word}".strip()
        if lines[-1] and font.getlength(longer) > width:
            lines.append(word)
        else:
            lines[-1] = longer
    return lines

"""Names and colours of classes that are texts."""

from __future__ import annotations

from collections.abc import Iterable

from .segmentation import Class

__all__ = ["prompt_classes"]

_LONGEST = 1000


def prompt_classes(texts: Iterable[str]) -> tuple[Class, ...]:
    """The background, black, and a class for each text, in PASCAL VOC's colours.

    A class has the text for its name, on one line and of at most 1000 characters.
    """
    names = ["background", *map(_name, texts)]
    return tuple(Class(name, _color(label)) for label, name in enumerate(names))


def _name(text: str) -> str:
    shown = "".join(c if c.isprintable() else " " for c in text)[:_LONGEST]
    return shown.strip() or "(blank)"


def _color(label: int) -> tuple[int, int, int]:
    """Of PASCAL VOC: the label's bits, from the lowest, fill the highest of the three
    channels in turn."""
    color = [0, 0, 0]
    for bit in range(8):
        for channel in range(3):
            color[channel] |= (label >> (3 * bit + channel) & 1) << (7 - bit)
    return color[0], color[1], color[2]

"""What one can ask for in a room of named things, and what there is to say of it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..material_sampling import Rng
from .boxes import boxes_of
from .world import COLORS, KINDS

__all__ = ["END", "PAD", "TOKENIZER", "VOCABULARY", "asked_for", "caption", "prompt"]

# The ids of `TOKENIZER`; what is not here is "?".
PAD, UNKNOWN, END = 0, 1, 2
VOCABULARY = (
    *("-", "?", ".", "the", "a", "every", "find", "thing", "object", "nothing"),
    *("on", "left", "right", "in", "middle"),
    *COLORS,
    *KINDS,
)
TOKENIZER = Path(__file__).parent / "tokenizer.json"

_OPENINGS = ("", "the", "a", "every", "find the")
_SIDES = ("on the left", "in the middle", "on the right")


def prompt(rng: Rng, color: int | None, kind: int | None) -> str:
    """A phrase that asks for things of a colour, of a kind, or of both.

    Args:
        rng: Chooses the words around them.
        color: Index into `COLORS`; None for any.
        kind: Index into `KINDS`; None for any.
    """
    any_kind = ("thing", "object")[rng.integers(2)]
    words = [
        _OPENINGS[rng.integers(len(_OPENINGS))],
        "" if color is None else COLORS[color],
        any_kind if kind is None else KINDS[kind],
    ]
    return " ".join(word for word in words if word)


def asked_for(
    instances: NDArray[np.uint8],
    attributes: NDArray[np.int8],
    color: int | None,
    kind: int | None,
) -> NDArray[np.bool_]:
    """Where things of a colour and a kind are, of the shape of ``instances``.

    Args:
        instances: 0 for the room, else 1 + row of ``attributes``.
        attributes: Kind, colour and heat of each thing, -1 where there is none.
        color: None for any.
        kind: None for any.
    """
    meant = attributes[:, 0] >= 0
    if kind is not None:
        meant &= attributes[:, 0] == kind
    if color is not None:
        meant &= attributes[:, 1] == color
    found: NDArray[np.bool_] = np.concatenate([[False], meant])[instances]
    return found


def caption(instances: NDArray[np.uint8], attributes: Sequence[Sequence[int]]) -> str:
    """What the largest thing in sight is, and on which third of the picture.

    Args:
        instances: 0 for the room, else 1 + row of ``attributes``.
        attributes: Kind and colour of each thing.
    """
    boxes = boxes_of(instances)
    if not boxes:
        return "nothing"
    counts = np.bincount(instances.ravel())
    largest = max(boxes, key=lambda box: counts[box.thing])
    kind, color = attributes[largest.thing - 1][:2]
    middle = (largest.left + largest.right) / 2
    side = _SIDES[min(int(3 * middle / instances.shape[1]), 2)]
    return f"a {COLORS[color]} {KINDS[kind]} {side}"

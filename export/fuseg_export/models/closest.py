"""A word that is none of those that there are, and the one that was meant."""

from __future__ import annotations

from collections.abc import Sequence
from difflib import get_close_matches

from fuseg.errors import ArgumentError

__all__ = ["closest"]


def closest(what: str, word: str, known: Sequence[str]) -> None:
    """Refuse a word that is not known.

    Raises:
        ArgumentError: It is none; the nearest one is named.
    """
    if word not in known:
        near = get_close_matches(word, known, 1)
        raise ArgumentError(
            f"{what} must be one of {', '.join(known)}, got {word!r}"
            + (f": did you mean {near[0]}?" if near else ".")
        )

"""What the array of an output in a sample is."""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["Form"]


class Form(NamedTuple):
    """An array's element type and shape.

    Attributes:
        dtype: As NumPy names it.
        shape: A number for each axis; ``"H"`` and ``"W"`` are the size of the first
            input's frame, any other word is any number.
    """

    dtype: str
    shape: tuple[int | str, ...]

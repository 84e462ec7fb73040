"""What to do about a frame, for both faces."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, NamedTuple, Protocol

import numpy as np

__all__ = ["ANOTHER_SENSOR", "NONE", "Advice", "KindAdvice"]


class Advice(NamedTuple):
    """What to do, in Python and on the command line."""

    python: str
    command_line: str


NONE = Advice("", "")
ANOTHER_SENSOR = Advice(*["Is it the frame of another sensor?"] * 2)


class KindAdvice(Protocol):
    """What is known of the frames of one input, by its kind.

    Attributes:
        name: The input's.
        dtypes: The element types that are taken.
        no_value_for_masked: What to do if a mask hides pixels, as there is no raw value
            for no reading.
    """

    name: str

    @property
    def dtypes(self) -> Collection[np.dtype[Any]]: ...

    @property
    def no_value_for_masked(self) -> str: ...

    def shape(self, array: Any) -> tuple[str | int, ...]:
        """That the frame must have; a letter is an axis of any size."""

    def how_to_convert(self, found: np.dtype[Any]) -> Advice:
        """Of a frame of another type."""

    def how_to_reshape(self, array: Any) -> Advice:
        """Of a frame of another shape."""

    def what_it_may_be(self, array: Any) -> Advice:
        """Of a frame of another type and another shape."""

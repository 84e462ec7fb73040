"""What to do about a frame, for both faces."""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["ANOTHER_SENSOR", "NONE", "Advice"]


class Advice(NamedTuple):
    """What to do, in Python and on the command line."""

    python: str
    command_line: str


NONE = Advice("", "")
ANOTHER_SENSOR = Advice(*["Is it the frame of another sensor?"] * 2)

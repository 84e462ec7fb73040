"""Timing programs against each other: what `fuseg bench` and `fuseg tune` measure with.

`time_frames` times programs that label frames; `interleave` times anything else.
"""

from __future__ import annotations

from .frames import MOST_FRAMES, PAUSE_S, WARMUP, Frames, time_frames
from .noise import OtherPrograms, describe_noise
from .timing import Turn, after, interleave, percentiles, repeated, time_call

__all__ = [
    "MOST_FRAMES",
    "PAUSE_S",
    "WARMUP",
    "Frames",
    "OtherPrograms",
    "Turn",
    "after",
    "describe_noise",
    "interleave",
    "percentiles",
    "repeated",
    "time_call",
    "time_frames",
]

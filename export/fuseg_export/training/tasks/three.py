"""Named things by several sensors: frames for the task of `rooms`."""

from __future__ import annotations

from ...scenes.senses.render import SensedThings
from ..data import RenderedFrames

__all__ = ["hot_frames", "scanned_frames"]


def hot_frames(things: SensedThings) -> RenderedFrames:
    """Frames of every sensor, labelled with kinds, and with heat where there is some.

    Only colour and depth tell the kinds apart, and only a thermal camera sees heat.
    """
    return RenderedFrames(
        things.color, things.depth, things.hot, things.thermal, things.range
    )


def scanned_frames(things: SensedThings) -> RenderedFrames:
    """Frames of every sensor, labelled with kinds."""
    return RenderedFrames(
        things.color, things.depth, things.kinds, things.thermal, things.range
    )

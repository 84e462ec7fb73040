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
    """Frames of every sensor, colour in bad light as well, labelled with kinds.

    A LiDAR has a light of its own: it reads in the dark what it reads by day.
    """
    return RenderedFrames(
        things.spoilt, things.depth, things.kinds, things.thermal, things.range
    )

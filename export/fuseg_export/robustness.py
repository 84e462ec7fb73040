"""The frames that a bundle's robustness card is measured on."""

from __future__ import annotations

from fuseg.errors import ArgumentError
from fuseg.manifest import Manifest
from fuseg.robustness import MOST_SENSORS, LabelledFrame

from .frames.selection import ExportFrames
from .network.target import Target

__all__ = ["FRAMES", "frames_of_card"]

FRAMES = 8  # a second each, of a network of a few ms


def frames_of_card(
    manifest: Manifest, target: Target, frames: ExportFrames, count: int | None
) -> list[LabelledFrame]:
    """The frames that robustness is measured on; none if it is not to be, or cannot.

    Raises:
        ArgumentError: It cannot be, and was asked for.
    """
    outputs, known = manifest.label_outputs, frames.compared[0].truth is not None
    if not known or not outputs or outputs[0].classes_from is not None:
        if count:
            raise ArgumentError(
                "--robustness needs true labels of known classes: --frames NAME=PATH "
                "and --truth PATH."
            )
        return []
    if count is None and len(manifest.sensors) > MOST_SENSORS:
        return []
    wanted = FRAMES if count is None else count
    found = [
        LabelledFrame(frame.given, frame.truth)
        for frame in frames.labelled(target, wanted)
        if frame.truth is not None
    ]
    # Without a pixel that counts there is no score, which `require_scored` refuses.
    ignore = outputs[0].ignore
    return found if any((frame.truth != ignore).any() for frame in found) else []

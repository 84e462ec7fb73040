"""The float32 network where no other variant is asked for: its score, and frames."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import onnx

from fuseg.manifest import Manifest

from ..frames.samples import Frames
from ..frames.selection import Data, Given
from ..passes.cut_tail import Tail
from ..report.pictures import SHOWN, show
from .evaluate import judge, scores_of
from .variants import Variants, float32

__all__ = ["score_float32"]


def score_float32(
    manifest: Manifest,
    network: onnx.ModelProto,
    tail: Tail,
    given: Given,
    progress: Callable[[str], None],
) -> Variants:
    """Score the float32 network where the truth is known, and draw a few frames.

    Args:
        manifest: Of the bundle as it is so far.
        network: ``tail`` cut off.
        given: Scored are the user's frames if their truth is known, else those that
            the stages were compared on, if they have one.

    Raises:
        ArgumentError, InputFileError: The frames are not as they must be.
    """
    full = float32(network)
    (output,) = manifest.outputs
    frames: Frames = given.compared
    if given.truth and given.frames is not None:
        frames = given.frames
    data = Data(manifest.inputs, tail.size, frames, frames, ())
    program = scores_of(full.model)
    worst: Sequence[int] = range(min(len(frames), SHOWN))
    score = None
    if frames[0].truth is not None:
        progress(f"scoring fp32 on {len(frames)} frames")
        found = judge(
            data.judging(),
            program,
            {},
            tail,
            classes=tuple(c.name for c in output.classes),
            ignore=output.ignore,
            mapped=given.mapped,
        )
        score, worst = found.full, found.worst_frames
        full = replace(full, frames=found.frames, score=score)
    given.require_scored(score)
    return Variants(
        made=(full,),
        shown=show(
            data.frame, dict.fromkeys(worst, ()), {full.name: program}, tail, manifest
        ),
        warnings=() if score is None else score.warnings,
    )

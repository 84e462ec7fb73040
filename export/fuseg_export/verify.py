"""Every stage of an export against the stage before it, on the same tensors."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from numpy.typing import NDArray

from .frames.packing import PackedFrame
from .outputs import ExportedOutput, main_first, truth_size
from .outputs.base import StageResult
from .stage_programs import Program

__all__ = ["compare"]

Results = Mapping[str, NDArray[Any]]  # by output name


def compare(
    frames: Iterable[tuple[PackedFrame, Results]],
    programs: Mapping[str, Program],
    outputs: Sequence[ExportedOutput],
    scored: Collection[str] | None = None,
) -> list[StageResult]:
    """Run all programs on all frames and compare each with the one before it.

    Args:
        frames: As the runtime packed them, each with the runtime's results at the
            network's own output size. These are compared with torch's. Of a network
            with states, one sequence.
        programs: By stage, torch first. The last one's tensors stand for the runtime's.
        outputs: What they give, states' next values included, which the runtime does
            not show.
        scored: Those that the truth is of; None: the first segmentation.

    Returns:
        For each program but the first, and for the runtime, a result for each output.

    Raises:
        ExportError: There is no frame, a value is not finite, or a stage is over its
            limits. The message names the stage, what differs and the numbers.
    """
    stages = list(programs)
    pairs = [*zip(stages[1:], stages[:-1], strict=True), ("runtime", stages[0])]
    sums = {
        stage: {output.name: output.differences() for output in outputs}
        for stage, _ in pairs
    }
    scored = [main_first(outputs)[0].name] if scored is None else scored
    asked_for = truth_size(outputs)
    for frame, results in frames:
        seen = {stage: program(frame.tensors) for stage, program in programs.items()}
        for output in outputs:
            output.require_usable(seen[stages[0]][output.name])
        seen["runtime"] = {
            name: replace(prediction, result=results.get(name, prediction.result))
            for name, prediction in seen[stages[-1]].items()
        }
        for stage, against in pairs:
            for output in outputs:
                expected, got = (seen[s][output.name] for s in (against, stage))
                if stage == "runtime" and frame.camera is not None:
                    expected = output.at_camera(
                        expected, frame.camera, asked_for or frame.camera
                    )
                truth = frame.truth if output.name in scored else None
                sums[stage][output.name].add(expected, got, truth)
    return [
        differences.result(stage, against)
        for stage, against in pairs
        for differences in sums[stage].values()
    ]

"""Frames for a person to look at: sensors, truth, labels, and where they differ."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from fuseg.dataset.panes import Pane, draw_labels, draw_mask, draw_sensor
from fuseg.manifest import Manifest, image_inputs
from fuseg.manifest.outputs import prompt_classes

from ..frames.frame_set import FrameSet
from ..frames.packing import PackedFrame
from ..frames.selection import DataSplit
from ..outputs import label_task
from ..precision.evaluate import NetworkFunction
from ..precision.make_variants import Variants
from ..recurrent import Recurrent, restart

__all__ = ["DrawnFrame", "draw", "draw_frame"]

_VISIBLE = 0.001  # of the pixels must differ, or nobody sees it


@dataclass(frozen=True)
class DrawnFrame:
    """One frame: its number among those evaluated on, and its panes, of the network's
    own output size."""

    number: int
    panes: tuple[Pane, ...]


def draw(variants: Variants, manifest: Manifest) -> tuple[DrawnFrame, ...]:
    """Draw the frames of an evaluation that are worth a look.

    In a row: the sensors, the truth if it is known, the labels, and what differs. A
    variant is left out where too few labels differ to be seen; so is a frame where that
    leaves no variant.
    """
    drawn: list[DrawnFrame] = []
    if not manifest.label_outputs:
        return ()
    for number in sorted(variants.worth_showing):
        frame, packed = variants.split.held_out_frame(number)
        labelled = variants.worth_showing[number]
        functions = {n: variants.functions[n] for n in ("fp32", *labelled)}
        _run_up_to(number, functions.values(), variants.split)
        panes = draw_frame(frame, packed, functions, manifest)
        if panes:
            drawn.append(DrawnFrame(number, panes))
    return tuple(drawn)


def _run_up_to(
    number: int, functions: Iterable[NetworkFunction], split: DataSplit
) -> None:
    """Bring functions that have states to where they are when a frame comes."""
    recurrent = [f for f in functions if isinstance(f, Recurrent)]
    restart(*recurrent)
    for before in range(number) if recurrent else ():
        _, packed = split.held_out_frame(before)
        for function in recurrent:
            function(packed.tensors)


def draw_frame(
    frame: FrameSet,
    packed: PackedFrame,
    functions: Mapping[str, NetworkFunction],
    manifest: Manifest,
) -> tuple[Pane, ...]:
    """The panes of one frame; none if all of several variants look like fp32.

    Args:
        functions: The variants, fp32 first.
    """
    output = manifest.label_outputs[0]
    task, classes = label_task(output), output.classes
    if output.classes_from is not None:
        classes = prompt_classes(frame.others[output.classes_from])
    labels = {
        name: task.result(task.tensor_of(function(packed.tensors)))
        for name, function in functions.items()
    }
    fp32 = labels.pop("fp32")
    variants: list[Pane] = []
    for name, own in labels.items():
        differs = own != fp32
        if differs.mean() >= _VISIBLE:
            variants.append(Pane(name, draw_labels(own, classes)))
            share = f"{name}: {differs.mean():.2%} differ from fp32"
            variants.append(Pane(share, draw_mask(differs)))
    if labels and not variants:
        return ()
    panes = [
        Pane(entry.name, draw_sensor(entry, frame.arrays[entry.name], task.size))
        for entry in image_inputs(manifest.sensors)
    ]
    truth = packed.truth
    if truth is None:
        return (*panes, Pane("fp32", draw_labels(fp32, classes)), *variants)
    known = truth != output.ignore
    wrong = known & (truth != fp32)
    share = f"fp32: {wrong.sum() / max(1, known.sum()):.2%} differ from truth"
    return (
        *panes,
        Pane("truth", draw_labels(truth, classes, known)),
        Pane("fp32", draw_labels(fp32, classes)),
        Pane(share, draw_mask(wrong)),
        *variants,
    )

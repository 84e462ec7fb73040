"""Frames for a person to look at: sensors, truth, labels, and where they differ."""

from __future__ import annotations

import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from fuseg.manifest import ImageInput, Manifest, image_inputs
from fuseg.manifest.outputs import prompt_classes

from ..frames.frame_set import FrameSet
from ..frames.packing import PackedFrame
from ..frames.selection import DataSplit
from ..outputs import label_task
from ..precision.evaluate import NetworkFunction
from ..precision.make_variants import Variants
from ..recurrent import Recurrent, restart

__all__ = ["DrawnFrame", "Pane", "draw", "draw_frame"]

_VISIBLE = 0.001  # of the pixels must differ, or nobody sees it
_ENDS = (2, 98)  # per cent of the readings between black and white


@dataclass(frozen=True)
class Pane:
    """A PNG of the network's own output size, and what it shows."""

    title: str
    png: bytes


@dataclass(frozen=True)
class DrawnFrame:
    """One frame: its number among those evaluated on, and its panes."""

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
    palette = [value for entry in classes for value in entry.color]
    labels = {
        name: task.result(task.tensor_of(function(packed.tensors)))
        for name, function in functions.items()
    }
    fp32 = labels.pop("fp32")
    variants: list[Pane] = []
    for name, own in labels.items():
        differs = own != fp32
        if differs.mean() >= _VISIBLE:
            variants.append(Pane(name, _labels(own, palette)))
            share = f"{name}: {differs.mean():.2%} differ from fp32"
            variants.append(Pane(share, _mask(differs)))
    if labels and not variants:
        return ()
    panes = [
        Pane(entry.name, _sensor(entry, frame.arrays[entry.name], task.size))
        for entry in image_inputs(manifest.sensors)
    ]
    truth = packed.truth
    if truth is None:
        return (*panes, Pane("fp32", _labels(fp32, palette)), *variants)
    known = truth != output.ignore
    wrong = known & (truth != fp32)
    share = f"fp32: {wrong.sum() / max(1, known.sum()):.2%} differ from truth"
    return (
        *panes,
        Pane("truth", _labels(truth, palette, known)),
        Pane("fp32", _labels(fp32, palette)),
        Pane(share, _mask(wrong)),
        *variants,
    )


def _sensor(entry: ImageInput, array: NDArray[Any], size: tuple[int, int]) -> bytes:
    height, width = size
    if entry.kind == "color":
        rgb = array[..., ::-1] if entry.channels == "BGR" else array
        picture = Image.fromarray(np.ascontiguousarray(rgb))
        return _png(picture.resize((width, height), Image.Resampling.BILINEAR))
    array = array[..., 0] if array.ndim == 3 else array
    values = array.astype(np.float64)
    valid = np.isfinite(values) & ~np.isin(array, entry.invalid)
    low, high = np.percentile(values[valid], _ENDS) if valid.any() else (0.0, 1.0)
    share = np.clip((np.where(valid, values, low) - low) / max(high - low, 1e-9), 0, 1)
    near = share if entry.kind in ("thermal", "plane") else 1 - share
    gray = np.where(valid, 40 + 215 * near, 0).astype(np.uint8)
    return _png(Image.fromarray(gray).resize((width, height), Image.Resampling.NEAREST))


def _labels(
    labels: NDArray[np.uint8],
    palette: Sequence[int],
    known: NDArray[np.bool_] | None = None,
) -> bytes:
    """In their classes' colours; black where there is no class."""
    classes = len(palette) // 3
    fits = labels < classes if known is None else known
    picture = Image.fromarray(np.where(fits, labels, np.uint8(255)))
    picture.putpalette([*palette, *[0] * (768 - len(palette))])
    return _png(picture)


def _mask(where: NDArray[np.bool_]) -> bytes:
    return _png(Image.fromarray(where))


def _png(picture: Image.Image) -> bytes:
    file = io.BytesIO()
    picture.save(file, "PNG", optimize=True)
    return file.getvalue()

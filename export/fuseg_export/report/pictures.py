"""Frames for a person to look at: sensors, truth, labels, and where they differ."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from fuseg.manifest import Input, Manifest

from ..frames.samples import Frame
from ..passes.cut_tail import Tail
from ..precision.evaluate import Case, Scores, labels_of

__all__ = ["SHOWN", "Pane", "Shown", "show"]

SHOWN = 4  # frames in a report without variants
_VISIBLE = 0.001  # of the pixels must differ, or nobody sees it
_ENDS = (2, 98)  # per cent of the readings between black and white


@dataclass(frozen=True)
class Pane:
    """A PNG of the network's own output size, and what it shows."""

    title: str
    png: bytes


@dataclass(frozen=True)
class Shown:
    """One frame: its number among those judged on, and its panes."""

    number: int
    panes: tuple[Pane, ...]


def show(
    frame: Callable[[int], tuple[Frame, Case]],
    numbers: Mapping[int, Sequence[str]],
    programs: Mapping[str, Scores],
    tail: Tail,
    manifest: Manifest,
) -> tuple[Shown, ...]:
    """Draw frames: the sensors, the truth if known, labels, and what differs.

    Args:
        frame: Gives one, and the network's inputs for it.
        numbers: Of the frames to show, each with the variants to show beside fp32. A
            variant is left out where too few labels differ to be seen; so is a frame
            of which all are.
        programs: The variants, fp32 among them.
        tail: What was cut off them.
    """
    (output,) = manifest.outputs
    palette = [value for entry in output.classes for value in entry.color]
    shown = []
    for number in sorted(numbers):
        given, case = frame(number)
        full = labels_of(programs["fp32"](case.tensors), tail)
        variants: list[Pane] = []
        for name in numbers[number]:
            labels = labels_of(programs[name](case.tensors), tail)
            differs = labels != full
            if differs.mean() >= _VISIBLE:
                variants.append(Pane(name, _labels(labels, palette)))
                share = f"{name}: {differs.mean():.2%} differ from fp32"
                variants.append(Pane(share, _mask(differs)))
        if numbers[number] and not variants:
            continue
        panes = [
            Pane(entry.name, _sensor(entry, given.arrays[entry.name], tail.size))
            for entry in manifest.inputs
        ]
        if case.truth is not None:
            known = case.truth != output.ignore
            panes.append(Pane("truth", _labels(case.truth, palette, known)))
        panes.append(Pane("fp32", _labels(full, palette)))
        if case.truth is not None:
            wrong = known & (case.truth != full)
            share = wrong.sum() / max(1, known.sum())
            panes.append(Pane(f"fp32: {share:.2%} differ from truth", _mask(wrong)))
        shown.append(Shown(number, (*panes, *variants)))
    return tuple(shown)


def _sensor(entry: Input, array: NDArray[Any], size: tuple[int, int]) -> bytes:
    height, width = size
    if entry.kind == "color":
        rgb = array[..., ::-1] if entry.channels == "BGR" else array
        picture = Image.fromarray(np.ascontiguousarray(rgb))
        return _png(picture.resize((width, height), Image.Resampling.BILINEAR))
    values = array.astype(np.float64)
    valid = np.isfinite(values) & ~np.isin(array, entry.invalid)
    low, high = np.percentile(values[valid], _ENDS) if valid.any() else (0.0, 1.0)
    share = np.clip((np.where(valid, values, low) - low) / max(high - low, 1e-9), 0, 1)
    near = share if entry.kind == "thermal" else 1 - share
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

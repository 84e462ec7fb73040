"""What a row's bundle sees and says of two held-out frames, in one small picture."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from fuseg import Segmentation, load
from fuseg.dataset.panes import draw_labels, draw_sensor
from fuseg.dataset.pictures import sheet, with_legend
from fuseg.manifest import BoxesOutput, Manifest, image_inputs
from fuseg.runtime.outputs import adapter_of

from ..frames.frame_set import FrameSet, WithExamples
from ..models import REFERENCE
from .row import Row

__all__ = ["draw"]

Picture = NDArray[np.uint8]

_SHOWN = 2
_OF_A_CLIP = 8  # a bundle with states shows the last ones of a clip
_COLORS = 64  # sensors are noisy: with all of theirs the file is five times as large


def draw(row: Row, folder: Path) -> Path:
    """Draw what a row's bundle in ``folder`` makes of its model's first scenes.

    A line of panes for each frame: the sensors, the truth if it is known, the outputs
    that can be drawn; beneath it what is said in words, and what the colours mean.

    Returns:
        ``picture.png`` in the folder.
    """
    model, bundle = REFERENCE[row.model], folder / f"{row.model}.fuseg"
    segmenter = load(bundle, backend="onnxruntime", variant="fp32", threads=1)
    manifest = segmenter.manifest
    count = _OF_A_CLIP if manifest.states else _SHOWN
    frames = WithExamples(model.scenes(model.inputs, range(count)), model.given.others)
    drawn = []
    for number in range(count):
        frame = frames[number]
        drawn.append(_line(frame, segmenter(**frame.given), manifest))
    path = folder / "picture.png"
    picture = Image.fromarray(_below(drawn[-_SHOWN:]))
    few = picture.quantize(_COLORS, dither=Image.Dither.NONE)
    few.save(path, "PNG", optimize=True)
    return path


def _line(frame: FrameSet, result: Segmentation, manifest: Manifest) -> Picture:
    camera = frame.arrays[next(iter(frame.arrays))]
    size = camera.shape[:2]
    panes = {
        entry.name: _pixels(draw_sensor(entry, frame.arrays[entry.name], size))
        for entry in image_inputs(manifest.sensors)
    }
    first = next(iter(panes.values()))
    named = {o.name: result[o.name].classes for o in manifest.label_outputs}
    maps = {name: [result[name].labels] for name in named}
    if frame.truth is not None and named:
        name = next(iter(named))
        known = frame.truth != manifest.label_outputs[0].ignore
        panes["truth"] = _pixels(draw_labels(frame.truth, named[name], known))
        maps[name].append(frame.truth)
    words = []
    for output in manifest.outputs:
        found, adapter = result[output.name], adapter_of(output)
        if output.name in named:
            panes[output.name] = _pixels(draw_labels(found.labels, found.classes))
        elif isinstance(output, BoxesOutput):
            panes[output.name] = first.copy()
            adapter.draw(found, panes[output.name])
        said = adapter.words(found)
        words += [f"{output.name}: {said}"] if said else []
    picture = sheet([*panes], [[*panes.values()]])
    picture = with_legend(picture, (), (), ", ".join(words)) if words else picture
    for classes in dict.fromkeys(named.values()):
        shown = [m for name in named if named[name] == classes for m in maps[name]]
        picture = with_legend(picture, classes, shown)
    return picture


def _pixels(png: bytes) -> Picture:
    return np.array(Image.open(io.BytesIO(png)).convert("RGB"))


def _below(pictures: list[Picture]) -> Picture:
    """One above the other, on white."""
    width = max(picture.shape[1] for picture in pictures)
    edges = [((0, 0), (0, width - picture.shape[1]), (0, 0)) for picture in pictures]
    padded = [
        np.pad(picture, edge, constant_values=255)
        for picture, edge in zip(pictures, edges, strict=True)
    ]
    return np.vstack(padded)

"""The panes of one frame: its sensors, labels made from them, maps of the network."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..dataset.panes import Pane, draw_heat, draw_labels, draw_sensor
from ..errors import FrameError
from ..manifest import PlaneOutput, TensorOutput, image_inputs
from ..robustness import label_with, subsets
from ..segmenter import Segmenter

__all__ = ["draw_frame"]

_WIDEST = 480  # of a pane, or a page of a large camera's frames is hard to send
_MAPS = 8  # of one tensor


def draw_frame(
    segmenter: Segmenter, given: Mapping[str, Any], channels: Mapping[str, str]
) -> list[Pane]:
    """The panes of a frame, as of the first one of a sequence.

    Args:
        given: What the segmenter is given, by input name.
        channels: As `fuseg.load` got them.
    """
    return [
        *_sensors(segmenter, given, channels),
        *_labelled(segmenter, given),
        *_maps(segmenter, given),
    ]


def _sensors(
    segmenter: Segmenter, given: Mapping[str, Any], channels: Mapping[str, str]
) -> Iterator[Pane]:
    for entry in image_inputs(segmenter.manifest.sensors):
        frame = given[entry.name]
        size = _small(frame.shape[0], frame.shape[1])
        yield Pane(
            entry.name, draw_sensor(entry, frame, size, channels.get(entry.name))
        )


def _labelled(segmenter: Segmenter, given: Mapping[str, Any]) -> Iterator[Pane]:
    """The labels made from every set of sensors, as of a first frame."""
    names = [sensor.name for sensor in segmenter.manifest.sensors]
    classes = segmenter.manifest.classes_of(segmenter.manifest.label_outputs[0])
    size = None
    for subset in subsets(names):
        segmenter.reset()
        labels = label_with(segmenter, subset, given, size)
        if isinstance(labels, FrameError):
            continue
        size = size or (labels.shape[0], labels.shape[1])
        yield Pane(f"from {' + '.join(subset)}", draw_labels(_thinned(labels), classes))


def _maps(segmenter: Segmenter, given: Mapping[str, Any]) -> Iterator[Pane]:
    """Outputs that are maps, such as gates and attention."""
    segmenter.reset()
    result = segmenter(**given)
    size = _small(*result.labels.shape)
    for output in segmenter.manifest.outputs:
        if not isinstance(output, (PlaneOutput, TensorOutput)):
            continue
        values = np.asarray(result[output.name])
        if values.ndim < 2 or min(values.shape[-2:]) < 2:
            continue
        maps = values.reshape(-1, *values.shape[-2:])
        for number, one in enumerate(maps[:_MAPS]):
            which = f"{output.name}[{number}]" if len(maps) > 1 else output.name
            limits = f"{one.min():.3g} to {one.max():.3g}"
            yield Pane(f"{which}: {limits}", draw_heat(one, size))


def _small(height: int, width: int) -> tuple[int, int]:
    """The size of a pane for frames of this size."""
    share = min(1.0, _WIDEST / width)
    return max(1, round(height * share)), max(1, round(width * share))


def _thinned(labels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    step = -(-labels.shape[1] // _WIDEST)
    return np.ascontiguousarray(labels[::step, ::step])

"""What `fuseg run` writes and says of one frame."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import ops
from ..dataset.frame_matching import FrameFiles
from ..dataset.images import write_labels, write_npy, write_png
from ..manifest import Manifest, SegmentationOutput
from ..runtime.outputs import adapter_of
from ..runtime.results import Result, Segmentation

__all__ = ["STAGES", "ResultWriter"]

STAGES = ("pack", "network", "label", "total")


class ResultWriter:
    """Writes the results of frames to a folder.

    The first labels are ``labels/KEY.png``, and they are painted, as all that can be
    drawn, in ``overlay/KEY.png``. Of another output ``outputs/NAME/KEY`` is a file, a
    PNG of labels and else ``.npy``, if JSON does not hold it.

    Args:
        alpha: Weight of the classes' colours in the overlay.
    """

    def __init__(self, manifest: Manifest, out: Path, alpha: float) -> None:
        self._outputs, self._out, self._alpha = manifest.outputs, out, alpha
        labels = manifest.label_outputs
        self._first = labels[0].name if labels else ""

    def paths(self, frame: FrameFiles) -> dict[str, Path]:
        """Every file that may be written of a frame: by output name, and "overlay"."""
        found = {"overlay": self._out / "overlay" / f"{frame.key}.png"}
        for output in self._outputs:
            is_png = isinstance(output, SegmentationOutput)
            name = f"{frame.key}{'.png' if is_png else '.npy'}"
            folder = self._out / "outputs" / output.name
            if output.name == self._first:
                folder = self._out / "labels"
            found[f"output {output.name}"] = folder / name
        return found

    def __call__(
        self, result: Result, frame: FrameFiles, rgb: NDArray[np.uint8] | None
    ) -> dict[str, Any]:
        """Write the files of a frame.

        Args:
            rgb: Its colour frame, if it has one.

        Returns:
            What ``--json`` says of it.
        """
        paths = self.paths(frame)
        others: dict[str, Any] = {}
        for output in self._outputs:
            found, path = result[output.name], paths[f"output {output.name}"]
            value = adapter_of(output).as_json(found)
            if isinstance(output, SegmentationOutput):
                write_labels(path, found.labels, [c.color for c in found.classes])
                value = {"labels": str(path), "classes": value}
            elif value is None:
                write_npy(path, adapter_of(output).as_array(found))
                value = str(path)
            others[output.name] = value
        self._paint(paths["overlay"], result, frame, rgb)
        first = others.pop(self._first, {})
        return {
            "key": frame.key,
            **{key: first[key] for key in ("labels",) if first},
            "overlay": str(paths["overlay"]),
            "degraded": result.degraded,
            "reason": result.reason,
            "sources": {name: asdict(s) for name, s in result.sources.items()},
            **{key: first[key] for key in ("classes",) if first},
            "outputs": others,
            "timing_ms": {s: getattr(result.timing, f"{s}_ms") for s in STAGES},
        }

    def _paint(
        self,
        path: Path,
        result: Result,
        frame: FrameFiles,
        rgb: NDArray[np.uint8] | None,
    ) -> None:
        from ..dataset.pictures import with_legend

        words = [f"{frame.key}: {result.reason}" if result.degraded else frame.key]
        labels = result if isinstance(result, Segmentation) else None
        if labels is not None:
            picture = _painted(labels, rgb, self._alpha)
        else:
            picture = np.zeros((1, 1, 3), np.uint8) if rgb is None else np.array(rgb)
        for output in self._outputs:
            adapter, found = adapter_of(output), result[output.name]
            adapter.draw(found, picture)
            line = adapter.words(found)
            words += [f"{output.name}: {line}"] if line else []
        classes = () if labels is None else labels.classes
        maps = [] if labels is None else [labels.labels]
        write_png(path, with_legend(picture, classes, maps, ", ".join(words)))


def _painted(
    result: Segmentation, rgb: NDArray[np.uint8] | None, alpha: float
) -> NDArray[np.uint8]:
    """The overlay, in RGB at the labels' size; without colour, the labels alone."""
    from ..dataset.pillow import Image

    height, width = result.labels.shape
    if rgb is not None and rgb.shape[:2] != (height, width):
        image = Image.fromarray(np.ascontiguousarray(rgb))
        rgb = np.array(image.resize((width, height), Image.Resampling.BILINEAR))
    palette = np.array([entry.color for entry in result.classes], np.uint8)
    frame = None if rgb is None else np.ascontiguousarray(rgb)
    return ops.overlay(result.labels, palette=palette, frame=frame, alpha=alpha)

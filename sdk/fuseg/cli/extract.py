"""Writing out what a bundle holds, as files that other programs open."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..bundle import Bundle
from ..dataset.images import write_labels, write_npy, write_png, write_tiff
from ..errors import ArgumentError, OutputFileError
from ..host.files import write_file
from ..manifest import Manifest, Output, SegmentationOutput, SensorInput


def extract(bundle: Bundle, folder: Path) -> list[Path]:
    """Write the manifest, the networks and the sample frames of a bundle.

    Frames lie in a folder for each input, as `fuseg run` takes them: colour as RGB PNG,
    planes as PNG of 8 or 16 bits, float32 as TIFF, several planes as ``.npy``. What is
    expected of them lies in ``expected-OUTPUT``: labels as palette PNGs, any other
    output as ``.npy``.

    Returns:
        The files, in the order of writing.

    Raises:
        ArgumentError: ``folder`` is neither new nor an empty folder.
        OutputFileError: A file cannot be written.
    """
    _require_empty(folder)
    manifest = bundle.manifest
    files: dict[str, bytes] = {"manifest.json": manifest.dump().encode("ascii")}
    for graph in manifest.graphs:
        for network in graph.networks.values():
            files[network.file] = bundle.read(network.file)
    for name, data in files.items():
        write_file(folder / name, data)
    written = [folder / name for name in files]
    for number, (frames, expected) in enumerate(bundle.samples()):
        for entry in manifest.sensors:
            stem = folder / "samples" / entry.name / f"{number:04}"
            written.append(_write_frame(stem, entry, frames[entry.name]))
        for output in manifest.outputs:
            stem = folder / "samples" / f"expected-{output.name}" / f"{number:04}"
            array = expected[output.name]
            written.append(_write_result(stem, manifest, output, array))
    return written


def inputs_of(bundle: Bundle, folder: Path) -> list[str]:
    """The words that give the extracted frames to ``fuseg run``."""
    names = [entry.name for entry in bundle.manifest.sensors]
    samples = folder / "samples"
    return [w for name in names for w in ("--input", f"{name}={samples / name}")]


def _write_result(
    stem: Path, manifest: Manifest, output: Output, expected: NDArray[Any]
) -> Path:
    if isinstance(output, SegmentationOutput):
        path = stem.with_suffix(".png")
        colors = [entry.color for entry in manifest.classes_of(output)]
        write_labels(path, expected, colors)
        return path
    path = stem.with_suffix(".npy")
    write_npy(path, expected)
    return path


def _write_frame(stem: Path, entry: SensorInput, frame: NDArray[Any]) -> Path:
    if entry.kind == "plane" and frame.ndim == 3:
        path = stem.with_suffix(".npy")
        write_npy(path, frame)
        return path
    if entry.dtype == "float32":
        path = stem.with_suffix(".tiff")
        write_tiff(path, frame)
        return path
    path = stem.with_suffix(".png")
    turned = entry.kind == "color" and entry.channels == "BGR"
    write_png(path, np.ascontiguousarray(frame[..., ::-1]) if turned else frame)
    return path


def _require_empty(folder: Path) -> None:
    try:
        is_new = not folder.exists()
        is_free = is_new or (folder.is_dir() and not any(folder.iterdir()))
    except OSError as err:
        raise OutputFileError(
            f"{folder} cannot be read: {err.strerror or err}."
        ) from err
    if not is_free:
        raise ArgumentError(
            f"--extract must be a new or an empty folder, got {folder}: nothing is "
            "overwritten."
        )

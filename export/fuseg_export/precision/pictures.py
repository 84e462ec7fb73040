"""A frame on which two variants differ, for a person to look at."""

from __future__ import annotations

import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from fuseg.ops import overlay

__all__ = ["strip"]


def strip(
    camera: NDArray[np.uint8] | None,
    expected: NDArray[np.uint8],
    got: NDArray[np.uint8],
    palette: NDArray[np.uint8],
) -> bytes:
    """A PNG: camera, fp32's labels, the variant's, and in white where they differ.

    Args:
        camera: RGB, (H, W, 3), brought to the labels' size; left out if None.
        expected, got: Labels (h, w).
        palette: (C, 3), RGB.
    """
    height, width = expected.shape
    panels = [] if camera is None else [Image.fromarray(np.ascontiguousarray(camera))]
    panels += [
        Image.fromarray(overlay(labels, palette=palette)) for labels in (expected, got)
    ]
    panels.append(
        Image.fromarray(np.where(expected != got, np.uint8(255), np.uint8(0)))
    )
    sheet = Image.new("RGB", (width * len(panels), height))
    for i, panel in enumerate(panels):
        sheet.paste(panel.convert("RGB").resize((width, height)), (i * width, 0))
    file = io.BytesIO()
    sheet.save(file, "PNG", optimize=True)
    return file.getvalue()

"""A frame on which two variants differ, for a person to look at."""

from __future__ import annotations

import io
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from fuseg.manifest import Class
from fuseg.ops import overlay
from fuseg.pictures import sheet, with_legend

__all__ = ["strip"]


def strip(
    camera: NDArray[np.uint8] | None,
    expected: NDArray[np.uint8],
    got: NDArray[np.uint8],
    classes: Sequence[Class],
    name: str,
) -> bytes:
    """A PNG: camera, fp32's labels, the variant's, and in white where they differ.

    Args:
        camera: RGB, (H, W, 3), brought to the labels' size; left out if None.
        expected, got: Labels (h, w).
        classes: Their names and colours, for a legend beneath.
        name: The variant's.
    """
    height, width = expected.shape
    palette = np.array([entry.color for entry in classes], np.uint8)
    panes = {}
    if camera is not None:
        image = Image.fromarray(np.ascontiguousarray(camera)).convert("RGB")
        panes["camera"] = np.asarray(image.resize((width, height)))
    panes["fp32"] = overlay(expected, palette=palette)
    panes[name] = overlay(got, palette=palette)
    differ = expected != got
    white = np.where(differ, np.uint8(255), np.uint8(0))
    panes[f"differ: {differ.mean():.2%}"] = np.repeat(white[..., None], 3, axis=2)
    picture = with_legend(
        sheet([*panes], [[*panes.values()]]), classes, [expected, got]
    )
    file = io.BytesIO()
    Image.fromarray(picture).save(file, "PNG", optimize=True)
    return file.getvalue()

"""Pillow, which is imported where the first picture needs it: a robot may lack it."""

from __future__ import annotations

from ..errors import MissingPackageError

try:
    from PIL import Image, ImageDraw, ImageFont, UnidentifiedImageError, features
except ModuleNotFoundError as err:
    raise MissingPackageError(
        f"pictures need Pillow, which is not installed here ({err}): "
        'pip install "fuseg[cli]", or give arrays (.npy files).'
    ) from err

__all__ = ["Image", "ImageDraw", "ImageFont", "UnidentifiedImageError", "features"]

"""Opening image and ``.npy`` files that may be damaged or hostile."""

from __future__ import annotations

import io
import struct
import tokenize
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..errors import InputFileError

if TYPE_CHECKING:
    from PIL.Image import Image

_FORMATS = ("PNG", "JPEG", "TIFF", "BMP", "WEBP")
# What Pillow and NumPy raise on damaged files, found by fuzzing their readers.
_DAMAGED = (
    EOFError,
    IndexError,
    KeyError,
    MemoryError,
    OSError,
    OverflowError,
    SyntaxError,
    TypeError,
    ValueError,
    struct.error,
    tokenize.TokenError,
    zlib.error,
)
_TIFF_BITS_PER_SAMPLE, _TIFF_PHOTOMETRIC = 258, 262
_WHITE_IS_ZERO = 0
_EXIF_ORIENTATION = 274


def words(image: Image, bits: int) -> str:
    names = {
        "1": "black and white",
        "L": "grayscale",
        "LA": "grayscale with alpha",
        "I": "integer grayscale",
        "F": "float grayscale",
        "P": "palette colour",
        "RGB": "colour",
        "RGBA": "colour with alpha",
    }
    word = "grayscale" if image.mode.startswith("I;") else image.mode
    return f"a {bits}-bit {names.get(image.mode, word)} image"


@contextmanager
def opened(path: Path) -> Iterator[tuple[Image, int]]:
    """The decoded picture, and its bits per channel in the file.

    Pillow's mode alone hides 16-bit colour and 4-bit gray.
    """
    from .pillow import Image, UnidentifiedImageError

    try:
        data = path.read_bytes()
    except OSError as err:
        raise InputFileError(f"{path} cannot be read: {err.strerror or err}.") from err
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            image = Image.open(io.BytesIO(data), formats=_FORMATS)
            pictures = getattr(image, "n_frames", 1)
            orientation = image.getexif().get(_EXIF_ORIENTATION, 1)
            if image.format == "PNG":
                bits = data[24]  # IHDR: width, height, bit depth
            elif image.mode == "1":
                bits = 1
            else:
                tags = getattr(image, "tag_v2", {})
                bits = max(tags.get(_TIFF_BITS_PER_SAMPLE, (8,)))
            if pictures == 1 and orientation == 1:
                image.load()
    except UnidentifiedImageError as err:
        raise InputFileError(
            f"{path} is not a PNG, JPEG, TIFF, BMP or WebP image that Pillow can "
            "read, or its header is damaged."
        ) from err
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as err:
        raise InputFileError(
            f"{path} claims more than {Image.MAX_IMAGE_PIXELS:,} pixels, "
            "more than any camera frame: it is not decoded."
        ) from err
    except _DAMAGED as err:
        raise InputFileError(f"{path} is damaged: {_reason(err)}.") from err
    with image:
        if pictures != 1:
            raise InputFileError(
                f"{path} holds several pictures: give one file per frame."
            )
        turned = getattr(image, "tag_v2", {}).get(_TIFF_PHOTOMETRIC) == _WHITE_IS_ZERO
        if turned and image.mode in ("1", "L"):
            raise InputFileError(
                f"{path} stores white as 0, so readers invert its values: save it "
                "with black as 0."
            )
        if orientation != 1:
            raise InputFileError(
                f"{path} is stored rotated (EXIF orientation {orientation}), so its "
                "pixels do not match the other sensors': save it upright."
            )
        yield image, bits


def read_npy(path: Path) -> NDArray[Any]:
    try:
        # Mapped first: a header that promises more than the file holds is refused
        # before any memory is taken for it.
        mapped = np.load(path, mmap_mode="r", allow_pickle=False)
    except OSError as err:
        if err.errno is None:
            raise InputFileError(f"{path} is damaged: {_reason(err)}.") from err
        raise InputFileError(f"{path} cannot be read: {err.strerror}.") from err
    except _DAMAGED as err:
        raise InputFileError(
            f"{path} is not a .npy file of plain numbers: {_reason(err)}."
        ) from err
    if not isinstance(mapped, np.ndarray):
        mapped.close()
        raise InputFileError(f"{path} is an .npz archive: save one array with np.save.")
    return np.array(mapped, dtype=mapped.dtype.newbyteorder("="), order="C")


def _reason(err: BaseException) -> str:
    """The first line of a foreign message, without its full stop."""
    text = str(err).strip() or type(err).__name__
    return text.splitlines()[0].rstrip(".")

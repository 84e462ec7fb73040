"""Reading camera frames and label maps from files, and writing pictures.

Nothing is converted on the way in that would change a number: an image is read as
it was stored, or refused with the way out. PNG, JPEG and TIFF go through Pillow,
``.npy`` through NumPy (never a pickle).
"""

from __future__ import annotations

import io
import struct
import tokenize
import warnings
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ._files import write_file
from .errors import InputFileError

if TYPE_CHECKING:
    from PIL.Image import Image

__all__ = ["SUFFIXES", "read_frame", "read_labels", "write_labels", "write_png"]

SUFFIXES = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".npy")

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
_TIFF_BITS_PER_SAMPLE = 258
_EXIF_ORIENTATION = 274


def read_frame(path: Path, kind: str) -> NDArray[Any]:
    """Read one sensor's frame.

    Args:
        path: A file with one of the suffixes in ``SUFFIXES``.
        kind: The manifest's word for the sensor: "color", or another one, which
            means a single plane (depth, thermal, range).

    Returns:
        For colour images uint8, shape ``(H, W, 3)``, in RGB order. For planes
        shape ``(H, W)``, uint8, uint16 or float32 as stored; the values are raw.
        A ``.npy`` file gives its array as it is, in native byte order and C
        order: whether dtype and shape fit is for the segmenter to say.

    Raises:
        InputFileError: The file cannot be read, is damaged, holds more than one
            picture, or holds pixels of another kind (grayscale, transparent,
            16-bit or CMYK colour; colour or palette where a plane is wanted).
    """
    if path.suffix.lower() == ".npy":
        return _read_npy(path)
    with _opened(path) as (image, bits):
        read = _color if kind == "color" else _plane
        return read(path, image, bits)


def read_labels(path: Path) -> NDArray[np.uint8]:
    """Read a label map: uint8, shape ``(H, W)``, one class index per pixel.

    An 8-bit grayscale or palette PNG or TIFF (of a palette, the indices), or a
    uint8 ``.npy``.

    Raises:
        InputFileError: As for ``read_frame``; also JPEG, whose compression
            invents labels, and 16-bit or colour pictures.
    """
    if path.suffix.lower() == ".npy":
        labels = _read_npy(path)
    else:
        with _opened(path) as (image, bits):
            if image.format == "JPEG":
                raise InputFileError(
                    f"{path} is a JPEG, whose compression changes labels: "
                    "give label maps as 8-bit PNG."
                )
            _require_whole_bytes(path, image, bits)
            if image.mode not in ("L", "P"):
                raise InputFileError(
                    f"{path} must be an 8-bit label map with one channel, "
                    f"got {_words(image, bits)}."
                )
            labels = np.array(image)
    if labels.dtype != np.uint8 or labels.ndim != 2:
        raise InputFileError(
            f"{path} must be a uint8 label map of shape (H, W), "
            f"got {labels.dtype} of shape {labels.shape}."
        )
    return labels


def write_png(path: Path, pixels: NDArray[np.uint8] | NDArray[np.uint16]) -> None:
    """Write uint8 ``(H, W)`` or ``(H, W, 3)`` (RGB), or uint16 ``(H, W)``, as PNG,
    whole or not at all.

    Raises:
        OutputFileError: The file cannot be written.
    """
    from PIL import Image

    _write(path, Image.fromarray(pixels))


def write_labels(
    path: Path, labels: NDArray[np.uint8], colors: Sequence[tuple[int, int, int]]
) -> None:
    """Write a label map as a PNG that holds the labels and shows colours.

    The pixels are the labels themselves, 8 bits each, as `read_labels` and Pillow
    read them; a palette gives each its colour. (OpenCV reads the colours.)

    Args:
        path: The file to make or to replace.
        labels: uint8, ``(H, W)``.
        colors: RGB, 0 to 255, of label 0, 1, ...; other labels are black.

    Raises:
        OutputFileError: The file cannot be written.
    """
    from PIL import Image

    palette = bytearray(768)  # all 256: with fewer the file has fewer bits a pixel
    palette[: 3 * len(colors)] = bytes(value for color in colors for value in color)
    image = Image.fromarray(labels)
    image.putpalette(bytes(palette))
    _write(path, image)


def _write(path: Path, image: Image) -> None:
    buffer = io.BytesIO()
    image.save(buffer, format="PNG", compress_level=1)
    write_file(path, buffer.getvalue())


def _color(path: Path, image: Image, bits: int) -> NDArray[Any]:
    if bits > 8 or image.mode.startswith(("I", "F")):
        raise InputFileError(
            f"{path} must be an 8-bit colour image, got {_words(image, bits)}: "
            "convert it to 8 bits per channel, as the camera's driver would."
        )
    if image.mode in ("1", "L", "LA", "La"):
        raise InputFileError(
            f"{path} must be a colour image, got {_words(image, bits)}: give the "
            "colour camera's own picture; gray repeated three times is not colour."
        )
    if image.mode == "P":
        image = image.convert("RGBA")
    if image.mode == "RGBA":
        if image.getchannel("A").getextrema() != (255, 255):
            raise InputFileError(
                f"{path} has transparent pixels: what is behind them is not known; "
                "save it without the alpha channel."
            )
        image = image.convert("RGB")
    if image.mode != "RGB":
        raise InputFileError(
            f"{path} must be an RGB image, got {_words(image, bits)}: save it as RGB."
        )
    return np.array(image)


def _plane(path: Path, image: Image, bits: int) -> NDArray[Any]:
    _require_whole_bytes(path, image, bits)
    if image.mode == "L":
        return np.array(image)
    if image.mode.startswith("I;16"):
        return np.array(image).astype(np.uint16)
    if (image.mode, image.format, bits) == ("I", "PNG", 16):  # older Pillow
        return np.array(image).astype(np.uint16)
    if image.mode == "F" and bits == 32:
        return np.array(image)
    raise InputFileError(
        f"{path} must hold one plane of uint8, uint16 or float32 values, "
        f"got {_words(image, bits)}."
    )


def _require_whole_bytes(path: Path, image: Image, bits: int) -> None:
    # Pillow scales 2- and 4-bit gray to 0..255: the numbers would not be the file's.
    if image.mode in ("1", "L") and bits < 8:
        raise InputFileError(
            f"{path} has {bits} bits per pixel, which readers scale "
            "differently: save it with 8 or 16 bits."
        )


def _words(image: Image, bits: int) -> str:
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
def _opened(path: Path) -> Iterator[tuple[Image, int]]:
    """The decoded picture, and its bits per channel in the file.

    Pillow's mode alone hides 16-bit colour and 4-bit gray.
    """
    from PIL import Image, UnidentifiedImageError

    try:
        data = path.read_bytes()
    except OSError as err:
        raise InputFileError(f"{path} cannot be read: {err.strerror or err}.") from err
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            image = Image.open(io.BytesIO(data), formats=("PNG", "JPEG", "TIFF"))
            pictures = getattr(image, "n_frames", 1)
            orientation = image.getexif().get(_EXIF_ORIENTATION, 1)
            if image.format == "PNG":
                bits = data[24]  # IHDR: width, height, bit depth
            else:
                tags = getattr(image, "tag_v2", {})
                bits = max(tags.get(_TIFF_BITS_PER_SAMPLE, (8,)))
            if pictures == 1 and orientation == 1:
                image.load()
    except UnidentifiedImageError as err:
        raise InputFileError(
            f"{path} is not a PNG, JPEG or TIFF image that Pillow can read, "
            "or its header is damaged."
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
        if orientation != 1:
            raise InputFileError(
                f"{path} is stored turned (EXIF orientation {orientation}), so its "
                "pixels do not lie where the other sensors' do: save it upright."
            )
        yield image, bits


def _read_npy(path: Path) -> NDArray[Any]:
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

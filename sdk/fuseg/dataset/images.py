"""Reading camera frames and label maps from files, and writing pictures.

Nothing is converted on the way in that would change a number: an image is read as
it was stored, or refused with the way out. PNG, JPEG, TIFF, BMP and WebP go through
Pillow, ``.npy`` through NumPy (never a pickle).
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..errors import InputFileError
from ..host.files import write_file
from .image_files import opened, read_npy, words

if TYPE_CHECKING:
    from PIL.Image import Image

__all__ = [
    "SUFFIXES",
    "read_frame",
    "read_labels",
    "write_labels",
    "write_npy",
    "write_png",
    "write_tiff",
]

SUFFIXES = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp", ".webp", ".npy", ".wav")


def read_frame(
    path: Path, kind: str, *, channels: str | None = None, name: str = "NAME"
) -> NDArray[Any]:
    """Read one sensor's frame.

    Args:
        path: A file with one of the suffixes in ``SUFFIXES``.
        kind: The manifest's word for the sensor: "color", or another one, which
            means a single plane (depth, thermal, range).
        channels: What to take of an image file, if not what the kind says: one of its
            channels ("R", "G", "B", "A", "L"), "RGB" without what is in its alpha
            channel, "RGBA", or "GRAY", a plane of 8 bits. A ``.npy`` file is not
            concerned.
        name: What the sensor is called in the way out of an error.

    Returns:
        For colour images uint8, shape ``(H, W, 3)``, in RGB order. For planes
        shape ``(H, W)``, uint8, uint16 or float32 as stored; the values are raw. Of
        three or four equal channels the first is the plane.
        A ``.npy`` file gives its array as it is, in native byte order and C
        order: whether dtype and shape fit is for the segmenter to say.

    Raises:
        InputFileError: The file cannot be read, is damaged, holds more than one
            picture, lacks one of ``channels``, or holds pixels of another kind
            (grayscale, transparent, 16-bit or CMYK colour; colour where a plane is
            wanted).
    """
    if path.suffix.lower() == ".npy":
        return read_npy(path)
    with opened(path) as (image, bits):
        if channels == "GRAY":
            return _gray(path, image, bits, name)
        if channels is not None:
            return _channels(path, image, bits, channels)
        read = _color if kind == "color" else _plane
        return read(path, image, bits, name)


def read_labels(path: Path) -> NDArray[Any]:
    """Read a label map: whole numbers, shape ``(H, W)``, the id of a class per pixel.

    A grayscale image of 1 to 16 bits, a palette image (its indices, not its colours),
    an image whose channels are all equal, or a ``.npy`` of whole numbers.

    Raises:
        InputFileError: As for ``read_frame``; also JPEG and lossy WebP, whose
            compression invents labels, and colour pictures.
    """
    if path.suffix.lower() == ".npy":
        labels = read_npy(path)
    else:
        with opened(path) as (image, bits):
            labels = _ids(path, image, bits)
    if labels.dtype.kind == "b":
        labels = labels.astype(np.uint8)
    if labels.dtype.kind not in "iu" or labels.ndim != 2 or not labels.size:
        raise InputFileError(
            f"{path} must be a label map of whole numbers, of shape (H, W), "
            f"got {labels.dtype} of shape {labels.shape}."
        )
    return labels


def write_png(path: Path, pixels: NDArray[np.uint8] | NDArray[np.uint16]) -> None:
    """Write uint8 ``(H, W)`` or ``(H, W, 3)`` (RGB), or uint16 ``(H, W)``, as PNG,
    whole or not at all.

    Raises:
        OutputFileError: The file cannot be written.
    """
    from .pillow import Image

    _write(path, Image.fromarray(pixels))


def write_tiff(path: Path, plane: NDArray[np.float32]) -> None:
    """Write float32 ``(H, W)`` as TIFF, every bit of it; NaN stays NaN.

    Raises:
        OutputFileError: The file cannot be written.
    """
    from .pillow import Image

    buffer = io.BytesIO()
    Image.fromarray(plane).save(buffer, format="TIFF")
    write_file(path, buffer.getvalue())


def write_npy(path: Path, array: NDArray[Any]) -> None:
    """Write an array of any type as ``.npy``, whole or not at all.

    Raises:
        OutputFileError: The file cannot be written.
    """
    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=False)
    write_file(path, buffer.getvalue())


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
    from .pillow import Image

    palette = bytearray(768)  # all 256: with fewer the file has fewer bits a pixel
    palette[: 3 * len(colors)] = bytes(value for color in colors for value in color)
    image = Image.fromarray(labels)
    image.putpalette(bytes(palette))
    _write(path, image)


def _write(path: Path, image: Image) -> None:
    buffer = io.BytesIO()
    image.save(buffer, format="PNG", compress_level=1)
    write_file(path, buffer.getvalue())


def _color(path: Path, image: Image, bits: int, name: str) -> NDArray[Any]:
    if bits > 8 or image.mode.startswith(("I", "F")):
        raise InputFileError(
            f"{path} must be an 8-bit colour image, got {words(image, bits)}: "
            "convert it to 8 bits per channel, as the camera's driver would."
        )
    if image.mode in ("1", "L", "LA", "La"):
        raise InputFileError(
            f"{path} must be a colour image, got {words(image, bits)}: give the "
            "colour camera's own picture, or, if the camera is a gray one, say "
            f"--channels {name}=GRAY."
        )
    if image.mode == "P":
        image = image.convert("RGBA")
    if image.mode == "RGBA":
        if not _is_opaque(image):
            raise InputFileError(
                f"{path} has transparent pixels: if its fourth channel is another "
                f"sensor's picture (RGB-T), take only the colours, --plane {name}=RGB "
                "(and --plane OTHER=A for the other sensor)."
            )
        image = image.convert("RGB")
    if image.mode != "RGB":
        raise InputFileError(
            f"{path} must be an RGB image, got {words(image, bits)}: save it as RGB."
        )
    return np.array(image)


def _plane(path: Path, image: Image, bits: int, name: str) -> NDArray[Any]:
    _require_whole_bytes(path, image, bits)
    if image.mode == "L":
        return np.array(image)
    if image.mode.startswith("I;16"):
        return np.array(image).astype(np.uint16)
    if (image.mode, image.format, bits) == ("I", "PNG", 16):  # older Pillow
        return np.array(image).astype(np.uint16)
    if image.mode == "F" and bits == 32:
        return np.array(image)
    equal = _equal_channels(image, bits)
    if equal is not None:
        return equal
    way = "give the sensor's own file, as it was stored"
    if len(image.getbands()) > 1 and bits <= 8:
        last = image.getbands()[-1]
        way += f", or say which channel it is, as in --plane {name}={last}"
    raise InputFileError(
        f"{path} must hold one plane of uint8, uint16 or float32 values, "
        f"got {words(image, bits)}: {way}."
    )


def _gray(path: Path, image: Image, bits: int, name: str) -> NDArray[Any]:
    plane = _plane(path, image, bits, name)
    if plane.dtype != np.uint8:
        raise InputFileError(
            f"{path} must be an 8-bit grayscale image, got {words(image, bits)}: "
            "convert it to 8 bits, as the camera's driver would."
        )
    return plane


def _channels(path: Path, image: Image, bits: int, wanted: str) -> NDArray[Any]:
    if bits > 8:
        raise InputFileError(
            f"{path} must have 8 bits per channel to take {wanted} of it, got "
            f"{words(image, bits)}: save that channel as a separate image."
        )
    if image.mode == "P":
        image = image.convert("RGBA")
    bands = image.getbands()
    lacking = [band for band in wanted if band not in bands]
    if lacking:
        raise InputFileError(
            f"{path} has no channel {lacking[0]}: it has {', '.join(bands)}."
        )
    taken = [np.array(image.getchannel(band)) for band in wanted]
    return taken[0] if len(taken) == 1 else np.dstack(taken)


def _ids(path: Path, image: Image, bits: int) -> NDArray[Any]:
    lossy = image.format == "JPEG" or (image.format == "WEBP" and not _lossless(path))
    if lossy:
        raise InputFileError(
            f"{path} is a lossy {image.format}, whose compression changes labels: "
            "give label maps as PNG."
        )
    if image.mode == "1":
        return np.array(image).astype(np.uint8)
    if image.mode == "L" and bits in (2, 4):
        scale = 255 // (2**bits - 1)  # by which Pillow multiplied them
        return np.asarray(np.array(image) // np.uint8(scale))
    _require_whole_bytes(path, image, bits)
    if image.mode in ("L", "P", "I") or image.mode.startswith("I;16"):
        return np.array(image)
    equal = _equal_channels(image, bits)
    if equal is None:
        raise InputFileError(
            f"{path} must be a label map with one channel, got {words(image, bits)}: "
            "give the file that holds the ids of the classes, not their colours."
        )
    return equal


def _equal_channels(image: Image, bits: int) -> NDArray[np.uint8] | None:
    """The plane that an opaque image of equal channels holds; None if it is none."""
    if bits > 8 or image.mode not in ("LA", "P", "RGB", "RGBA"):
        return None
    image = image.convert("RGBA")
    if not _is_opaque(image):
        return None
    red, green, blue, _ = (np.array(band) for band in image.split())
    same = np.array_equal(red, green) and np.array_equal(red, blue)
    return red if same else None


def _is_opaque(image: Image) -> bool:
    return bool(image.getchannel("A").getextrema() == (255, 255))


def _lossless(path: Path) -> bool:
    data, at = path.read_bytes(), 12  # after RIFF, size, WEBP
    while at < len(data):
        if data[at : at + 4] == b"VP8 ":
            return False
        size = int.from_bytes(data[at + 4 : at + 8], "little")
        at += 8 + size + size % 2
    return True


def _require_whole_bytes(path: Path, image: Image, bits: int) -> None:
    # Pillow scales 2- and 4-bit gray to 0..255: the numbers would not be the file's.
    if image.mode in ("1", "L") and bits < 8:
        raise InputFileError(
            f"{path} has {bits} bits per pixel, which readers scale "
            "differently: save it with 8 or 16 bits."
        )

"""What is wrong with a frame, and what to do about it, in Python and on the command
line. Every advice is run by a test: what it makes labels like the frame it stands for.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any, NamedTuple, NoReturn

import numpy as np

from ._device import Borrowed, borrow
from .errors import (
    ArgumentError,
    DTypeError,
    Fault,
    FusegError,
    LayoutError,
    ShapeError,
)
from .manifest import Input
from .manifest.units import parse_unit
from .ops.pack_color import CHANNELS

__all__ = ["refuse", "refuse_channels", "refuse_mask"]

_BASE = {"length": "m", "temperature in kelvin": "K", "temperature in Celsius": "C"}
_COUNTS = "1"
# Of the words that cv_bridge and others have for the same.
_OTHER_WORDS = {"MONO": "GRAY", "GREY": "GRAY", "L": "GRAY", "8UC1": "GRAY"}

Units = Mapping[np.dtype[Any], str]


class Advice(NamedTuple):
    """What to do, in Python and on the command line."""

    python: str
    command_line: str


_NONE = Advice("", "")
_ANOTHER = Advice(*["Is it the frame of another sensor?"] * 2)


def refuse(spec: Input, array: Any, *, channels: str, units: Units) -> NoReturn:
    """Raise what is wrong with a frame that the kernels do not take.

    Args:
        channels: Of a colour camera, as told.
        units: The element types that are taken, and the unit of each; of colour "".

    Raises:
        DTypeError, ShapeError, LayoutError: always one of them.
    """
    name = spec.name
    try:
        array = borrow(name, array)
    except DTypeError as err:
        raise DTypeError(f"{err}{_how_to_make_an_array(name, array)}") from None
    shape = _shape(spec, array, channels)
    wanted = " or ".join(map(str, units))
    typed, shaped = array.dtype in units, _fits(array.shape, shape)
    spelled = "(" + ", ".join(map(str, shape)) + ")"
    kind: type[FusegError] = ShapeError
    if array.size == 0 and array.ndim == len(shape):
        problem = f"must not be empty, got shape {array.shape}."
        advice = Advice(
            f"If the camera gave nothing, give {name}=None.",
            "It holds no pixel.",
        )
    elif typed and not shaped:
        problem = f"must have shape {spelled}, got {array.shape}."
        advice = _how_to_reshape(spec, array, channels)
    elif typed:
        kind = LayoutError
        problem = (
            "must have the pixels of a row side by side, got strides "
            f"{array.strides} for shape {array.shape}."
        )
        advice = Advice(f"Copy it once: np.ascontiguousarray({name}).", "")
        if isinstance(array, Borrowed):
            advice = Advice("Copy it where it is.", "")
    elif shaped:
        kind = DTypeError
        problem = f"must be {wanted}, got {array.dtype}."
        advice = _how_to_convert(spec, array, units)
    else:
        kind = DTypeError
        problem = (
            f"must be {wanted} of shape {spelled}, got {array.dtype} of shape "
            f"{array.shape}."
        )
        advice = _what_it_may_be(spec, array, units)
    raise kind.of(Fault("frame", name, problem, *advice))


def refuse_mask(spec: Input) -> NoReturn:
    """Raise that a frame hides pixels and has no value to say so."""
    name = spec.name
    problem = "must be a plain array, got a masked one that hides pixels."
    if spec.kind == "color":
        how = f"Colour has no value for that; if they may be black: {name}.filled(0)."
    else:
        how = (
            "The bundle has no raw value for no reading; NaN is one: "
            f"{name}.astype(np.float32).filled(np.nan), loaded with "
            f"units={{{name!r}: {spec.unit!r}}}."
        )
    raise DTypeError.of(Fault("frame", name, problem, how))


def refuse_channels(name: str, order: Any) -> NoReturn:
    """Raise that a word is no channel order, with the one that is meant."""
    listed = ", ".join(map(repr, CHANNELS))
    problem = f"must be one of {listed}, got {order!r}."
    meant = str(order).upper()
    meant = _OTHER_WORDS.get(meant, meant.removesuffix("8"))
    meant = _OTHER_WORDS.get(meant, meant)
    advice = _NONE
    if meant in CHANNELS:
        advice = Advice(f"Say {meant!r}.", f"Say --channels {name}={meant}.")
    elif meant.startswith(("YUV", "NV", "YUY", "UYVY", "BAYER", "I420")):
        advice = Advice(
            "Convert such frames first: cv2.cvtColor has a code for each.",
            "Convert such pictures to RGB first.",
        )
    raise ArgumentError.of(Fault("channels", name, problem, *advice))


def _shape(spec: Input, array: Any, channels: str) -> tuple[str | int, ...]:
    if spec.kind != "color":
        return ("H", "W")
    count = CHANNELS[channels]
    return ("H", "W", count) if count > 1 or array.ndim == 3 else ("H", "W")


def _fits(found: tuple[int, ...], wanted: tuple[str | int, ...]) -> bool:
    return len(found) == len(wanted) and all(
        isinstance(want, str) or want == got
        for want, got in zip(wanted, found, strict=True)
    )


def _how_to_make_an_array(name: str, given: Any) -> str:
    if given is None:
        return f" If there is no frame, give {name}=None itself."
    if isinstance(given, (str, os.PathLike)):
        return " Read the file first."
    if isinstance(given, (list, tuple)) or hasattr(given, "__array__"):
        return f" Convert it: np.asarray({name})."
    return ""


def _how_to_convert(spec: Input, array: Any, units: Units) -> Advice:
    if isinstance(array, Borrowed):
        return Advice("Convert it where it is.", "")
    name, found = spec.name, array.dtype
    if not found.isnative and found.newbyteorder("=") in units:
        plain = found.newbyteorder("=")
        return Advice(
            f"Its bytes are swapped: {name}.astype(np.{plain}).",
            "Save it in this machine's byte order.",
        )
    if spec.kind == "color":
        return _color_advice(name, found)
    return _plane_advice(spec, found, units)


def _color_advice(name: str, found: np.dtype[Any]) -> Advice:
    if found.kind == "f":
        return Advice(
            f"If it is 0 to 1: np.rint({name} * 255).clip(0, 255).astype(np.uint8). If "
            f"it is 0 to 255: np.rint({name}).clip(0, 255).astype(np.uint8).",
            "Save it with 8 bits per channel, 0 to 255.",
        )
    if found.kind == "u" and found.itemsize == 2:
        return Advice(
            f"If all 16 bits are used: ({name} >> 8).astype(np.uint8). Of a 12-bit "
            f"camera: ({name} >> 4).astype(np.uint8).",
            "Save it with 8 bits per channel, the high ones.",
        )
    if found == np.int8:
        return Advice(
            f"If these are bytes read as signed: {name}.view(np.uint8).",
            "Save it as uint8.",
        )
    if found.kind in "iu":
        return Advice(
            f"If its values are 0 to 255: {name}.astype(np.uint8).",
            "Save it as uint8, if its values are 0 to 255.",
        )
    return _NONE


def _plane_advice(spec: Input, found: np.dtype[Any], units: Units) -> Advice:
    name = spec.name
    if found == np.uint8:
        lost = "An 8-bit image has lost the sensor's values:"
        return Advice(
            f"{lost} take the raw frame, from a file with cv2.imread(path, "
            "cv2.IMREAD_UNCHANGED).",
            f"{lost} give the one that the sensor's driver stored.",
        )
    if found.kind == "f":
        cast = f"{name}.astype(np.float32)"
        if np.dtype(np.float32) in units:
            return Advice(f"Convert it: {cast}.", "Save it as float32.")
        base = _BASE.get(parse_unit(str(spec.unit))[0], _COUNTS)
        if found == np.float32:
            return _say_the_unit(name, base)
        said, option = _say_the_unit(name, base)
        return Advice(
            f"Convert it: {cast}. {said}",
            f"Save it as float32. {option}",
        )
    if spec.dtype == "uint8":
        said = "How its 16 bits became the 8 that the network knows is not known here."
        return Advice(said, said)
    if found == np.uint16:
        unit = _usual_unit(spec)
        each = {"uint16": unit} | {str(dtype): of for dtype, of in units.items()}
        return Advice(
            "Say the unit of each type when loading, such as "
            f"units={{{name!r}: {each}}}.",
            f"Say the unit of these files, such as --unit {name}={unit}.",
        )
    if found.kind in "iu":
        return _integer_advice(spec)
    return _NONE


def _usual_unit(spec: Input) -> str:
    """Of 16-bit frames."""
    length = parse_unit(str(spec.unit))[0] == "length"
    return "mm" if length and spec.dtype == "float32" else str(spec.unit)


def _say_the_unit(name: str, unit: str) -> Advice:
    return Advice(
        f"Say its unit when loading, such as units={{{name!r}: {unit!r}}}.",
        f"Say its unit, such as --unit {name}={unit}.",
    )


def _integer_advice(spec: Input) -> Advice:
    """Of integers that may be below 0 or above 65535: those become no reading."""
    name = spec.name
    converted = f"np.clip({name}, 0, 65535).astype(np.uint16)"
    if spec.dtype == "uint16" and spec.invalid and not {0, 65535} <= {*spec.invalid}:
        none = spec.invalid[0]
        converted = (
            f"np.where(({name} >= 0) & ({name} <= 65535), {name}, {none})"
            ".astype(np.uint16)"
        )
    python, command = f"Convert it: {converted}.", "Save it as uint16."
    if spec.dtype == "float32":
        said, option = _say_the_unit(name, _usual_unit(spec))
        return Advice(f"{python} {said}", f"{command} {option}")
    return Advice(python, command)


def _what_it_may_be(spec: Input, array: Any, units: Units) -> Advice:
    """Of a frame with another type and another shape."""
    if spec.kind != "color":
        if array.dtype == np.uint8:
            return _plane_advice(spec, array.dtype, units)
        return _ANOTHER
    if array.dtype.kind == "f" and array.ndim in (3, 4) and 3 in array.shape[:2]:
        said = "Give the camera's own frame: the bundle says how it becomes a tensor."
        return Advice(said, said)
    return _ANOTHER


def _how_to_reshape(spec: Input, array: Any, channels: str) -> Advice:
    name = spec.name
    if array.ndim == (4 if spec.kind == "color" else 3) and array.shape[0] == 1:
        return Advice(f"One frame at a time: {name}[0].", "Save one frame per file.")
    if spec.kind == "color":
        return _color_shape_advice(name, array, channels)
    if array.ndim != 3:
        return _NONE
    if array.shape[2] == 1:
        return Advice(
            f"Drop the last axis: {name}[..., 0].", "Save it without the last axis."
        )
    if not isinstance(array, Borrowed) and (array == array[..., :1]).all():
        return Advice(
            f"Its planes are equal; take one: np.ascontiguousarray({name}[..., 0]).",
            "Its planes are equal: save one of them.",
        )
    return _NONE


def _color_shape_advice(name: str, array: Any, channels: str) -> Advice:
    shape, yuv = array.shape, f"cv2.cvtColor({name}, cv2.COLOR_YUV2{channels}"

    def told(orders: list[str], why: str = "Say") -> Advice:
        others = "".join(f", or {order!r}" for order in orders[1:])
        options = " or ".join(f"--channels {name}={order}" for order in orders)
        return Advice(
            f"{why} so when loading: channels={{{name!r}: {orders[0]!r}}}{others}.",
            f"{why} so: {options}.",
        )

    if len(shape) == 3 and shape[0] in (3, 4) and shape[2] not in (1, 2, 3, 4):
        return Advice(
            f"Copy it: np.ascontiguousarray({name}.transpose(1, 2, 0)).",
            "Save it with the channels last.",
        )
    count = 1 if len(shape) == 2 else shape[2] if len(shape) == 3 else 0
    if count == 2:
        return Advice(
            f"If it is YUYV: {yuv}_YUYV). If it is UYVY: {yuv}_UYVY).",
            "If it is YUYV or UYVY, convert it to RGB before saving it.",
        )
    if count > 2:
        orders = [order for order, many in CHANNELS.items() if many == count]
        if channels.startswith("BGR"):
            orders.reverse()
        return told(orders) if orders else _NONE
    if count == 0:
        return _NONE
    python, command = told(["GRAY"], "If it is gray, say")
    if len(shape) == 2:
        if shape[0] % 3 == 0 and shape[1] % 2 == 0:
            python += f" If it is NV12, with H * 3 / 2 rows: {yuv}_NV12)."
        python += (
            f" If it is raw Bayer: cv2.cvtColor({name}, "
            f"cv2.COLOR_BayerRGGB2{channels}), or the code of its pattern."
        )
        command += " If it is NV12 or raw Bayer, convert it to RGB before saving it."
    return Advice(python, command)

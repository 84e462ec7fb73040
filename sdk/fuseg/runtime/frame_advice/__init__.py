"""What is wrong with a frame, and what to do about it, in Python and on the command
line. Every advice is run by a test: what it makes labels like the frame it stands for.
"""

from __future__ import annotations

import os
from typing import Any, NoReturn

import numpy as np

from ...cuda.array_view import CudaArrayView, as_view
from ...errors import DTypeError, Fault, FusegError, LayoutError, ShapeError
from ...manifest import Input
from ...ops.pack_color import CHANNELS
from . import color, depth
from .advice import ANOTHER_SENSOR, NONE, Advice
from .color import refuse_channels
from .depth import Units

__all__ = ["refuse", "refuse_channels", "refuse_mask"]


def refuse(spec: Input, array: Any, *, channels: str, units: Units) -> NoReturn:
    """Raise what is wrong with a frame that the kernels do not take.

    Args:
        channels: Of a colour camera, as given to `load`.
        units: The element types that are taken, and the unit of each; of colour "".

    Raises:
        DTypeError, ShapeError, LayoutError: always one of them.
    """
    name = spec.name
    try:
        array = as_view(name, array)
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
        if isinstance(array, CudaArrayView):
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
        fix = f"Colour has no value for that; if they may be black: {name}.filled(0)."
    else:
        fix = (
            "The bundle has no raw value for no reading; NaN is one: "
            f"{name}.astype(np.float32).filled(np.nan), loaded with "
            f"units={{{name!r}: {spec.unit!r}}}."
        )
    raise DTypeError.of(Fault("frame", name, problem, fix))


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
    if isinstance(array, CudaArrayView):
        return Advice("Convert it where it is.", "")
    name, found = spec.name, array.dtype
    if not found.isnative and found.newbyteorder("=") in units:
        plain = found.newbyteorder("=")
        return Advice(
            f"Its bytes are swapped: {name}.astype(np.{plain}).",
            "Save it in this machine's byte order.",
        )
    if spec.kind == "color":
        return color.how_to_convert(name, found)
    return depth.how_to_convert(spec, found, units)


def _what_it_may_be(spec: Input, array: Any, units: Units) -> Advice:
    """Of a frame with another type and another shape."""
    if spec.kind != "color":
        if array.dtype == np.uint8:
            return depth.how_to_convert(spec, array.dtype, units)
        return ANOTHER_SENSOR
    if array.dtype.kind == "f" and array.ndim in (3, 4) and 3 in array.shape[:2]:
        said = "Give the camera's own frame: the bundle says how it becomes a tensor."
        return Advice(said, said)
    return ANOTHER_SENSOR


def _how_to_reshape(spec: Input, array: Any, channels: str) -> Advice:
    name = spec.name
    if array.ndim == (4 if spec.kind == "color" else 3) and array.shape[0] == 1:
        return Advice(f"One frame at a time: {name}[0].", "Save one frame per file.")
    if spec.kind == "color":
        return color.how_to_reshape(name, array, channels)
    if array.ndim != 3:
        return NONE
    if array.shape[2] == 1:
        return Advice(
            f"Drop the last axis: {name}[..., 0].", "Save it without the last axis."
        )
    if not isinstance(array, CudaArrayView) and (array == array[..., :1]).all():
        return Advice(
            f"Its planes are equal; take one: np.ascontiguousarray({name}[..., 0]).",
            "Its planes are equal: save one of them.",
        )
    return NONE

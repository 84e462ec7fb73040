"""What is wrong with a frame, and what to do about it, in Python and on the command
line. Every advice is run by a test: what it makes labels like the frame it stands for.
"""

from __future__ import annotations

import os
from typing import Any, NoReturn

from ...cuda.array_view import CudaArrayView, as_view
from ...errors import DTypeError, Fault, FusegError, LayoutError, ShapeError
from .advice import Advice, KindAdvice
from .audio import AudioAdvice
from .color import ColorAdvice, refuse_channels
from .depth import DepthAdvice
from .plane import PlaneAdvice

__all__ = [
    "AudioAdvice",
    "ColorAdvice",
    "DepthAdvice",
    "KindAdvice",
    "PlaneAdvice",
    "fits",
    "refuse",
    "refuse_channels",
    "refuse_mask",
]


def refuse(of: KindAdvice, array: Any) -> NoReturn:
    """Raise what is wrong with a frame that the kernels do not take.

    Raises:
        DTypeError, ShapeError, LayoutError: always one of them.
    """
    name = of.name
    try:
        array = as_view(name, array)
    except DTypeError as err:
        raise DTypeError(f"{err}{_how_to_make_an_array(name, array)}") from None
    shape = of.shape(array)
    wanted = " or ".join(map(str, of.dtypes))
    typed, shaped = array.dtype in of.dtypes, fits(array, shape)
    spelled = "(" + ", ".join(map(str, shape)) + ("," if len(shape) == 1 else "") + ")"
    kind: type[FusegError] = ShapeError
    if array.size == 0 and array.ndim == len(shape):
        problem = f"must not be empty, got shape {array.shape}."
        advice = Advice(
            f"If the camera gave nothing, give {name}=None.",
            "It holds no pixel.",
        )
    elif typed and not shaped:
        problem = f"must have shape {spelled}, got {array.shape}."
        advice = _how_to_reshape(of, array, len(shape))
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
        advice = _how_to_convert(of, array)
    else:
        kind = DTypeError
        problem = (
            f"must be {wanted} of shape {spelled}, got {array.dtype} of shape "
            f"{array.shape}."
        )
        advice = of.what_it_may_be(array)
    raise kind.of(Fault("frame", name, problem, *advice))


def refuse_mask(of: KindAdvice) -> NoReturn:
    """Raise that a frame hides pixels and has no value to say so."""
    problem = "must be a plain array, got a masked one that hides pixels."
    raise DTypeError.of(Fault("frame", of.name, problem, of.no_value_for_masked))


def fits(array: Any, wanted: tuple[str | int, ...]) -> bool:
    """Whether an array has this shape; a letter is an axis of any size but 0."""
    found = array.shape
    return len(found) == len(wanted) and all(
        want == got or (isinstance(want, str) and got > 0)
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


def _how_to_convert(of: KindAdvice, array: Any) -> Advice:
    if isinstance(array, CudaArrayView):
        return Advice("Convert it where it is.", "")
    found = array.dtype
    if not found.isnative and found.newbyteorder("=") in of.dtypes:
        plain = found.newbyteorder("=")
        return Advice(
            f"Its bytes are swapped: {of.name}.astype(np.{plain}).",
            "Save it in this machine's byte order.",
        )
    return of.how_to_convert(found)


def _how_to_reshape(of: KindAdvice, array: Any, axes: int) -> Advice:
    if array.ndim == axes + 1 and array.shape[0] == 1:
        return Advice(f"One frame at a time: {of.name}[0].", "Save one frame per file.")
    return of.how_to_reshape(array)

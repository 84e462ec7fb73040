"""Colour frames of other element types, shapes and orders."""

from __future__ import annotations

from typing import Any, NoReturn

import numpy as np

from ...errors import ArgumentError, Fault
from ...ops.pack_color import CHANNELS
from .advice import ANOTHER_SENSOR, NONE, Advice

__all__ = ["ColorAdvice", "refuse_channels"]

# Of the words that cv_bridge and others have for the same.
_OTHER_WORDS = {"MONO": "GRAY", "GREY": "GRAY", "L": "GRAY", "8UC1": "GRAY"}


def refuse_channels(name: str, order: Any) -> NoReturn:
    """Raise that a word is no channel order, with the one that is meant."""
    listed = ", ".join(map(repr, CHANNELS))
    problem = f"must be one of {listed}, got {order!r}."
    meant = str(order).upper()
    meant = _OTHER_WORDS.get(meant, meant.removesuffix("8"))
    meant = _OTHER_WORDS.get(meant, meant)
    advice = NONE
    if meant in CHANNELS:
        advice = Advice(f"Say {meant!r}.", f"Say --channels {name}={meant}.")
    elif meant.startswith(("YUV", "NV", "YUY", "UYVY", "BAYER", "I420")):
        advice = Advice(
            "Convert such frames first: cv2.cvtColor has a code for each.",
            "Convert such pictures to RGB first.",
        )
    raise ArgumentError.of(Fault("channels", name, problem, *advice))


class ColorAdvice:
    """See `KindAdvice`.

    Args:
        channels: Of the camera, as given to `load`.
    """

    dtypes = (np.dtype(np.uint8),)

    def __init__(self, name: str, channels: str) -> None:
        self.name, self._channels = name, channels

    @property
    def no_value_for_masked(self) -> str:
        return (
            "Colour has no value for that; if they may be black: "
            f"{self.name}.filled(0)."
        )

    def shape(self, array: Any) -> tuple[str | int, ...]:
        count = CHANNELS[self._channels]
        return ("H", "W", count) if count > 1 or array.ndim == 3 else ("H", "W")

    def how_to_convert(self, found: np.dtype[Any]) -> Advice:
        return _how_to_convert(self.name, found)

    def how_to_reshape(self, array: Any) -> Advice:
        return _how_to_reshape(self.name, array, self._channels)

    def what_it_may_be(self, array: Any) -> Advice:
        if array.dtype.kind == "f" and array.ndim in (3, 4) and 3 in array.shape[:2]:
            said = (
                "Give the camera's own frame: the bundle says how it becomes a tensor."
            )
            return Advice(said, said)
        return ANOTHER_SENSOR


def _how_to_convert(name: str, found: np.dtype[Any]) -> Advice:
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
    return NONE


def _how_to_reshape(name: str, array: Any, channels: str) -> Advice:
    shape, yuv = array.shape, f"cv2.cvtColor({name}, cv2.COLOR_YUV2{channels}"

    def advice(orders: list[str], why: str = "Say") -> Advice:
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
        return advice(orders) if orders else NONE
    if count == 0:
        return NONE
    python, command = advice(["GRAY"], "If it is gray, say")
    if len(shape) == 2:
        if shape[0] % 3 == 0 and shape[1] % 2 == 0:
            python += f" If it is NV12, with H * 3 / 2 rows: {yuv}_NV12)."
        python += (
            f" If it is raw Bayer: cv2.cvtColor({name}, "
            f"cv2.COLOR_BayerRGGB2{channels}), or the code of its pattern."
        )
        command += " If it is NV12 or raw Bayer, convert it to RGB before saving it."
    return Advice(python, command)

"""The manifest's inputs: sensors, and how their frames become tensors."""

from __future__ import annotations

import keyword
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from ..errors import ArgumentError, ManifestError
from .schema import SIDE, Record, require, require_tensor_shape, spell
from .statistics import Statistics
from .units import parse_unit

__all__ = ["Input", "InputTensor", "Missing", "Resize"]

_RESERVED = ("out", "size", "confidence", "stamp_ns", "self")
_QUANTITIES = {
    "depth": ("length", "raw counts"),
    "range": ("length", "raw counts"),
    "thermal": ("temperature in kelvin", "temperature in Celsius", "raw counts"),
}
_LARGEST_RAW = {"uint8": 255, "uint16": 65535}


@dataclass(frozen=True)
class Resize(Record):
    """How a camera's frame becomes the network's size.

    Attributes:
        height: Rows of the network's input.
        width: Columns of the network's input.
        filter: ``bilinear`` (half-pixel centres, no antialiasing: PyTorch, OpenCV),
            ``bilinear-antialias`` (PIL; colour only), ``nearest`` (floor) or
            ``nearest-exact`` (half-pixel centres). ``bilinear`` blends only the
            readings among its four pixels.
        fit: ``stretch``, or ``letterbox``, which keeps the aspect ratio and centres the
            picture; the rest of the tensor is the input's ``fill``, and labels are
            given for the picture alone. The same for all inputs.
    """

    height: int = field(metadata=SIDE)
    width: int = field(metadata=SIDE)
    filter: Literal["bilinear", "bilinear-antialias", "nearest", "nearest-exact"]
    fit: Literal["stretch", "letterbox"] = "stretch"


@dataclass(frozen=True)
class InputTensor(Record):
    """The network's input tensor that a sensor fills.

    Several sensors may share a tensor, each with its own channels.

    Attributes:
        name: The tensor's name in the ONNX.
        dtype: Its type in the ONNX; every variant has the same.
        shape: ``[1, channels, height, width]``; height and width are those of
            ``resize``.
        channel: The first channel that the sensor fills.
    """

    name: str
    dtype: Literal["float32"] = field(default="float32", kw_only=True)
    shape: tuple[int, int, int, int]
    channel: int = 0

    def _check(self) -> None:
        require_tensor_shape(self.shape)
        require(
            0 <= self.channel < self.shape[1],
            f"channel must be 0 to {self.shape[1] - 1}, got {self.channel}.",
        )


@dataclass(frozen=True)
class Missing(Record):
    """What happens without a usable frame, and how old a usable frame may be.

    Attributes:
        policy: ``refuse`` raises, ``substitute`` gives the network ``fill``, and
            ``hold`` reuses the last good frame while it is within the limits.
        max_age_ms: A frame taken longer before the result's stamp is late; exactly at
            the limit it is usable. ``null`` is no limit.
        max_ahead_ms: A frame taken longer after the result's stamp is early; ``null``
            is no limit.
        then: The policy once no held frame is within the limits; with ``hold`` only,
            and required there.
    """

    policy: Literal["refuse", "substitute", "hold"]
    # Two periods of a 5 Hz sensor, with room: the slowest that are fused. What is
    # older comes from a driver that hangs, or from a clock of its own.
    max_age_ms: float | None = 500.0
    # One period of a 10 Hz sensor: as far as the frame nearest to a stamp can lie
    # after it.
    max_ahead_ms: float | None = field(default=100.0, kw_only=True)
    then: Literal["refuse", "substitute"] | None = None

    @property
    def words(self) -> str:
        """As in "hold, then substitute; late after 200 ms, early by 100 ms"."""
        then = f", then {self.then}" if self.then else ""
        age, ahead = self.max_age_ms, self.max_ahead_ms
        late = "never late" if age is None else f"late after {age:g} ms"
        early = "never early" if ahead is None else f"early by {ahead:g} ms"
        return f"{self.policy}{then}; {late}, {early}"

    def changed(self, changes: Mapping[str, Any]) -> Missing:
        """The same with some keys of the manifest changed; ``then`` goes with ``hold``.

        Raises:
            ManifestError: the result breaks the schema; the sentence begins with the
                key.
        """
        keys = asdict(self)
        if changes.get("policy", "hold") != "hold":
            del keys["then"]
        return Missing.from_json({**keys, **changes})

    def without_hold(self) -> Missing:
        """The same limits, with ``then`` in the place of ``hold``."""
        return self if self.then is None else self.changed({"policy": self.then})

    def _check(self) -> None:
        if self.policy == "hold":
            require(
                self.max_age_ms is not None and self.max_age_ms > 0,
                "max_age_ms must be above 0 to hold a frame, got "
                f"{spell(self.max_age_ms)}.",
            )
            require(
                self.then is not None,
                "then is missing: it must be 'refuse' or 'substitute', for when no "
                "held frame is within the limits.",
            )
        require(
            self.policy == "hold" or self.then is None,
            f"then must be absent unless the policy is 'hold', got policy "
            f"{self.policy!r}.",
        )
        for key in ("max_age_ms", "max_ahead_ms"):
            limit = getattr(self, key)
            require(
                limit is None or limit >= 0,
                f"{key} must not be negative, got {limit}: null is no limit.",
            )


@dataclass(frozen=True)
class Input(Record):
    """One sensor, and how its frames become channels of a tensor.

    Colour is ``(H, W, 3)``, every other kind one plane ``(H, W)``. In this order:
    unit, invalid mask, resize, normalise, fill. The tensor's value is
    ``(v * scale - mean[c]) / std[c]``, where ``v`` is the resized frame's value.

    Attributes:
        name: The name by which frames are given; a Python name.
        kind: What the sensor measures.
        dtype: Of the camera's frames; ``uint8`` for colour.
        resize: How frames become the network's size.
        scale: Multiplies the raw value; not 0.
        mean: Subtracted after scaling; one for each channel that the sensor fills.
        std: Divides the result; above 0, one for each channel that the sensor fills.
        fill: The tensor's value, after all arithmetic, where there is no reading,
            around a letterboxed picture, and of a substituted frame.
        tensor: The channels that the sensor fills: 3 for colour, else 1.
        missing: What happens without a usable frame.
        channels: The order of the camera's channels and of the network's; for colour
            only, and required there.
        unit: One step of the raw values: ``m``, ``cm``, ``mm``, ``um``, ``K`` or ``C``,
            with a factor in front if needed (``0.1mm``), or ``1`` for raw counts;
            required but for colour.
        invalid: Raw values that are no reading. NaN, infinity, and what overflows
            float32 in the tensor never are a reading.
        statistics: What the frames looked like that the bundle was made with; live
            frames are compared with it.
    """

    name: str
    kind: Literal["color", "depth", "thermal", "range"] = field(
        metadata={"later": ("text", "video", "audio")}
    )
    dtype: Literal["uint8", "uint16", "float32"]
    resize: Resize
    scale: float
    mean: tuple[float, ...]
    std: tuple[float, ...]
    fill: float
    tensor: InputTensor
    missing: Missing
    channels: Literal["RGB", "BGR"] | None = None
    unit: str | None = None
    invalid: tuple[int | float, ...] = ()
    statistics: Statistics | None = None

    @property
    def planes(self) -> int:
        """Number of the tensor's planes this sensor fills: 3 for colour, else 1."""
        return 3 if self.kind == "color" else 1

    def _check(self) -> None:
        name = self.name
        require(
            name.isascii() and name.isidentifier() and not keyword.iskeyword(name),
            f"name must be a Python name, as frames are given by it, got {name!r}.",
        )
        require(
            name not in _RESERVED,
            f"name must not be {name!r}: that is an option of the call with frames.",
        )
        if self.kind == "color":
            self._check_color()
        else:
            self._check_plane()
        self._check_numbers()
        self._check_tensor()
        if self.statistics is not None:
            count = len(self.statistics.p1)
            require(
                count == self.planes,
                f"statistics.p1 must be a list of {self.planes} for kind "
                f"{self.kind!r}, got a list of {count}.",
            )

    def _check_color(self) -> None:
        require(self.dtype == "uint8", f"dtype must be 'uint8', got {self.dtype!r}.")
        require(self.channels is not None, "channels is missing: 'RGB' or 'BGR'.")
        require(self.unit is None, "unit must be absent: colour has none.")
        require(not self.invalid, "invalid must be absent: colour has no such value.")

    def _check_plane(self) -> None:
        kind = self.kind
        require(self.channels is None, f"channels must be absent for kind {kind!r}.")
        require(self.unit is not None, f"unit is missing: kind {kind!r} needs one.")
        try:
            quantity, _ = parse_unit(self.unit or "")
        except ArgumentError as err:
            raise ManifestError(str(err)) from None
        require(
            quantity in _QUANTITIES[kind],
            f"unit must fit kind {kind!r}, got {self.unit!r}, which measures "
            f"{quantity}.",
        )
        require(
            self.resize.filter != "bilinear-antialias",
            f"resize.filter must be 'nearest', 'nearest-exact' or 'bilinear' for kind "
            f"{kind!r}, got 'bilinear-antialias', which is for colour.",
        )
        top = _LARGEST_RAW.get(self.dtype)
        for index, value in enumerate(self.invalid):
            require(
                top is None or (isinstance(value, int) and 0 <= value <= top),
                f"invalid[{index}] must be a whole number from 0 to {top}, as the "
                f"frames are {self.dtype}, got {value}.",
            )

    def _check_numbers(self) -> None:
        require(self.scale != 0, "scale must not be 0.")
        for key in ("mean", "std"):
            count = len(getattr(self, key))
            require(
                count == self.planes,
                f"{key} must be a list of {self.planes} for kind {self.kind!r}, got a "
                f"list of {count}.",
            )
        for index, value in enumerate(self.std):
            require(value > 0, f"std[{index}] must be above 0, got {value}.")

    def _check_tensor(self) -> None:
        _, channels, height, width = self.tensor.shape
        require(
            (height, width) == (self.resize.height, self.resize.width),
            f"tensor.shape must end in the resized {self.resize.height}, "
            f"{self.resize.width}, got {height}, {width}.",
        )
        require(
            self.tensor.channel + self.planes <= channels,
            f"tensor.channel must leave room for {self.planes} planes in {channels}, "
            f"got {self.tensor.channel}.",
        )

"""The manifest's inputs: sensors, and how their frames become tensors."""

from __future__ import annotations

import keyword
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, ClassVar, Literal, Union

from ..errors import ArgumentError, ManifestError
from .schema import SIDE, Record, require, spell, within
from .statistics import Statistics
from .units import parse_unit

__all__ = [
    "ColorInput",
    "Input",
    "Missing",
    "PlaneInput",
    "Resize",
    "input_shapes",
]

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
class Missing(Record):
    """What happens without a usable frame, and how old a usable frame may be.

    Attributes:
        policy: ``refuse`` raises, ``substitute`` gives the network ``fill``,
            ``sibling`` runs the graphs that do without the input, and ``hold`` reuses
            the last good frame while it is within the limits.
        max_age_ms: A frame taken longer before the result's stamp is late; exactly at
            the limit it is usable. ``null`` is no limit.
        max_ahead_ms: A frame taken longer after the result's stamp is early; ``null``
            is no limit.
        then: The policy once no held frame is within the limits; with ``hold`` only,
            and required there.
    """

    policy: Literal["refuse", "substitute", "hold", "sibling"]
    # Two periods of a 5 Hz sensor, with room: the slowest that are fused. What is
    # older comes from a driver that hangs, or from a clock of its own.
    max_age_ms: float | None = 500.0
    # One period of a 10 Hz sensor: as far as the frame nearest to a stamp can lie
    # after it.
    max_ahead_ms: float | None = field(default=100.0, kw_only=True)
    then: Literal["refuse", "substitute", "sibling"] | None = None

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
                "then is missing: it must be 'refuse', 'substitute' or 'sibling', for "
                "when no held frame is within the limits.",
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


@dataclass(frozen=True, kw_only=True)
class FrameInput(Record):
    """What every sensor whose frames are pictures has.

    Attributes:
        name: The name by which frames are given; a Python name.
        kind: What the sensor measures.
        tensor: The name of the tensor that it fills, alone or with other sensors.
        channel: The first channel of the tensor that it fills.
        dtype: Of the camera's frames.
        resize: How frames become the network's size.
        scale: Multiplies the raw value; not 0.
        mean: Subtracted after scaling; one for each channel that it fills.
        std: Divides the result; above 0, one for each channel that it fills.
        fill: The tensor's value, after all arithmetic, where there is no reading,
            around a letterboxed picture, and of a substituted frame.
        missing: What happens without a usable frame.
        statistics: What the frames looked like that the bundle was made with; live
            frames are compared with it.
    """

    planes: ClassVar[int]  # of the tensor, that the sensor fills

    name: str
    kind: str
    tensor: str
    channel: int = field(default=0, metadata=within(0))
    dtype: Literal["uint8", "uint16", "float32"]
    resize: Resize
    scale: float
    mean: tuple[float, ...]
    std: tuple[float, ...]
    fill: float
    missing: Missing
    statistics: Statistics | None = None

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
        self._check_kind()
        require(self.scale != 0, "scale must not be 0.")
        for key in ("mean", "std"):
            self._require_planes(key, getattr(self, key))
        for index, value in enumerate(self.std):
            require(value > 0, f"std[{index}] must be above 0, got {value}.")
        if self.statistics is not None:
            self._require_planes("statistics.p1", self.statistics.p1)

    def _check_kind(self) -> None:
        """Refuse what only this kind of sensor must not be."""

    def _require_planes(self, key: str, values: tuple[float, ...]) -> None:
        require(
            len(values) == self.planes,
            f"{key} must be a list of {self.planes} for kind {self.kind!r}, got a "
            f"list of {len(values)}.",
        )


@dataclass(frozen=True, kw_only=True)
class ColorInput(FrameInput):
    """A colour camera: its frames, ``(H, W, 3)``, fill three channels of a tensor.

    In this order: resize, normalise, fill. The tensor's value is
    ``(v * scale - mean[c]) / std[c]``, where ``v`` is the resized frame's value.

    Attributes:
        channels: The order of the camera's channels and of the network's.
    """

    planes = 3

    kind: Literal["color"] = "color"
    dtype: Literal["uint8"] = "uint8"
    channels: Literal["RGB", "BGR"]


@dataclass(frozen=True, kw_only=True)
class PlaneInput(FrameInput):
    """A sensor of one value a pixel: its frames, ``(H, W)``, fill one channel.

    In this order: unit, invalid mask, resize, normalise, fill. The tensor's value is
    ``(v * scale - mean[0]) / std[0]``, where ``v`` is the resized frame's value.

    Attributes:
        unit: One step of the raw values: ``m``, ``cm``, ``mm``, ``um``, ``K`` or ``C``,
            with a factor in front if needed (``0.1mm``), or ``1`` for raw counts.
        invalid: Raw values that are no reading. NaN, infinity, and what overflows
            float32 in the tensor never are a reading.
    """

    planes = 1

    kind: Literal["depth", "thermal", "range"]
    unit: str
    invalid: tuple[int | float, ...] = ()

    def _check_kind(self) -> None:
        kind = self.kind
        try:
            quantity, _ = parse_unit(self.unit)
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


Input = Union[ColorInput, PlaneInput]  # noqa: UP007  told apart by their kind


def input_shapes(inputs: Iterable[Input]) -> dict[str, tuple[int, int, int, int]]:
    """The shapes of the tensors that inputs fill together, in the inputs' order.

    Raises:
        ManifestError: they do not fill every channel once, or differ in size.
    """
    filled: dict[str, dict[int, Input]] = {}
    for index, entry in enumerate(inputs):
        planes = filled.setdefault(entry.tensor, {})
        first = next(iter(planes.values()), entry)
        size, wanted = ((i.resize.height, i.resize.width) for i in (entry, first))
        require(
            size == wanted,
            f"inputs[{index}].resize must be {wanted[0]} x {wanted[1]}, as of the "
            f"other inputs of tensor {entry.tensor!r}, got {size[0]} x {size[1]}.",
        )
        for channel in range(entry.channel, entry.channel + entry.planes):
            require(
                channel not in planes,
                f"inputs[{index}].channel must be one that no other input of tensor "
                f"{entry.tensor!r} fills, got {entry.channel}.",
            )
            planes[channel] = entry
    shapes = {}
    for name, planes in filled.items():
        require(
            sorted(planes) == list(range(len(planes))),
            f"inputs must fill every channel of tensor {name!r}, got channels "
            f"{sorted(planes)[:20]}.",
        )
        entry = planes[0]
        shapes[name] = (1, len(planes), entry.resize.height, entry.resize.width)
    return shapes

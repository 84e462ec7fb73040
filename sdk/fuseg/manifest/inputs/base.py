"""What inputs have in common; of those whose frames are pictures, too."""

from __future__ import annotations

import keyword
from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from ..schema import SIDE, Record, require, spell, within
from ..statistics import Statistics

__all__ = ["BaseImageInput", "BaseInput", "Missing", "Resize"]

_RESERVED = ("out", "size", "confidence", "stamp_ns", "self")


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
class BaseInput(Record):
    """What every input has.

    Attributes:
        name: The name by which it is given; a Python name.
        kind: What it is.
        tensor: The name of the tensor that it fills.
    """

    name: str
    kind: str
    tensor: str

    @property
    def members(self) -> tuple[str, ...]:
        """The members of the bundle that it needs."""
        return ()

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


@dataclass(frozen=True, kw_only=True)
class BaseImageInput(BaseInput):
    """What every sensor whose frames are pictures has.

    Attributes:
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
        super()._check()
        require(self.scale != 0, "scale must not be 0.")
        for key in ("mean", "std"):
            self._require_planes(key, getattr(self, key))
        for index, value in enumerate(self.std):
            require(value > 0, f"std[{index}] must be above 0, got {value}.")
        if self.statistics is not None:
            count = len(self.statistics.p1)
            require(
                count == self.numbers,
                f"statistics.p1 must be a list of {self.numbers} for kind "
                f"{self.kind!r}, got a list of {count}.",
            )

    @property
    @abstractmethod
    def planes(self) -> int:
        """How many of the tensor's the sensor fills."""

    @property
    def numbers(self) -> int:
        """How many a pixel of its frames has."""
        last = self.frame_shape[2:]
        return int(last[0]) if last else 1

    @property
    @abstractmethod
    def frame_shape(self) -> tuple[int | str, ...]:
        """A letter is an axis that is as the camera has it."""

    def _require_planes(self, key: str, values: tuple[float, ...]) -> None:
        copies = "" if self.planes == self.numbers else f" with planes {self.planes}"
        require(
            len(values) == self.planes,
            f"{key} must be a list of {self.planes} for kind {self.kind!r}{copies}, "
            f"got a list of {len(values)}.",
        )

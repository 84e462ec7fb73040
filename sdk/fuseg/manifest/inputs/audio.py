"""Microphones: windows of sound, as they are or as pictures of their frequencies."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from ..schema import Record, require, within
from ..variants import require_member
from .base import BaseInput, Missing

__all__ = ["RATES", "AudioInput", "LogMel"]

RATES = 1000, 768000  # Hz

_MOST_SAMPLES = 1 << 24  # almost six minutes at 48 kHz
_MOST_VALUES = 1 << 24  # 128 MiB of float64


@dataclass(frozen=True, kw_only=True)
class LogMel(Record):
    """The energy of each band of frequencies over time.

    In this order: pad, cut frames, multiply with the window, discrete Fourier
    transform, absolute value to the power, sum with the filters' weights, floor,
    logarithm, range.

    Attributes:
        frame: Samples of each Fourier transform.
        hop: Samples from the start of a frame to the start of the next one.
        frames: How many there are, counted from the first; those after it are left out.
        pad: What the half frame before and after the sound is: its mirror image
            without the sample at the edge (``reflect``), or ``zero``; with ``none`` the
            first frame starts with the sound.
        window: The member that holds what a frame is multiplied with, float32
            ``(frame,)``.
        filters: The member that holds the bands' weights, float32
            ``(bands, frame // 2 + 1)``.
        bands: How many bands there are.
        power: 2 for energies, 1 for magnitudes.
        floor: What is less becomes this before the logarithm.
        log: The logarithm: ``ln``, ``log10``, ``db`` (10 times that), or ``none``.
        range: What is further below the window's largest value is raised to that
            distance, in the logarithm's units; ``null`` leaves it.
        order: Which axis is which in the tensor.
    """

    frame: int = field(metadata=within(2, 65536))
    hop: int = field(metadata=within(1, 65536))
    frames: int = field(metadata=within(1, 65536))
    pad: Literal["reflect", "zero", "none"] = "reflect"
    window: str
    filters: str
    bands: int = field(metadata=within(1, 4096))
    power: Literal[1, 2] = 2
    floor: float = 1e-10
    log: Literal["ln", "log10", "db", "none"] = "log10"
    range: float | None = None
    order: Literal["bands-frames", "frames-bands"] = "bands-frames"

    def _check(self) -> None:
        for key in ("window", "filters"):
            name = getattr(self, key)
            require_member(key, name, ".npy")
        most = max(self.frame, self.bands)
        require(
            self.frames * most <= _MOST_VALUES,
            f"frames must be at most {_MOST_VALUES // most}, as {_MOST_VALUES} values "
            f"are computed with, got {self.frames}.",
        )
        require(
            self.floor > 0 or (self.log == "none" and self.floor == 0),
            f"floor must be above 0 for a logarithm, got {self.floor}.",
        )
        require(self.window != self.filters, "filters must not be window's member.")
        require(
            self.range is None or self.range > 0,
            f"range must be above 0, got {self.range}.",
        )

    @property
    def padding(self) -> int:
        """Samples before and after the sound."""
        return 0 if self.pad == "none" else self.frame // 2


@dataclass(frozen=True, kw_only=True)
class AudioInput(BaseInput):
    """A microphone: one channel of sound, in windows of a fixed length.

    The tensor's value is ``(v - mean) / std``, where ``v`` is the sample times
    ``scale``, or the feature that is made of these.

    Attributes:
        dtype: Of the samples.
        rate: Samples a second that the network knows.
        samples: How many of them a window has.
        scale: Multiplies the samples: 1 / 32768 makes -1 to 1 of int16.
        features: What is made of them; absent for the samples themselves.
        mean: Subtracted.
        std: Divides the result; above 0.
        channel_axis: Whether the tensor has an axis of 1 after the batch.
        fill: The tensor's value, after all arithmetic, if a window is substituted.
        missing: What happens without a usable window. Silence is a usable one.
    """

    kind: Literal["audio"] = "audio"
    dtype: Literal["int16", "float32"]
    rate: int = field(metadata=within(*RATES, " Hz"))
    samples: int = field(metadata=within(1, _MOST_SAMPLES))
    scale: float
    features: LogMel | None = None
    mean: float = 0.0
    std: float = 1.0
    channel_axis: bool = False
    fill: float
    missing: Missing

    @property
    def members(self) -> tuple[str, ...]:
        """The members of the bundle that it needs."""
        return tuple(self.tables)

    @property
    def tables(self) -> dict[str, tuple[int, ...]]:
        """The shape of what each member holds, as float32."""
        made = self.features
        if made is None:
            return {}
        return {
            made.window: (made.frame,),
            made.filters: (made.bands, made.frame // 2 + 1),
        }

    @property
    def frame_shape(self) -> tuple[int | str, ...]:
        """Of the arrays that are given."""
        return (self.samples,)

    @property
    def shape(self) -> tuple[int, ...]:
        """Of its tensor."""
        axes: tuple[int, ...] = (self.samples,)
        if self.features is not None:
            axes = (self.features.bands, self.features.frames)
            axes = axes if self.features.order == "bands-frames" else axes[::-1]
        return (1, *((1,) if self.channel_axis else ()), *axes)

    def _check(self) -> None:
        super()._check()
        require(self.scale != 0, "scale must not be 0.")
        require(self.std > 0, f"std must be above 0, got {self.std}.")
        made = self.features
        if made is None:
            return
        require(
            made.pad != "reflect" or made.padding < self.samples,
            f"features.frame must be at most {2 * self.samples - 1} to be padded with "
            f"the mirror image of {self.samples} samples, got {made.frame}.",
        )
        most = (self.samples + 2 * made.padding - made.frame) // made.hop + 1
        require(
            made.frames <= most,
            f"features.frames must be at most {max(most, 0)}, which {self.samples} "
            f"samples have, got {made.frames}.",
        )

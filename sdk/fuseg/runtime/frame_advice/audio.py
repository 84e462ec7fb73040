"""Windows of sound in other element types, lengths and numbers of channels."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...manifest import AudioInput
from .advice import ANOTHER_SENSOR, NONE, Advice

__all__ = ["AudioAdvice"]

_USUAL_RATES = (8000, 11025, 16000, 22050, 32000, 44100, 48000, 96000)


class AudioAdvice:
    """See `KindAdvice`.

    Args:
        rate: Of the microphone, as given to `load`.
        length: How many samples a window has at that rate.
    """

    def __init__(self, spec: AudioInput, rate: int, length: int) -> None:
        self.name, self._spec = spec.name, spec
        self._rate, self._length = rate, length

    @property
    def dtypes(self) -> tuple[np.dtype[Any], ...]:
        return (np.dtype(self._spec.dtype),)

    @property
    def no_value_for_masked(self) -> str:
        return (
            "Sound has no value for that; if they may be silent: "
            f"{self.name}.filled(0)."
        )

    def shape(self, array: Any) -> tuple[str | int, ...]:  # noqa: ARG002
        return (self._length,)

    def how_to_convert(self, found: np.dtype[Any]) -> Advice:
        name, own = self.name, self._spec.dtype
        if found.kind == "f" and own == "float32":
            return Advice(f"Convert it: {name}.astype(np.float32).", "Save it so.")
        if found.kind == "f":
            return Advice(
                "If it is -1 to 1: np.clip(np.rint("
                f"{name} * 32768), -32768, 32767).astype(np.int16).",
                "Save it as 16-bit samples.",
            )
        if found == np.int16:
            return Advice(
                f"If the network knows -1 to 1: ({name} / 32768).astype(np.float32).",
                "Save it as float32, -1 to 1.",
            )
        if found == np.int32 and own == "int16":
            return Advice(
                f"If all 32 bits are used: ({name} >> 16).astype(np.int16).",
                "Save it as 16-bit samples.",
            )
        return NONE

    def how_to_reshape(self, array: Any) -> Advice:
        name, shape, wanted = self.name, array.shape, self._length
        if array.ndim == 2 and shape[1] == 1:
            return Advice(f"Drop the last axis: {name}[:, 0].", "Save one channel.")
        if array.ndim == 2 and shape[1] < 9:
            return Advice(
                f"Mix its channels: {name}.mean(axis=1).astype(np.{self._spec.dtype}).",
                "Save one channel.",
            )
        if array.ndim != 1:
            return NONE
        for rate in _USUAL_RATES:
            if (
                rate != self._rate
                and abs(shape[0] * self._rate - wanted * rate) <= rate
            ):
                return Advice(
                    f"If it was sampled at {rate} Hz, say so when loading: "
                    f"rates={{{name!r}: {rate}}}.",
                    f"Save it at {self._rate} Hz.",
                )
        if shape[0] > wanted:
            return Advice(
                f"Give the newest of them: {name}[-{wanted}:].",
                f"Save the last {wanted} samples.",
            )
        seconds = f"{wanted / self._rate:.6g} s at {self._rate} Hz"
        said = f"The network hears {seconds} at once: collect that many."
        return Advice(said, said)

    def what_it_may_be(self, array: Any) -> Advice:  # noqa: ARG002
        return ANOTHER_SENSOR

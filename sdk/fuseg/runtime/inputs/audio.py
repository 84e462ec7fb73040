"""Microphones: (samples,) int16 or float32, computed on the host."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...backends.tensors import GpuTensor
from ...bundle.npy import read_npy
from ...cuda import Device
from ...cuda.array_view import CudaArrayView, as_view
from ...errors import ArgumentError, DTypeError, Fault, FusegError
from ...manifest import AudioInput
from ...manifest.inputs.audio import RATES
from ...sound.log_mel import LogMelPicture
from ...sound.resample import Resampler, has_few_phases
from ..frame_advice import AudioAdvice, fits, refuse, refuse_mask
from .adapter import InputAdapter, Tensors
from .cuda import CudaInput, HostInput

__all__ = ["AudioAdapter"]

_LARGEST = 1e9  # after scaling: its energies are still far inside float32


class AudioAdapter(InputAdapter):
    """See `InputAdapter`.

    Args:
        read: The content of the bundle's members, by name.
    """

    input: AudioInput
    nothing_valid = "not all numbers"

    def __init__(self, spec: AudioInput, read: Callable[[str], bytes]) -> None:
        self.input = spec
        self._rate = spec.rate
        self._resample: Resampler | None = None
        self._given = np.empty(spec.samples)  # as they are given, scaled
        self._sound = self._given  # at the network's rate
        self._picture: LogMelPicture | None = None
        if spec.features is not None:
            window, filters = (read_npy(memoryview(read(m))) for m in spec.members)
            self._picture = LogMelPicture(spec.features, spec.samples, window, filters)

    def set_rate(self, rate: int) -> None:
        spec = self.input
        least, most = RATES
        whole = isinstance(rate, int) and not isinstance(rate, bool)
        if not whole or not least <= rate <= most:
            problem = (
                f"must be whole samples a second, from {least} to {most}, got {rate!r}."
            )
            raise ArgumentError.of(Fault("rates", spec.name, problem))
        if not has_few_phases(spec.rate, rate):
            problem = (
                f"must have a ratio to the network's {spec.rate} Hz that small whole "
                f"numbers say, such as 16000, 44100 or 48000, got {rate}."
            )
            raise ArgumentError.of(Fault("rates", spec.name, problem))
        self._rate, self._resample = rate, None
        self._given = self._sound = np.empty(spec.samples)
        if rate != spec.rate:
            self._resample = Resampler(spec.samples, spec.rate, rate)
            self._given = np.empty(self._resample.given)

    def take(self, given: Any, *, device: Device | None = None) -> NDArray[Any]:  # noqa: ARG002
        array = given
        try:
            if isinstance(given, np.ndarray) and hasattr(given, "mask"):
                masked: Any = given
                if np.any(masked.mask):
                    refuse_mask(self._advice())
                array = np.asarray(masked.data)
            array = as_view(self.input.name, array)
        except FusegError as err:
            if err.fault is None:
                refuse(self._advice(), array)
            raise
        if isinstance(array, CudaArrayView):
            problem = "must be in the memory of the CPU, got an array on the GPU."
            raise DTypeError.of(
                Fault("frame", self.input.name, problem, "Copy it to a NumPy array.")
            )
        if array.dtype != self.input.dtype or not fits(array, self._given.shape):
            refuse(self._advice(), array)
        return np.asarray(array)

    def has_reading(self, array: NDArray[Any] | CudaArrayView) -> bool:
        if self.input.dtype == "int16":
            return True
        # NaN is not below it.
        largest = float(np.abs(array).max())  # type: ignore[arg-type]
        return largest * abs(self.input.scale) <= _LARGEST

    def write(self, array: NDArray[Any], tensors: Tensors) -> None:
        spec, sound = self.input, self._sound
        np.multiply(array, spec.scale, out=self._given)
        if self._resample is not None:
            self._resample(self._given, sound)
        values = sound if self._picture is None else self._picture(sound)
        values -= spec.mean
        values /= spec.std
        if spec.features is not None and spec.features.order == "bands-frames":
            values = values.T
        tensor = tensors[spec.tensor]
        with np.errstate(over="ignore"):
            np.copyto(tensor.reshape(values.shape), values, casting="same_kind")

    def substitute(self, tensors: Tensors) -> None:
        tensors[self.input.tensor].fill(self.input.fill)

    def blank_frames(self) -> list[NDArray[Any]]:
        return [np.zeros(self._given.shape, self.input.dtype)]

    def on_gpu(self, tensor: GpuTensor, device: Device, pixel: int) -> CudaInput:  # noqa: ARG002
        return HostInput(self, tensor, device)

    def _advice(self) -> AudioAdvice:
        return AudioAdvice(self.input, self._rate, len(self._given))

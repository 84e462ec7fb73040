"""Frame sets as the network sees them: its tensors, and the truth at its size."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fuseg.errors import ArgumentError
from fuseg.manifest import ImageInput, input_shapes
from fuseg.runtime.inputs import adapter_of

from ..reference import at_size
from .frame_set import Dataset

__all__ = ["PackedFrame", "PackedFrames", "Packer", "Tensors", "pack_frames"]

_HELD_BYTES = 256 * 2**20

Tensors = Mapping[str, NDArray[Any]]


@dataclass(frozen=True)
class PackedFrame:
    """The tensors of one frame set.

    Attributes:
        tensors: The network's inputs.
        truth: Labels (H, W) at the network's own output size; None if unknown.
        camera: (height, width) of the first image input's frame; None if unknown.
    """

    tensors: Tensors
    truth: NDArray[np.uint8] | None = None
    camera: tuple[int, int] | None = None


class Packer:
    """Packs frames as the runtime does, and refuses those it could not use.

    Args:
        inputs: Of the manifest.
        option: What the user calls these frames, for error messages.
    """

    def __init__(self, inputs: Sequence[ImageInput], option: str) -> None:
        self._sensors = {i.name: adapter_of(i) for i in inputs}
        self._shapes = input_shapes(inputs)
        self._option = option
        self._sizes: dict[str, tuple[int, ...]] = {}

    def __call__(
        self, number: int, arrays: Mapping[str, NDArray[Any]]
    ) -> dict[str, NDArray[np.float32]]:
        """The tensors of frame ``number``.

        Raises:
            ArgumentError: A sensor has no valid pixel in it, or another size than in
                the frames before.
        """
        packed = {name: np.empty(s, np.float32) for name, s in self._shapes.items()}
        for name, sensor in self._sensors.items():
            array: Any = sensor.take(arrays[name])
            size = self._sizes.setdefault(name, array.shape[:2])
            if array.shape[:2] != size:
                raise ArgumentError(
                    f"{self._option} {name}: every frame must be {size[0]} x {size[1]} "
                    f"like the first, got {array.shape[0]} x {array.shape[1]} in frame "
                    f"{number}: leave it out."
                )
            if not sensor.has_reading(array):
                raise ArgumentError(
                    f"{self._option} {name}: frame {number} has no valid pixel: leave "
                    "it out, for every sensor."
                )
            sensor.write(array, packed)
        return packed


class PackedFrames:
    """The frame sets of a dataset packed, to be gone through again and again.

    The first of them stay in memory, as many as fit into 256 MiB; the others are read
    or rendered each time.

    Args:
        inputs, size, dataset, option: See `pack_frames`.
    """

    def __init__(
        self,
        inputs: Sequence[ImageInput],
        size: tuple[int, int] | None,
        dataset: Dataset,
        option: str,
    ) -> None:
        self._given = inputs, size, dataset, option
        self._held: list[PackedFrame] = []
        self._room = _HELD_BYTES

    def __iter__(self) -> Iterator[PackedFrame]:
        yield from self._held
        for frame in pack_frames(*self._given, start=len(self._held)):
            self._room -= sum(tensor.nbytes for tensor in frame.tensors.values())
            if self._room >= 0:
                self._held.append(frame)
            yield frame


def pack_frames(
    inputs: Sequence[ImageInput],
    size: tuple[int, int] | None,
    dataset: Dataset,
    option: str,
    *,
    start: int = 0,
) -> Iterator[PackedFrame]:
    """Pack a dataset, one frame set in memory at a time.

    Args:
        inputs: Of the manifest.
        size: That the truth is sampled at: the network's own output size; None if it
            labels nothing.
        option: What the user calls these frames, for error messages.
        start: The number of the first frame set.

    Raises:
        ArgumentError: See `Packer`.
    """
    pack = Packer(inputs, option)
    for number in range(start, len(dataset)):
        frame = dataset[number]
        truth = frame.truth
        if truth is not None:
            truth = None if size is None else at_size(truth, size)
        yield PackedFrame({**pack(number, frame.arrays), **frame.tensors}, truth)

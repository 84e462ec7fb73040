"""A network that only copies: all of fuseg's way over a GPU, and no engine's library.

Parts of the packed inputs become the class scores, so every label depends on what was
staged, uploaded and packed; the same on the CPU says which labels are right.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

import fuseg
from fuseg.backends.tensors import GpuTensor
from fuseg.bundle import Bundle
from fuseg.cuda import open_device
from fuseg.dataset.metrics import label_agreement

LEAST = 0.999  # CUDA's packing and the CPU's may round otherwise
Frames = Mapping[str, np.ndarray]


def moves(inputs: Mapping[str, Any], outputs: Mapping[str, Any]) -> Iterator[Any]:
    """Of each input: its name, where its first elements go, and how many they are."""
    ((_, shape),) = outputs.items()
    wanted = int(np.prod(shape))
    share = wanted // len(inputs)
    for number, (name, given) in enumerate(inputs.items()):
        first = number * share
        count = share if number + 1 < len(inputs) else wanted - first
        if count > int(np.prod(given)):
            raise ValueError(f"{name} {given} is too small for scores of {shape}")
        yield name, first, count


class OnCpu:
    name = "copying"

    def __init__(self) -> None:
        self.inputs: dict[str, np.ndarray] = {}
        self.outputs: dict[str, np.ndarray] = {}

    def bind(self, inputs: Any, outputs: Any) -> None:
        self._moves = list(moves(inputs, outputs))
        self.inputs = {name: np.zeros(s, np.float32) for name, s in inputs.items()}
        self.outputs = {name: np.zeros(s, np.float32) for name, s in outputs.items()}

    def run(self) -> None:
        (scores,) = self.outputs.values()
        for name, first, count in self._moves:
            scores.reshape(-1)[first : first + count] = self.inputs[name].flat[:count]

    def clone(self) -> OnCpu:
        return OnCpu()


class OnGpu:
    name = "copying"
    capturable = True
    slots = 2

    def __init__(self, device: Any) -> None:
        self.device = device
        self.inputs: dict[str, GpuTensor] = {}
        self.outputs: dict[str, GpuTensor] = {}

    def bind(self, inputs: Any, outputs: Any, buffers: Any, stream: int) -> None:
        self._moves, self._stream = list(moves(inputs, outputs)), stream

        def tensor(shape: tuple[int, ...]) -> GpuTensor:
            address = buffers.memory(4 * int(np.prod(shape)))
            return GpuTensor(address, shape, np.dtype(np.float32))

        self.inputs = {name: tensor(shape) for name, shape in inputs.items()}
        self.outputs = {name: tensor(shape) for name, shape in outputs.items()}

    def enqueue(self) -> None:
        (scores,) = self.outputs.values()
        for name, first, count in self._moves:
            to, source = scores.address + 4 * first, self.inputs[name].address
            self.device.copy(to, source, 4 * count, self._stream)

    def clone(self) -> OnGpu:
        return OnGpu(self.device)


class Copying:
    """A program of gpu_programs.py: the copying network through one seam.

    Args:
        seam: Of `fuseg.cuda.open_device`.
    """

    def __init__(self, bundle: Path, seam: str) -> None:
        opened = Bundle.open(bundle)
        self._cpu = fuseg.Segmenter(opened, backend=OnCpu())
        self._device = open_device(0, seam=seam)
        self._gpu = fuseg.Segmenter(opened, backend=OnGpu(self._device))

    def label(self, frames: Frames) -> np.ndarray:
        return self._gpu(**frames).labels

    def facts(self) -> dict[str, Any]:
        facts = self._device.facts
        return {"seam": self._device.name, "gpu": facts.name, "driver": facts.driver}

    def check(self, frames: list[Frames]) -> dict[str, Any]:
        """The share of labels that are the CPU's, of the worst frame in each way."""
        halves = [{n: a[::2, ::2].copy() for n, a in f.items()} for f in frames]
        ways = {
            "one call a frame": (self._calls, frames),
            "a smaller camera": (self._calls, halves),
            "submit and result": (self._pipelined, frames),
            "a clone": (lambda some: self._calls(some, self._gpu.clone()), frames),
            "frames on the GPU": (self._on_gpu, frames),
        }
        found: dict[str, Any] = {}
        for way, (label, given) in ways.items():
            wanted = [self._cpu(**each).labels for each in given]
            try:
                labels = label(given)
            except Exception as error:  # noqa: BLE001 - one way that fails loses no other
                found[way] = f"failed: {type(error).__name__}: {error}"
                continue
            if labels is None:
                found[way] = "skipped: PyTorch finds no CUDA device here"
            else:
                found[way] = min(map(label_agreement, labels, wanted))
        found["without graph"] = self._gpu.cuda_graph_disabled_reason
        return found

    def _calls(self, frames: list[Frames], on: Any = None) -> list[np.ndarray]:
        return [(on or self._gpu)(**given).labels for given in frames]

    def _pipelined(self, frames: list[Frames]) -> list[np.ndarray]:
        return pipelined(self._gpu, frames, lambda found: found.labels)

    def _on_gpu(self, frames: list[Frames]) -> list[np.ndarray] | None:
        try:
            import torch
        except ImportError:
            return None
        if not torch.cuda.is_available():
            return None
        found = []
        for given in frames:  # uint16 arrives as PyTorch has it, through DLPack
            there = {name: torch.from_numpy(a).cuda() for name, a in given.items()}
            found.append(self._gpu(**there).labels)
        return found


def pipelined(
    segmenter: fuseg.Segmenter, frames: list[Frames], keep: Callable[[Any], Any]
) -> list[Any]:
    """What ``keep`` makes of each result, two moments being in flight."""
    kept, tickets = [], []
    for given in frames:
        tickets.append(segmenter.submit(**given))
        if len(tickets) == 2:
            kept.append(keep(segmenter.result(tickets.pop(0))))
    return [*kept, *(keep(segmenter.result(ticket)) for ticket in tickets)]

"""Whole frames through one CUDA binding, with a network that only copies.

    python tools/gpu_check/copy_network.py native --bundle FILE --save FILE

All of fuseg's way over a GPU, without TensorRT or ONNX Runtime: parts of the packed
inputs become the class scores, so every label depends on what was staged, uploaded and
packed. The same on the CPU says which labels are right.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
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


class CopyOnCpu:
    name = "copying"

    def __init__(self) -> None:
        self.inputs: dict[str, np.ndarray] = {}
        self.outputs: dict[str, np.ndarray] = {}

    def bind(self, inputs: Any, outputs: Any) -> None:
        shapes = ({n: a.shape for n, a in given.items()} for given in (inputs, outputs))
        self._moves = list(moves(*shapes))
        self.inputs, self.outputs = dict(inputs), dict(outputs)

    def run(self) -> None:
        (scores,) = self.outputs.values()
        for name, first, count in self._moves:
            scores.reshape(-1)[first : first + count] = self.inputs[name].flat[:count]

    def clone(self) -> CopyOnCpu:
        return CopyOnCpu()


class CopyOnGpu:
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

    def clone(self) -> CopyOnGpu:
        return CopyOnGpu(self.device)


class Copying:
    """The copying network on the CPU and through one binding.

    Args:
        binding: Of `fuseg.cuda.open_device`.
    """

    def __init__(self, bundle: Path, binding: str) -> None:
        opened = Bundle.open(bundle)
        self.device = open_device(0, binding=binding)
        self.cpu = fuseg.load(opened, backend=CopyOnCpu())
        self.gpu = fuseg.load(opened, backend=CopyOnGpu(self.device))

    def check(self, frames: list[Frames]) -> dict[str, Any]:
        """The share of labels that are the CPU's, of the worst frame in each way."""
        halves = [{n: a[::2, ::2].copy() for n, a in f.items()} for f in frames]
        nine = [dict(frames[k % len(frames)]) for k in range(9)]
        clone = self.gpu.clone()
        ways: dict[str, tuple[Callable[..., Any], list[Frames]]] = {
            "one call a frame": (lambda f: one_by_one(self.gpu, f), frames),
            "a smaller camera": (lambda f: one_by_one(self.gpu, f), halves),
            "submit and result": (lambda f: two_in_flight(self.gpu, f), frames),
            "a clone": (lambda f: one_by_one(clone, f), frames),
            "frames on the GPU": (self._from_gpu, frames),
            "frames of a side stream": (self._from_side_stream, frames),
            "nine frames on the GPU in turn": (self._from_gpu, nine * 3),
        }
        found: dict[str, Any] = {}
        for way, (label, given) in ways.items():
            try:
                labels = label(given)
            except Exception as error:  # noqa: BLE001 - one way that fails loses no other
                found[way] = f"failed: {type(error).__name__}: {error}"
                continue
            wanted = one_by_one(self.cpu, given)
            found[way] = min(map(label_agreement, labels, wanted), default=None)
        return found

    def _from_gpu(self, frames: list[Frames]) -> list[np.ndarray]:
        """Each in memory of its own; those that come again are not copied again."""
        torch = torch_with_gpu()
        if torch is None:
            return []
        there: dict[int, Frames] = {}
        for given in frames:
            if id(given) not in there:
                # uint16 arrives as PyTorch has it, through DLPack
                cuda = {n: torch.from_numpy(a).cuda() for n, a in given.items()}
                there[id(given)] = cuda
        return one_by_one(self.gpu, [there[id(given)] for given in frames])

    def _from_side_stream(self, frames: list[Frames]) -> list[np.ndarray]:
        """Each still being written, behind other work of a stream of PyTorch's own."""
        torch = torch_with_gpu()
        if torch is None:
            return []
        side, labels = torch.cuda.Stream(), []
        factor = torch.rand((4096, 4096), device="cuda")
        for given in frames:
            ready = {n: torch.from_numpy(a).cuda() for n, a in given.items()}
            late = {n: torch.zeros_like(a) for n, a in ready.items()}
            torch.cuda.synchronize()
            with torch.cuda.stream(side):
                for _ in range(8):  # milliseconds
                    factor @ factor
                for name, frame in ready.items():
                    late[name].copy_(frame)
                labels.append(self.gpu(**late).labels)
        return labels


def torch_with_gpu() -> Any:
    """PyTorch; None if it is not here, or finds no GPU."""
    try:
        import torch
    except ImportError:
        return None
    return torch if torch.cuda.is_available() else None


def one_by_one(segmenter: fuseg.Segmenter, frames: list[Any]) -> list[np.ndarray]:
    return [segmenter(**given).labels for given in frames]


def two_in_flight(segmenter: fuseg.Segmenter, frames: list[Any]) -> list[np.ndarray]:
    labels, tickets = [], []
    for given in frames:
        tickets.append(segmenter.submit(**given))
        if len(tickets) == 2:
            labels.append(segmenter.result(tickets.pop(0)).labels)
    return [*labels, *(segmenter.result(ticket).labels for ticket in tickets)]


def wrong(
    found: Mapping[str, Any], cuda_graph_disabled_reason: str | None
) -> list[str]:
    """A sentence for each way that fails, or whose labels are not the CPU's."""
    faults = [
        f"{way}: {share:.5f} of the labels fit"
        if isinstance(share, float)
        else f"{way} {share}"
        for way, share in found.items()
        if isinstance(share, str) or (share is not None and share < LEAST)
    ]
    return faults + (
        [f"no CUDA graph: {cuda_graph_disabled_reason}"]
        if cuda_graph_disabled_reason
        else []
    )


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("binding", choices=["native", "pycuda"])
    parser.add_argument("--bundle", type=Path, required=True)
    parser.add_argument("--save", type=Path, required=True)
    options = parser.parse_args()
    frames = [given for given, _ in Bundle.open(options.bundle).samples()]
    copying = Copying(options.bundle, options.binding)
    found = copying.check(frames)
    facts = copying.device.properties
    labels = hashlib.sha256(np.stack(one_by_one(copying.gpu, frames)).tobytes())
    record = {
        "gpu": facts.name,
        "driver": facts.driver,
        "labels as the CPU's": found,
        "labels": labels.hexdigest(),
    }
    options.save.write_text(json.dumps(record))
    failed = wrong(found, copying.gpu.cuda_graph_disabled_reason)
    print("\n".join(f"WRONG {options.binding}, {each}" for each in failed) or "right")
    return int(bool(failed))


if __name__ == "__main__":
    sys.exit(main())

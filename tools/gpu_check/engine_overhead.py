"""What fuseg adds to a TensorRT engine, measured beside the engine alone.

All in one process, in turns: the engine's runs put on one stream one after another,
directly and as a CUDA graph; the copies of a frame and its labels alone; whole frames,
one at a time and two in flight. Clocks and power are read, never changed.
"""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from copy_network import Frames, two_in_flight

import fuseg
from fuseg.cuda.buffers import Buffers
from fuseg.runtime.cuda_graphs import CudaGraphs
from fuseg.runtime.executor import shapes

RATE, BEYOND_US, TAIL = 0.97, 30.0, 1.1


class Engine:
    """The engine of a Segmenter, bound once more and run without frames."""

    def __init__(self, segmenter: fuseg.Segmenter) -> None:
        self._backend = backend = segmenter.backend.clone()
        self.device = backend.device
        with self.device.active():
            self._buffers = Buffers(self.device, backend)
            self.stream = self._buffers.stream()
            backend.bind(*shapes(segmenter.manifest), self._buffers, self.stream)
            self._graphs = CudaGraphs(self.device, self.stream)
            for _ in range(3):
                self.launch()
            self.device.synchronize(self.stream)

    def enqueue(self) -> None:
        self._backend.enqueue()

    def launch(self) -> None:
        self._graphs.run("engine", self._backend.enqueue)


class Copies:
    """The bytes of one frame set to the GPU, and those of its labels back."""

    def __init__(self, engine: Engine, frames: Frames) -> None:
        self._device, self._stream = engine.device, engine.stream
        self._arrays = list(frames.values())
        self._labels = np.empty(self._arrays[0].shape[:2], np.uint8)
        sizes = [*(a.nbytes for a in self._arrays), self._labels.nbytes]
        with self._device.active():
            self._buffers = Buffers(self._device)
            self._pinned = [self._buffers.pinned(size).array for size in sizes]
            self._there = [self._buffers.memory(size) for size in sizes]

    def __call__(self) -> None:
        """From the caller's arrays, and into them again."""
        device, stream = self._device, self._stream
        for array, pinned, address in zip(
            self._arrays, self._pinned, self._there, strict=False
        ):
            np.copyto(pinned.view(array.dtype).reshape(array.shape), array)
            device.upload(address, pinned, stream)
        device.download(self._pinned[-1], self._there[-1], stream)
        device.synchronize(stream)
        np.copyto(self._labels.reshape(-1), self._pinned[-1])


def measure(
    segmenter: fuseg.Segmenter, frames: list[Frames], rounds: int, calls: int
) -> dict[str, Any]:
    """Medians of the rounds in microseconds, and the targets that are met or missed."""
    engine = Engine(segmenter)
    copies = Copies(engine, frames[0])
    many = [frames[i % len(frames)] for i in range(calls)]
    two_in_flight(segmenter, many[:8])
    found: dict[str, list[float]] = {}
    latencies: list[float] = []

    def wait() -> None:
        engine.device.synchronize(engine.stream)

    gc.collect()
    gc.disable()
    for _ in range(rounds):
        with engine.device.active():
            for name, value in (
                ("engine, loop", mean_us(engine.enqueue, calls, wait)),
                ("engine, graph", mean_us(engine.launch, calls, wait)),
                ("copies", statistics.median(each_us([copies] * calls))),
            ):
                found.setdefault(name, []).append(value)
        begin = time.perf_counter_ns()
        two_in_flight(segmenter, many)
        whole = (time.perf_counter_ns() - begin) / calls / 1e3
        found.setdefault("frame of two in flight", []).append(whole)
        latencies += each_us([lambda given=given: segmenter(**given) for given in many])
    gc.enable()
    us = {name: statistics.median(values) for name, values in found.items()}
    p50, p99 = np.percentile(latencies, (50, 99)).tolist()
    us |= {"frame p50": p50, "frame p99": p99}
    return {"us": us, "bars": targets(us), "frames": len(latencies)}


def mean_us(call: Callable[[], object], calls: int, wait: Callable[[], None]) -> float:
    """Microseconds a call, of many that are waited for together."""
    call()
    wait()
    begin = time.perf_counter_ns()
    for _ in range(calls):
        call()
    wait()
    return (time.perf_counter_ns() - begin) / calls / 1e3


def each_us(calls: list[Callable[[], object]]) -> list[float]:
    times = []
    for call in calls:
        begin = time.perf_counter_ns()
        call()
        times.append((time.perf_counter_ns() - begin) / 1e3)
    return times


def targets(us: dict[str, float]) -> list[dict[str, Any]]:
    """Each target, what was reached, and whether that meets it."""
    engine = min(us["engine, loop"], us["engine, graph"])
    rate = engine / us["frame of two in flight"]
    beyond = us["frame p50"] - engine - us["copies"]
    return [
        target("frames, two in flight, of the engine's rate", rate, ">=", RATE),
        target("us beyond engine and copies", beyond, "<=", BEYOND_US),
        target("p99 of p50", us["frame p99"] / us["frame p50"], "<=", TAIL),
    ]


def target(words: str, reached: float, sign: str, limit: float) -> dict[str, Any]:
    met = reached >= limit if sign == ">=" else reached <= limit
    return {
        "bar": words,
        "reached": reached,
        "must be": f"{sign} {limit:g}",
        "met": met,
    }

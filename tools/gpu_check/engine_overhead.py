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
from gpu_copying import Frames, pipelined

import fuseg
from fuseg import power
from fuseg.cuda import array_view
from fuseg.cuda.buffers import Buffers
from fuseg.runtime.pipeline import shapes

RATE, BEYOND_US, TAIL = 0.97, 30.0, 1.1


class Engine:
    """The engine of a Segmenter, bound once more and run without frames."""

    def __init__(self, segmenter: fuseg.Segmenter) -> None:
        self._engine = segmenter._loop.pipeline.engine()
        self.device = self._engine.device
        self._cuda = array_view.kernels()
        with self.device.active():
            self._buffers = Buffers(self.device, self._engine)
            self.stream = self._buffers.stream()
            self._engine.bind(*shapes(segmenter.manifest), self._buffers, self.stream)
            for _ in range(3):
                self._engine.enqueue()
            self.device.synchronize(self.stream)
            self._cuda.begin_capture(self.stream)
            self._engine.enqueue()
            self._graph = self._cuda.end_capture(self.stream)

    def loop_us(self, calls: int) -> float:
        return self.many_us(self._engine.enqueue, calls)

    def graph_us(self, calls: int) -> float:
        return self.many_us(self._launch, calls)

    def alone_us(self, calls: int) -> float:
        """One run that is waited for."""
        return self.single_us(self._launch, calls)

    def _launch(self) -> None:
        self._cuda.launch_graph(self._graph, self.stream)

    def many_us(self, call: Callable[[], object], calls: int) -> float:
        """Microseconds a call, of many that are waited for together."""
        with self.device.active():
            call()
            self.device.synchronize(self.stream)
            begin = time.perf_counter_ns()
            for _ in range(calls):
                call()
            self.device.synchronize(self.stream)
            return (time.perf_counter_ns() - begin) / calls / 1e3

    def single_us(self, call: Callable[[], object], calls: int) -> float:
        """Microseconds of a call and the wait for it, the median."""
        times = []
        with self.device.active():
            for _ in range(calls):
                begin = time.perf_counter_ns()
                call()
                self.device.synchronize(self.stream)
                times.append((time.perf_counter_ns() - begin) / 1e3)
        return statistics.median(times)


class Copies:
    """The bytes of one frame to the GPU and those of its labels back."""

    def __init__(self, engine: Engine, frames: Frames) -> None:
        self._engine, device = engine, engine.device
        camera = next(iter(frames.values())).shape[:2]
        self._arrays = list(frames.values())
        self._labels = np.empty(camera, np.uint8)
        sizes = [*(a.nbytes for a in self._arrays), self._labels.nbytes]
        with device.active():
            self._buffers = Buffers(device)
            self._pinned = [self._buffers.pinned(size).array for size in sizes]
            self._there = [self._buffers.memory(size) for size in sizes]

    def transfers_us(self, calls: int) -> float:
        """Between pinned memory and the GPU alone."""
        return self._engine.many_us(self._transfer, calls)

    def whole_us(self, calls: int) -> float:
        """From the caller's arrays and into them again."""
        times = []
        with self._engine.device.active():
            for _ in range(calls):
                begin = time.perf_counter_ns()
                for pinned, array in zip(self._pinned[:-1], self._arrays, strict=True):
                    np.copyto(pinned.view(array.dtype).reshape(array.shape), array)
                self._transfer()
                self._engine.device.synchronize(self._engine.stream)
                flat = self._labels.reshape(-1)
                np.copyto(flat, self._pinned[-1])
                times.append((time.perf_counter_ns() - begin) / 1e3)
        return statistics.median(times)

    def _transfer(self) -> None:
        device, stream = self._engine.device, self._engine.stream
        for pinned, address in zip(self._pinned[:-1], self._there[:-1], strict=True):
            device.upload(address, pinned, stream)
        device.download(self._pinned[-1], self._there[-1], stream)


def measure(
    segmenter: fuseg.Segmenter, frames: list[Frames], rounds: int, calls: int
) -> dict[str, Any]:
    """Medians of the rounds in microseconds, and the bars that are met or missed."""
    engine = Engine(segmenter)
    copies = Copies(engine, frames[0])
    many = [frames[i % len(frames)] for i in range(calls)]
    pipelined(segmenter, many[:8], bool)
    found: dict[str, list[float]] = {}
    latencies: list[float] = []
    states = []
    gc.collect()
    gc.disable()
    for _ in range(rounds):
        for name, value in (
            ("engine, loop", engine.loop_us(calls)),
            ("engine, graph", engine.graph_us(calls)),
            ("engine, one alone", engine.alone_us(calls)),
            ("copies", copies.whole_us(calls)),
            ("transfers", copies.transfers_us(calls)),
            ("pipelined frame", _pipelined_us(segmenter, many)),
        ):
            found.setdefault(name, []).append(value)
        latencies += _latencies_us(segmenter, many)
        states.append(power.describe())  # right after work: the clocks are still up
    gc.enable()
    us = {name: statistics.median(values) for name, values in found.items()}
    p50, p90, p99 = np.percentile(latencies, (50, 90, 99)).tolist()
    us |= {"frame p50": p50, "frame p90": p90, "frame p99": p99}
    return {"us": us, "bars": bars(us), "frames": len(latencies), "power": states[-1]}


def _pipelined_us(segmenter: fuseg.Segmenter, frames: list[Frames]) -> float:
    begin = time.perf_counter_ns()
    pipelined(segmenter, frames, bool)
    return (time.perf_counter_ns() - begin) / len(frames) / 1e3


def _latencies_us(segmenter: fuseg.Segmenter, frames: list[Frames]) -> list[float]:
    times = []
    for given in frames:
        begin = time.perf_counter_ns()
        segmenter(**given)
        times.append((time.perf_counter_ns() - begin) / 1e3)
    return times


def bars(us: dict[str, float]) -> list[dict[str, Any]]:
    """Each bar, what was reached, and whether that meets it."""
    engine = min(us["engine, loop"], us["engine, graph"])
    rate = engine / us["pipelined frame"]
    beyond = us["frame p50"] - engine
    tail = us["frame p99"] / us["frame p50"]
    return [
        _bar("frames, two in flight, of the engine's rate", rate, ">=", RATE),
        _bar("us beyond engine and copies", beyond - us["copies"], "<=", BEYOND_US),
        _bar(
            "us beyond engine and transfers alone",
            beyond - us["transfers"],
            "<=",
            BEYOND_US,
        ),
        _bar("p99 of p50", tail, "<=", TAIL),
    ]


def _bar(words: str, reached: float, sign: str, limit: float) -> dict[str, Any]:
    met = reached >= limit if sign == ">=" else reached <= limit
    return {
        "bar": words,
        "reached": reached,
        "must be": f"{sign} {limit:g}",
        "met": met,
    }

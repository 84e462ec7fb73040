"""Which graphs run on a GPU: random events against a model of values.

Tensors are eight bytes, the number of a text. Frames are direct, captured, and launched
as CUDA graphs; some are refused at a graph or at their launch, some fail when they are
waited for.
"""

from __future__ import annotations

import itertools
import random
from collections import Counter
from types import SimpleNamespace

import doubles
import numpy as np
import pytest
from backends.test_program import (
    CLOCKS,
    GRAPHS,
    RESET,
    SCRIBBLE,
    Failed,
    Model,
    events,
    spelled,
    states,
)
from doubles.memory import view

from fuseg.backends.program_gpu import GpuProgramBackend
from fuseg.backends.tensors import GpuTensor
from fuseg.cuda import open_device
from fuseg.cuda.buffers import Buffers
from fuseg.errors import BackendError, DeviceError
from fuseg.runtime.cuda_graphs import CudaGraphs

EVENTS = 2000
INPUTS = ("x", "d", "t", "words")
SHAPE = (1, 2, 1, 1)


class Texts:
    """A number for each text; zeros are the initial value of a state."""

    def __init__(self):
        self._numbers, self._texts = {"zero": 0}, ["zero"]

    def write(self, address, text):
        if text not in self._numbers:
            self._numbers[text] = len(self._texts)
            self._texts.append(text)
        view(address, (1,), np.int64)[0] = self._numbers[text]

    def read(self, address):
        return self._texts[view(address, (1,), np.int64)[0]]


class Graph:
    """A `GpuBackend` that spells what it reads."""

    name, capturable, slots = "spelled", True, 1

    def __init__(self, entry, owner):
        self.entry, self.owner, self.device = entry, owner, owner.device

    def bind(self, inputs, outputs, buffers, stream, shared=None):
        places = {
            name: shared.tensors.get(name)
            or GpuTensor(buffers.memory(8), SHAPE, np.dtype(np.float32))
            for name in (*inputs, *outputs)
        }
        self.inputs = {name: places[name] for name in inputs}
        self.outputs = {name: places[name] for name in outputs}
        self.stream = stream

    def enqueue(self):
        owner, texts = self.owner, self.owner.texts
        refused = owner.refuses == self.entry.name

        def work():
            values = {n: texts.read(t.address) for n, t in self.inputs.items()}
            breaks = owner.breaks == self.entry.name
            for name, tensor in self.outputs.items():
                spoiled = refused or breaks
                text = SCRIBBLE if spoiled else spelled(self.entry, name, values)
                texts.write(tensor.address, text)
            if breaks:
                raise doubles.Refused
            if not refused:
                owner.ran.append(self.entry.name)

        reads, writes = (
            [(tensor.address, 8) for tensor in tensors.values()]
            for tensors in (self.inputs, self.outputs)
        )
        owner.machine.enqueue(self.stream, self.entry.name, work, reads, writes)
        if refused:  # half-way
            raise BackendError("it is refused.")

    def clone(self):
        return Graph(self.entry, self.owner)


class Runner:
    """The program of the model on a pretend GPU."""

    def __init__(self, machine, when_skipped):
        self.machine, self.device, self.texts = machine, open_device(), Texts()
        self.refuses, self.breaks, self.ran = None, None, []
        names = {n for g in GRAPHS for n in (*g.reads, *g.writes) if ".next" not in n}
        program = SimpleNamespace(
            graphs=GRAPHS,
            states=states(when_skipped),
            shapes=lambda _: dict.fromkeys(names, SHAPE),
            tensors={},  # all float32
        )
        shapes = [dict.fromkeys(ns, SHAPE) for ns in (INPUTS, ("scores", "boxes"))]
        self.backend = GpuProgramBackend(
            program, {g.name: Graph(g, self) for g in GRAPHS}
        )
        with self.device.active():
            self.buffers = Buffers(self.device)
            self.stream = self.buffers.stream()
            self.backend.bind(*shapes, self.buffers, self.stream)
            self.pinned = {n: self.buffers.pinned(8) for n in self.backend.inputs}
        self.graphs = CudaGraphs(self.device, self.stream)

    def value(self, name):
        places = dict(self.backend.tensors)
        for graph in self.backend._in_order:
            places |= graph.inputs | graph.outputs
        return self.texts.read(places[name].address)

    def step(self, frames, gone, refuses=None, breaks=None):
        """How it ended: ok, refused at the graph, not launched, or lost."""
        self.refuses, self.breaks, self.ran = refuses, breaks, []
        backend = self.backend
        with self.device.active():
            for name, text in frames.items():
                self.texts.write(self.pinned[name].address, text)
                to, array = backend.inputs[name].address, self.pinned[name].array
                self.device.upload(to, array, self.stream)
            work = backend.plan(frames, gone)
            launched = self.machine.counts["launch_graph"]
            try:
                if refuses is None:
                    self.graphs.run(work, backend.enqueue)
                else:  # a graph of CUDA refuses nothing half-way
                    backend.enqueue()
            except BackendError:
                self.device.synchronize(self.stream)
                backend.fail()
                tried = self.machine.counts["launch_graph"] > launched
                return "not launched" if tried else "refused"
            backend.commit()
            try:
                self.device.synchronize(self.stream)
            except DeviceError:
                self.device.synchronize(self.stream)  # what was queued behind it
                backend.restart()
                return "lost"
        return "ok"


class GpuModel(Model):
    """It forgets everything where a frame failed that was taken."""

    def forget(self, frames):
        self.inputs.update(frames)
        self.written(frames)
        self.pending, self.nexts, self.last, self.owner = set(), {}, {}, {}
        for name in CLOCKS:
            self.restart(name)

    def put(self, frames):
        self.inputs.update(frames)
        self.written(frames)
        self.pending |= {*frames}


SEEDS = [0, *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(1, 6))]


@pytest.mark.parametrize("when_skipped", ["reset", "hold"])
@pytest.mark.parametrize("seed", SEEDS)
def test_random_events_agree_with_a_model_of_values(machine, when_skipped, seed):
    runner, model = Runner(machine, when_skipped), GpuModel(when_skipped)
    rng, ends = random.Random(seed), Counter()
    for frames, gone, fails in itertools.islice(events(seed), EVENTS):
        words = {}
        if fails == RESET:
            for index in range(len(CLOCKS)):
                runner.backend.reset_state(index)
        elif fails is not None:
            words = {rng.choice(["refuses", "breaks"]): fails}
            if rng.random() < 0.4:
                words = {}
                machine.fail("launch_graph")
        end = runner.step(frames, gone, **words)
        machine.mend()
        ends[end] += 1
        if end == "not launched":
            model.put(frames)
            continue
        if end == "lost":
            model.forget(frames)
            continue
        at = fails if end == "refused" or fails == RESET else None
        wanted, made = model.step(frames, gone, at)
        assert runner.ran == wanted
        assert (made is Failed) == (end == "refused")
        if end == "ok":
            assert {n: runner.value(n) for n in made} == made
            assert {n: runner.value(n) for n in CLOCKS} == model.states
    assert min(ends[end] for end in ("refused", "not launched", "lost")) > 5
    assert machine.counts["launch_graph"] > EVENTS // 2
    machine.check()

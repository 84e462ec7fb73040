"""One moment after another through a pipeline: what is checked, kept and returned."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ._check import require_out, require_size
from .errors import ArgumentError, FrameError
from .frames import Memory, reason, receive
from .manifest import Manifest
from .pipeline import IN_FLIGHT, Pipeline, Running, Work
from .preprocess import Plan, Preprocessor
from .segmentation import Segmentation, Timing

_NS_PER_MS = 1e6


class Ticket:
    """A moment that `Segmenter.submit` took; `Segmenter.result` has its labels."""

    def __init__(self, running: Running, pipeline: Pipeline, began_ns: int) -> None:
        self._running, self._pipeline = running, pipeline
        self._began_ns, self._begun_ns = began_ns, time.perf_counter_ns()


class FrameLoop:
    """What a Segmenter does with frames; one call at a time.

    Args:
        remember: Whether a call leaves the next one its clock, its camera's size and
            the frames to hold.

    Attributes:
        pipeline: What the next moment runs on.
    """

    def __init__(
        self,
        manifest: Manifest,
        preprocessor: Preprocessor,
        pipeline: Pipeline,
        *,
        remember: bool = True,
    ) -> None:
        self.pipeline = pipeline
        self._preprocessor = preprocessor
        self._output = manifest.outputs[0]
        palette = np.array([c.color for c in self._output.classes], np.uint8)
        if preprocessor.camera_channels().startswith("BGR"):
            palette = np.ascontiguousarray(palette[:, ::-1])
        self._palette = palette
        self._names = tuple(i.name for i in manifest.inputs)
        self._in_flight: list[Ticket] = []
        self._memory = Memory()
        self._remember = remember

    def switch(self, pipeline: Pipeline) -> None:
        """Go on with another pipeline of the same bundle, and with what is held."""
        pipeline.take_over(self.pipeline.tensors())
        self.pipeline = pipeline

    def begin(
        self,
        out: NDArray[np.uint8] | None,
        size: tuple[int, int] | None,
        confidence: bool,
        stamp_ns: int | None,
        frames: Mapping[str, Any],
    ) -> Ticket:
        """See `Segmenter.submit`."""
        began = time.perf_counter_ns()
        if len(self._in_flight) == IN_FLIGHT:
            raise ArgumentError(
                f"submit must have at most {IN_FLIGHT} moments unfinished: take the "
                "result of the oldest ticket first."
            )
        received = receive(
            frames, names=self._names, stamp_ns=stamp_ns, clock=self._memory.clock
        )
        try:
            plan = self._preprocessor.plan(
                received, self._memory, on_gpu=self.pipeline.on_gpu
            )
        except FrameError as err:
            # A clock that goes back later must not make them look young again.
            self._memory = self._memory.without(err.causes)
            raise
        size = self._size(size, plan, received.arrays)
        if out is not None:
            inputs = {f"the frame {n}": a for n, a in received.arrays.items()}
            require_out("out", out, np.uint8, size, **inputs)
        work = Work(
            plan,
            received.arrays,
            np.empty(size, np.uint8) if out is None else out,
            np.empty(size, np.float32) if confidence else None,
        )
        self._preprocessor.look(plan, received.arrays)
        if self._remember:
            self._memory = plan.memory
        ticket = Ticket(self.pipeline.start(work), self.pipeline, began)
        self._in_flight.append(ticket)
        return ticket

    def finish(self, ticket: Ticket) -> Segmentation:
        """See `Segmenter.result`."""
        if ticket not in self._in_flight:
            raise ArgumentError(
                "ticket must be one that submit of this Segmenter returned, and "
                f"whose result was not taken yet, got {ticket!r}."
            )
        self._in_flight.remove(ticket)
        entered = time.perf_counter_ns()
        running = ticket._running
        ticket._pipeline.finish(running)
        work = running.work
        plan, arrays = work.plan, work.arrays
        color = self._preprocessor.fresh_color(plan)
        shown = None if color is None else arrays[color]
        if ticket._pipeline.on_gpu and not isinstance(shown, np.ndarray):
            shown = None  # not to be painted on without a copy
        why = reason(plan.decisions)
        packed, scored = running.packed_ns, running.scored_ns
        total = ticket._begun_ns - ticket._began_ns + time.perf_counter_ns() - entered
        return Segmentation(
            labels=work.labels,
            confidence=work.confidence,
            classes=self._output.classes,
            timing=Timing(
                pack_ms=(packed - ticket._began_ns) / _NS_PER_MS,
                engine_ms=(scored - packed) / _NS_PER_MS,
                label_ms=(running.labelled_ns - scored) / _NS_PER_MS,
                total_ms=total / _NS_PER_MS,
            ),
            stamp_ns=plan.stamp_ns,
            made_from=plan.made_from,
            degraded=why is not None,
            reason=why,
            _frame=shown,
            _palette=self._palette,
            _ignore=self._output.ignore,
        )

    def preprocess(self, frames: Mapping[str, Any]) -> dict[str, NDArray[np.float32]]:
        """See `Segmenter.preprocess`."""
        received = receive(
            frames, names=self._names, stamp_ns=None, clock=self._memory.clock
        )
        # Copies of the bound tensors: what is held lies there.
        tensors = self.pipeline.tensors()
        plan = self._preprocessor.plan(received, self._memory, on_gpu=False)
        self._preprocessor.fill(plan, received.arrays, tensors)
        return tensors

    def _size(
        self,
        size: tuple[int, int] | None,
        plan: Plan,
        arrays: Mapping[str, NDArray[Any]],
    ) -> tuple[int, int]:
        if size is not None:
            return require_size("size", size)
        if plan.memory.camera is not None:
            return plan.memory.camera
        for name in self._names:
            if name in arrays:
                height, width = arrays[name].shape[:2]
                return height, width
        return self._output.tail.size

"""One frame set after another through an executor: checks, what is held, results."""

from __future__ import annotations

import time
import weakref
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .._check import require_size
from .._kernels import native_call
from ..backends import Backend, GpuBackend
from ..bundle import Bundle
from ..errors import ArgumentError, BackendError, FrameError
from ..manifest import Class, Manifest, SegmentationOutput, image_inputs
from ..manifest.outputs import prompt_classes
from ..ops.array_checks import require_out
from .executor import MOST_IN_FLIGHT, Executor, make
from .frame_job import FrameJob, InFlight, LabelMap
from .frame_set import receive
from .inputs.text import TextInputs, Texts
from .preprocess import FramePlan, Preprocessor
from .results import Result, Segmentation, Timing
from .sensor_sync import SyncState, reason

_NS_PER_MS = 1e6
Classes = tuple[Class, ...]


class Request(NamedTuple):
    """One call of a Segmenter; see its arguments."""

    frames: Mapping[str, Any]
    out: NDArray[np.uint8] | None = None
    size: tuple[int, int] | None = None
    confidence: bool = False
    stamp_ns: int | None = None


class Ticket:
    """A frame set that `Segmenter.submit` took; `Segmenter.result` has its labels."""

    def __init__(self, running: InFlight, executor: Executor, began_ns: int) -> None:
        self._unfinished = [(running, executor)]  # nothing once the labels were taken
        self._began_ns, self._begun_ns = began_ns, time.perf_counter_ns()


class FrameLoop:
    """What a Segmenter does with frames; one call at a time.

    Args:
        texts: The bundle's texts; those given in a call stay.
        remember: Whether a call leaves the next one its clock, its camera's size and
            the frames to hold, and its texts.

    Attributes:
        executor: What the next frame set runs on.
    """

    def __init__(
        self,
        manifest: Manifest,
        preprocessor: Preprocessor,
        executor: Executor,
        texts: TextInputs,
        *,
        remember: bool = True,
    ) -> None:
        self.executor, self.texts = executor, texts
        self._own_size, self._preprocessor = manifest.own_size, preprocessor
        self._outputs = manifest.label_outputs
        # By output name, its classes and palette, and the texts that they are.
        self._classes: dict[str, tuple[Texts | None, Classes, NDArray[np.uint8]]] = {}
        self._names = tuple(i.name for i in manifest.sensors)
        self._pictures = tuple(i.name for i in image_inputs(manifest.sensors))
        # A ticket that nobody has takes no place: an exception in `submit` leaves such.
        self._in_flight: list[weakref.ref[Ticket]] = []
        self._sync_state = SyncState()
        self._remember = remember

    def switch(self, executor: Executor) -> None:
        """Go on with another executor of the same bundle, and with what is held."""
        before = self.executor
        executor.load_state(before.tensors(), before.program_state())
        self.executor = executor

    def restart(self, executor: Executor) -> None:
        """Go on with another executor, and with nothing of what was before."""
        self._sync_state, self._in_flight = SyncState(), []
        self.executor = executor

    def close(self) -> None:
        """Let go of the executor in tickets whose labels were not asked for."""
        for ticket in self._tickets():
            ticket._unfinished.clear()

    def label(self, request: Request) -> Result:
        """See `Segmenter`'s call."""
        return self._finish(self._begin(request))

    def submit(self, request: Request) -> Ticket:
        """See `Segmenter.submit`."""
        ticket = self._begin(request)
        try:
            self._in_flight = [*map(weakref.ref, self._tickets()), weakref.ref(ticket)]
            return ticket
        except BaseException:
            ticket._unfinished.clear()
            raise

    def result(self, ticket: Ticket) -> Result:
        """See `Segmenter.result`."""
        if not any(ticket is known for known in self._tickets()):
            raise ArgumentError(
                "ticket must be one that submit of this Segmenter returned, and "
                f"whose result was not taken yet, got {ticket!r}."
            )
        found = self._finish(ticket)
        # On one line: an exception comes before it, and the ticket is still good.
        return ticket._unfinished.pop() and found

    def _tickets(self) -> list[Ticket]:
        """Those whose labels may still be asked for."""
        known = [ticket for ref in self._in_flight if (ticket := ref()) is not None]
        return [ticket for ticket in known if ticket._unfinished]

    def _begin(self, request: Request) -> Ticket:
        began = time.perf_counter_ns()
        frames, out, size, confidence, stamp_ns = request
        if self._in_flight and len(self._tickets()) == MOST_IN_FLIGHT:
            raise ArgumentError(
                f"submit must have at most {MOST_IN_FLIGHT} frame sets unfinished: "
                "take the result of the oldest ticket first."
            )
        texts, frames = self.texts.take(frames)
        frame_set = receive(
            frames,
            names=self._names,
            settings=self.texts.names,
            stamp_ns=stamp_ns,
            clock=self._sync_state.clock,
        )
        if self.texts.names:
            self.texts.require(texts)
        try:
            plan = self._preprocessor.plan(
                frame_set, self._sync_state, device=self.executor.device
            )
        except FrameError as err:
            # A clock that goes back later must not make them look young again.
            self._sync_state = self._sync_state.without(err.causes)
            raise
        size = self._size(size, plan, frame_set.arrays)
        if out is not None:
            self._require_out(out, size, frame_set.arrays)
        maps = {}
        for output in self._outputs:
            labels, out = np.empty(size, np.uint8) if out is None else out, None
            likely = np.empty(size, np.float32) if confidence else None
            maps[output.name] = LabelMap(labels, likely)
        job = FrameJob(plan, frame_set.arrays, size, maps, texts)
        self._preprocessor.check_calibration(plan, frame_set.arrays)
        # While tensors are written nothing is known of their planes; whatever ends this
        # early, a stamp never belongs to other pixels.
        self._hold_only(n for n, d in plan.decisions.items() if d.state == "held")
        if not self._remember:
            self.executor.reset()
        try:
            running = self.executor.start(job)
        except BackendError:
            self._hold_only(())
            raise
        if self._remember:
            self._sync_state, self.texts.known = plan.sync_state, texts
        return Ticket(running, self.executor, began)

    def _hold_only(self, names: Iterable[str]) -> None:
        """Forget every other held frame."""
        known = self._sync_state
        if known.held:
            held = {name: known.held[name] for name in names if name in known.held}
            self._sync_state = SyncState(known.clock, held, known.camera)

    def _finish(self, ticket: Ticket) -> Result:
        entered = time.perf_counter_ns()
        [(running, executor)] = ticket._unfinished
        try:
            executor.finish(running)
        except BackendError:
            ticket._unfinished.clear()
            lost = running.job.plan.sync_state.held
            held = self._sync_state.held
            self._hold_only(n for n in held if held[n] != lost.get(n))
            raise
        job = running.job
        plan, why = job.plan, reason(job.plan.decisions)
        packed, scored = running.packed_ns, running.scored_ns
        total = ticket._begun_ns - ticket._began_ns + time.perf_counter_ns() - entered
        timing = Timing(
            pack_ms=(packed - ticket._began_ns) / _NS_PER_MS,
            network_ms=(scored - packed) / _NS_PER_MS,
            label_ms=(running.labelled_ns - scored) / _NS_PER_MS,
            total_ms=total / _NS_PER_MS,
        )
        results = dict(running.results)
        if not self._outputs:
            return Result(
                timing=timing,
                stamp_ns=plan.stamp_ns,
                sources=plan.sources,
                degraded=why is not None,
                reason=why,
                _others=results,
            )
        shown = self._shown(job, executor)
        first, *more = self._outputs
        for output in more:
            found = results[output.name]
            results[output.name] = self._labelled(
                output, found, {}, job, timing, why, shown
            )
        found = results.pop(first.name)
        return self._labelled(first, found, results, job, timing, why, shown)

    def _labelled(
        self,
        output: SegmentationOutput,
        found: LabelMap,
        others: dict[str, Any],
        job: FrameJob,
        timing: Timing,
        why: str | None,
        shown: NDArray[Any] | None,
    ) -> Segmentation:
        plan, (classes, palette) = job.plan, self._classes_of(output, job.texts)
        return Segmentation(
            labels=found.labels,
            confidence=found.confidence,
            classes=classes,
            timing=timing,
            stamp_ns=plan.stamp_ns,
            sources=plan.sources,
            degraded=why is not None,
            reason=why,
            _others=others,
            _name=output.name,
            _frame=shown,
            _palette=palette,
            _ignore=output.ignore,
        )

    def _classes_of(
        self, output: SegmentationOutput, texts: Mapping[str, Texts]
    ) -> tuple[Classes, NDArray[np.uint8]]:
        """The classes of an output, and their colours as the camera has them."""
        source = output.classes_from
        given = None if source is None else texts[source]
        known = self._classes.get(output.name)
        if known is None or known[0] is not given:
            classes = output.classes if given is None else prompt_classes(given.texts)
            known = given, classes, _palette(classes, self._preprocessor)
            self._classes[output.name] = known
        return known[1:]

    def _shown(self, job: FrameJob, executor: Executor) -> NDArray[Any] | None:
        """The colour frame that labels are painted on."""
        color = self._preprocessor.fresh_color(job.plan)
        shown = None if color is None else job.arrays[color]
        if executor.device is not None and not isinstance(shown, np.ndarray):
            return None  # not to be painted on without a copy
        return shown

    def _require_out(
        self, out: Any, size: tuple[int, int], arrays: Mapping[str, Any]
    ) -> None:
        if not self._outputs:
            raise ArgumentError("out must not be given: no output gives labels.")
        inputs = {f"the frame {name}": array for name, array in arrays.items()}
        require_out("out", out, np.uint8, size, **inputs)

    def preprocess(self, frames: Mapping[str, Any]) -> dict[str, NDArray[np.float32]]:
        """See `Segmenter.preprocess`."""
        texts, frames = self.texts.take(frames)
        frame_set = receive(
            frames,
            names=self._names,
            settings=self.texts.names,
            stamp_ns=None,
            clock=self._sync_state.clock,
        )
        self.texts.require(texts)
        # Copies of the bound tensors: what is held lies there.
        tensors = self.executor.tensors()
        plan = self._preprocessor.plan(frame_set, self._sync_state, device=None)
        self._preprocessor.fill(plan, frame_set.arrays, tensors)
        return tensors | self.texts.tensors(texts)

    def _size(
        self,
        size: tuple[int, int] | None,
        plan: FramePlan,
        arrays: Mapping[str, NDArray[Any]],
    ) -> tuple[int, int]:
        if size is not None:
            return require_size("size", size)
        if plan.sync_state.camera is not None:
            return plan.sync_state.camera
        for name in self._pictures:
            if name in arrays:
                height, width = arrays[name].shape[:2]
                return height, width
        return self._own_size


def _palette(classes: Classes, preprocessor: Preprocessor) -> NDArray[np.uint8]:
    """The classes' colours, in the order of the camera's channels."""
    palette = np.array([entry.color for entry in classes], np.uint8)
    if preprocessor.camera_channels().startswith("BGR"):
        return np.ascontiguousarray(palette[:, ::-1])
    return palette


def loop_for(bundle: Bundle, backend: Backend | GpuBackend) -> FrameLoop:
    """A loop that follows the bundle as it is, on a backend that is not bound yet.

    Raises:
        BundleError, BackendError: as `executor.make`.
    """
    manifest = bundle.manifest
    preprocessor = Preprocessor(manifest, bundle.read)
    texts = TextInputs(manifest, bundle.read)
    executor = native_call(make, backend, manifest, preprocessor)
    return FrameLoop(manifest, preprocessor, executor, texts)

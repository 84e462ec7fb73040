"""The Segmenter: a bundle, loaded; called with frames, it returns labels."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from . import ops
from ._check import require_out, require_size
from .backends import Backend
from .bundle import Bundle
from .choice import start
from .frames import Frame, Memory, reason, receive
from .manifest import Manifest, Variant
from .preprocess import Plan, Preprocessor
from .segmentation import Segmentation, Timing

_NS_PER_MS = 1e6


def load(
    path: str | os.PathLike[str],
    *,
    backend: str | Backend = "auto",
    variant: str | None = None,
    threads: int | None = None,
    units: Mapping[str, str] | None = None,
    channels: Mapping[str, str] | None = None,
) -> Segmenter:
    """Load a bundle, ready to label frames.

    Args:
        path: The ``.fuseg`` file.
        backend, variant, threads, units, channels: See `Segmenter`.

    Raises:
        BundleError: the file is no bundle, damaged, or not to be trusted.
        ManifestError: its manifest breaks the schema, or is of a newer format.
        InputFileError: it cannot be read.
        ArgumentError, BackendError: see `Segmenter`.
    """
    return Segmenter(
        Bundle.open(path),
        backend=backend,
        variant=variant,
        threads=threads,
        units=units,
        channels=channels,
    )


class Segmenter:
    """A network with its pre- and post-processing, and buffers made once.

    Calls from several threads are correct: they wait for one another. To run in
    parallel give each thread a `clone`.

    Args:
        bundle: An open bundle.
        backend: ``"onnxruntime"``, ``"openvino"``, or a `Backend` object of your own.
            ``"auto"`` is what ``fuseg tune`` found the fastest for this bundle, CPU
            and number of threads, else ONNX Runtime.
        variant: Name of the bundle's variant to run; by default what ``fuseg tune``
            found the fastest, else the first that is meant for a CPU. If it then does
            not give the labels of the bundle's samples, fp32 runs: see `fallback`.
        threads: Threads the engine may use; by default the engine chooses.
        units: The unit a sensor really delivers, where it is not the manifest's:
            ``{"depth": "0.1mm"}``. Only the scale changes: the manifest's ``invalid``
            are raw values and stay.
        channels: The channel order a colour camera really delivers:
            ``{"rgb": "BGR"}``.

    Raises:
        ArgumentError: an unknown backend, variant, input name, unit or order.
        BundleError: the network's tensors are not the manifest's.
        BackendError: the engine cannot be made, fails on its first run, or does not
            give the samples' labels with the ``variant`` that was asked for.
    """

    def __init__(
        self,
        bundle: Bundle,
        *,
        backend: str | Backend = "auto",
        variant: str | None = None,
        threads: int | None = None,
        units: Mapping[str, str] | None = None,
        channels: Mapping[str, str] | None = None,
    ) -> None:
        manifest = bundle.manifest
        self._bundle = bundle
        self._units, self._channels = dict(units or {}), dict(channels or {})
        self._preprocessor = Preprocessor(
            manifest, units=self._units, channels=self._channels
        )
        self._output = manifest.outputs[0]
        palette = np.array([c.color for c in self._output.classes], np.uint8)
        if self._preprocessor.camera_channels().startswith("BGR"):
            palette = np.ascontiguousarray(palette[:, ::-1])
        self._palette = palette
        self._names = tuple(i.name for i in manifest.inputs)
        started = start(
            bundle,
            backend=backend,
            variant=variant,
            threads=threads,
            segmenter=lambda engine, chosen: Segmenter(
                bundle, backend=engine, variant=chosen.name
            ),
        )
        self._variant, self._fallback = started.variant, started.fallback
        self._backend = started.engine
        self._backend.bind(
            {i.tensor.name: tuple(i.tensor.shape) for i in manifest.inputs},
            {o.tensor.name: tuple(o.tensor.shape) for o in manifest.outputs},
        )
        self._scores = self._backend.outputs[self._output.tensor.name][0]
        self._labelers: dict[object, ops.Labeler] = {}
        self._memory = Memory()
        self._lock = threading.Lock()

    @property
    def bundle(self) -> Bundle:
        """The bundle this was loaded from."""
        return self._bundle

    @property
    def manifest(self) -> Manifest:
        """The bundle's manifest."""
        return self._bundle.manifest

    @property
    def variant(self) -> Variant:
        """The variant of the network that runs."""
        return self._variant

    @property
    def backend_name(self) -> str:
        """The engine that runs it, never ``"auto"``."""
        return self._backend.name

    @property
    def fallback(self) -> str | None:
        """Why fp32 runs and not the variant that was chosen; None if that one does."""
        return self._fallback

    def __call__(
        self,
        *,
        out: NDArray[np.uint8] | None = None,
        size: tuple[int, int] | None = None,
        confidence: bool = False,
        stamp_ns: int | None = None,
        **frames: NDArray[Any] | Frame | None,
    ) -> Segmentation:
        """Label the frames of one moment.

        A frame is missing (None or not given), late (older than ``max_age_ms``) or
        invalid (not one valid pixel): the manifest's policy for that input decides,
        and the result says what became of it. A call that raises leaves the held
        frames and the clock as they were.

        Nothing the size of an image is allocated but what is returned.

        Args:
            out: Buffer for the labels, of their size, uint8, C-contiguous. Give the
                same one every frame for a loop without allocation.
            size: (H, W) of the labels. By default the size of the newest frame of the
                manifest's first input; before any such frame that of the first frame
                given; without any the network's own output size.
            confidence: Whether to compute the winning class's probability too.
            stamp_ns: The moment the labels shall stand for, on the clock of the
                frames; plain arrays are taken to be of that moment. By default the
                newest usable frame's stamp, or now if frames carry no stamps.
            frames: By input name: an array as the manifest declares it (rows may be
                any number of bytes apart), or ``Frame(array, stamp_ns)``. In one
                Segmenter all frames carry stamps or none does.

        Returns:
            Labels and all that is known about them; a new object with new arrays.

        Raises:
            ArgumentError: an unknown input, stamped and plain frames mixed, a
                ``size`` that is none, or no moment to be known.
            DTypeError, ShapeError, LayoutError: a frame or ``out`` is not as
                declared; the sentence names it.
            FrameError: an input has no usable frame and its policy is to refuse.
            BackendError: the engine failed.
        """
        with self._lock:
            start = time.perf_counter_ns()
            received = receive(
                frames,
                names=self._names,
                stamp_ns=stamp_ns,
                clock=self._memory.clock,
            )
            tensors = self._backend.inputs
            plan = self._preprocessor.plan(received, self._memory)
            size = self._size(size, plan, received.arrays)
            if out is not None:
                inputs = {f"the frame {n}": a for n, a in received.arrays.items()}
                require_out("out", out, np.uint8, size, **inputs)
            self._preprocessor.fill(plan, received, tensors)
            self._memory = plan.memory
            packed = time.perf_counter_ns()
            self._backend.run()
            scored = time.perf_counter_ns()
            labels = np.empty(size, np.uint8) if out is None else out
            likely = np.empty(size, np.float32) if confidence else None
            label = self._labeler_for(size, plan.memory.camera)
            label(self._scores, out=labels, confidence=likely)
            labelled = time.perf_counter_ns()
            color = self._preprocessor.fresh_color(plan)
            why = reason(plan.decisions)
            end = time.perf_counter_ns()
        return Segmentation(
            labels=labels,
            confidence=likely,
            classes=self._output.classes,
            timing=Timing(
                pack_ms=(packed - start) / _NS_PER_MS,
                engine_ms=(scored - packed) / _NS_PER_MS,
                label_ms=(labelled - scored) / _NS_PER_MS,
                total_ms=(end - start) / _NS_PER_MS,
            ),
            stamp_ns=plan.stamp_ns,
            made_from=plan.made_from,
            degraded=why is not None,
            reason=why,
            _frame=None if color is None else received.arrays[color],
            _palette=self._palette,
            _ignore=self._output.ignore,
        )

    def preprocess(
        self, **frames: NDArray[Any] | Frame | None
    ) -> dict[str, NDArray[np.float32]]:
        """The tensors the network would be fed with these frames.

        The same checks and policies as a call; but nothing is remembered: what is
        held, and the clock, stay as they are.

        Returns:
            ``{tensor name: (1, C, h, w) float32}``, copies.

        Raises:
            As a call.
        """
        with self._lock:
            received = receive(
                frames, names=self._names, stamp_ns=None, clock=self._memory.clock
            )
            # Copies of the bound tensors: what is held lies there.
            tensors = {name: t.copy() for name, t in self._backend.inputs.items()}
            plan = self._preprocessor.plan(received, self._memory)
            self._preprocessor.fill(plan, received, tensors)
        return tensors

    def clone(self) -> Segmenter:
        """A Segmenter with the same weights, buffers of its own and no held frames."""
        twin = Segmenter(
            self._bundle,
            backend=self._backend.clone(),
            variant=self._variant.name,
            units=self._units,
            channels=self._channels,
        )
        twin._fallback = self._fallback
        return twin

    def _labeler_for(
        self, size: tuple[int, int], camera: tuple[int, int] | None
    ) -> ops.Labeler:
        """The plan of the last call, or a new one if the sizes are new."""
        labeler = self._labelers.get((size, camera))
        if labeler is None:
            crop = None if camera is None else self._preprocessor.picture(camera)
            labeler = ops.Labeler(
                self._scores.shape,
                self._scores.dtype,
                size=size,
                align_corners=self._output.upsample.align_corners,
                crop=crop,
                input_size=None if crop is None else self._preprocessor.input_size,
            )
            self._labelers = {(size, camera): labeler}
        return labeler

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

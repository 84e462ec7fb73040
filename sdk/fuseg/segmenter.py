"""The Segmenter: a bundle, loaded; called with frames, it returns labels."""

from __future__ import annotations

import os
from collections.abc import Mapping
from types import TracebackType
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from . import _kernels
from .backends import Backend, GpuBackend, registry
from .bundle import Bundle
from .bundle.signing import Trust, require_trusted
from .errors import ArgumentError, BackendError, BundleError
from .host.process import forks, was_cut
from .manifest import Manifest, Variant
from .results import Segmentation
from .runtime.frame_loop import FrameLoop, Ticket
from .runtime.pipeline import Pipeline, make
from .runtime.policies import Changes, in_force
from .runtime.preprocess import Preprocessor
from .selection import select


def load(
    path: str | os.PathLike[str] | bytes | BinaryIO,
    *,
    backend: str | Backend | GpuBackend = "auto",
    variant: str | None = None,
    threads: int | None = None,
    allow_spinning: bool = True,
    device: int = 0,
    serve_while_building: bool = False,
    units: Mapping[str, str | Mapping[str, str]] | None = None,
    channels: Mapping[str, str] | None = None,
    missing: Changes | None = None,
    hold: bool = True,
    trust: Trust | None = None,
) -> Segmenter:
    """Load a bundle, ready to label frames.

    Args:
        path: The ``.fuseg`` file: its path, its bytes, or the file opened for reading
            in binary mode.
        backend, variant, threads, allow_spinning, device, serve_while_building,
            units, channels, missing, hold: See `Segmenter`.

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
        allow_spinning=allow_spinning,
        device=device,
        serve_while_building=serve_while_building,
        units=units,
        channels=channels,
        missing=missing,
        hold=hold,
        trust=trust,
    )


class Segmenter:
    """A network with its pre- and post-processing, and buffers made once.

    Calls from several threads are correct: they wait for one another. To run in
    parallel give each thread a `clone`.

    After an exception that comes in the middle of a call, as Ctrl-C does, it goes on:
    what the call was writing is not held any more, and an interrupted `result` may be
    asked for again. A process that ends waits for the call in flight. In a child of
    `os.fork` a Segmenter of ONNX Runtime works; another engine's raises BackendError.
    It is pickled as the path (or bytes), digest and options it was loaded from, and is
    loaded again where it is unpickled.

    Args:
        bundle: An open bundle.
        backend: ``"tensorrt"`` or ``"onnxruntime-cuda"`` on an NVIDIA GPU,
            ``"onnxruntime"`` or ``"openvino"`` on a CPU, or a `Backend` object of your
            own. ``"auto"`` is what ``fuseg tune`` found the fastest for this bundle,
            CPU and number of threads; else the first of TensorRT, ONNX Runtime's CUDA
            provider and ONNX Runtime that works here. One line of the log says which,
            and why not the ones before. A TensorRT engine that does not exist yet is
            built first, which takes minutes; ``fuseg build`` does it ahead.
        variant: Name of the bundle's variant to run; by default what ``fuseg tune``
            found the fastest, else the one that is meant for the engine. If it then
            does not give the labels of the bundle's samples, another engine or fp32
            runs: see `fallback`. The first time, an engine on a CPU is tried in a
            process of its own, with limits of time and memory, on one sample; what
            passed is remembered in the user's cache. A `Backend` object is not tried.
        threads: Threads a CPU engine may use; by default the engine chooses, but no
            more than the cores and the CPU quota (cgroup) that this process has.
        allow_spinning: Whether threads of ONNX Runtime that wait for work keep their
            core busy for some milliseconds, which is its default and the faster way on
            a machine with nothing else to do. False lets them sleep at once: for a
            battery, for cores that others need. OpenVINO's threads sleep anyway; how a
            process waits for a GPU is CUDA's choice, and does not change.
        device: Which GPU, counted from 0 as CUDA does.
        serve_while_building: Whether another engine labels frames while TensorRT's is
            built in the background; the first call after that is TensorRT's.
        units: The unit a depth-like sensor really delivers, where it is not the
            manifest's: ``{"depth": "0.1mm"}``. Frames of the manifest's type are
            scaled; its ``invalid`` are raw values and stay. With a unit, uint16 and
            float32 stand for each other, ``{"depth": "m"}`` for float32 metres: a float
            that an integer sensor could not deliver (not finite, out of its range, or
            rounded to one of ``invalid``) is no reading; nor are 0 and 65535 of
            integers for a float sensor of distances. Where both types arrive, one unit
            for each: ``{"depth": {"uint16": "mm", "float32": "m"}}``.
        channels: The channel order a colour camera really delivers:
            ``{"rgb": "BGR"}``.
        missing: By input name, the keys of the manifest's ``missing`` that are to
            differ from the bundle's: ``{"depth": {"max_age_ms": 300}}``. ``policy`` is
            ``"refuse"``, ``"substitute"`` or ``"hold"``; ``max_age_ms`` and
            ``max_ahead_ms`` are how old a frame may be, and how far it may lie after
            the result's stamp, None for no limit; ``then`` is what follows ``hold``.
        hold: False for a server that mixes clients: no call depends on an earlier one.
            Nothing is held, whose policy is ``hold`` follows its ``then``, each call
            may be on another clock, and no camera's size is remembered.
        trust: Who vouches for the file: the sha256 that it must have, 64 hexadecimal
            digits, or the path of the public Ed25519 key (PEM) that its signature
            beside it, ``<bundle>.sig``, must fit (``fuseg sign`` writes it). The first
            run is then in this process and without limits; what is checked without an
            engine, and the labels of a sample, are checked all the same.

    Raises:
        ArgumentError: an unknown backend, variant, input name, unit or order; a policy
            that breaks the manifest's schema; a ``trust`` that is no digest and no key.
        BundleError: the network's tensors are not the manifest's; or the file is not
            the one that ``trust`` vouches for.
        BackendError: the engine cannot be made, fails on its first run or goes beyond
            the limits of that, or does not give the samples' labels with the
            ``variant`` that was asked for.
    """

    def __init__(
        self,
        bundle: Bundle,
        *,
        backend: str | Backend | GpuBackend = "auto",
        variant: str | None = None,
        threads: int | None = None,
        allow_spinning: bool = True,
        device: int = 0,
        serve_while_building: bool = False,
        units: Mapping[str, str | Mapping[str, str]] | None = None,
        channels: Mapping[str, str] | None = None,
        missing: Changes | None = None,
        hold: bool = True,
        trust: Trust | None = None,
    ) -> None:
        if not isinstance(bundle, Bundle):
            raise ArgumentError(
                f"bundle must be an open Bundle, got {type(bundle).__name__}: "
                "fuseg.load(path) opens one and makes a Segmenter of it."
            )
        if trust is not None:
            require_trusted(bundle, trust)
        self._options = {
            "backend": backend,
            "variant": variant,
            "threads": threads,
            "allow_spinning": allow_spinning,
            "device": device,
            "serve_while_building": serve_while_building,
            "units": units,
            "channels": channels,
            "missing": missing,
            "hold": hold,
            "trust": trust,
        }
        self._bundle = bundle
        self._threads, self._allow_spinning = threads, allow_spinning
        self._manifest = manifest = in_force(bundle.manifest, missing, hold=hold)
        self._missing = {name: dict(keys) for name, keys in (missing or {}).items()}
        self._hold = hold
        self._units, self._channels = dict(units or {}), dict(channels or {})
        self._preprocessor = Preprocessor(
            manifest, units=self._units, channels=self._channels
        )
        started = select.start(
            bundle,
            backend=backend,
            variant=variant,
            threads=threads,
            allow_spinning=allow_spinning,
            device=device,
            serve_while_building=serve_while_building,
            trusted=trust is not None,
            bind=self._bind,
            segmenter=lambda engine, chosen: Segmenter(
                bundle, backend=engine, variant=chosen.name
            ),
        )
        self._variant, self._fallback = started.variant, started.fallback
        self._loop: FrameLoop | None = FrameLoop(
            manifest, self._preprocessor, started.pipeline, remember=hold
        )
        self._calls, self._forks = _kernels.CallLock(), forks()
        self._later = started.later
        if started.later is not None:
            started.later.begin(self._bind)

    @property
    def bundle(self) -> Bundle:
        """The bundle this was loaded from."""
        return self._bundle

    @property
    def manifest(self) -> Manifest:
        """The bundle's manifest, with the policies that `load` was told."""
        return self._manifest

    @property
    def variant(self) -> Variant:
        """The variant of the network that runs."""
        return self._variant

    @property
    def backend_name(self) -> str:
        """The engine that runs it, never ``"auto"``."""
        return self._opened().pipeline.name

    @property
    def backend(self) -> Backend | GpuBackend:
        """What runs the network now, bound: its tensors are ``inputs`` and ``outputs``.

        On a CPU these are NumPy arrays, and between two calls ``outputs`` holds the raw
        scores of the last one; on a GPU they say where the tensors lie. To run the
        network without frames, bind its ``clone()``, which shares the weights.
        """
        return self._opened().pipeline.backend

    @property
    def fallback(self) -> str | None:
        """Why another engine or variant runs than the first choice; None if that does.

        An engine that is not here at all is no choice.
        """
        return self._fallback

    @property
    def warnings(self) -> tuple[str, ...]:
        """What was unlike the frames that the bundle was made with, once per input.

        Depth by its unit; of three frames in a row, a sensor that sees almost nothing,
        and colour that is dark. The first frames are looked at, and then few. Each is a
        warning of the log, too. Nothing is said without ``statistics`` of at least
        eight frames in the manifest, nor of frames that are on a GPU.
        """
        return self._preprocessor.warnings

    @property
    def cuda_graph_disabled_reason(self) -> str | None:
        """Why frames do not run as one CUDA graph; None if they do, or on a CPU."""
        return self._opened().pipeline.cuda_graph_disabled_reason

    def __call__(
        self,
        *,
        out: NDArray[np.uint8] | None = None,
        size: tuple[int, int] | None = None,
        confidence: bool = False,
        stamp_ns: int | None = None,
        **frames: Any,
    ) -> Segmentation:
        """Label one frame set: the frames of one instant.

        A frame is absent (None or not given), late (more than ``max_age_ms`` older
        than the result's stamp), early (more than ``max_ahead_ms`` after it) or invalid
        (not one valid pixel): the policy for that input decides, and the result says
        what became of it. A call that raises leaves the held frames and the clock as
        they were; but a held frame is gone that was found too old, or too far ahead, or
        that the call was about to replace when it was interrupted, and all of them are
        if the engine failed.

        Nothing the size of an image is allocated but what is returned.

        Args:
            out: Buffer for the labels, of their size, uint8, C-contiguous. Give the
                same one every frame for a loop without allocation.
            size: (H, W) of the labels, at most 65,536 a side. By default the size of
                the newest frame of the manifest's first input (of the held one, if that
                is used); before any such frame that of the first frame given; without
                any the network's own output size.
            confidence: Whether to compute the winning class's probability too.
            stamp_ns: The time the labels shall stand for, on the clock of the
                frames: every frame is late or early by this. Plain arrays are taken to
                be of that time. By default the newest usable frame's stamp, by which
                that frame itself is neither, or now if frames carry no stamps.
            frames: By input name: an array as the manifest declares it (rows may be
                any number of bytes apart; what a ``numpy.ma`` mask hides of a
                depth-like frame is no reading), or ``Frame(array, stamp_ns)``. In one
                Segmenter all frames carry stamps or none does. If the engine is on a
                GPU, arrays that are there (DLPack, ``__cuda_array_interface__``) are
                read where they are, after the work of the stream they name; they are
                taken to have valid pixels.

        Returns:
            Labels and all that is known about them; a new object with new arrays.

        Raises:
            ArgumentError: an unknown input, stamped and plain frames mixed, a
                ``size`` that is none, no stamp to be known, or `submit` has taken as
                many frame sets as may be unfinished.
            DTypeError, ShapeError, LayoutError: a frame or ``out`` is not as
                declared; the sentence names it.
            FrameError: an input has no usable frame and its policy is to refuse.
            BackendError: the engine failed, or its scores are NaN or infinite.
        """
        return self._calls.call(self._label, out, size, confidence, stamp_ns, frames)

    def submit(
        self,
        *,
        out: NDArray[np.uint8] | None = None,
        size: tuple[int, int] | None = None,
        confidence: bool = False,
        stamp_ns: int | None = None,
        **frames: Any,
    ) -> Ticket:
        """Take one frame set, and do not wait for their labels.

        For a loop that gives the next frames before it asks for the last labels, so
        that a GPU never waits for the CPU. Two frame sets may be unfinished; a ticket
        that is dropped gives its place back. With an engine on a CPU the work is done
        here. Arrays on the CPU may be reused at once,
        those on a GPU after `result`.

        Args:
            out, size, confidence, stamp_ns, frames: As a call's. ``out`` is written by
                `result` at the latest.

        Returns:
            What `result` takes.

        Raises:
            As a call.
        """
        return self._calls.call(self._submit, out, size, confidence, stamp_ns, frames)

    def result(self, ticket: Ticket) -> Segmentation:
        """Wait for the labels of a frame set that `submit` took.

        Once for each, and again where an exception came in between.

        Raises:
            ArgumentError: the ticket is not of this Segmenter, or was used.
            BackendError: the engine failed, or its scores are NaN or infinite.
        """
        return self._calls.call(self._result, ticket)

    def preprocess(self, **frames: Any) -> dict[str, NDArray[np.float32]]:
        """The tensors the network would be fed with these frames, on the CPU.

        The same checks and policies as a call; but nothing is remembered: what is
        held, and the clock, stay as they are.

        Returns:
            ``{tensor name: (1, C, h, w) float32}``, copies. On a GPU the network may
            read them in float16 or int8.

        Raises:
            As a call.
        """
        return self._calls.call(self._preprocess, frames)

    def clone(self) -> Segmenter:
        """A Segmenter with the same weights, buffers of its own and no held frames."""
        return self._calls.call(self._clone)

    def close(self) -> None:
        """Give back the engine and its memory, on a GPU too, now.

        Waits for a call of another thread. Tickets whose labels were not asked for are
        lost. Closing again does nothing; every other use raises ArgumentError, but for
        what is known of the bundle. ``with fuseg.load(path) as segmenter:`` closes too.
        """
        self._calls.call(self._close)

    def __enter__(self) -> Segmenter:  # noqa: PYI034  # Python 3.10 has no Self
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        where = "closed"
        if self._loop is not None:
            where = f"{self._variant.name} on {self._loop.pipeline.name}"
        inputs = ", ".join(i.name for i in self._manifest.inputs)
        return f"<fuseg.Segmenter of {self._bundle.path.name} ({inputs}): {where}>"

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickled as what it was loaded from, and loaded where it is unpickled."""
        if not isinstance(self._options["backend"], str):
            raise ArgumentError(
                "backend must be a name for a Segmenter to be pickled, got "
                f"{self._options['backend']!r}: make the Segmenter in the process that "
                "uses it."
            )
        return _loaded_again, (self._bundle.source, self._bundle.digest, self._options)

    def _bind(self, engine: Backend | GpuBackend) -> Pipeline:
        return _kernels.native_call(make, engine, self.manifest, self._preprocessor)

    def _label(self, *arguments: Any) -> Segmentation:
        return self._ready().label(*arguments)

    def _submit(self, *arguments: Any) -> Ticket:
        return self._ready().submit(*arguments)

    def _result(self, ticket: Ticket) -> Segmentation:
        self._survive_fork()
        return self._opened().result(ticket)

    def _preprocess(self, frames: Mapping[str, Any]) -> dict[str, NDArray[np.float32]]:
        self._survive_fork()
        return self._opened().preprocess(frames)

    def _clone(self) -> Segmenter:
        twin = Segmenter(
            self._bundle,
            backend=self._ready().pipeline.backend.clone(),
            variant=self._variant.name,
            units=self._units,
            channels=self._channels,
            missing=self._missing,
            hold=self._hold,
        )
        twin._fallback, twin._options = self._fallback, self._options
        return twin

    def _close(self) -> None:
        loop, self._loop, self._later = self._loop, None, None
        if loop is not None:
            loop.close()

    def _opened(self) -> FrameLoop:
        if self._loop is None:
            raise ArgumentError(
                f"the Segmenter of {self._bundle.path.name} was closed: load its "
                "bundle again."
            )
        return self._loop

    def _ready(self) -> FrameLoop:
        """What labels the next frames."""
        self._survive_fork()
        self._switch()
        return self._opened()

    def _survive_fork(self) -> None:
        """In a child process: an engine that works there, or one clear error."""
        if self._forks == forks() or self._loop is None:
            return
        pipeline = self._loop.pipeline
        named = isinstance(self._options["backend"], str)
        if not pipeline.survives_fork or (named and was_cut(self._forks)):
            if not named or pipeline.name != "onnxruntime":
                raise BackendError(
                    f"{pipeline.name} does not work in a process that fork made of one "
                    "that used it: start the process with spawn "
                    "(multiprocessing.get_context('spawn')) and load the bundle there."
                )
            engine = registry.load(
                *(self._bundle, pipeline.name, self._variant),
                threads=self._threads,
                device=0,
                allow_spinning=self._allow_spinning,
            )
            self._loop.restart(self._bind(engine))
        self._forks = forks()

    def _switch(self) -> None:
        """Go on with the engine that was built meanwhile, if it is ready."""
        later = self._later
        ready = None if later is None else later.take()
        if later is None or ready is None:
            return
        if ready.pipeline is None:
            self._fallback = ready.why
        else:
            self._opened().switch(ready.pipeline)
            self._variant = later.variant
        self._later = None  # last: what is interrupted begins again


def _loaded_again(
    source: str | bytes, digest: str, options: Mapping[str, Any]
) -> Segmenter:
    """What a pickled Segmenter becomes."""
    bundle = Bundle.open(source)
    if bundle.digest != digest:
        raise BundleError(
            f"{bundle.path} must be the bundle that the Segmenter was pickled with, of "
            f"sha256 {digest}, got {bundle.digest}: load the new one instead."
        )
    return Segmenter(bundle, **options)

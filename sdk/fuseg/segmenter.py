"""The Segmenter: a bundle, loaded; called with frames, it returns labels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from . import _kernels
from .backends import Backend, GpuBackend
from .bundle import Bundle
from .errors import ArgumentError, BundleError, DTypeError
from .manifest import Manifest, Variant
from .runtime.frame_loop import Request, Ticket
from .runtime.results import Result, Segmentation
from .selection.load_options import LoadOptions
from .selection.session import Session


class Segmenter:
    """A network with its pre- and post-processing, and buffers made once.

    `fuseg.load` makes it. Calls from several threads are correct: they wait for one
    another. To run in parallel give each thread a `clone`.

    After an exception that comes in the middle of a call, as Ctrl-C does, it goes on:
    what the call was writing is not held any more, and an interrupted `result` may be
    asked for again. A process that ends waits for the call in flight. In a child of
    `os.fork` a Segmenter of ONNX Runtime works; another backend's raises BackendError.
    It is pickled as the path (or bytes), digest and options it was loaded from, and is
    loaded again where it is unpickled.

    Args:
        bundle: An open bundle.
        options: The arguments of `fuseg.load`.

    Raises:
        ArgumentError, BackendError, BundleError: see `fuseg.load`.
    """

    def __init__(self, bundle: Bundle, options: LoadOptions | None = None) -> None:
        if not isinstance(bundle, Bundle):
            raise ArgumentError(
                f"bundle must be an open Bundle, got {type(bundle).__name__}: "
                "fuseg.load(path) opens one and makes a Segmenter of it."
            )
        self._session = Session(bundle, options or LoadOptions())
        self._calls = _kernels.CallLock()

    @property
    def bundle(self) -> Bundle:
        """The bundle this was loaded from."""
        return self._session.bundle

    @property
    def manifest(self) -> Manifest:
        """The bundle's manifest, with the policies given to `load`."""
        return self._session.manifest

    @property
    def variant(self) -> Variant:
        """The variant of the network that runs."""
        return self._session.variant

    @property
    def backend_name(self) -> str:
        """The backend that runs it, never ``"auto"``."""
        return self._session.loop.executor.name

    @property
    def backend(self) -> Backend | GpuBackend:
        """What runs the network now, bound: its tensors are ``inputs`` and ``outputs``.

        On a CPU these are NumPy arrays, and between two calls ``outputs`` holds the raw
        scores of the last one; on a GPU they say where the tensors lie. To run the
        network without frames, bind its ``clone()``, which shares the weights. Of a
        bundle with several graphs, ``ran`` counts how often each one ran.
        """
        return self._session.loop.executor.backend

    @property
    def fallback(self) -> str | None:
        """Why another backend or variant runs than the first choice; None if that does.

        Backends that are not installed are not counted.
        """
        return self._session.fallback

    @property
    def warnings(self) -> tuple[str, ...]:
        """What was unlike the frames that the bundle was made with, once per input.

        Depth by its unit; of three frames in a row, a sensor that sees almost nothing,
        and colour that is dark. The first frames are looked at, and then few. Each is a
        warning of the log, too. Nothing is said without ``statistics`` of at least
        eight frames in the manifest, nor of frames that are on a GPU.
        """
        return self._session.preprocessor.warnings

    @property
    def cuda_graph_disabled_reason(self) -> str | None:
        """Why frames do not run as one CUDA graph; None if they do, or on a CPU."""
        return self._session.loop.executor.cuda_graph_disabled_reason

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
        if the backend failed.

        Nothing the size of an image is allocated but what is returned.

        Args:
            out: Buffer for the (first) labels, of their size, uint8, C-contiguous. Give
                the same one every frame for a loop without allocation.
            size: (H, W) of the labels, at most 65,536 a side. By default the size of
                the newest frame of the manifest's first input of images (of the held
                one, if that is used); before any such frame that of the first image
                given; without any the network's own output size.
            confidence: Whether to compute the winning class's probability too.
            stamp_ns: The time the labels shall stand for, on the clock of the
                frames: every frame is late or early by this. Plain arrays are taken to
                be of that time. By default the newest usable frame's stamp, by which
                that frame itself is neither, or now if frames carry no stamps.
            frames: By input name: an array as the manifest declares it (rows may be
                any number of bytes apart; what a ``numpy.ma`` mask hides of a
                depth-like frame is no reading), or ``Frame(array, stamp_ns)``. In one
                Segmenter all frames carry stamps or none does. If the backend is on a
                GPU, arrays that are there (DLPack, ``__cuda_array_interface__``) are
                read where they are, after the work that their owner has begun on them;
                they are taken to have valid pixels. For an input of texts: see
                `set_prompts`.

        Returns:
            Labels and all that is known about them, and by name the results of the
            other outputs; a new object with new arrays. Of a bundle without labels, a
            `Result`.

        Raises:
            ArgumentError: an unknown input, stamped and plain frames mixed, a
                ``size`` that is none, no stamp to be known, or `submit` has taken as
                many frame sets as may be unfinished.
            DTypeError, ShapeError, LayoutError: a frame or ``out`` is not as
                declared; the sentence names it.
            FrameError: an input has no usable frame and its policy is to refuse.
            BackendError: the backend failed, or its scores are NaN or infinite.
        """
        request = Request(frames, out, size, confidence, stamp_ns)
        return cast(Segmentation, self._calls.call(self._label, request))

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
        that is dropped gives its place back. With a CPU backend the work is done here.
        Arrays on the CPU may be reused at once, those on a GPU after `result`.

        Args:
            out, size, confidence, stamp_ns, frames: As a call's. ``out`` is written by
                `result` at the latest.

        Returns:
            What `result` takes.

        Raises:
            As a call.
        """
        request = Request(frames, out, size, confidence, stamp_ns)
        return self._calls.call(self._submit, request)

    def result(self, ticket: Ticket) -> Segmentation:
        """Wait for the labels of a frame set that `submit` took.

        Once for each, and again where an exception came in between.

        Raises:
            ArgumentError: the ticket is not of this Segmenter, or was used.
            BackendError: the backend failed, or its scores are NaN or infinite.
        """
        return cast(Segmentation, self._calls.call(self._result, ticket))

    def preprocess(self, **frames: Any) -> dict[str, NDArray[np.float32]]:
        """The tensors the network would be fed with these frames, on the CPU.

        The same checks and policies as a call; but nothing is remembered: what is
        held, and the clock, stay as they are.

        Returns:
            ``{tensor name: array}``, copies, as the manifest has them: of images
            (1, C, h, w) float32, of texts int64. On a GPU the network may read them in
            float16 or int8.

        Raises:
            As a call.
        """
        return self._calls.call(self._preprocess, frames)

    def reset(self) -> None:
        """Start the bundle's states anew, as for the first frame of another sequence.

        Where a bundle has none, nothing is done. Held frames are kept.
        """
        self._calls.call(self._reset)

    @property
    def texts(self) -> dict[str, tuple[str, ...]]:
        """By input name, the texts that are in force; those that were never given, and
        have no default, are not in it."""
        known = self._session.loop.texts.known
        return {name: found.texts for name, found in known.items()}

    def set_prompts(
        self, prompts: str | Sequence[str], *, name: str | None = None
    ) -> None:
        """Set the texts of an input; the next call reads them.

        They stay until others are set, here or in a call: ``segmenter(rgb=rgb,
        prompt="a chair")`` sets them for that call and those that follow. Texts that
        are the same as before cost nothing; others are tokenized here, and the graphs
        that read them run again in the next call.

        Args:
            prompts: A text, or a list of them where the bundle takes several.
            name: The input, where the bundle has several of texts.

        Raises:
            ArgumentError: the bundle has no input of texts, or several and none is
                named; there are too many texts, or too few; one is too long or empty
                and must not be.
            DTypeError: a text is no string.
        """
        self._calls.call(self._set_prompts, prompts, name)

    def clone(self) -> Segmenter:
        """A Segmenter with the same weights and texts, buffers of its own, and no held
        frames."""
        return self._calls.call(self._clone)

    def close(self) -> None:
        """Give back the backend and its memory, on a GPU too, now.

        Waits for a call of another thread. Tickets whose labels were not asked for are
        lost. Closing again does nothing; every other use raises ArgumentError, but for
        what is known of the bundle. ``with fuseg.load(path) as segmenter:`` closes too.
        """
        self._calls.call(self._session.close)

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
        if not self._session.is_closed:
            where = f"{self.variant.name} on {self.backend_name}"
        inputs = ", ".join(i.name for i in self.manifest.inputs)
        return f"<fuseg.Segmenter of {self.bundle.path.name} ({inputs}): {where}>"

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickled as what it was loaded from, and loaded where it is unpickled."""
        backend = self._session.options.backend
        if not isinstance(backend, str):
            raise ArgumentError(
                "backend must be a name for a Segmenter to be pickled, got "
                f"{backend!r}: make the Segmenter in the process that uses it."
            )
        bundle = self.bundle
        return _loaded_again, (bundle.source, bundle.digest, self._session.options)

    def _label(self, request: Request) -> Result:
        return self._session.ready().label(request)

    def _submit(self, request: Request) -> Ticket:
        return self._session.ready().submit(request)

    def _result(self, ticket: Ticket) -> Result:
        return self._session.current().result(ticket)

    def _preprocess(self, frames: Mapping[str, Any]) -> dict[str, NDArray[np.float32]]:
        return self._session.current().preprocess(frames)

    def _reset(self) -> None:
        self._session.current().executor.reset()

    def _set_prompts(self, prompts: str | Sequence[str], name: str | None) -> None:
        known = [text.name for text in self.manifest.texts]
        chosen = known if name is None else [name]
        if len(chosen) != 1 or chosen[0] not in known:
            got = "none" if name is None else repr(name)
            raise ArgumentError(
                f"name must be an input of texts of this bundle, "
                f"{', '.join(known) or 'which has none'}, got {got}."
            )
        if prompts is None:
            raise DTypeError("prompts must be a string, or a list of them, got None.")
        texts = self._session.current().texts
        texts.known, _ = texts.take({chosen[0]: prompts})

    def _clone(self) -> Segmenter:
        twin = Segmenter.__new__(Segmenter)
        twin._session, twin._calls = self._session.clone(), _kernels.CallLock()
        return twin


def _loaded_again(source: str | bytes, digest: str, options: LoadOptions) -> Segmenter:
    """What a pickled Segmenter becomes."""
    bundle = Bundle.open(source)
    if bundle.digest != digest:
        raise BundleError(
            f"{bundle.path} must be the bundle that the Segmenter was pickled with, of "
            f"sha256 {digest}, got {bundle.digest}: load the new one instead."
        )
    return Segmenter(bundle, options)

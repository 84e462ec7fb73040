"""A bundle on the backend that was selected for it, from its load to its close."""

from __future__ import annotations

from .._kernels import native_call
from ..backends import Backend, GpuBackend, registry
from ..backends.base import CpuBackendInfo
from ..bundle import Bundle
from ..bundle.signing import require_trusted
from ..errors import ArgumentError, BackendError
from ..host.process import forks, was_cut
from ..runtime.executor import Executor, make
from ..runtime.frame_loop import FrameLoop
from ..runtime.inputs.text import TextInputs
from ..runtime.policies import in_force
from ..runtime.preprocess import Preprocessor
from .load_options import LoadOptions
from .select import select_backend


class Session:
    """What a Segmenter runs on; used by one thread at a time.

    Attributes:
        bundle, options: What it was loaded from.
        manifest: The bundle's, with the policies of the options.
        preprocessor: Of the manifest, with the options' units, channels and rates.
        variant: What runs.
        fallback: Why that, or its backend, is not the first choice; None if it is.
    """

    def __init__(self, bundle: Bundle, options: LoadOptions) -> None:
        if options.trust is not None:
            require_trusted(bundle, options.trust)
        self.bundle, self.options = bundle, options
        self.manifest = in_force(bundle.manifest, options.missing, hold=options.hold)
        self.preprocessor = Preprocessor(
            self.manifest,
            bundle.read,
            units=options.units,
            channels=options.channels,
            rates=options.rates,
        )
        selection = select_backend(bundle, options, self._bind)
        self.variant, self.fallback = selection.variant, selection.fallback
        self._loop: FrameLoop | None = FrameLoop(
            self.manifest,
            self.preprocessor,
            selection.executor,
            TextInputs(self.manifest, bundle.read),
            remember=options.hold,
        )
        self._forks, self._background = forks(), selection.background
        if self._background is not None:
            self._background.start()

    @property
    def is_closed(self) -> bool:
        return self._loop is None

    @property
    def loop(self) -> FrameLoop:
        """What took the last frames.

        Raises:
            ArgumentError: it was closed.
        """
        if self._loop is None:
            raise ArgumentError(
                f"the Segmenter of {self.bundle.path.name} was closed: load its "
                "bundle again."
            )
        return self._loop

    def current(self) -> FrameLoop:
        """As `loop`; in a child of ``os.fork`` on a backend that works there.

        Raises:
            BackendError: no backend of this name works in a child process.
        """
        if self._loop is not None and self._forks != forks():
            backend = self._reloaded(self._loop.executor)
            if backend is not None:
                self._loop.restart(self._bind(backend))
            self._forks = forks()
        return self.loop

    def ready(self) -> FrameLoop:
        """As `current`; on the backend that was built meanwhile, if one was."""
        loop, background = self.current(), self._background
        built = None if background is None else background.result()
        if background is not None and built is not None:
            if built.executor is None:
                self.fallback = built.reason
            else:
                loop.switch(built.executor)
                self.variant = background.variant
            self._background = None  # last: what is interrupted begins again
        return loop

    def clone(self) -> Session:
        """One with the same weights, and buffers of its own."""
        backend = self.ready().executor.backend.clone()
        twin = Session(self.bundle, self.options.for_clone(backend, self.variant.name))
        twin.fallback, twin.options = self.fallback, self.options
        twin.loop.texts.known = dict(self.loop.texts.known)
        return twin

    def close(self) -> None:
        """Let go of the backend; again, it does nothing."""
        loop, self._loop, self._background = self._loop, None, None
        if loop is not None:
            loop.close()

    def _bind(self, backend: Backend | GpuBackend) -> Executor:
        return native_call(make, backend, self.manifest, self.preprocessor)

    def _reloaded(self, executor: Executor) -> Backend | GpuBackend | None:
        """A new backend in a child process; None if the parent's works there."""
        named = isinstance(self.options.backend, str)
        if executor.survives_fork and not (named and was_cut(self._forks)):
            return None
        info = registry.info_of(executor.name) if named else None
        if not isinstance(info, CpuBackendInfo) or not info.survives_fork:
            raise BackendError(
                f"{executor.name} does not work in a process that fork made of one "
                "that used it: start the process with spawn "
                "(multiprocessing.get_context('spawn')) and load the bundle there."
            )
        return registry.load(
            self.bundle,
            info.name,
            self.variant,
            threads=self.options.threads,
            allow_spinning=self.options.allow_spinning,
        )

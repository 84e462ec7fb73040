"""What a Segmenter goes on with in a child of ``os.fork``."""

from __future__ import annotations

from ..backends import Backend, GpuBackend, registry
from ..backends.base import CpuBackendInfo
from ..bundle import Bundle
from ..errors import BackendError
from ..host.process import was_cut
from ..manifest import Variant
from ..runtime.pipeline import Pipeline
from .load_options import LoadOptions


def reloaded(
    bundle: Bundle,
    variant: Variant,
    options: LoadOptions,
    pipeline: Pipeline,
    forks: int,
) -> Backend | GpuBackend | None:
    """A new backend in place of one that does not work here; None if it does.

    Args:
        pipeline: The parent's.
        forks: How many forks there had been when it was made.

    Raises:
        BackendError: neither it nor a new one works in a child process.
    """
    named = isinstance(options.backend, str)
    if pipeline.survives_fork and not (named and was_cut(forks)):
        return None
    info = registry.info_of(pipeline.name) if named else None
    if not isinstance(info, CpuBackendInfo) or not info.survives_fork:
        raise BackendError(
            f"{pipeline.name} does not work in a process that fork made of one "
            "that used it: start the process with spawn "
            "(multiprocessing.get_context('spawn')) and load the bundle there."
        )
    return registry.load(
        bundle,
        info.name,
        variant,
        threads=options.threads,
        allow_spinning=options.allow_spinning,
    )

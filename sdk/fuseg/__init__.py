"""Fusion segmentation on the edge: camera frames in, a label for every pixel out."""

from __future__ import annotations

from .host.telemetry import turn_off

turn_off()

try:
    from . import _kernels  # noqa: F401
except ImportError as err:
    raise ImportError(
        f"fuseg could not load its compiled half, fuseg._kernels: {err}. "
        "From a checkout, build it with `make build`."
    ) from err

from . import errors, ops
from ._version import __version__
from .host import power, process  # noqa: F401
from .results import Segmentation, Source, Timing
from .runtime.frame_set import Frame
from .segmenter import Segmenter, load

__all__ = [
    "Frame",
    "Segmentation",
    "Segmenter",
    "Source",
    "Timing",
    "__version__",
    "errors",
    "load",
    "ops",
    "power",
]


def __dir__() -> list[str]:
    """The public names: modules that importing this one loads are inner ones."""
    return [*__all__]

"""Fusion segmentation on the edge: camera frames in, a label for every pixel out."""

from __future__ import annotations

try:
    from . import _kernels  # noqa: F401
except ImportError as err:
    raise ImportError(
        f"fuseg could not load its compiled half, fuseg._kernels: {err}. "
        "From a checkout, build it with `make build`."
    ) from err

from . import errors, ops

__all__ = ["errors", "ops"]

"""Engines. One file each; an engine's library is imported only when it is chosen."""

from __future__ import annotations

import logging
import operator
from collections.abc import Mapping
from typing import Any, Protocol

from numpy.typing import NDArray

from ..errors import ArgumentError

__all__ = ["KNOWN", "Backend", "Shapes", "create"]

KNOWN = ("auto", "onnxruntime")
_LATER = ("openvino", "tensorrt")

Shapes = Mapping[str, tuple[int, ...]]

_log = logging.getLogger("fuseg")


class Backend(Protocol):
    """A network that reads and writes buffers of its own, made once.

    Attributes:
        name: As in ``fuseg.load(..., backend=name)``.
        inputs: After `bind`: one float32 array per input tensor. The caller writes
            here before `run`; `run` never does.
        outputs: After `bind`: one float32 array per output tensor, valid from one
            `run` to the next.
    """

    name: str
    inputs: dict[str, NDArray[Any]]
    outputs: dict[str, NDArray[Any]]

    def bind(self, inputs: Shapes, outputs: Shapes) -> None:
        """Make the buffers of these float32 tensors and connect the network to them.

        Raises:
            BundleError: the network has other tensors than these.
            BackendError: the engine refuses the buffers.
        """

    def run(self) -> None:
        """Fill ``outputs`` from ``inputs``; allocates nothing the size of a tensor.

        Raises:
            BackendError: the engine failed; its own error is the cause.
        """

    def clone(self) -> Backend:
        """A backend that shares this one's weights and is not bound yet."""


def create(name: str, model: bytes, *, threads: int | None) -> Backend:
    """Make the engine called ``name`` for an ONNX model; ``"auto"`` chooses one.

    Which one was chosen is logged to the logger ``fuseg`` at level INFO.

    Raises:
        ArgumentError: no engine of this name, or not in this version; ``threads`` is
            not a whole number above 0.
        BackendError: the engine cannot be made; its own error is the cause.
    """
    if name in _LATER:
        raise ArgumentError(
            f"backend {name!r} is not in this version of fuseg; use 'onnxruntime' "
            "or 'auto'."
        )
    if name == "replay":
        raise ArgumentError(
            "backend 'replay' needs recorded outputs: pass an object, "
            "backend=fuseg.backends.replay.ReplayBackend([scores, ...])."
        )
    if name not in KNOWN:
        raise ArgumentError(
            f"backend must be one of {', '.join(KNOWN)}, or a Backend object, "
            f"got {name!r}."
        )
    if threads is not None:
        threads = _count(threads)
    from .onnxruntime import OnnxRuntimeBackend, open_session

    backend = OnnxRuntimeBackend(open_session(model, threads=threads))
    _log.info("backend %r: onnxruntime on the CPU", name)
    return backend


def _count(threads: Any) -> int:
    try:
        number = 0 if isinstance(threads, bool) else operator.index(threads)
    except TypeError:
        number = 0
    if number < 1:
        raise ArgumentError(
            f"threads must be a whole number above 0, or None, got {threads!r}."
        )
    return number

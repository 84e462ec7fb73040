"""Fusion segmentation on the edge: camera frames in, a label for every pixel out."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import BinaryIO

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
from .backends import Backend, GpuBackend
from .bundle import Bundle
from .bundle.signing import Trust
from .host import power, process  # noqa: F401
from .runtime.frame_set import Frame
from .runtime.outputs import Classification, Tokens
from .runtime.policies import Changes
from .runtime.results import Result, Segmentation, Source, Timing
from .segmenter import Segmenter
from .selection.load_options import LoadOptions

__all__ = [
    "Classification",
    "Frame",
    "Result",
    "Segmentation",
    "Segmenter",
    "Source",
    "Timing",
    "Tokens",
    "__version__",
    "errors",
    "load",
    "ops",
    "power",
]


def load(
    path: str | os.PathLike[str] | bytes | BinaryIO | Bundle,
    *,
    backend: str | Backend | GpuBackend = "auto",
    variant: str | None = None,
    threads: int | None = None,
    allow_spinning: bool = True,
    device: int = 0,
    serve_while_building: bool = False,
    units: Mapping[str, str | Mapping[str, str]] | None = None,
    channels: Mapping[str, str] | None = None,
    rates: Mapping[str, int] | None = None,
    missing: Changes | None = None,
    hold: bool = True,
    trust: Trust | None = None,
) -> Segmenter:
    """Load a bundle, ready to label frames.

    Args:
        path: The ``.fuseg`` file: its path, its bytes, the file opened for reading in
            binary mode, or a `Bundle` that was opened already.
        backend: ``"tensorrt"``, ``"tensorrt-rtx"`` or ``"onnxruntime-cuda"`` on an
            NVIDIA GPU, ``"onnxruntime"`` or ``"openvino"`` on a CPU, or a `Backend`
            object of your own. ``"auto"`` is what ``fuseg tune`` found the fastest for
            this bundle, CPU and number of threads; else the first of TensorRT, TensorRT
            for RTX, ONNX Runtime's CUDA provider and ONNX Runtime that works here. One
            line of the log says which, and why not the ones before. A TensorRT engine
            that does not exist yet is built first, which takes minutes; ``fuseg build``
            does it ahead.
        variant: Name of the bundle's variant to run; by default what ``fuseg tune``
            found the fastest, else the one that is meant for the backend. If it then
            does not give the labels of the bundle's samples, another backend or fp32
            runs: see `fallback`. The first time, a CPU backend is tried in a
            process of its own, with limits of time and memory, on one sample; what
            passed is remembered in the user's cache. A `Backend` object is not tried.
        threads: Threads a CPU backend may use; by default its library chooses, but no
            more than the cores and the CPU quota (cgroup) that this process has.
        allow_spinning: Whether threads of ONNX Runtime that wait for work keep their
            core busy for some milliseconds, which is its default and the faster way on
            a machine with nothing else to do. False lets them sleep at once: for a
            battery, for cores that others need. OpenVINO's threads sleep anyway; how a
            process waits for a GPU is CUDA's choice, and does not change.
        device: Which GPU, counted from 0 as CUDA does.
        serve_while_building: Whether another backend labels frames while TensorRT's
            engine is built in the background, and TensorRT from then on.
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
        rates: At how many samples a second a microphone really delivers, where it is
            not the manifest's: ``{"sound": 48000}``. Each window is then as long in
            seconds, and resampled.
        missing: By input name, the keys of the manifest's ``missing`` that are to
            differ from the bundle's: ``{"depth": {"max_age_ms": 300}}``. ``policy`` is
            ``"refuse"``, ``"substitute"``, ``"hold"`` or ``"sibling"``; ``max_age_ms``
            and ``max_ahead_ms`` are how old a frame may be, and how far it may lie
            after the result's stamp, None for no limit; ``then`` is what follows
            ``hold``.
        hold: False for a server that mixes clients: no call depends on an earlier one.
            Nothing is held, whose policy is ``hold`` follows its ``then``, each call
            may be on another clock, no camera's size is remembered, and each call
            starts the bundle's states anew.
        trust: Who vouches for the file: the sha256 that it must have, 64 hexadecimal
            digits, or the path of the public Ed25519 key (PEM) that its signature
            beside it, ``<bundle>.sig``, must fit (``fuseg sign`` writes it). The first
            run is then in this process and without limits; what is checked without a
            backend, and the labels of a sample, are checked all the same.

    Raises:
        BundleError: the file is no bundle, damaged, or not the one that ``trust``
            vouches for; or the network's tensors are not the manifest's.
        ManifestError: its manifest breaks the schema, or is of a newer format.
        InputFileError: it cannot be read.
        ArgumentError: an unknown backend, variant, input name, unit or order; a policy
            that breaks the manifest's schema; a ``trust`` that is no digest and no key.
        BackendError: the backend cannot be loaded, fails on its first run or goes
            beyond the limits of that, or does not give the samples' labels with
            the ``variant`` that was asked for.
    """
    bundle = path if isinstance(path, Bundle) else Bundle.open(path)
    options = LoadOptions(
        backend=backend,
        variant=variant,
        threads=threads,
        allow_spinning=allow_spinning,
        device=device,
        serve_while_building=serve_while_building,
        units=units,
        channels=channels,
        rates=rates,
        missing=missing,
        hold=hold,
        trust=trust,
    )
    return Segmenter(bundle, options)


def __dir__() -> list[str]:
    """The public names: modules that importing this one loads are inner ones."""
    return [*__all__]

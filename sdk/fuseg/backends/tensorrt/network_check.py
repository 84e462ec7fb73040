"""What NVIDIA's parser and builder make of a network, on a machine without a GPU.

TensorRT for RTX builds engines where there is no GPU and no driver. It is not the
TensorRT of a Jetson or a server: the parser is a later state of the same code, the
kernels are its own. What it refuses, no device will take; what it says of kernels and
memory is a good guess for others.
"""

from __future__ import annotations

import importlib.util
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ...errors import BuildError
from .build_process import Child, Profile, profile_of
from .libraries import RTX

__all__ = [
    "NetworkCheck",
    "Profile",
    "can_check",
    "check_network",
    "profile_of",
    "require_builder",
]


@dataclass(frozen=True)
class NetworkCheck:
    """An engine that was built and thrown away.

    Attributes:
        builder: TensorRT for RTX and its version.
        plan_bytes: Size of the engine.
        kernels: How many run for one inference.
        activation_bytes: GPU memory of the tensors between them.
        io_formats: Data type and layout of each input and output by name.
        warnings: What the builder warned of.
        seconds: That parsing and building took.
    """

    builder: str
    plan_bytes: int
    kernels: int
    activation_bytes: int
    io_formats: Mapping[str, tuple[str, str]]
    warnings: tuple[str, ...]
    seconds: float


def can_check() -> bool:
    """Whether TensorRT for RTX is installed; it is not imported here."""
    return importlib.util.find_spec(RTX.module) is not None


def require_builder() -> None:
    """Refuse with what to install.

    Raises:
        BuildError: TensorRT for RTX is not installed.
    """
    if not can_check():
        raise BuildError(
            "TensorRT for RTX must be installed to check networks for TensorRT: "
            f"{RTX.install}."
        )


def check_network(
    onnx: bytes,
    precision: Mapping[str, str],
    *,
    profile: Profile | None = None,
    io_formats: str = "auto",
    workspace_mb: int = 1024,
    aux_streams: int = 0,
    time_limit_s: float = 600.0,
) -> NetworkCheck:
    """Parse and build a network in a child process, which may crash.

    Args:
        onnx: A variant of a bundle.
        precision: Of the variant, as the manifest has it.
        profile: Of a network with a dimension.
        io_formats, workspace_mb, aux_streams: As in `Options`.
        time_limit_s: The child is ended after it.

    Raises:
        BuildError: It is refused, crashes or takes too long; or the library is missing.
        BundleError: It is no ONNX file.
    """
    request: dict[str, Any] = {
        "do": "build",
        "library": RTX.module,
        "inspect": "log",
        "about": None,
        "bytes": len(onnx),
        "precision": dict(precision),
        "plain": [],
        "profile": profile or {},
        "options": {
            "workspace_mb": workspace_mb,
            "optimization_level": None,
            "version_compatible": False,
            "hardware_compatible": False,
            "io_formats": io_formats,
            "aux_streams": aux_streams,
        },
        "timing_cache": None,
    }
    require_builder()
    began = time.monotonic()
    child = Child(request, onnx, device=0)
    try:
        for event in child.events():
            if event["event"] == "failed":
                raise BuildError(f"{event['sentence']}.")
            if event["event"] == "engine":
                return NetworkCheck(
                    f"TensorRT for RTX {event['tensorrt']}",
                    event["bytes"],
                    event["kernels"],
                    event["activation_bytes"],
                    {
                        n: (t["dtype"], t["layout"])
                        for n, t in event["io_formats"].items()
                    },
                    tuple(event["warnings"]),
                    event["seconds"],
                )
            if time.monotonic() - began > time_limit_s:
                raise BuildError(
                    f"TensorRT for RTX was ended after {time_limit_s:g} s without an "
                    "engine."
                )
    finally:
        child.end()
    raise BuildError(
        f"TensorRT for RTX {child.how_it_ended()}; its last words: "
        f"{child.last_words()}."
    )

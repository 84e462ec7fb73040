"""What an engine is bound to: the network, TensorRT, the GPU and how it was built."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any

from ...bundle import Bundle
from ...errors import ArgumentError
from ...manifest import Graph, Variant
from ...manifest.schema import Record, dump, require

if TYPE_CHECKING:
    from ...cuda import DeviceProperties

__all__ = [
    "ANY",
    "ENGINE_FORMAT",
    "OPTIONS",
    "Fingerprint",
    "Options",
    "fingerprint_of",
    "less_workspace",
    "more_workspace",
]

ENGINE_FORMAT = 1  # raised when the builder changes what it makes of the same network

ANY = "any"  # of what a portable engine does not depend on

_MIB = 1 << 20
_MOST_WORKSPACE = 1024
_ENOUGH_WORKSPACE = 64  # MiB: of the shipped networks, 16 does for every variant
_MEMORY_STEP = 256  # MiB: boards of one kind differ by what the firmware keeps


@dataclass(frozen=True)
class Options:
    """How an engine is built.

    Attributes:
        workspace_mb: Most MiB of GPU memory that one layer may use beside its tensors.
            None: 1024, or a quarter of the GPU's memory if that is less.
        optimization_level: 0 to 5, how long TensorRT looks for faster kernels; None is
            its own default, 3.
        version_compatible: Let other versions of TensorRT run it too. It then holds a
            runtime of its own, and may be slower.
        hardware_compatible: Let every GPU from Ampere on run it. It may be slower.
        io_formats: "auto": float16 and int8 inputs and outputs where no conversion is
            needed for that; "float32": all of them float32.
        aux_streams: Most CUDA streams beside its own on which the engine may run
            layers side by side, 0 to 64. With any, tensors of such layers cannot share
            memory: the engine needs several times as much for them.

    Raises:
        ArgumentError: A value is not one of these.
    """

    workspace_mb: int | None = None
    optimization_level: int | None = None
    version_compatible: bool = False
    hardware_compatible: bool = False
    io_formats: str = "auto"
    aux_streams: int = 0

    def __post_init__(self) -> None:
        if self.workspace_mb is not None and not 1 <= self.workspace_mb <= 1 << 20:
            raise ArgumentError(
                f"workspace_mb must be 1 to {1 << 20}, got {self.workspace_mb}."
            )
        level = self.optimization_level
        if level is not None and not 0 <= level <= 5:
            raise ArgumentError(f"optimization_level must be 0 to 5, got {level}.")
        if self.io_formats not in ("auto", "float32"):
            raise ArgumentError(
                f"io_formats must be 'auto' or 'float32', got {self.io_formats!r}."
            )
        if not 0 <= self.aux_streams <= 64:
            raise ArgumentError(f"aux_streams must be 0 to 64, got {self.aux_streams}.")


@dataclass(frozen=True)
class Fingerprint(Record):
    """All that an engine depends on. Engines of equal ones may stand for each other.

    Attributes:
        bundle: Digest of the bundle's file.
        variant, onnx: Name of the variant, and sha256 of the graph's network.
        tensorrt: Version; of TensorRT for RTX with "rtx-" in front.
        gpu, capability, memory_mb, driver: Name, such as "8.7", MiB in steps of 256,
            the CUDA version that the driver knows. A portable engine has `ANY` and 0.
        format: `ENGINE_FORMAT`.
        workspace_mb ... aux_streams: As in `Options`; the workspace as a number.
    """

    bundle: str
    variant: str
    onnx: str
    tensorrt: str
    gpu: str
    capability: str
    memory_mb: int
    driver: str
    workspace_mb: int
    version_compatible: bool
    hardware_compatible: bool
    io_formats: str
    aux_streams: int
    optimization_level: int | None = None
    format: int = field(default=ENGINE_FORMAT, kw_only=True)

    def _check(self) -> None:
        require(
            self.io_formats in ("auto", "float32"),
            f"io_formats must be 'auto' or 'float32', got {self.io_formats[:60]!a}.",
        )

    @property
    def key(self) -> str:
        """sha256 of all of it, 64 hexadecimal digits."""
        return _sha256(dump(self))

    @property
    def subject(self) -> str:
        """sha256 of all but how it is built, which `Options` says."""
        every = dump(self)
        return _sha256({k: every[k] for k in every if k not in OPTIONS})

    def differences(self, other: Fingerprint) -> dict[str, tuple[Any, Any]]:
        """Field by field what differs: this one's value, the other's."""
        pairs = {f.name: (getattr(self, f.name), getattr(other, f.name)) for f in _ALL}
        return {name: pair for name, pair in pairs.items() if pair[0] != pair[1]}


_ALL = fields(Fingerprint)
OPTIONS = frozenset(f.name for f in fields(Options))


def _sha256(values: dict[str, Any]) -> str:
    text = json.dumps(values, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def fingerprint_of(
    bundle: Bundle,
    graph: Graph,
    variant: Variant,
    properties: DeviceProperties | None,
    tensorrt: str,
    options: Options,
) -> Fingerprint:
    """What an engine built here and now would be bound to.

    Args:
        variant: One that the graph has a file of.
        properties: Of the GPU; None: the engine is portable.
        tensorrt: `TensorRT.identity`.
    """
    memory = 0 if properties is None else properties.memory_bytes // _MIB
    most = _MOST_WORKSPACE if properties is None else memory // 4
    workspace = options.workspace_mb or max(1, min(_MOST_WORKSPACE, most))
    capability = () if properties is None else properties.capability
    return Fingerprint(
        bundle=bundle.digest,
        variant=variant.name,
        onnx=bundle.manifest.files[graph.networks[variant.name].file].sha256,
        tensorrt=tensorrt,
        gpu=ANY if properties is None else properties.name,
        capability=".".join(map(str, capability)) or ANY,
        memory_mb=round(memory / _MEMORY_STEP) * _MEMORY_STEP,
        driver=ANY if properties is None else properties.driver,
        workspace_mb=workspace,
        version_compatible=options.version_compatible,
        hardware_compatible=options.hardware_compatible,
        io_formats=options.io_formats,
        aux_streams=options.aux_streams,
        optimization_level=options.optimization_level,
    )


def more_workspace(mib: int) -> int:
    """What to try where this much is too little."""
    return max(_ENOUGH_WORKSPACE, 2 * mib)


def less_workspace(mib: int) -> int | None:
    """What to try where the build ran out of memory; None: less would be too little."""
    return max(_ENOUGH_WORKSPACE, mib // 2) if mib > _ENOUGH_WORKSPACE else None

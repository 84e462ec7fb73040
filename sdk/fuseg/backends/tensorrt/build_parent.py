"""Starting the child that builds an engine, and what becomes of it."""

from __future__ import annotations

import functools
import hashlib
import signal
import sys
import time
from collections.abc import Collection
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ..._version import __version__
from ...errors import BuildError, ManifestError
from ...manifest import File
from .build_process import Child, Profile
from .build_progress import Progress, ProgressCallback
from .fingerprint import Fingerprint, less_workspace
from .libraries import TENSORRT, Library
from .record import EngineRecord, IoTensor, kept_warnings, plain

__all__ = ["TensorRT", "build_engine", "installed"]

_HARMLESS = "Nothing else is lost by that."


@dataclass(frozen=True)
class TensorRT:
    """The TensorRT that a child of this process imports.

    ``strongly_typed``: it takes the precision from the network's own types, as from
    version 10 on; before, from flags.
    """

    tensorrt: str
    strongly_typed: bool
    library: Library = TENSORRT

    @property
    def variants(self) -> tuple[str, ...]:
        """Names of the variants it takes, the one that is fastest as a rule first."""
        if not self.library.is_portable:
            return "int8-trt" if self.strongly_typed else "int8-trt8", "fp16", "fp32"
        # TensorRT for RTX computes INT8 with a kernel more for every convolution.
        return "fp16", "fp32", "int8-trt"

    @property
    def identity(self) -> str:
        """What an engine is bound to: the version, and which library's it is."""
        return f"rtx-{self.tensorrt}" if self.library.is_portable else self.tensorrt


def installed(library: Library = TENSORRT) -> TensorRT:
    """What is loaded, or else what a child says, so that it need not be loaded here.

    Raises:
        BuildError: It cannot be imported.
    """
    loaded = sys.modules.get(library.module)
    if loaded is None:
        return _query_child(library)
    kind = loaded.NetworkDefinitionCreationFlag
    return TensorRT(loaded.__version__, hasattr(kind, "STRONGLY_TYPED"), library)


@functools.cache
def _query_child(library: Library) -> TensorRT:
    child = Child({"do": "about", "library": library.module}, b"", device=0)
    install = f"install it: {library.install}."
    try:
        for event in child.events():
            if event["event"] == "about":
                return TensorRT(event["tensorrt"], event["strongly_typed"], library)
            if event["event"] == "failed":
                raise BuildError(f"{event['sentence']}; {install}")
    finally:
        child.end()
    raise BuildError(
        f"{library.title} cannot be asked for its version: {child.last_words()}; "
        f"{install}"
    )


def build_engine(
    onnx: bytes,
    precision: dict[str, str],
    fingerprint: Fingerprint,
    about: TensorRT,
    *,
    timing_cache: Path | None,
    plain: Collection[str] = (),
    profile: Profile | None = None,
    device: int = 0,
    progress: ProgressCallback | None = None,
) -> tuple[EngineRecord, bytes]:
    """Build one engine in a child process and wait for it.

    Ctrl-C here, and the end of this process, end the child too.

    Args:
        precision: Of the variant, as the manifest has it.
        timing_cache: Where TensorRT's timings are kept; None: nowhere.
        plain: Tensors that stay float32 planes, whatever the engine would like.
        profile: Of a network with a dimension.
        device: The GPU's number.
        progress: Called every half second at least, in this thread.

    Raises:
        BuildError: TensorRT failed, crashed or was killed; the sentence says how.
    """
    options = asdict(fingerprint)
    request = {
        "do": "build",
        "library": about.library.module,
        "inspect": "log" if about.library.is_portable else "engine",
        "about": {
            "tensorrt": about.tensorrt,
            "strongly_typed": about.strongly_typed,
        },
        "bytes": len(onnx),
        "precision": precision,
        "plain": sorted(plain),
        "profile": profile or {},
        "options": options,
        "timing_cache": None if timing_cache is None else str(timing_cache),
    }
    began = time.monotonic()
    child = Child(request, onnx, device=device)
    reached: Progress | None = None
    try:
        for event in child.events():
            seconds = time.monotonic() - began
            if event["event"] == "progress":
                reached = Progress(seconds, event["fraction"], event["phase"])
            elif event["event"] == "failed":
                raise BuildError(_failed(fingerprint.variant, event["sentence"]))
            elif event["event"] == "engine":
                return _record(event, fingerprint), event["plan"]
            last = reached or Progress(seconds)
            if progress is not None:
                progress(Progress(seconds, last.fraction, last.phase))
    finally:
        child.end()
    raise BuildError(_ended(fingerprint, child))


def _record(event: dict[str, Any], fingerprint: Fingerprint) -> EngineRecord:
    plan = event["plan"]
    fallback = event["fallback"]
    try:
        return EngineRecord(
            fingerprint,
            File(hashlib.sha256(plan).hexdigest(), len(plan)),
            {name: IoTensor(**tensor) for name, tensor in event["io_formats"].items()},
            f"fuseg {__version__}",
            seconds=event["seconds"],
            fallback=None if fallback is None else plain(fallback),
            reformats=tuple(event["reformats"]),
            warnings=kept_warnings(event["warnings"]),
        )
    except ManifestError as err:
        raise BuildError(
            f"the engine of variant {fingerprint.variant} is not as it was asked for: "
            f"{err} {_HARMLESS}"
        ) from err


def _failed(variant: str, sentence: str) -> str:
    return (
        f"the engine of variant {variant} could not be built: {sentence}. {_HARMLESS} "
        "Try another --variant, or see TensorRT's log (logger 'fuseg', level DEBUG)."
    )


def _ended(fingerprint: Fingerprint, child: Child) -> str:
    code = child.code
    what = f"the process that builds the engine of variant {fingerprint.variant}"
    if code in (-signal.SIGKILL, 128 + signal.SIGKILL):
        less = less_workspace(fingerprint.workspace_mb)
        give = (
            f", give it --workspace {less} unless that was too little" if less else ""
        )
        return (
            f"{what} was killed, as the system does when memory runs out. {_HARMLESS} "
            f"End other programs{give}, or build on a board of the same kind with more "
            "memory free and bring the engine with --pack."
        )
    return (
        f"{what} {child.how_it_ended()}; its last words: {child.last_words()}. "
        f"{_HARMLESS} Try another --variant or --io-formats float32."
    )

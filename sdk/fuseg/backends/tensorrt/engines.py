"""TensorRT engines on this device: built once, in a child process, and kept.

A plan is code, so fuseg runs only what it built here itself, or what came in an engine
pack that somebody trusted by its digest or its signature.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ...bundle import Bundle
from ...errors import ArgumentError, BuildError, OutputFileError
from ...manifest import Graph, Manifest, Variant
from ...manifest.graphs import shared_tensors
from . import cache
from .build_parent import TensorRT, build_engine, installed
from .build_process import profile_of
from .build_progress import Progress, ProgressCallback
from .fingerprint import Fingerprint, Options, fingerprint_of
from .libraries import RTX, TENSORRT, Library
from .record import EngineRecord, IoTensor, write_file

if TYPE_CHECKING:
    from ...cuda import DeviceProperties

__all__ = [
    "Engine",
    "IoTensor",
    "Options",
    "Progress",
    "TensorRT",
    "engine_for",
    "find",
    "fitting",
    "installed",
    "words",
]

_log = logging.getLogger("fuseg")

_INT8_ON_RTX = (1, 7)  # earlier versions refuse every convolution in INT8


@dataclass(frozen=True)
class Engine:
    """An engine that may be run here.

    Attributes:
        record: What is known of it.
        plan: What TensorRT deserialises; its digest was checked.
        path: The file that keeps it; None if it could not be kept.
        built: Whether it was built just now.
    """

    record: EngineRecord
    plan: memoryview
    path: Path | None
    built: bool

    @property
    def io_formats(self) -> dict[str, IoTensor]:
        """Its inputs and outputs by name, as they lie in memory."""
        return self.record.io_formats

    @property
    def scales(self) -> dict[str, float]:
        """What one step of each int8 input stands for."""
        formats = self.io_formats.items()
        return {name: t.scale for name, t in formats if t.scale is not None}

    @property
    def fingerprint(self) -> Fingerprint:
        return self.record.fingerprint


def fitting(manifest: Manifest, about: TensorRT) -> list[Variant]:
    """The variants that this TensorRT takes, the one that is usually fastest first."""
    known = {variant.name: variant for variant in manifest.variants}
    return [known[name] for name in about.variants if name in known]


def require_fitting(variant: Variant, about: TensorRT) -> None:
    """Refuse a variant that this TensorRT does not take."""
    if variant.name not in about.variants:
        raise ArgumentError(
            f"variant must be one of {', '.join(about.variants)} for "
            f"{about.library.title} {about.tensorrt}, got {variant.name!r}."
        )
    version = tuple(int(n) for n in about.tensorrt.split(".")[:2])
    if about.library is RTX and variant.name == "int8-trt" and version < _INT8_ON_RTX:
        raise BuildError(
            f"variant int8-trt needs TensorRT for RTX 1.7 or later, got "
            f'{about.tensorrt}: pip install -U "fuseg[tensorrt-rtx]", or take fp16.'
        )


def engine_for(
    bundle: Bundle,
    graph: Graph,
    variant: Variant,
    properties: DeviceProperties | None,
    *,
    library: Library = TENSORRT,
    options: Options | None = None,
    device: int = 0,
    rebuild: bool = False,
    progress: ProgressCallback | None = None,
) -> Engine:
    """The engine of a graph for this GPU: kept from earlier, or built now.

    Building takes minutes, in a child process; if another process builds the same
    engine, this one waits for it. An engine that cannot be kept (the folder is read
    only, the disk full) is returned all the same, and the log has a warning.

    Args:
        variant: One that the graph has a file of.
        properties: Of the GPU with number ``device``; None of a portable engine.
        library: What builds it.
        options: How it is built; `Options` by default.
        rebuild: Build it even if there is one.
        progress: Called while it is built, every half second at least.

    Raises:
        ArgumentError: The installed TensorRT does not take this variant.
        BuildError: TensorRT is not there, failed, crashed or was killed.
        OutputFileError: Others may write to the folder of the engines.
        BundleError, InputFileError: The bundle's file was changed meanwhile.
    """
    about = installed(library)
    require_fitting(variant, about)
    wanted = fingerprint_of(
        bundle, graph, variant, properties, about.identity, options or Options()
    )
    found = None if rebuild else _kept(wanted)
    if found is not None:
        return found
    manifest = bundle.manifest
    subject = words(manifest, graph, variant)

    def make(timing_cache: Path | None) -> tuple[EngineRecord, bytes]:
        _log.info("%s: an engine of %s is built", bundle.path, subject)
        return build_engine(
            bundle.read(graph.networks[variant.name].file),
            variant.precision,
            wanted,
            about,
            plain=_plain_tensors(manifest),
            profile=profile_of(manifest, graph.reads),
            timing_cache=timing_cache,
            device=device,
            progress=progress,
        )

    made: tuple[EngineRecord, bytes] | None = None
    path: Path | None = None
    try:
        cache.prepare()
        lock = cache.path_of(wanted).with_suffix(".lock")
        waiting = f"{bundle.path}: another process builds its engine; waiting for it."
        with cache.locked(lock, waiting):
            found = None if rebuild else _kept(wanted, logging.DEBUG)
            if found is not None:
                return found
            # TensorRT for RTX times nothing.
            made = make(None if library.is_portable else cache.timing_cache(wanted))
            record, plan = made
            path = cache.keep(wanted, write_file(record.dump(), plan))
    except OutputFileError as err:
        cache.require_private()
        _log.warning("the engine is not kept and will be built again: %s", err)
    record, plan = made or make(None)
    if record.fallback is not None:
        _log.warning(
            "variant %s: all inputs and outputs are float32: %s",
            subject,
            record.fallback,
        )
    return Engine(record, memoryview(plan), path, built=True)


def _plain_tensors(manifest: Manifest) -> frozenset[str]:
    """Those that stay planes of float32: other graphs use them, or they are copied
    behind the plane of a background."""
    behind = {
        output.tensor
        for output in manifest.label_outputs
        if output.kind == "segmentation" and output.background is not None
    }
    return shared_tensors(manifest.graphs, manifest.states) | behind


def words(manifest: Manifest, graph: Graph, variant: Variant) -> str:
    """What an engine is of: the variant, and of several graphs which one."""
    if len(manifest.graphs) == 1:
        return variant.name
    return f"{graph.name}, {variant.name}"


def find(
    bundle: Bundle,
    graph: Graph,
    variant: Variant,
    properties: DeviceProperties | None,
    library: Library = TENSORRT,
) -> Engine | None:
    """The newest engine of a graph that is kept for this GPU, however it was built.

    Args:
        variant, properties, library: As of `engine_for`.

    Raises:
        BuildError: TensorRT is not there.
        OutputFileError: Others may write to the folder of the engines.
    """
    wanted = fingerprint_of(
        bundle, graph, variant, properties, installed(library).identity, Options()
    )
    return _as_engine(cache.newest(wanted))


def _kept(wanted: Fingerprint, level: int = logging.WARNING) -> Engine | None:
    found = _as_engine(cache.look_up(wanted, level))
    if found is not None:
        cache.touch(wanted)
    return found


def _as_engine(found: tuple[EngineRecord, memoryview] | None) -> Engine | None:
    if found is None:
        return None
    record, plan = found
    return Engine(record, plan, cache.path_of(record.fingerprint), built=False)

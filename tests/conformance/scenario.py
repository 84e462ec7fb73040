"""What fuseg does with TensorRT, done once under the double of one version."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from backends.tensorrt.networks import SIZE, network, write_bundle
from doubles import Machine, in_children, install
from doubles import tensorrt as doubles
from doubles.tensorrt_api import Use
from runtime.prompted import MOST, WIDE, networks
from runtime.prompted import SIZE as IMAGE_SIZE

import fuseg
from fuseg import bundle
from fuseg import cuda as gpu
from fuseg.backends import registry
from fuseg.backends.tensorrt import engines
from fuseg.backends.tensorrt.backend import TensorRtBackend, open_engine
from fuseg.backends.tensorrt.build_parent import build_engine
from fuseg.backends.tensorrt.fingerprint import Fingerprint, fingerprint_of
from fuseg.backends.tensorrt.libraries import RTX, TENSORRT, Library
from fuseg.backends.tensorrt.rtx import (
    CompiledKernels,
    RtxBackend,
    open_portable_engine,
)
from fuseg.backends.tensors import Shared
from fuseg.cuda.buffers import Buffers
from fuseg.errors import BackendError, BuildError
from fuseg.runtime.executor import shapes


def scenario(version: str, folder: Path) -> set[Use]:
    """Build engines in child processes, run one here; what both used of TensorRT.

    Args:
        version: One of `doubles.tensorrt.VERSIONS`.
        folder: An empty one, for what is written.
    """
    with pytest.MonkeyPatch.context() as patch:
        recorded = folder / "uses"
        patch.setenv("XDG_CACHE_HOME", str(folder / "cache"))
        in_children(patch, version, uses=recorded)
        rtx = version.startswith("rtx-")
        machine = Machine(capability=(8, 9) if rtx else (8, 7))
        double = doubles.make(install(patch, machine), version)
        library = RTX if rtx else TENSORRT
        patch.setitem(sys.modules, library.module, double)
        int8 = "int8-trt" if engines.installed(library).strongly_typed else "int8-trt8"
        # An Einsum without its equation: a bundle takes it, the parser must refuse it.
        broken = network("fp16").replace(b"Concat", b"Einsum")
        known = {int8: network(int8), "fp32": network("fp32"), "fp16": broken}
        _use(write_bundle(folder / "tiny.fuseg", known), library)
        lines = recorded.read_text().splitlines()
    uses = [json.loads(line) for line in lines] + double.uses
    return {Use(w, m, how, tuple(keywords)) for w, m, how, keywords in uses}


def _use(opened: bundle.Bundle, library: Library) -> None:
    """Build engines with every option and with none, one that is refused; run them."""
    int8, fp32, broken = opened.manifest.variants
    (net,) = opened.manifest.graphs
    device = gpu.open_device()
    portable = library.is_portable
    options = engines.Options(
        workspace_mb=1,
        optimization_level=1,
        version_compatible=not portable,
        hardware_compatible=not portable,
    )
    properties = None if portable else device.properties

    def build(variant: Any, options: engines.Options) -> None:
        engines.engine_for(
            opened, net, variant, properties, library=library, options=options
        )

    build(fp32, options)
    with pytest.raises(BuildError, match="TensorRT cannot read the network"):
        build(broken, engines.Options(io_formats="float32"))
    refused = "it is damaged" if portable else "refuses the engine"
    with device.active(), pytest.raises(BackendError, match=refused):
        (open_portable_engine if portable else open_engine)(memoryview(b"no plan"))
    backend_name = "tensorrt-rtx" if portable else "tensorrt"
    for variant in (int8, fp32):
        backend = registry.load(opened, backend_name, variant)
        segmenter = fuseg.load(opened, backend=backend)
        rgb, depth = np.zeros((*SIZE, 3), np.uint8), np.ones(SIZE, np.uint16)
        assert segmenter(rgb=rgb, depth=depth).labels.shape == SIZE
    _use_as_part(opened, registry.load(opened, backend_name, fp32), device)
    wanted = fingerprint_of(opened, net, fp32, properties, "any", options)
    _use_sizes(wanted, library, device, opened.path.with_suffix(".kernels"))


def _use_sizes(wanted: Fingerprint, library: Library, device: Any, kept: Path) -> None:
    """Run an engine for several sizes of a tensor."""
    _, plan = build_engine(
        networks("prompts")["net"],
        {"kind": "fp32"},
        replace(wanted, version_compatible=False),
        engines.installed(library),
        timing_cache=None,
        profile={"phrase": ((1, WIDE), (3, WIDE), (MOST, WIDE))},
    )
    inputs = {"phrase": (MOST, WIDE), "features": (1, WIDE, *IMAGE_SIZE)}
    with device.active():
        engine = open_engine(plan, library=library)
        backend = TensorRtBackend(engine, device)
        if library.is_portable:
            backend = RtxBackend(engine, device, None, CompiledKernels(kept))
        buffers = Buffers(device, backend)
        stream = buffers.stream()
        backend.bind(inputs, {"scores": (1, MOST, *IMAGE_SIZE)}, buffers, stream)
        for count in (MOST, 2):
            backend.resize({"phrase": (count, WIDE), "scores": (1, count, *IMAGE_SIZE)})
            backend.enqueue()
            device.synchronize(stream)


def _use_as_part(opened: bundle.Bundle, backend: Any, device: Any) -> None:
    """Run an engine as one graph of several."""
    with device.active():
        buffers, shared = Buffers(device, backend), Shared()
        stream = buffers.stream()
        backend.bind(*shapes(opened.manifest), buffers, stream, shared)
        shared.give_scratch(buffers)
        backend.enqueue()
        device.synchronize(stream)

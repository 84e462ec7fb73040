"""What ``fuseg build`` says of an engine."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ..backends.tensorrt import engines
from ..backends.tensorrt.fingerprint import ANY
from ..bundle import Bundle
from ..manifest import Graph, Variant
from .printing import plural, say


def as_json(
    bundle: Bundle,
    variant: Variant,
    made: Sequence[engines.Engine],
    pack_from: Path | None,
    pack_to: Path | None,
    digest: str | None,
) -> dict[str, Any]:
    return {
        "bundle": str(bundle.path),
        "variant": variant.name,
        "from": None if pack_from is None else str(pack_from),
        "pack": None if pack_to is None else {"path": str(pack_to), "sha256": digest},
        "engines": [
            _engine(graph, engine)
            for graph, engine in zip(bundle.manifest.graphs, made, strict=True)
        ],
    }


def _engine(graph: Graph, engine: engines.Engine) -> dict[str, Any]:
    record = engine.record
    return {
        "graph": graph.name,
        "variant": record.fingerprint.variant,
        "fingerprint": asdict(record.fingerprint),
        "built": engine.built,
        "seconds": record.seconds,
        "plan": {"bytes": record.plan.bytes, "sha256": record.plan.sha256},
        "io_formats": {
            name: asdict(tensor) for name, tensor in record.io_formats.items()
        },
        "fallback": record.fallback,
        "reformats": list(record.reformats),
        "warnings": list(record.warnings),
        "kept": None if engine.path is None else str(engine.path),
    }


def show(result: dict[str, Any]) -> None:
    if "deleted" in result:
        files = plural(len(result["deleted"]), "file")
        say(f"{files} deleted, {result['bytes'] / 2**20:.1f} MiB")
        return
    say(_made_for(result["engines"][0]["fingerprint"]))
    for engine in result["engines"]:
        _show_engine(engine, result["from"], named=len(result["engines"]) > 1)
    if result["pack"] is not None:
        say(f"packed as {result['pack']['path']}, sha256 {result['pack']['sha256']}")


def _show_engine(engine: dict[str, Any], source: str | None, *, named: bool) -> None:
    origin = f"built in {engine['seconds']:.1f} s" if engine["built"] else "cached"
    if source is not None:
        origin = f"taken from {source}"
    mib = engine["plan"]["bytes"] / 2**20
    of = f"{engine['graph']}, {engine['variant']}" if named else engine["variant"]
    say(f"engine of {of}: {origin}, {mib:.1f} MiB")
    for name, tensor in engine["io_formats"].items():
        say(f"  {name}: {tensor['dtype']} {tensor['layout']}")
    if engine["fallback"] is not None:
        say(f"all inputs and outputs are float32: {engine['fallback']}")
    for name in engine["reformats"]:
        say(f"  conversion layer: {name}")
    if engine["kept"] is not None:
        say(f"cached as {engine['kept']}")


def _made_for(found: dict[str, Any]) -> str:
    if found["driver"] == ANY:
        version = found["tensorrt"].removeprefix("rtx-")
        return f"for RTX GPUs of the 30, 40 and 50 series, TensorRT for RTX {version}"
    return f"for {found['gpu']}, TensorRT {found['tensorrt']}, driver {found['driver']}"

"""What ``fuseg build`` says of an engine."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

from ..backends.tensorrt import engines
from ..backends.tensorrt.fingerprint import ANY
from ..bundle import Bundle
from .printing import plural, say


def as_json(
    bundle: Bundle,
    engine: engines.Engine,
    pack_from: Path | None,
    pack_to: Path | None,
    digest: str | None,
) -> dict[str, Any]:
    record = engine.record
    return {
        "bundle": str(bundle.path),
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
        "from": None if pack_from is None else str(pack_from),
        "pack": None if pack_to is None else {"path": str(pack_to), "sha256": digest},
    }


def show(result: dict[str, Any]) -> None:
    if "deleted" in result:
        files = plural(len(result["deleted"]), "file")
        say(f"{files} deleted, {result['bytes'] / 2**20:.1f} MiB")
        return
    origin = f"built in {result['seconds']:.1f} s" if result["built"] else "cached"
    if result["from"] is not None:
        origin = f"taken from {result['from']}"
    mib = result["plan"]["bytes"] / 2**20
    say(f"engine of {result['variant']}: {origin}, {mib:.1f} MiB")
    found = result["fingerprint"]
    say(_made_for(found))
    for name, tensor in result["io_formats"].items():
        say(f"  {name}: {tensor['dtype']} {tensor['layout']}")
    if result["fallback"] is not None:
        say(f"all inputs and outputs are float32: {result['fallback']}")
    for name in result["reformats"]:
        say(f"  conversion layer: {name}")
    if result["kept"] is not None:
        say(f"cached as {result['kept']}")
    if result["pack"] is not None:
        say(f"packed as {result['pack']['path']}, sha256 {result['pack']['sha256']}")


def _made_for(found: dict[str, Any]) -> str:
    if found["driver"] == ANY:
        version = found["tensorrt"].removeprefix("rtx-")
        return f"for RTX GPUs of the 30, 40 and 50 series, TensorRT for RTX {version}"
    return f"for {found['gpu']}, TensorRT {found['tensorrt']}, driver {found['driver']}"

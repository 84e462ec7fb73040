"""What a trained network is worth as a bundle: exported, quantized, built, timed."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from fuseg.errors import FusegError

from ..network.target import NetworkOptions
from ..pipeline import export_bundle
from ..precision.built_variant import BuiltVariant
from ..precision.options import Precision
from .row import Row

__all__ = ["PRECISION", "measure"]

PRECISION = Precision(kinds=("fp32", "fp16", "int8"), auto=True)


def measure(row: Row, weights: Path, folder: Path) -> dict[str, Any]:
    """Export a row's network as a user does, in all precisions, and time the bundle.

    Returns:
        ``export``, the finished bundle against the torch network, by output;
        ``variants``, each against float32; ``bytes``, ``digest``; ``p50_ms`` of whole
        frames on one thread. An export that is refused has ``refused`` alone.
    """
    out = folder / f"{row.model}.fuseg"
    try:
        made = export_bundle(
            NetworkOptions(row.model, weights), out, precision=PRECISION
        )
    except FusegError as error:
        return {"refused": str(error)}
    last = made.stages[-1].result.stage
    return {
        "export": {
            s.result.output or "": round(s.result.label_agreement, 6)
            for s in made.stages
            if s.result.stage == last
        },
        "variants": {v.name: _variant(v) for v in made.variants},
        "bytes": made.bytes,
        "digest": made.digest,
        "p50_ms": round(_p50_ms(made.bundle), 3),
    }


def _variant(built: BuiltVariant) -> dict[str, Any]:
    found: dict[str, Any] = {
        name: {
            "agreement": round(compared.agreement, 6),
            "miou_drop": None
            if compared.miou_drop is None
            else round(compared.miou_drop, 5),
        }
        for name, compared in built.comparisons.items()
    }
    builder = None
    if built.tensorrt is not None:
        builder = f"{built.tensorrt.kernels} kernels"
    return {
        "outputs": found,
        "refused": built.refused,
        "tensorrt": built.tensorrt_refused or builder,
    }


def _p50_ms(bundle: Path) -> float:
    """Of a frame from the camera's arrays to the results, float32, one thread."""
    words = ["bench", bundle, "--backend", "onnxruntime", "--variant", "fp32"]
    words += ["--threads", "1", "--json"]
    done = subprocess.run(
        [sys.executable, "-m", "fuseg", *map(str, words)],
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    )
    return float(json.loads(done.stdout)["total_ms"]["p50"])

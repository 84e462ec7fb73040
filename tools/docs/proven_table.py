"""What has been proven where: from what the tests hold, and records of hardware."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterable
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path.append(str(ROOT / "tests"))

from conformance import bindings, wheels
from doubles import tensorrt as doubles
from tensorrt_real import test_double, test_operators, test_variants
from tensorrt_real.cases import CASES

COLUMNS = ("NVIDIA's builder or compiler", "simulation", "emulator", "hardware")


def proven(results: Path) -> str:
    """The table; a cell is empty where nothing was done."""
    gpu = gpus(results)
    rtx = re.findall(r"-libs==([\d.]+)", wheels.RTX.requirements[0])[0]
    builds = len(set(test_operators.EVERY) - test_operators.PLUGINS)
    networks = (
        f"TensorRT for RTX {rtx} builds {len(test_variants.GOLDEN)} variants of the "
        f"shipped network, {builds} of {len(test_operators.EVERY)} operators"
    )
    alike = sum(case.difference is None for case in CASES)
    rules = (
        f"{len(CASES)} networks: the same verdict on {alike}, a reason for each other"
    )
    measured = (
        f"{cpus(results)}: [measured](docs/benchmarks.md), AVX-512 as of an earlier "
        "commit; aarch64: **none**"
    )
    neon = "aarch64 (QEMU, `make test-neon`), as of an earlier commit"
    api = f"Python bindings of {spelled(bindings.WHEELS)}: names, keywords, numbers"
    judged = f"the builder's verdicts: {spelled(test_double.VERSIONS)}"
    packed = "built and packed for RTX GPUs"
    run = f"run with {spelled(doubles.VERSIONS)}"
    rows = (
        ("kernels on CPUs", "", "", neon, measured),
        (
            "CUDA kernels",
            compiled(results),
            "",
            f"all {kernels()} equal the CPU's",
            gpu,
        ),
        ("networks for TensorRT", networks, "", "", gpu),
        ("the exporter's rules for TensorRT", rules, judged, "", ""),
        ("TensorRT's API", api, "", "", gpu),
        ("engines, CUDA graphs", packed, run, "", gpu),
        ("PyCUDA, ONNX Runtime's CUDA provider", "", "run", "", gpu),
        ("Jetson boards", "", "", "", "**none**"),
    )
    lines = [f"| | {' | '.join(COLUMNS)} |", "|---|" + "---|" * len(COLUMNS)]
    return "\n".join([*lines, *(f"| {' | '.join(row)} |" for row in rows)])


def gpus(results: Path) -> str:
    """Those of the records of `make gpu-check`."""
    records = (json.loads(p.read_text()) for p in results.glob("gpu-check--*.json"))
    ran = [record["machine"]["gpu"] for record in records if not record["dry run"]]
    if not ran:
        return "**no GPU yet**"
    return f"{', '.join(sorted(ran))}: [what ran](docs/benchmarks.md)"


def cpus(results: Path) -> str:
    records = (json.loads(p.read_text()) for p in results.glob("bench--*.json"))
    return ", ".join(sorted({record["machine"]["cpu"] for record in records}))


def compiled(results: Path) -> str:
    record = json.loads((results / "cuda-resources.json").read_text())
    architectures = {row["architecture"] for row in record["rows"]}
    return f"nvcc {record['nvcc']}, {len(architectures)} architectures"


def kernels() -> int:
    text = (ROOT / "kernels" / "kernels.inc").read_text()
    return len(re.findall(r"^FUSEG_KERNEL\(", text, re.MULTILINE))


def spelled(versions: Iterable[str]) -> str:
    """As in "8.6.1, 10.3.0 and RTX 1.7.1"."""
    *most, last = (version.replace("rtx-", "RTX ") for version in versions)
    return f"{', '.join(most)} and {last}"

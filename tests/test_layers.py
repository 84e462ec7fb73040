"""The arrows of CONTRIBUTING.md, checked against what the files really import."""

from __future__ import annotations

import ast
import functools
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SDK = sorted((ROOT / "sdk").rglob("*.py"))
EXPORT = sorted((ROOT / "export").rglob("*.py"))
BENCHMARKS = sorted((ROOT / "benchmarks").glob("*.py"))
NATIVE = sorted(
    p
    for p in (ROOT / "kernels").rglob("*")
    if p.suffix in {".h", ".cpp", ".cu", ".cuh"}
)
HEAVY = {"torch", "onnx", "onnx_ir", "onnxsim", "tensorrt", "pycuda", "cv2", "openvino"}

# What the training side may know of the device side.
OPEN_TO_EXPORT = {
    *("fuseg", "fuseg.backends", "fuseg.backends.onnxruntime", "fuseg.bundle"),
    *("fuseg.dataset", "fuseg.dataset.frame_matching", "fuseg.dataset.images"),
    *("fuseg.dataset.label_ids", "fuseg.dataset.metrics", "fuseg.dataset.pictures"),
    *("fuseg.errors", "fuseg.host", "fuseg.host.cpu", "fuseg.host.files"),
    *("fuseg.cli.frame_reader", "fuseg.cli.options", "fuseg.cli.printing", "fuseg.ops"),
    *("fuseg.manifest", "fuseg.manifest.units", "fuseg.runtime.sensor"),
    "fuseg.segmenter",
}


@functools.cache
def imported(path: Path) -> set[str]:
    """Absolute names of the modules that a file imports, at any depth."""
    found = set()
    package = path.parent.relative_to(ROOT / path.relative_to(ROOT).parts[0]).parts
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else ()
            base = ".".join([*above, *([node.module] if node.module else [])])
            found.add(base)
            found |= {f"{base}.{alias.name}" for alias in node.names}
    return found


def tops(path: Path) -> set[str]:
    return {name.split(".")[0] for name in imported(path)}


def named(path: Path) -> str:
    return str(path.relative_to(ROOT))


def including(pattern: str, files: list[Path]) -> list[str]:
    """The files in which ``pattern`` occurs."""
    return [named(p) for p in files if re.search(pattern, p.read_text())]


def test_there_is_something_to_check():
    assert len(SDK) > 50
    assert len(EXPORT) > 50
    assert len(BENCHMARKS) > 10
    assert len(NATIVE) > 50


def test_the_runtime_needs_neither_torch_nor_the_exporter():
    wrong = {}
    for path in SDK:
        own = {path.stem} if path.parent.name in ("backends", "cuda") else set()
        if path.parent.name == "tensorrt":
            own = {"tensorrt"}
        never = HEAVY - own | {"fuseg_export", "sdk", "export"}
        if found := never & tops(path):
            wrong[named(path)] = found
    assert wrong == {}


def test_the_exporter_uses_only_the_open_half_of_the_runtime():
    modules = {p.with_suffix("").relative_to(ROOT / "sdk").as_posix() for p in SDK}
    modules = {m.removesuffix("/__init__").replace("/", ".") for m in modules}
    wrong = {}
    for path in EXPORT:
        used = {name for name in imported(path) if name in modules}
        # An op has the name of its module: `from fuseg.ops import overlay` looks like
        # both.
        used = {name for name in used if not name.startswith("fuseg.ops.")}
        if used - OPEN_TO_EXPORT:
            wrong[named(path)] = used - OPEN_TO_EXPORT
    assert wrong == {}


def test_benchmarks_use_public_names_only():
    wrong = {}
    for path in BENCHMARKS:
        ours = {
            n for n in imported(path) if n.split(".")[0] in {"fuseg", "fuseg_export"}
        }
        private = {n for n in ours if any(p[0] == "_" for p in n.split(".")[1:])}
        if path.name not in {"precision_bundles.py", "precision_networks.py"}:
            private |= {"fuseg_export"} & tops(path)  # those two make bundles
        if private:
            wrong[named(path)] = private
    assert wrong == {}


def test_ops_know_no_backend_and_backends_no_op():
    wrong = {}
    for path in SDK:
        inside = path.relative_to(ROOT / "sdk" / "fuseg").parts[0]
        forbidden = {"ops": "fuseg.backends", "backends": "fuseg.ops"}.get(inside)
        found = {n for n in imported(path) if f"{n}.".startswith(f"{forbidden}.")}
        if found:
            wrong[named(path)] = found
    assert wrong == {}


def test_only_bindings_know_python():
    others = [
        p
        for p in NATIVE
        if not p.name.endswith("_bind.cpp") and p.name not in {"module.cpp", "bind.h"}
    ]
    assert including(r"#include\s*[<\"](pybind11|Python\.h)", others) == []


def test_only_cuda_knows_cuda():
    others = [
        p
        for p in NATIVE
        if p.suffix not in {".cu", ".cuh"} and not p.stem.endswith("_cuda")
    ]
    assert including(r"#include\s*[<\"](cuda|[\w/]+\.cuh)", others) == []


def test_cuda_kernels_know_no_host_binding():
    cuda = [p for p in NATIVE if p.suffix in {".cu", ".cuh"}]
    assert including(r"bind|simd|threads\.h|scratch\.h", cuda) == []


def test_kernels_include_shared_folders_only():
    below = {
        "common": set(),
        "cuda": {"common"},
        "simd": {"common"},
        "label": {"common", "cuda", "simd"},
    }
    wrong = {}
    for path in NATIVE:
        may = below.get(path.parent.name, set(below))
        found = set(re.findall(r'#include\s*"(\w+)/', path.read_text()))
        if foreign := found - {path.parent.name, *may}:
            wrong[named(path)] = foreign
    assert wrong == {}


def test_importing_the_sdk_stays_light():
    code = (
        "import fuseg, sys;"
        f"print(sorted({HEAVY | {'onnxruntime', 'PIL', 'typer'}} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


@pytest.mark.slow
def test_importing_the_sdk_adds_less_than_a_fifth_of_a_second_to_numpy():
    code = (
        "import numpy, time; t = time.perf_counter(); import fuseg;"
        "print(time.perf_counter() - t)"
    )
    seconds = [
        float(subprocess.check_output([sys.executable, "-c", code], text=True))
        for _ in range(3)
    ]
    assert min(seconds) < 0.2

"""The arrows of CONTRIBUTING.md, checked against what the files really import."""

from __future__ import annotations

import ast
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
HEAVY = {"torch", "onnx", "onnxsim", "tensorrt", "pycuda", "cv2", "openvino"}

# What the training side may know of the device side.
OPEN_TO_EXPORT = {
    *("fuseg", "fuseg.bundle", "fuseg.errors", "fuseg.manifest", "fuseg.metrics"),
    *("fuseg.ops", "fuseg.segmenter", "fuseg.images", "fuseg.pairs", "fuseg.truth"),
    *("fuseg.pictures", "fuseg.machine"),
    *("fuseg.manifest.units", "fuseg.sensor", "fuseg.backends", "fuseg._files"),
    "fuseg.backends.onnxruntime",
    *("fuseg.cli.frames", "fuseg.cli.options", "fuseg.cli.printing"),
}


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


def ids(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("path", SDK, ids=ids)
def test_the_runtime_needs_neither_torch_nor_the_exporter(path):
    named = path.parent.name in ("backends", "device")  # for what they speak to
    own = {path.stem} if named else set()
    if path.parts[-2:] == ("engines", "builder.py"):  # a process of its own
        own = {"tensorrt"}
    assert not (HEAVY - own | {"fuseg_export", "sdk", "export"}) & tops(path)


@pytest.mark.parametrize("path", EXPORT, ids=ids)
def test_the_exporter_uses_only_the_open_half_of_the_runtime(path):
    modules = {p.with_suffix("").relative_to(ROOT / "sdk").as_posix() for p in SDK}
    modules = {m.removesuffix("/__init__").replace("/", ".") for m in modules}
    used = {name for name in imported(path) if name in modules}
    # An op has the name of its module: `from fuseg.ops import overlay` looks like both.
    used = {name for name in used if not name.startswith("fuseg.ops.")}
    assert used <= OPEN_TO_EXPORT


@pytest.mark.parametrize("path", BENCHMARKS, ids=ids)
def test_benchmarks_use_public_names_only(path):
    ours = {n for n in imported(path) if n.split(".")[0] in {"fuseg", "fuseg_export"}}
    assert not any(part.startswith("_") for n in ours for part in n.split(".")[1:])
    makes_bundles = path.name in {"precision_bundles.py", "precision_networks.py"}
    assert makes_bundles or "fuseg_export" not in tops(path)


@pytest.mark.parametrize("path", SDK, ids=ids)
def test_ops_know_no_backend_and_backends_no_op(path):
    inside = path.relative_to(ROOT / "sdk" / "fuseg").parts[0]
    forbidden = {"ops": "fuseg.backends", "backends": "fuseg.ops"}.get(inside)
    assert forbidden is None or not any(
        name == forbidden or name.startswith(forbidden + ".") for name in imported(path)
    )


@pytest.mark.parametrize("path", NATIVE, ids=ids)
def test_only_bindings_know_python(path):
    knows = re.search(r"#include\s*[<\"](pybind11|Python\.h)", path.read_text())
    may = path.name.endswith("_bind.cpp") or path.name in {"module.cpp", "bind.h"}
    assert may or not knows


@pytest.mark.parametrize("path", NATIVE, ids=ids)
def test_only_cuda_knows_cuda(path):
    knows = re.search(
        r"#include\s*[<\"](cuda|[\w/]+\.cuh|common/bind_cuda)", path.read_text()
    )
    may = path.suffix in {".cu", ".cuh"} or path.stem.endswith("_cuda")
    assert may or not knows


@pytest.mark.parametrize("path", NATIVE, ids=ids)
def test_cuda_kernels_know_no_host_binding(path):
    if path.suffix in {".cu", ".cuh"}:
        assert not re.search(r"bind|simd|threads\.h|scratch\.h", path.read_text())


@pytest.mark.parametrize("path", NATIVE, ids=ids)
def test_rooms_do_not_include_each_other(path):
    rooms = re.findall(r'#include\s*"(\w+)/', path.read_text())
    assert set(rooms) <= {path.parent.name, "common"}


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

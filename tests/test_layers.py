"""The arrows of CONTRIBUTING.md, checked against what the files really import."""

from __future__ import annotations

import ast
import functools
import graphlib
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
    "fuseg.backends.tensorrt.network_check",
    *("fuseg.dataset", "fuseg.dataset.bootstrap", "fuseg.dataset.frame_matching"),
    *("fuseg.dataset.images", "fuseg.dataset.panes", "fuseg.cli.html"),
    *("fuseg.dataset.label_ids", "fuseg.dataset.metrics", "fuseg.dataset.pictures"),
    *("fuseg.dataset.scoring", "fuseg.dataset.sound"),
    *("fuseg.errors", "fuseg.host", "fuseg.host.cpu", "fuseg.host.files"),
    *("fuseg.cli.frame_reader", "fuseg.cli.options", "fuseg.cli.printing", "fuseg.ops"),
    "fuseg.cli.robustness_table",
    *("fuseg.manifest", "fuseg.manifest.graphs", "fuseg.manifest.inputs"),
    *("fuseg.manifest.outputs", "fuseg.manifest.units"),
    *("fuseg.explain", "fuseg.manifest.schema", "fuseg.robustness"),
    *("fuseg.runtime.inputs", "fuseg.runtime.outputs"),
    *("fuseg.segmenter", "fuseg.text"),
}


@functools.cache
def imported(path: Path, *, types: bool = True) -> set[str]:
    """Absolute names of the modules that a file imports, at any depth.

    Without ``types`` what only type checkers import is left out.
    """
    found = set()
    package = path.parent.relative_to(ROOT / path.relative_to(ROOT).parts[0]).parts
    nodes: list[ast.AST] = [ast.parse(path.read_text())]
    while nodes:
        node = nodes.pop()
        nodes += ast.iter_child_nodes(node)
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            if not types:
                nodes[-len(list(ast.iter_child_nodes(node))) :] = node.orelse
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else ()
            base = ".".join([*above, *([node.module] if node.module else [])])
            found.add(base)
            found |= {f"{base}.{alias.name}" for alias in node.names}
    return found


def tops(path: Path) -> set[str]:
    return {name.split(".")[0] for name in imported(path)}


def module_path(path: Path) -> str:
    return str(path.relative_to(ROOT))


def including(pattern: str, files: list[Path]) -> list[str]:
    """The files in which ``pattern`` occurs."""
    return [module_path(p) for p in files if re.search(pattern, p.read_text())]


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
            wrong[module_path(path)] = found
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
            wrong[module_path(path)] = used - OPEN_TO_EXPORT
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
            wrong[module_path(path)] = private
    assert wrong == {}


def test_ops_know_no_backend_and_backends_no_op():
    wrong = {}
    for path in SDK:
        inside = path.relative_to(ROOT / "sdk" / "fuseg").parts[0]
        forbidden = {"ops": "fuseg.backends", "backends": "fuseg.ops"}.get(inside)
        found = {n for n in imported(path) if f"{n}.".startswith(f"{forbidden}.")}
        if found:
            wrong[module_path(path)] = found
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
            wrong[module_path(path)] = foreign
    assert wrong == {}


def parts_and_imports() -> dict[str, set[str]]:
    """The packages and loose modules of fuseg, and which of the others each imports.

    ``fuseg`` itself is one of them. The compiled modules are not, nor is ``__main__``,
    which only starts the CLI.
    """
    home = ROOT / "sdk" / "fuseg"
    parts: dict[str, set[str]] = {}
    for path in SDK:
        inside = path.relative_to(home).parts
        part = "fuseg" if inside == ("__init__.py",) else inside[0].removesuffix(".py")
        if part == "__main__":
            continue
        names = [n.split(".") for n in imported(path, types=False)]
        used = {name[1] for name in names if name[0] == "fuseg" and len(name) > 1}
        parts.setdefault(part, set()).update(used - {part, "_kernels", "_kernels_cuda"})
    # What is no module is a name that the face gives: `from fuseg import load`.
    return {
        part: {name if name in parts else "fuseg" for name in used}
        for part, used in parts.items()
    }


def test_packages_import_one_another_in_one_direction():
    try:
        graphlib.TopologicalSorter(parts_and_imports()).prepare()
    except graphlib.CycleError as error:
        cycle = error.args[1]
        pytest.fail(f"{' <- '.join(cycle)}: each imports the one before it")


def test_packages_lie_in_at_most_nine_layers():
    imports = parts_and_imports()
    graph, layers = graphlib.TopologicalSorter(imports), []
    graph.prepare()
    while graph.is_active():
        layers.append(graph.get_ready())
        graph.done(*layers[-1])
    assert len(layers) <= 9, layers
    assert len(imports) > 15


def test_few_modules_lie_loose_in_the_package():
    loose = [p.name for p in (ROOT / "sdk" / "fuseg").glob("*.py")]
    loose.remove("__init__.py")
    assert len(loose) <= 6, sorted(loose)


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
def test_importing_the_sdk_takes_less_than_three_times_as_long_as_numpy():
    code = (
        "from time import process_time as now; a = now(); import numpy; b = now();"
        "import fuseg; print((now() - b) / (b - a))"
    )
    ratios = [
        float(subprocess.check_output([sys.executable, "-c", code], text=True))
        for _ in range(5)
    ]
    assert min(ratios) < 3

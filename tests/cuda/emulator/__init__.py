"""The CUDA module of fuseg, compiled for the CPU: every thread of a block a fiber.

It shows that a kernel computes the right thing on a machine without a GPU. It cannot
show that it is fast, nor what a GPU does with unaligned or racing accesses.
"""

from __future__ import annotations

import hashlib
import importlib.machinery
import importlib.util
import subprocess
import sysconfig
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import ModuleType

import pybind11

HERE = Path(__file__).parent
KERNELS = HERE.parents[2] / "kernels"
FLAGS = (
    *("-std=c++17", "-O1", "-fPIC", "-fvisibility=hidden", "-ffp-contract=off"),
    *("-Wall", "-Wextra", "-Wno-unknown-pragmas", "-Werror"),
    *(f"-I{HERE}", f"-I{KERNELS}", f"-isystem{pybind11.get_include()}"),
    f"-isystem{sysconfig.get_path('include')}",
)


def _sources() -> list[Path]:
    return [
        KERNELS / "module_cuda.cpp",
        KERNELS / "device_cuda.cpp",
        *sorted(KERNELS.glob("*/*_bind_cuda.cpp")),
        *sorted(KERNELS.glob("*/*_cuda.cu")),
    ]


def _fingerprint() -> str:
    files = [*KERNELS.rglob("*.*"), *HERE.rglob("*.*h")]
    sums = [hashlib.sha256(f.read_bytes()).digest() for f in sorted(files)]
    return hashlib.sha256(b"".join(sums) + repr(FLAGS).encode()).hexdigest()[:16]


def build(folder: Path) -> ModuleType:
    """Compile into ``folder``, unless it was, and import."""
    suffix = importlib.machinery.EXTENSION_SUFFIXES[0]
    library = folder / _fingerprint() / f"_kernels_cuda{suffix}"
    if not library.exists():
        library.parent.mkdir(parents=True, exist_ok=True)
        objects = [library.parent / f"{s.stem}.o" for s in _sources()]
        with ThreadPoolExecutor(2) as pool:
            list(pool.map(_compile, _sources(), objects))
        draft = library.with_suffix(".draft")
        _run("g++", "-shared", "-o", draft, *objects)
        draft.rename(library)
    spec = importlib.util.spec_from_file_location("_kernels_cuda", library)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _compile(source: Path, target: Path) -> None:
    _run("g++", *FLAGS, "-x", "c++", "-c", source, "-o", target)


def _run(*words: object) -> None:
    done = subprocess.run(
        [str(w) for w in words], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr

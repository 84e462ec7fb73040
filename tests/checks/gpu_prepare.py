"""Makes, on a machine that reaches the registries, what gpu_check.py wants of them.

    python tests/checks/gpu_prepare.py                   the bundle and ONNX Runtime
    python tests/checks/gpu_prepare.py --tensorrt        TensorRT 8.6.0 as well
    python tests/checks/gpu_prepare.py --python 3.12     the GPU machine's Python

Chunks of 52 MiB, so that one travels beside the tree in a call of 64, come to
out/gpu-check/chunks; gpu_check.py says in which order to carry them. What was made is
not made again: remove out/gpu-check/chunks for that. Nothing of it belongs into a
repository: it is NVIDIA's and others'.

The archives:

    inputs               the shipped checkpoint's bundle in every precision, a quarter
                         of an hour on two cores; small wheels that may be missing
    onnxruntime-cpXY     ONNX Runtime with CUDA alone, for CPython X.Y; 4 chunks
    tensorrt             TensorRT 8.6.0, the newest whose libraries are on PyPI; 20
                         minutes of xz, which goes on where it was broken off; 10 chunks
    tensorrt-python      a CPython 3.11 with its binding, and fuseg's kernels for it
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import gpu_chunks
import gpu_tensorrt86
from gpu_sources import ROOT
from gpu_wheels import download, unzip

ONNXRUNTIME = "onnxruntime-gpu==1.31.1"
# By the name that is imported. Only those that the machine lacks are used.
WHEELS = {
    "_pytest": "pytest",
    "pluggy": "pluggy",
    "iniconfig": "iniconfig",
    "packaging": "packaging",
    "pygments": "pygments",
    "pybind11": "pybind11",
    "hypothesis": "hypothesis",
    "sortedcontainers": "sortedcontainers",
    "flatbuffers": "flatbuffers",
}
LEFT_OUT = ("libonnxruntime_providers_tensorrt", "onnxruntime/tools", "transformers/")


def inputs(work: Path, folder: Path) -> None:
    bundle = work / "rgbd.fuseg"
    if not bundle.exists():
        export(bundle)
    stage = work / "stage" / "inputs"
    stage.mkdir(parents=True, exist_ok=True)
    shutil.copy(bundle, stage)
    for name, requirement in WHEELS.items():
        if not (stage / "wheels" / name).exists():
            (wheel,) = download(requirement, "3.12", work / "wheels" / name)
            unzip(wheel, stage / "wheels" / name)
    gpu_chunks.pack(stage, "inputs", folder)


def export(bundle: Path) -> None:
    checkpoint = ROOT / "export" / "checkpoints" / "rgbd.safetensors"
    words = [sys.executable, "-m", "fuseg", "export", "rgbd", "-o", str(bundle)]
    words += ["--checkpoint", str(checkpoint), "--precision", "fp32,fp16,int8"]
    subprocess.run(words, check=True)


def onnxruntime(python: str) -> Callable[[Path, Path], None]:
    """Packs ONNX Runtime's wheel for one Python, stripped to its CUDA provider."""
    name = archive_of(python)

    def make(work: Path, folder: Path) -> None:
        (wheel,) = download(ONNXRUNTIME, python, work / "wheels" / name)
        stage = work / "stage" / name
        unzip(wheel, stage, left_out=LEFT_OUT)
        gpu_chunks.pack(stage, name, folder)

    return make


def archive_of(python: str) -> str:
    return f"onnxruntime-cp{python.replace('.', '')}"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--work", type=Path, default=ROOT / "out" / "gpu-check", help="where all is")
    add("--tensorrt", action="store_true", help="TensorRT 8.6.0, too")
    add("--python", action="append", metavar="X.Y", help="of the GPU machine, 3.12")
    add("--only", action="append", metavar="ARCHIVE", help="make only these")
    options = parser.parse_args()
    work = options.work.resolve()
    folder = work / "chunks"
    archives: dict[str, Callable[[Path, Path], None]] = {"inputs": inputs}
    for python in options.python or ["3.12"]:
        archives[archive_of(python)] = onnxruntime(python)
    if options.tensorrt:
        archives["tensorrt-python"] = gpu_tensorrt86.interpreter
        archives["tensorrt"] = gpu_tensorrt86.libraries
    failed = False
    for name, make in archives.items():
        if options.only and name not in options.only:
            continue
        if whole(folder, name):
            print(f"{name}: is there")
            continue
        try:
            make(work, folder)
        except (OSError, RuntimeError, ValueError, subprocess.SubprocessError) as error:
            failed = True
            print(f"{name}: FAILED: {error}")
    for name, chunks in gpu_chunks.index_of(folder).items():
        size = sum(chunk["bytes"] for chunk in chunks)
        print(f"{name:20s} {len(chunks)} chunks, {size / (1 << 20):.1f} MiB")
    sys.exit(failed)


def whole(folder: Path, name: str) -> bool:
    chunks = gpu_chunks.index_of(folder).get(name)
    return chunks is not None and all((folder / c["file"]).exists() for c in chunks)


if __name__ == "__main__":
    main()

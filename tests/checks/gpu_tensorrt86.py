"""TensorRT 8.6.0 for a machine without a network, from what the registries have.

The wheel of 8.6.0 on PyPI holds the libraries; later ones only fetch them elsewhere.
Their plugins want cuBLAS and cuDNN of CUDA 12, which no network of fuseg uses: stubs
satisfy the loader. The binding of 8.6.1 for CPython 3.11 speaks to the libraries of
8.6.0, and Debian 12 has that CPython. **None of this has run on a GPU yet**: without
one the libraries load, and Builder() answers with CUDA's error 35.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import gpu_chunks
from gpu_sources import ROOT, digest
from gpu_wheels import download, unzip

LIBRARIES = "tensorrt==8.6.0"
BINDING, NUMPY = "tensorrt_bindings==8.6.1", "numpy==1.26.4"
WANTED = (
    *("libnvinfer.so.8", "libnvinfer_builder_resource.so.8.6.0"),
    *("libnvonnxparser.so.8", "libnvinfer_plugin.so.8", "libnvparsers.so.8"),
)
STUBBED = ("libcublas.so.12", "libcublasLt.so.12", "libcudnn.so.8")
DEBS = (
    *("python3.11-minimal", "libpython3.11-minimal", "libpython3.11-stdlib"),
    *("libexpat1", "libffi8", "zlib1g"),
)
ARCHITECTURES = "80;90"  # and all later ones through 90's PTX
FRONTEND = """from tensorrt_bindings import *
from tensorrt_bindings import __version__
"""


def libraries(work: Path, folder: Path) -> None:
    """The archive ``tensorrt``: the libraries alone."""
    gpu_chunks.pack(staged(work), "tensorrt", folder)


def staged(work: Path) -> Path:
    """The libraries out of the wheel, in a folder of their own."""
    stage = work / "stage" / "tensorrt"
    if not all((stage / name).exists() for name in WANTED):
        (wheel,) = download(LIBRARIES, "3.10", work / "wheels" / "tensorrt")
        unpacked = work / "stage" / "tensorrt-wheel"
        unzip(wheel, unpacked, only=tuple(f"tensorrt/{name}" for name in WANTED))
        stage.mkdir(parents=True, exist_ok=True)
        for name in WANTED:
            (unpacked / "tensorrt" / name).replace(stage / name)
        shutil.rmtree(unpacked)
    return stage


def interpreter(work: Path, folder: Path) -> None:
    """The archive ``tensorrt-python``: CPython 3.11, NumPy, binding, stubs, kernels."""
    if sys.version_info[:2] != (3, 11):
        raise RuntimeError(
            "fuseg's kernels for the Python that goes along must be built by Python "
            f"3.11, got {sys.version.split()[0]}: run this in an environment of it."
        )
    stage = work / "stage" / "tensorrt-python"
    shutil.rmtree(stage, ignore_errors=True)
    python(work / "debs", stage)
    for name, requirement in (("numpy", NUMPY), ("tensorrt_bindings", BINDING)):
        (wheel,) = download(requirement, "3.11", work / "wheels" / name)
        unzip(wheel, work / "stage" / "wheel")
        shutil.copytree(work / "stage" / "wheel", stage / "site", dirs_exist_ok=True)
        shutil.rmtree(work / "stage" / "wheel")
    (stage / "site" / "tensorrt").mkdir()
    (stage / "site" / "tensorrt" / "__init__.py").write_text(FRONTEND)
    stubs(staged(work) / "libnvinfer_plugin.so.8", stage / "stub")
    kernels(work / "build-3.11", stage / "kernels")
    gpu_chunks.pack(stage, "tensorrt-python", folder)


def python(debs: Path, stage: Path) -> None:
    """Unpack Debian's CPython 3.11; nothing is installed."""
    debs.mkdir(parents=True, exist_ok=True)
    if len(list(debs.glob("*.deb"))) < len(DEBS):
        subprocess.run(["apt-get", "-qq", "download", *DEBS], check=True, cwd=debs)
    (stage / "lib").mkdir(parents=True)
    for deb in debs.glob("*.deb"):
        subprocess.run(["dpkg-deb", "-x", str(deb), str(stage / "python")], check=True)
    shutil.rmtree(stage / "python" / "usr" / "share", ignore_errors=True)
    for name in ("libexpat", "libffi", "libz"):
        for library in (stage / "python").rglob(f"{name}.so*"):
            shutil.copy(library, stage / "lib", follow_symlinks=False)


def stubs(plugin: Path, target: Path) -> None:
    """Libraries with the names that the plugin library wants; all return an error."""
    target.mkdir(parents=True)
    said = subprocess.run(
        ["nm", "-D", "--undefined-only", str(plugin)],
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    for name in STUBBED:
        names = sorted(set(re.findall(rf" U (\w+)@+{re.escape(name)}\b", said)))
        if not names:
            raise RuntimeError(f"{plugin.name} wants nothing of {name}, as 8.6.0 does.")
        source, versions = target / "stub.c", target / "stub.map"
        source.write_text("\n".join(map(_stub, names)) + "\n")
        versions.write_text(f"{name} {{ global: *; }};\n")
        words = ["gcc", "-shared", "-fPIC", f"-Wl,-soname,{name}", str(source)]
        words += [f"-Wl,--version-script={versions}", "-o", str(target / name)]
        subprocess.run(words, check=True)
    source.unlink()
    versions.unlink()


def _stub(name: str) -> str:
    if name.endswith("String"):
        return f'const char *{name}(int status) {{ return "stub"; }}'
    return f"int {name}(void) {{ return 1; }}"


def kernels(build: Path, target: Path) -> None:
    """fuseg's two compiled modules for this Python, and what they were made of."""
    cmakedir = [sys.executable, "-m", "pybind11", "--cmakedir"]
    found = subprocess.check_output(cmakedir, text=True).strip()
    configure = [
        *("cmake", "-S", str(ROOT), "-B", str(build), "-DFUSEG_CUDA=ON"),
        f"-DCMAKE_CUDA_ARCHITECTURES={ARCHITECTURES}",
        *(f"-DPython_EXECUTABLE={sys.executable}", f"-Dpybind11_DIR={found}"),
    ]
    subprocess.run(configure, check=True, stdout=subprocess.DEVNULL)
    jobs = str(os.cpu_count() or 1)
    print("fuseg's kernels are compiled for Python 3.11", flush=True)
    subprocess.run(
        ["cmake", "--build", str(build), "-j", jobs],
        check=True,
        stdout=subprocess.DEVNULL,
    )
    target.mkdir(parents=True)
    for library in build.glob("_kernels*.so"):
        shutil.copy(library, target)
    (target / "sources.json").write_text(json.dumps({"kernels": digest("kernels")}))


def environment(unpacked: Path, *paths: Path) -> dict[str, str]:
    """What `executable` needs in its environment."""
    base, libraries = unpacked / "tensorrt-python", unpacked / "tensorrt"
    folders = (libraries, base / "stub", base / "lib")
    return {
        "LD_LIBRARY_PATH": os.pathsep.join(map(str, folders)),
        "PYTHONHOME": str(base / "python" / "usr"),
        "PYTHONPATH": os.pathsep.join(map(str, (base / "site", *paths))),
        "PYTHONNOUSERSITE": "1",
    }


def executable(unpacked: Path) -> Path:
    return unpacked / "tensorrt-python" / "python" / "usr" / "bin" / "python3.11"

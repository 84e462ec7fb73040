"""Where gpu_check.py has its things, and what a command needs to find them."""

from __future__ import annotations

import ctypes
import importlib.util
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import gpu_tensorrt86
from gpu_sources import ROOT

CHECKS = Path(__file__).parent


def run(*words: object, seconds: float, **environment: str) -> str:
    """The output of a command; its end is in the exception if it fails."""
    done = subprocess.run(
        [str(w) for w in words],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=seconds,
        check=False,
        env=os.environ | environment,
        cwd=ROOT,
    )
    if done.returncode != 0:
        raise RuntimeError(
            f"{words[0]} ended with {done.returncode}\n{done.stdout[-6000:]}"
        )
    return done.stdout


def gpus() -> int:
    """How many GPUs the driver shows; 0 without one. Nothing is left open."""
    try:
        driver = ctypes.CDLL("libcuda.so.1")
    except OSError:
        return 0
    count = ctypes.c_int(0)
    if driver.cuInit(0) != 0 or driver.cuDeviceGetCount(ctypes.byref(count)) != 0:
        return 0
    return count.value


@dataclass(frozen=True)
class Place:
    """The folders of one run.

    Attributes:
        work: Keeps all that was built and unpacked, from call to call.
        dry: Whether this tries out what needs no GPU.
    """

    work: Path
    dry: bool

    @property
    def site(self) -> Path:
        """fuseg as the section ``build`` made it."""
        return self.work / "site"

    @property
    def unpacked(self) -> Path:
        return self.work / "unpacked"

    @property
    def onnxruntime(self) -> Path:
        """ONNX Runtime with CUDA for this Python, from chunks."""
        major, minor = sys.version_info[:2]
        return self.unpacked / f"onnxruntime-cp{major}{minor}"

    @property
    def bundle(self) -> Path:
        """The shipped checkpoint's bundle; in a dry run the small one of the tests."""
        for path in (self.work / "rgbd.fuseg", self.unpacked / "inputs" / "rgbd.fuseg"):
            if path.exists():
                return path
        raise RuntimeError(
            f"{self.work / 'rgbd.fuseg'} must be there, or unpacked: make it with "
            "`make gpu-check-prepare` and carry the chunk of the archive inputs."
        )

    def python_path(self, *before: Path) -> str:
        """PYTHONPATH for this Python: fuseg, its other half, what may be missing."""
        paths = [*before]
        if self.site.exists():
            paths.append(self.site)
        given = os.environ.get("PYTHONPATH")
        paths += [ROOT / "export", CHECKS, *self._missing_wheels()]
        if self.dry:
            paths.append(ROOT / "tests")  # the doubles
        return os.pathsep.join([*map(str, paths), *([given] if given else [])])

    def _missing_wheels(self) -> Iterator[Path]:
        for folder in sorted((self.unpacked / "inputs" / "wheels").glob("*")):
            if importlib.util.find_spec(folder.name) is None:
                yield folder

    def environment(self, *before: Path) -> dict[str, str]:
        """For programs of this Python; caches are this check's own, and kept."""
        return {"PYTHONPATH": self.python_path(*before), **self._caches()}

    def carried_tensorrt(self) -> dict[str, str]:
        """For programs of the Python that was carried with TensorRT 8.6.0."""
        found = gpu_tensorrt86.environment(
            self.unpacked, self.site, ROOT / "export", CHECKS
        )
        return found | self._caches()

    def _caches(self) -> dict[str, str]:
        found = {
            "XDG_CACHE_HOME": str(self.work / "cache"),
            "TORCHINDUCTOR_CACHE_DIR": str(self.work / "inductor"),
        }
        # Without a GPU all programs would wait for each other's threads.
        return found | ({"OMP_NUM_THREADS": "1"} if self.dry else {})

"""Stand-ins for a GPU and for the libraries that speak to it. Tests import them as
``doubles``; see ``pythonpath`` in pyproject.toml."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from types import ModuleType

import pytest

from fuseg.cuda import launch

from . import kernels_cuda, pycuda_driver
from .machine import Machine, Misuse, OutOfMemory, Refused

__all__ = ["Machine", "Misuse", "OutOfMemory", "Refused", "in_children", "install"]


def install(
    monkeypatch: pytest.MonkeyPatch, machine: Machine, *, pycuda: bool = True
) -> Machine:
    """Put ``machine`` where fuseg looks for a GPU: behind ``launch.kernels`` and
    behind pycuda, or, without ``pycuda``, where that cannot be imported."""
    kernels = kernels_cuda.make(machine)
    monkeypatch.setattr(launch, "kernels", lambda: kernels)
    package = ModuleType("pycuda") if pycuda else None
    driver = pycuda_driver.make(machine) if pycuda else None
    if package is not None:
        package.driver = driver
        package.VERSION = (2026, 1)
    monkeypatch.setitem(sys.modules, "pycuda", package)
    monkeypatch.setitem(sys.modules, "pycuda.driver", driver)
    return machine


def in_children(monkeypatch: pytest.MonkeyPatch, version: str, **words: object) -> None:
    """Let child processes import the double of this TensorRT; the ``words``, such as
    ``fault="kill"``, are those of `tensorrt_faults` and of site/tensorrt."""
    site = str(Path(__file__).parent / "site")
    paths = [site, os.environ.get("PYTHONPATH", "")]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, paths)))
    monkeypatch.setenv("FUSEG_TENSORRT_DOUBLE", version)
    for name, word in words.items():
        monkeypatch.setenv(f"FUSEG_TENSORRT_DOUBLE_{name.upper()}", str(word))

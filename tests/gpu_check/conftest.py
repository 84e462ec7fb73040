"""The scripts beside this file, for the tests of them, and the emulated kernels."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType

import native
import pytest

HERE = Path(__file__).parent

sys.path.append(str(HERE))


@pytest.fixture(scope="session")
def emulated_kernels() -> ModuleType:
    return native.emulated_kernels()

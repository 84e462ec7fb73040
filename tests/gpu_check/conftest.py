"""The scripts of tools/gpu_check, for the tests of them, and the emulated kernels."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType

import native
import numpy as np
import pytest

TOOL = Path(__file__).parents[2] / "tools" / "gpu_check"

sys.path.append(str(TOOL))


@pytest.fixture(scope="session")
def emulated_kernels() -> ModuleType:
    return native.emulated_kernels()


@pytest.fixture
def some() -> list[dict[str, np.ndarray]]:
    """Three frames of each sensor of the bundle in tests/data."""
    rng = np.random.default_rng(5)
    return [
        {
            "rgb": rng.integers(0, 256, (48, 64, 3), dtype=np.uint8),
            "depth": rng.integers(0, 9000, (48, 64)).astype(np.uint16),
        }
        for _ in range(3)
    ]

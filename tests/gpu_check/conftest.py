"""The scripts beside this file, for the tests of them, and the emulated kernels."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

HERE = Path(__file__).parent
EMULATOR = HERE.parent / "cuda" / "emulator" / "__init__.py"

sys.path.append(str(HERE))


@pytest.fixture(scope="session")
def emulated_kernels(
    tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> ModuleType:
    cache = getattr(request.config, "cache", None)
    folder = cache.mkdir("emulator") if cache else tmp_path_factory.mktemp("emulator")
    spec = importlib.util.spec_from_file_location("emulator", EMULATOR)
    emulator = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(emulator)
    return emulator.build(folder)

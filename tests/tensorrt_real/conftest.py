"""A process with the real builder in it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import onnx
import pytest
from tensorrt_real.builder import RealBuilder, Verdict


@pytest.fixture(scope="session")
def real_builder(rtx_site: Path) -> Iterator[RealBuilder]:
    builder = RealBuilder(rtx_site)
    yield builder
    builder.close()


@pytest.fixture
def ask(
    real_builder: RealBuilder, tmp_path: Path
) -> Callable[[onnx.ModelProto], Verdict]:
    """``ask(model)``: what the real parser and builder say of it."""

    def verdict(model: onnx.ModelProto) -> Verdict:
        path = tmp_path / "model.onnx"
        onnx.save(model, path)
        return real_builder.ask(path)

    return verdict

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
def ask(real_builder: RealBuilder, tmp_path: Path) -> Callable[..., Verdict]:
    """``ask(model, formats)``: what the real parser and builder say of it."""

    def verdict(
        model: onnx.ModelProto, formats: dict[str, list[str]] | None = None
    ) -> Verdict:
        path = tmp_path / "model.onnx"
        onnx.save(model, path)
        return real_builder.ask(path, formats)

    return verdict

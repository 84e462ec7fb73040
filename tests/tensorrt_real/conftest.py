"""The real builder, downloaded once; what asks it is skipped where it cannot be had."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import onnx
import pytest
from conformance import wheels
from tensorrt_real.builder import RealBuilder, Verdict

_LIBS = "68c2615fef1556e7721235682f460f3d78ab89df320a3f34a416367b144817a8"
_BINDINGS = (  # of Python 3.10 to 3.14
    "03adac6aa0111b18030f4d3301f8f36af8be5dedc18c805ae9ddf0033b52a120",
    "aea28353c9a0e724c60673db48adb0fe4a1970c5109be68a562a32845bc6d230",
    "37bd707a3baeae3cd1cfd5ce7d56d6c9c35f609dd532a3f5c2bbb733433524dd",
    "198b5e812d468b81dc78f9afe75560f2e8af579b0f547f868d801a5009670d38",
    "d900faa23859715b3ea3206d222356dfc49625a04ac0e220842272bb767d50df",
)
RTX = wheels.Wheels(
    (
        f"tensorrt-rtx-cu12-libs==1.7.1.116 --hash=sha256:{_LIBS}",
        "tensorrt-rtx-cu12-bindings==1.7.1.116 "
        + " ".join(f"--hash=sha256:{digest}" for digest in _BINDINGS),
    ),
    (3, 14),
)


@pytest.fixture(scope="session")
def site() -> Path:
    """A folder with ``tensorrt_rtx_bindings`` and its libraries."""
    try:
        return wheels.unpacked("TensorRT-RTX rtx-1.7.1", RTX)
    except wheels.Unavailable as reason:
        pytest.skip(str(reason))


@pytest.fixture(scope="session")
def real_builder(site: Path) -> Iterator[RealBuilder]:
    builder = RealBuilder(site)
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

"""A bundle in every precision TensorRT takes, and children that see its doubles."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from backends.tensorrt.networks import PRECISIONS, network, write_bundle
from doubles import in_children, tensorrt
from doubles.bounded import bounded  # noqa: F401

from fuseg import bundle as bundles
from fuseg.backends.tensorrt import build_parent, engines
from fuseg.backends.tensorrt.libraries import RTX, TENSORRT
from fuseg.cuda import DeviceProperties

FACTS = DeviceProperties("Pretend GPU", (8, 7), 8 << 30, True, "12.6")


@pytest.fixture
def make_bundle_of(tmp_path: Path) -> Callable[..., bundles.Bundle]:
    """``make_bundle_of("fp16", ..., onnx=bytes)``: fp32 and these variants."""

    def make(*names: str, onnx: bytes | None = None) -> bundles.Bundle:
        wanted = dict.fromkeys((*names, "fp32"))
        made = {name: onnx or network(name) for name in wanted}
        return write_bundle(tmp_path / "precise.fuseg", made)

    return make


@pytest.fixture
def bundle(make_bundle_of: Callable[..., bundles.Bundle]) -> bundles.Bundle:
    """All variants that TensorRT takes."""
    return make_bundle_of(*PRECISIONS)


@pytest.fixture
def facts() -> DeviceProperties:
    return FACTS


@dataclass
class Doubled:
    """TensorRT of one version, as the children of this process see it."""

    version: str
    folder: Path
    patch: pytest.MonkeyPatch

    def set(self, **words: object) -> None:
        """``seconds``, ``fault``, ``gpu``: see tests/doubles/tensorrt_faults.py."""
        in_children(self.patch, self.version, **words)

    def builds(self) -> list[str]:
        """A line for each build that began."""
        path = self.folder / "builds"
        return path.read_text().splitlines() if path.exists() else []


VERSIONS: dict[str, engines.TensorRT] = {}  # by version: a query takes a second


@pytest.fixture
def with_tensorrt(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[[str], Doubled]:
    """``with_tensorrt("10.3.0") -> Doubled``, from here to the end of the test."""
    query = build_parent._query_child.__wrapped__

    def use(version: str) -> Doubled:
        found = Doubled(version, tmp_path, monkeypatch)
        found.set(builds=tmp_path / "builds")
        if version not in VERSIONS:
            VERSIONS[version] = query(RTX if version.startswith("rtx-") else TENSORRT)
        monkeypatch.setattr(build_parent, "_query_child", lambda _: VERSIONS[version])
        return found

    return use


EVERY_TIME = ("8.6.1", "10.3.0")  # flags, and types; the conformance tests run all


@pytest.fixture(
    params=[
        version
        if version in EVERY_TIME
        else pytest.param(version, marks=pytest.mark.slow)
        for version in tensorrt.VERSIONS
        if not version.startswith("rtx-")
    ]
)
def doubled(request: Any, with_tensorrt: Callable[[str], Doubled]) -> Doubled:
    """Each version in turn."""
    return with_tensorrt(request.param)


@pytest.fixture
def trt10(with_tensorrt: Callable[[str], Doubled]) -> Doubled:
    return with_tensorrt("10.3.0")


@pytest.fixture
def engine(bundle: bundles.Bundle) -> Callable[..., engines.Engine]:
    """``engine(variant="fp16", **how)``: of ``bundle``, through `engine_for`."""

    def make(variant: str = "fp16", **how: Any) -> engines.Engine:
        (chosen,) = [v for v in bundle.manifest.variants if v.name == variant]
        return engines.engine_for(
            bundle, bundle.manifest.graphs[0], chosen, how.pop("facts", FACTS), **how
        )

    return make


SCRIPT = """
import json, logging, sys
from fuseg import bundle
from fuseg.backends.tensorrt import engines
from fuseg.cuda import DeviceProperties
logging.basicConfig(level="INFO", format="%(message)s")
opened = bundle.Bundle.open(sys.argv[1])
(chosen,) = [v for v in opened.manifest.variants if v.name == sys.argv[2]]
facts = DeviceProperties("Pretend GPU", (8, 7), 8 << 30, True, "12.6")
def progress(report):
    print("progress", report.fraction, flush=True)
(net,) = opened.manifest.graphs
made = engines.engine_for(opened, net, chosen, facts, progress=progress)
print(json.dumps([made.built, made.record.plan.sha256]), flush=True)
"""


@pytest.fixture
def process(bundle: bundles.Bundle) -> Callable[..., subprocess.Popen]:
    """``process("fp16")``: another process that wants one; its output in pipes."""
    started: list[subprocess.Popen] = []

    def start(variant: str = "fp16", before: str = "") -> subprocess.Popen:
        words = [sys.executable, "-c", before + SCRIPT, str(bundle.path), variant]
        pipe = subprocess.PIPE
        child = subprocess.Popen(words, stdout=pipe, stderr=pipe, text=True)
        started.append(child)
        return child

    yield start
    for child in started:
        child.kill()
        child.communicate(timeout=120)


@pytest.fixture
def disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Path]:
    """``disk("64k")``: the cache's folder on a file system of its own, and where that
    is; ``disk("ro")`` later on makes it read-only."""
    where = tmp_path / "disk"
    where.mkdir()
    mounted: list[Path] = []

    def mount(*words: str) -> bool:
        done = subprocess.run(["mount", *words], capture_output=True, check=False)
        return done.returncode == 0

    def make(how: str) -> Path:
        if how == "ro":
            assert mount("-o", "remount,ro", str(where))
            return where
        if not mount("-t", "tmpfs", "-o", f"size={how}", "tmpfs", str(where)):
            pytest.skip("no file system may be mounted here")
        mounted.append(where)
        monkeypatch.setenv("XDG_CACHE_HOME", str(where))
        return where

    yield make
    for path in mounted:
        subprocess.run(["umount", str(path)], check=True)

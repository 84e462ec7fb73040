"""The enumerations of four TensorRT versions, as far as fuseg uses them.

The numbers differ between versions on purpose of nobody: code that writes one down
instead of asking the enumeration is wrong in one of them.
"""

from __future__ import annotations

from typing import Any

from .tensorrt_api import State, enum

VERSIONS = ("8.6.1", "10.3.0", "10.13.3", "11.4.0")


def _numbered(first: int, names: str) -> dict[str, int]:
    return {name: first + i for i, name in enumerate(names.split())}


_TYPES_8 = _numbered(0, "FLOAT HALF INT8 INT32 BOOL UINT8 FP8")

# By version: in the order of VERSIONS, the last one for those that follow.
_BY_VERSION: dict[str, tuple[dict[str, int], ...]] = {
    "BuilderFlag": (
        {"FP16": 0, "INT8": 1, "TF32": 7, "VERSION_COMPATIBLE": 15},
        {"FP16": 0, "INT8": 1, "TF32": 6, "VERSION_COMPATIBLE": 13},
        {"FP16": 0, "INT8": 1, "TF32": 6, "VERSION_COMPATIBLE": 13},
        {"TF32": 6, "VERSION_COMPATIBLE": 12},
    ),
    "NetworkDefinitionCreationFlag": (
        {"EXPLICIT_BATCH": 0},
        {"EXPLICIT_BATCH": 0, "STRONGLY_TYPED": 1},
        {"EXPLICIT_BATCH": 0, "STRONGLY_TYPED": 1},
        {"STRONGLY_TYPED": 0},
    ),
    "DataType": (_TYPES_8, {**_TYPES_8, "BF16": 7, "INT64": 8}),
    "MemoryPoolType": ({"WORKSPACE": 0},),
    "HardwareCompatibilityLevel": ({"NONE": 0, "AMPERE_PLUS": 1},),
    "TensorFormat": (
        _numbered(
            0,
            "LINEAR CHW2 HWC8 CHW4 CHW16 CHW32 DHWC8 CDHW32 HWC DLA_LINEAR DLA_HWC4 "
            "HWC16 DHWC",
        ),
    ),
    "LayerInformationFormat": ({"ONELINE": 0, "JSON": 1},),
    "TensorIOMode": ({"NONE": 0, "INPUT": 1, "OUTPUT": 2},),
}
_SEVERITIES = {"INTERNAL_ERROR": 0, "ERROR": 1, "WARNING": 2, "INFO": 3, "VERBOSE": 4}


def enums(state: State) -> dict[str, Any]:
    """By name, those of the version."""
    at = VERSIONS.index(state.version)
    return {
        name: enum(name, state, by[min(at, len(by) - 1)])
        for name, by in _BY_VERSION.items()
    }


def severity(state: State) -> type:
    return enum("Severity", state, _SEVERITIES, "ILogger.")

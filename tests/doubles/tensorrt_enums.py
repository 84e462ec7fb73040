"""The enumerations of each TensorRT version, as far as fuseg uses them.

The numbers differ between versions on purpose of nobody: code that writes one down
instead of asking the enumeration is wrong in one of them.
"""

from __future__ import annotations

from typing import Any

from .tensorrt_api import State, enum

VERSIONS = ("8.6.1", "10.3.0", "10.10.0", "10.13.3", "11.0.0", "11.4.0", "rtx-1.7.1")


def _numbered(first: int, names: str) -> dict[str, int]:
    return {name: first + i for i, name in enumerate(names.split())}


_TYPES_8 = _numbered(0, "FLOAT HALF INT8 INT32 BOOL UINT8 FP8")

_FLAGS_10 = {"FP16": 0, "INT8": 1, "TF32": 6, "VERSION_COMPATIBLE": 13}
_FLAGS_11 = {"TF32": 6, "VERSION_COMPATIBLE": 12, "EDITABLE_TIMING_CACHE": 26}

# By name and the first version that has them so.
_BY_VERSION: dict[str, dict[str, dict[str, int]]] = {
    "BuilderFlag": {
        "8.6.1": {"FP16": 0, "INT8": 1, "TF32": 7, "VERSION_COMPATIBLE": 15},
        "10.3.0": _FLAGS_10,
        "10.10.0": {**_FLAGS_10, "EDITABLE_TIMING_CACHE": 27},
        "11.0.0": _FLAGS_11,
        "rtx-1.7.1": {**_FLAGS_11, "REQUIRE_USER_ALLOCATION": 28},
    },
    "NetworkDefinitionCreationFlag": {
        "8.6.1": {"EXPLICIT_BATCH": 0},
        "10.3.0": {"EXPLICIT_BATCH": 0, "STRONGLY_TYPED": 1},
        "11.0.0": {"STRONGLY_TYPED": 0},
    },
    "DataType": {"8.6.1": _TYPES_8, "10.3.0": {**_TYPES_8, "BF16": 7, "INT64": 8}},
    "MemoryPoolType": {"8.6.1": {"WORKSPACE": 0}},
    "HardwareCompatibilityLevel": {"8.6.1": {"NONE": 0, "AMPERE_PLUS": 1}},
    "ProfilingVerbosity": {"8.6.1": {"LAYER_NAMES_ONLY": 0, "DETAILED": 2}},
    "TensorFormat": {
        "8.6.1": _numbered(
            0,
            "LINEAR CHW2 HWC8 CHW4 CHW16 CHW32 DHWC8 CDHW32 HWC DLA_LINEAR DLA_HWC4 "
            "HWC16 DHWC",
        ),
    },
    "LayerInformationFormat": {"8.6.1": {"ONELINE": 0, "JSON": 1}},
    "TensorIOMode": {"8.6.1": {"NONE": 0, "INPUT": 1, "OUTPUT": 2}},
    "ExecutionContextAllocationStrategy": {
        "10.3.0": {"STATIC": 0, "ON_PROFILE_CHANGE": 1, "USER_MANAGED": 2}
    },
    "DynamicShapesKernelSpecializationStrategy": {
        "rtx-1.7.1": {"LAZY": 0, "EAGER": 1, "NONE": 2}
    },
    "EngineValidity": {"rtx-1.7.1": {"VALID": 0, "INVALID": 2}},
    "EngineInvalidityDiagnostics": {
        "rtx-1.7.1": {
            "VERSION_MISMATCH": 1,
            "UNSUPPORTED_CC": 2,
            "OLD_CUDA_DRIVER": 4,
            "OLD_CUDA_RUNTIME": 8,
            "INSUFFICIENT_GPU_MEMORY": 16,
            "MALFORMED_ENGINE": 32,
            "CUDA_ERROR": 64,
        }
    },
}
_SEVERITIES = {"INTERNAL_ERROR": 0, "ERROR": 1, "WARNING": 2, "INFO": 3, "VERBOSE": 4}


def enums(state: State) -> dict[str, Any]:
    """By name, those of the version."""
    until = VERSIONS[: VERSIONS.index(state.version) + 1]
    found = {}
    for name, by_version in _BY_VERSION.items():
        numbers = [by_version[version] for version in until if version in by_version]
        if numbers:
            found[name] = enum(name, state, numbers[-1])
    return found


def severity(state: State) -> type:
    return enum("Severity", state, _SEVERITIES, "ILogger.")

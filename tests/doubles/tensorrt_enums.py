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


_FLAGS_8 = _numbered(
    0,
    "FP16 INT8 DEBUG GPU_FALLBACK STRICT_TYPES REFIT DISABLE_TIMING_CACHE TF32 "
    "SPARSE_WEIGHTS SAFETY_SCOPE OBEY_PRECISION_CONSTRAINTS "
    "PREFER_PRECISION_CONSTRAINTS DIRECT_IO REJECT_EMPTY_ALGORITHMS "
    "ENABLE_TACTIC_HEURISTIC VERSION_COMPATIBLE EXCLUDE_LEAN_RUNTIME FP8",
)
_FLAGS_10 = _numbered(
    0,
    "FP16 INT8 DEBUG GPU_FALLBACK REFIT DISABLE_TIMING_CACHE TF32 SPARSE_WEIGHTS "
    "SAFETY_SCOPE OBEY_PRECISION_CONSTRAINTS PREFER_PRECISION_CONSTRAINTS DIRECT_IO "
    "REJECT_EMPTY_ALGORITHMS VERSION_COMPATIBLE EXCLUDE_LEAN_RUNTIME FP8 "
    "ERROR_ON_TIMING_CACHE_MISS BF16 DISABLE_COMPILATION_CACHE STRIP_PLAN "
    "REFIT_IDENTICAL WEIGHT_STREAMING INT4 REFIT_INDIVIDUAL",
)
_FLAGS_11 = {
    **_numbered(2, "DEBUG GPU_FALLBACK REFIT DISABLE_TIMING_CACHE TF32 SPARSE_WEIGHTS"),
    "SAFETY_SCOPE": 8,
    **_numbered(11, "DIRECT_IO VERSION_COMPATIBLE EXCLUDE_LEAN_RUNTIME"),
    "ERROR_ON_TIMING_CACHE_MISS": 15,
    **_numbered(17, "DISABLE_COMPILATION_CACHE STRIP_PLAN REFIT_IDENTICAL"),
    "WEIGHT_STREAMING": 20,
    **_numbered(22, "REFIT_INDIVIDUAL STRICT_NANS MONITOR_MEMORY"),
    **_numbered(26, "EDITABLE_TIMING_CACHE DISTRIBUTIVE_INDEPENDENCE"),
}
_FLAGS_10_13 = {
    **_FLAGS_10,
    **_numbered(24, "STRICT_NANS MONITOR_MEMORY FP4 EDITABLE_TIMING_CACHE"),
    "DISTRIBUTIVE_INDEPENDENCE": 28,
}
_TYPES_8 = _numbered(0, "FLOAT HALF INT8 INT32 BOOL UINT8 FP8")
_TYPES_10 = {**_TYPES_8, **_numbered(7, "BF16 INT64 INT4")}
_TYPES_10_13 = {**_TYPES_10, **_numbered(10, "FP4 E8M0")}
_POOLS_8 = _numbered(
    0, "WORKSPACE DLA_MANAGED_SRAM DLA_LOCAL_DRAM DLA_GLOBAL_DRAM TACTIC_DRAM"
)
_POOLS_10 = {**_POOLS_8, "TACTIC_SHARED_MEMORY": 5}
_LEVELS_8 = {"NONE": 0, "AMPERE_PLUS": 1}
_LEVELS_10_13 = {**_LEVELS_8, "SAME_COMPUTE_CAPABILITY": 2}
_AOT = {"PREFER_JIT_PYTHON_PLUGINS": 2, "PREFER_AOT_PYTHON_PLUGINS": 3}

# By version: in the order of VERSIONS, the last one for those that follow.
_BY_VERSION: dict[str, tuple[dict[str, int], ...]] = {
    "BuilderFlag": (_FLAGS_8, _FLAGS_10, _FLAGS_10_13, _FLAGS_11),
    "NetworkDefinitionCreationFlag": (
        {"EXPLICIT_BATCH": 0, "EXPLICIT_PRECISION": 1},
        {"EXPLICIT_BATCH": 0, "STRONGLY_TYPED": 1},
        {"EXPLICIT_BATCH": 0, "STRONGLY_TYPED": 1, **_AOT},
        _numbered(
            0, "STRONGLY_TYPED PREFER_JIT_PYTHON_PLUGINS PREFER_AOT_PYTHON_PLUGINS"
        ),
    ),
    "DataType": (_TYPES_8, _TYPES_10, _TYPES_10_13),
    "MemoryPoolType": (_POOLS_8, _POOLS_10),
    "HardwareCompatibilityLevel": (_LEVELS_8, _LEVELS_8, _LEVELS_10_13),
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

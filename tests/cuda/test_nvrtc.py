"""The device code of every kernel compiles with NVRTC 12.6 for a Jetson: JetPack 6 has
CUDA 12.6, and nvcc on this machine may be newer."""

from __future__ import annotations

import ctypes
import importlib.util
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
KERNELS = ROOT / "kernels"
SOURCES = sorted(KERNELS.glob("*/*_cuda.cu"))

# What the host's compiler and the CUDA toolkit have and NVRTC has not.
SHIMS = {
    "cstddef": "namespace std { using size_t = decltype(sizeof(0)); }\n"
    "using std::size_t; using ptrdiff_t = long;\n"
    "namespace std { using ptrdiff_t = long; }",
    "cstdint": "".join(
        f"using {name}_t = {spelled}; namespace std {{ using ::{name}_t; }}\n"
        for name, spelled in {
            "int8": "signed char",
            "int16": "short",
            "int32": "int",
            "int64": "long",
            "uint8": "unsigned char",
            "uint16": "unsigned short",
            "uint32": "unsigned int",
            "uint64": "unsigned long",
            "uintptr": "unsigned long",
        }.items()
    ),
    "cstring": "namespace std { using ::memcpy; }",
    "cmath": "#define INFINITY __int_as_float(0x7f800000)\n"
    "#define NAN __int_as_float(0x7fffffff)\n"
    "namespace std { using ::log; using ::exp; using ::fabs; }",
    "limits": "namespace std { template <typename T> struct numeric_limits {\n"
    "static __device__ T infinity() { return __int_as_float(0x7f800000); } }; }",
    # All is compiled for the device here, so a launch may only name its kernel.
    "cuda/launch.cuh": "#pragma once\nstruct CUstream_st;\nnamespace fuseg {\n"
    "inline void refuse(const char*, const char*) {}\n"
    "inline int multiprocessors(const char*) { return 1; }\n"
    "template <typename... Taken, typename... Given>\n"
    "void launch(const char*, void (*kernel)(Taken...), dim3, unsigned, size_t,\n"
    'CUstream_st*, const Given&...) { asm volatile("" :: "l"(kernel)); } }\n',
    # The CPU's levels are none of NVRTC's business.
    "simd/level.h": "#pragma once\n#define FUSEG_SIMD(...)\n",
    "common/scratch.h": "#pragma once\n#include <cstdint>\n"
    "namespace fuseg { struct Scratch { template <typename T> T* take(long); }; }\n",
}


@pytest.fixture(scope="module")
def nvrtc() -> ctypes.CDLL:
    found = importlib.util.find_spec("nvidia")
    folders = found.submodule_search_locations if found else None
    for folder in folders or []:
        for library in Path(folder).glob("cuda_nvrtc/lib/libnvrtc.so.12"):
            return ctypes.CDLL(str(library))
    pytest.skip("the wheel nvidia-cuda-nvrtc-cu12 is not installed")


def compiled(nvrtc: ctypes.CDLL, source: Path, architecture: str) -> bytes:
    """The machine code of every kernel in ``source``, each template as it is used."""
    program = ctypes.c_void_p()
    headers = SHIMS
    names = (ctypes.c_char_p * len(headers))(*(n.encode() for n in headers))
    bodies = (ctypes.c_char_p * len(headers))(*(b.encode() for b in headers.values()))
    made = nvrtc.nvrtcCreateProgram(
        ctypes.byref(program),
        source.read_bytes(),
        source.name.encode(),
        *(len(headers), bodies, names),
    )
    assert made == 0
    options = [
        *("--std=c++17", "--fmad=false", "-default-device", f"-I{KERNELS}"),
        f"--gpu-architecture={architecture}",
    ]
    given = (ctypes.c_char_p * len(options))(*(o.encode() for o in options))
    status = nvrtc.nvrtcCompileProgram(program, len(options), given)
    size = ctypes.c_size_t()
    nvrtc.nvrtcGetProgramLogSize(program, ctypes.byref(size))
    log = ctypes.create_string_buffer(size.value)
    nvrtc.nvrtcGetProgramLog(program, log)
    assert status == 0, log.value.decode()
    nvrtc.nvrtcGetCUBINSize(program, ctypes.byref(size))
    code = ctypes.create_string_buffer(size.value)
    assert nvrtc.nvrtcGetCUBIN(program, code) == 0
    nvrtc.nvrtcDestroyProgram(ctypes.byref(program))
    return code.raw


def test_nvrtc_is_the_one_of_jetpack_6(nvrtc):
    major, minor = ctypes.c_int(), ctypes.c_int()
    nvrtc.nvrtcVersion(ctypes.byref(major), ctypes.byref(minor))
    assert (major.value, minor.value) == (12, 6)


@pytest.mark.parametrize("source", SOURCES, ids=lambda s: s.parent.name)
def test_compiles_for_a_jetson(nvrtc, source):
    code = compiled(nvrtc, source, "sm_87")
    kernels = set(re.findall(r"(\w+_kernel)\(", source.read_text()))
    assert kernels
    for kernel in kernels:
        assert kernel.encode() in code, f"{kernel} was compiled away"

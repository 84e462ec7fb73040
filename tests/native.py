"""What tests need compiled. `make test` runs this file first, so that no compiler runs
while a test waits for something:

    python tests/native.py
"""

from __future__ import annotations

import ctypes
import hashlib
import importlib.machinery
import importlib.util
import platform
import re
import subprocess
import sys
import sysconfig
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import ModuleType

import pybind11

TESTS = Path(__file__).parent
OUT = TESTS.parent / "out" / "native"
KERNELS = TESTS.parent / "kernels"
EMULATOR = TESTS / "cuda" / "emulator"
TEST_KERNELS = ("faulty_kernels", "weighted_taps")
COUNTER = TESTS / "runtime" / "big_mallocs.cpp"
EMULATOR_FLAGS = (
    *("-std=c++17", "-O1", "-fPIC", "-fvisibility=hidden", "-ffp-contract=off"),
    "-U_FORTIFY_SOURCE",  # it takes a fiber's longjmp for a mistake
    *("-Wall", "-Wextra", "-Wno-unknown-pragmas", "-Werror"),
    # What a GPU refuses, or leaves open, ends the process: SIGILL.
    "-fsanitize=alignment,bounds,shift,signed-integer-overflow",
    "-fsanitize-undefined-trap-on-error",
    *(f"-I{EMULATOR}", f"-I{KERNELS}", f"-isystem{pybind11.get_include()}"),
    f"-isystem{sysconfig.get_path('include')}",
)
COUNTER_FLAGS = ("-shared", "-fPIC", "-O1", "-std=c++17")
SIMD_FLAGS = ("-std=c++17", "-O0", "-DFUSEG_X86_LEVELS", f"-I{KERNELS}")


def emulated_kernels() -> ModuleType:
    """The CUDA module of fuseg on the CPU: every thread of a block is a fiber.

    It shows that a kernel computes the right thing on a machine without a GPU, at
    whatever addresses and in whatever order its threads run between two barriers. It
    cannot show that it is fast.
    """
    library = _built(_emulator())
    spec = importlib.util.spec_from_file_location("_kernels_cuda", library)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class Emulator:
    """The state of the emulator in a library: `seed` is what the order of threads is
    drawn from, `error` CUDA's last one, `blocks` how many have begun. While `counting`,
    `loads` of warps and the `sectors` of 32 bytes that they touch are counted."""

    def __init__(self, library: ModuleType) -> None:
        loaded = ctypes.CDLL(str(library.__file__))
        self.seed = ctypes.c_uint64.in_dll(loaded, "fuseg_emulator_seed")
        self.error = ctypes.c_int.in_dll(loaded, "fuseg_emulator_error")
        self.blocks = ctypes.c_uint64.in_dll(loaded, "fuseg_emulator_blocks")
        self.counting = ctypes.c_int.in_dll(loaded, "fuseg_emulator_counting")
        self.loads = ctypes.c_uint64.in_dll(loaded, "fuseg_emulator_loads")
        self.sectors = ctypes.c_uint64.in_dll(loaded, "fuseg_emulator_sectors")


def test_kernels(name: str) -> Path:
    """A library of device code that only tests have, tests/cuda/NAME.cu, emulated."""
    return _built(_test_kernels(name))


def allocation_counter() -> Path:
    """A library for LD_PRELOAD that counts large allocations."""
    return _built(_counter())


def simd_objects() -> list[Path]:
    """The kernels' code of every instruction set, with nothing inlined that need not
    be: LEVEL/ROOM.o."""
    return [_built(target) for _, target, _ in _simd()]


def build() -> None:
    """Compile what is not there for the present sources and flags."""
    library = _emulator()
    if not library.exists():
        library.parent.mkdir(parents=True, exist_ok=True)
        sources = [
            KERNELS / "cuda" / "module_cuda.cpp",
            KERNELS / "cuda" / "device_cuda.cpp",
            *sorted(KERNELS.glob("*/*_cuda.cu")),
        ]
        objects = [library.parent / f"{source.stem}.o" for source in sources]
        with ThreadPoolExecutor(2) as pool:
            list(pool.map(_compile, sources, objects))
        _link(library, "-shared", *objects)
    for name in TEST_KERNELS:
        library, source = _test_kernels(name), TESTS / "cuda" / f"{name}.cu"
        if not library.exists():
            library.parent.mkdir(parents=True, exist_ok=True)
            _link(library, "-shared", *EMULATOR_FLAGS, "-x", "c++", source)
    if not _counter().exists():
        _counter().parent.mkdir(parents=True, exist_ok=True)
        _link(_counter(), *COUNTER_FLAGS, COUNTER)
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(_compile_simd, *zip(*_simd(), strict=True)))


def _simd() -> list[tuple[Path, Path, list[str]]]:
    """Sources, objects and flags."""
    cmake = TESTS.parent / "CMakeLists.txt"
    files = [*KERNELS.rglob("*.h"), *KERNELS.rglob("*.cpp"), cmake]
    folder = OUT / _digest(files, SIMD_FLAGS)
    arm = platform.machine() == "aarch64"
    return [
        (source, folder / level / f"{source.stem}.o", flags.split())
        for level, flags in re.findall(
            r"set\(FUSEG_FLAGS_(\w+)([^)]*)\)", cmake.read_text()
        )
        if (level == "neon") == arm
        for source in sorted(KERNELS.glob("*/*_simd.cpp"))
    ]


def _emulator() -> Path:
    files = [*KERNELS.rglob("*.*"), *EMULATOR.rglob("*.*h")]
    suffix = importlib.machinery.EXTENSION_SUFFIXES[0]
    return OUT / _digest(files, EMULATOR_FLAGS) / f"_kernels_cuda{suffix}"


def _test_kernels(name: str) -> Path:
    shared = [*(KERNELS / "cuda").glob("*.*h"), *(KERNELS / "common").glob("*.h")]
    files = [TESTS / "cuda" / f"{name}.cu", *shared, *EMULATOR.rglob("*.*h")]
    return OUT / _digest(files, EMULATOR_FLAGS) / f"{name}.so"


def _counter() -> Path:
    return OUT / _digest([COUNTER], COUNTER_FLAGS) / "big_mallocs.so"


def _digest(files: list[Path], flags: tuple[str, ...]) -> str:
    sums = [hashlib.sha256(file.read_bytes()).digest() for file in sorted(files)]
    return hashlib.sha256(b"".join(sums) + repr(flags).encode()).hexdigest()[:16]


def _built(library: Path) -> Path:
    assert library.exists(), f"{library} is not built: run `make test-native`"
    return library


def _compile_simd(source: Path, target: Path, flags: list[str]) -> None:
    if target.exists():
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    level = f"-DFUSEG_LEVEL={target.parent.name}"
    _link(target, *SIMD_FLAGS, level, *flags, "-c", source)


def _compile(source: Path, target: Path) -> None:
    _run(*EMULATOR_FLAGS, "-x", "c++", "-c", source, "-o", target)


def _link(library: Path, *words: object) -> None:
    draft = library.with_suffix(".draft")
    _run(*words, "-o", draft)
    draft.rename(library)


def _run(*words: object) -> None:
    command = ["g++", *map(str, words)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(done.stderr)


if __name__ == "__main__":
    build()

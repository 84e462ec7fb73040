"""Every kernel has its whole room, and every public op has a room."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import fuseg.ops

ROOT = Path(__file__).parents[1]
ROOMS = sorted(
    p.name for p in (ROOT / "kernels").iterdir() if p.is_dir() and p.name != "common"
)

FURNITURE = [
    "kernels/{0}/{0}.h",
    "kernels/{0}/{0}_cpu.cpp",
    "kernels/{0}/{0}_bind.cpp",
    "kernels/{0}/{0}_cuda.cu",
    "kernels/{0}/{0}_bind_cuda.cpp",
    "sdk/fuseg/ops/{0}.py",
    "tests/kernels/test_{0}.py",
    "benchmarks/bench_{0}.py",
]


@pytest.mark.parametrize("room", ROOMS)
def test_room_is_complete(room):
    missing = [
        f.format(room) for f in FURNITURE if not (ROOT / f.format(room)).exists()
    ]
    assert not missing, f"kernel {room} has no {', '.join(missing)}"


@pytest.mark.parametrize("room", ROOMS)
def test_room_is_built_and_bound(room):
    cmake = (ROOT / "CMakeLists.txt").read_text()
    assert re.search(rf"fuseg_add_kernel\({room}\b", cmake)
    assert f"bind_{room}(m);" in (ROOT / "kernels" / "module.cpp").read_text()
    cuda = (ROOT / "kernels" / "module_cuda.cpp").read_text()
    assert f"bind_{room}_cuda(m);" in cuda


def test_rooms_and_public_ops_are_the_same_list():
    ops = [n for n in fuseg.ops.__all__ if not isinstance(getattr(fuseg.ops, n), type)]
    assert sorted(ops) == ROOMS

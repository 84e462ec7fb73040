"""Every kernel has its whole room, and every public op has a room."""

from __future__ import annotations

import re
from pathlib import Path

import fuseg.ops

ROOT = Path(__file__).parents[1]
ROOMS = sorted(
    p.name
    for p in (ROOT / "kernels").iterdir()
    if p.is_dir() and p.name not in {"common", "cuda", "label", "simd"}
)

FURNITURE = [
    "kernels/{0}/{0}.h",
    "kernels/{0}/{0}_cpu.cpp",
    "kernels/{0}/{0}_bind.cpp",
    "kernels/{0}/{0}_cuda.cu",
    "sdk/fuseg/ops/{0}.py",
    "tests/kernels/test_{0}.py",
    "benchmarks/bench_{0}.py",
]


def test_rooms_are_complete():
    files = [piece.format(room) for room in ROOMS for piece in FURNITURE]
    assert [file for file in files if not (ROOT / file).exists()] == []


def test_rooms_are_built_and_bound():
    wanted = {
        "kernels/kernels.inc": r"FUSEG_KERNEL\({0}, \w+\)",
    }
    missing = [
        f"{room} in {file}"
        for file, line in wanted.items()
        for room in ROOMS
        if not re.search(line.format(room), (ROOT / file).read_text())
    ]
    assert missing == []


def test_rooms_and_public_ops_are_the_same_list():
    ops = [n for n in fuseg.ops.__all__ if not isinstance(getattr(fuseg.ops, n), type)]
    assert sorted(ops) == ROOMS

"""Every kernel has all of its files."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[1]
KERNELS = sorted(
    p.name
    for p in (ROOT / "kernels").iterdir()
    if p.is_dir() and p.name not in {"common", "cuda", "label", "simd"}
)

FILES = [
    "kernels/{0}/{0}.h",
    "kernels/{0}/{0}_cpu.cpp",
    "kernels/{0}/{0}_bind.cpp",
    "kernels/{0}/{0}_cuda.cu",
    "sdk/fuseg/ops/{0}.py",
    "tests/kernels/test_{0}.py",
    "benchmarks/bench_{0}.py",
]


def test_kernels_have_all_of_their_files():
    files = [file.format(kernel) for kernel in KERNELS for file in FILES]
    assert [file for file in files if not (ROOT / file).exists()] == []


def test_kernels_are_built_and_bound():
    listed = (ROOT / "kernels/kernels.inc").read_text()
    assert re.findall(r"^FUSEG_KERNEL\((\w+), \w+\)$", listed, re.MULTILINE) == KERNELS

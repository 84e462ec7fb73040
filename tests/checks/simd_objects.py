"""Code of an instruction set must not reach a processor that lacks it.

python tests/checks/simd_objects.py BUILD

The linker keeps one copy of a function that several objects define, and asks no
processor which. So every function that an object of <kernel>_simd.cpp defines for
others to see must have its level in the name: its own namespace, or a type of that
namespace among its arguments. And objects of one level that define the same name must
mean the same function, or one of them calls the other's.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path


def strangers(found: Path, level: str) -> list[str]:
    """Functions in an object that other objects could take for theirs."""
    done = subprocess.run(
        ["nm", "--defined-only", "--demangle", found],
        capture_output=True,
        text=True,
        check=True,
    )
    wrong = []
    for line in done.stdout.splitlines():
        _, kind, name = line.split(" ", 2)
        if kind in "TWi" and f"fuseg::{level}::" not in name:
            wrong.append(f"{found.name} ({level}): {kind} {name}")
    return wrong


def homonyms(objects: list[Path]) -> list[str]:
    """Functions of one name that are not of one size, in objects of one level."""
    sizes: dict[str, dict[str, str]] = {}
    for found in objects:
        done = subprocess.run(
            ["nm", "--defined-only", "--print-size", "--demangle", found],
            capture_output=True,
            text=True,
            check=True,
        )
        for size, name in re.findall(r"^\w+ (\w+) W (.+)$", done.stdout, re.MULTILINE):
            sizes.setdefault(name, {})[found.name] = size
    return [
        f"{name}: {by_object}"
        for name, by_object in sizes.items()
        if len(set(by_object.values())) > 1
    ]


def main() -> None:
    objects = sorted(Path(sys.argv[1]).rglob("*_simd.cpp.o"))
    folders = [(found, found.parents[2].name.removesuffix(".dir")) for found in objects]
    wrong = [
        line
        for found, folder in folders  # <kernel>_<level>.dir
        for line in strangers(found, folder.rsplit("_", 1)[1])
    ]
    print(f"{len(objects)} objects of instruction sets, {len(wrong)} strangers")
    if wrong:
        sys.exit("\n".join(wrong))


if __name__ == "__main__":
    main()

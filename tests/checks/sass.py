"""What a compiled CUDA kernel is made of, as NVIDIA's nvdisasm tells it.

nvdisasm comes with CUDA, or from PyPI: `pip install nvidia-cuda-nvdisasm`.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sysconfig
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

BODY = ""  # of the kernel itself, among its functions
FUNCTION = re.compile(r"^\.text\.(\S+):|^\$(\S+):")
SECTION = re.compile(r"^\s*\.section\s+\.nv\.info\.([^,\s]+)", re.MULTILINE)
INSTRUCTION = re.compile(r"^\s*/\*[0-9a-f]+\*/\s+(?:@!?U?P\w+\s+)?([A-Z]\S*)")
ARGUMENTS = re.compile(r"\.byte\s+0x03, 0x19\n.*?\.short\s+0x([0-9a-f]+)")
# Of the pipe that most GPUs have a 64th of.
FLOAT64 = re.compile(r"D(FMA|MUL|ADD|SETP|MNMX)\b|MUFU\.\w+64H|[IF]2[IF]\S*F64")
WIDTHS = {"U8": 1, "S8": 1, "U16": 2, "S16": 2, "64": 8, "128": 16}


@dataclass
class Code:
    """One kernel. `float64` counts instructions by the function they are in, `loads`
    and `stores` of global memory by their bytes."""

    argument_bytes: int = 0
    float64: Counter[str] = field(default_factory=Counter)
    loads: Counter[int] = field(default_factory=Counter)
    stores: Counter[int] = field(default_factory=Counter)


def nvdisasm() -> str | None:
    """Where it is; None without it."""
    wheels = Path(sysconfig.get_path("purelib")).glob("nvidia/*/bin")
    places = [
        shutil.which("nvdisasm"),
        *(shutil.which("nvdisasm", path=str(w)) for w in wheels),
    ]
    return next((place for place in places if place), None)


def disassemble(cubin: Path) -> dict[str, Code]:
    """The kernels of a cubin by their mangled names."""
    tool = nvdisasm()
    assert tool is not None, __doc__
    return read(subprocess.check_output([tool, str(cubin)], text=True))


def read(text: str) -> dict[str, Code]:
    kernels: dict[str, Code] = {}
    # What nvdisasm says of a kernel's arguments has a section of its own.
    sections = list(SECTION.finditer(text))
    ends = [section.start() for section in sections[1:]]
    for section, end in zip(sections, [*ends, len(text)], strict=False):
        if found := ARGUMENTS.search(text, section.start(), end):
            kernels[section[1]] = Code(argument_bytes=int(found[1], 16))
    code, function = Code(), BODY
    for line in text.splitlines():
        if begin := FUNCTION.match(line):
            if begin[1]:
                code, function = kernels.setdefault(begin[1], Code()), BODY
            else:
                function = begin[2].split("$")[-1]
        elif instruction := INSTRUCTION.match(line):
            count(code, function, instruction[1])
    return kernels


def count(code: Code, function: str, opcode: str) -> None:
    if FLOAT64.match(opcode):
        code.float64[function] += 1
    name, *parts = opcode.rstrip(";").split(".")
    if name in ("LDG", "STG"):
        width = next((WIDTHS[part] for part in parts if part in WIDTHS), 4)
        (code.loads if name == "LDG" else code.stores)[width] += 1

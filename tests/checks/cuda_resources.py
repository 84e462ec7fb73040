"""Compile the CUDA kernels for every release architecture; keep what each kernel takes.

    python tests/checks/cuda_resources.py --save FILE.json

A warning of nvcc fails, and so do a spilled register, a float64 instruction in a
kernel's own body and arguments beyond 4,096 bytes. Needs nvcc, nvdisasm, cmake and
pybind11, no GPU.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import sass

ROOT = Path(__file__).parents[2]
ENTRY = re.compile(r"Compiling entry function '(\S+)' for '(\w+)'")
STACK = re.compile(r"(\d+) bytes stack frame, (\d+) bytes spill stores, (\d+)")
KEPT = "kept"  # where nvcc leaves the cubins
MOST_ARGUMENT_BYTES = 4096
USED = re.compile(r"Used (\d+) registers(?:.*?(\d+) bytes smem)?")


def build(folder: Path) -> str:
    """What nvcc and ptxas said."""
    pybind = [sys.executable, "-m", "pybind11", "--cmakedir"]
    found = subprocess.check_output(pybind, text=True).strip()
    configure = [
        *("cmake", "-S", str(ROOT), "-B", str(folder), "-DFUSEG_CUDA=ON"),
        "-DFUSEG_CUDA_RELEASE=ON",
        f"-DCMAKE_CUDA_FLAGS=-Xptxas=-v --keep --keep-dir={folder / KEPT}",
        *(f"-DPython_EXECUTABLE={sys.executable}", f"-Dpybind11_DIR={found}"),
    ]
    (folder / KEPT).mkdir(parents=True, exist_ok=True)
    subprocess.run(configure, check=True, stdout=subprocess.DEVNULL)
    make = ["cmake", "--build", str(folder), "--target", "_kernels_cuda"]
    done = subprocess.run(
        [*make, "--clean-first", "-j2"], capture_output=True, text=True, check=False
    )
    said = done.stdout + done.stderr
    if done.returncode != 0:
        sys.exit(said)
    return said


def read(said: str) -> list[dict[str, object]]:
    """One entry per kernel and architecture."""
    mangled = dict.fromkeys(name for name, _ in ENTRY.findall(said))
    filtered = subprocess.run(
        ["c++filt"],
        input="\n".join(mangled),
        capture_output=True,
        text=True,
        check=True,
    )
    names = dict(zip(mangled, filtered.stdout.splitlines(), strict=True))
    rows: list[dict[str, object]] = []
    for line in said.splitlines():
        if entry := ENTRY.search(line):
            plain = names[entry[1]].replace("fuseg::(anonymous namespace)::", "")
            plain = plain.replace("fuseg::", "").removeprefix("void ").split("(")[0]
            row = {"kernel": plain, "architecture": entry[2], "symbol": entry[1]}
            rows.append(row)
        elif stack := STACK.search(line):
            stack_bytes, stores, loads = map(int, stack.groups())
            rows[-1] |= {"stack_bytes": stack_bytes, "spill_bytes": stores + loads}
        elif used := USED.search(line):
            rows[-1] |= {"registers": int(used[1]), "shared_bytes": int(used[2] or 0)}
    return sorted(rows, key=lambda row: (str(row["kernel"]), str(row["architecture"])))


def add_code(rows: list[dict[str, object]], folder: Path) -> None:
    """Add what the cubins in ``folder`` say, in place of the symbol."""
    codes = {
        (name, cubin.suffixes[-2].removeprefix(".")): code
        for cubin in folder.glob("*_cuda.*.cubin")  # not what links them
        for name, code in sass.disassemble(cubin).items()
    }
    for row in rows:
        code = codes[str(row.pop("symbol")), str(row["architecture"])]
        row["argument_bytes"] = code.argument_bytes
        row["float64"] = code.float64[sass.BODY]
        row["stores"] = {str(width): n for width, n in sorted(code.stores.items())}


def faults(row: dict[str, Any]) -> list[str]:
    found = []
    if row["spill_bytes"]:
        found.append(f"spills {row['spill_bytes']} bytes of registers")
    if row["float64"]:
        found.append(f"has {row['float64']} float64 instructions in its body")
    if row["argument_bytes"] > MOST_ARGUMENT_BYTES:
        found.append(f"takes {row['argument_bytes']} bytes of arguments")
    return [f"{row['kernel']} for {row['architecture']} {each}" for each in found]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--build", type=Path, default=ROOT / "out" / "cuda-release")
    parser.add_argument("--save", type=Path, metavar="FILE", help="write JSON here")
    options = parser.parse_args()
    rows = read(build(options.build))
    if not rows:
        sys.exit("ptxas named no kernel")
    add_code(rows, options.build / KEPT)
    wrong = [each for row in rows for each in faults(row)]
    kernels = {row["kernel"] for row in rows}
    architectures = sorted({str(row["architecture"]) for row in rows})
    for kernel in sorted(map(str, kernels)):
        own = [row for row in rows if row["kernel"] == kernel]
        most = max(int(str(row["registers"])) for row in own)
        stack = max(int(str(row["stack_bytes"])) for row in own)
        print(f"{kernel:60s} up to {most:3d} registers, {stack:3d} bytes of stack")
    print(f"{len(kernels)} kernels for {', '.join(architectures)}")
    if options.save:
        nvcc = subprocess.check_output(["nvcc", "--version"], text=True)
        version = re.search(r"release ([\d.]+)", nvcc)
        record = {
            "title": "CUDA kernels: registers, stack, spills, static shared memory, "
            "bytes of arguments, float64 instructions, stores by their bytes",
            "nvcc": version[1] if version else nvcc,
            "rows": rows,
        }
        options.save.parent.mkdir(parents=True, exist_ok=True)
        options.save.write_text(json.dumps(record, indent=1, sort_keys=True) + "\n")
    if wrong:
        sys.exit("\n".join(wrong))


if __name__ == "__main__":
    main()

"""The machine code of every kernel, for a Jetson Orin: what it must not cost."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
KERNELS = ROOT / "kernels"
sys.path.append(str(ROOT / "tests" / "checks"))

import cuda_resources
import sass

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        shutil.which("nvcc") is None or sass.nvdisasm() is None,
        reason="needs nvcc and nvdisasm",
    ),
]


def compile_for_orin(source, folder):
    """What ptxas said of the kernels in ``source``, and their code."""
    cubin = folder / f"{source.stem}.cubin"
    flags = re.search(
        r"COMPILE_LANGUAGE:CUDA>:(-O3;[^>]*)>",
        (KERNELS / "cuda/cuda.cmake").read_text(),
    )
    words = ["nvcc", "-std=c++17", *flags[1].split(";"), f"-I{KERNELS}", "-Xptxas=-v"]
    words += ["-cubin", "-arch=sm_87", "-o", str(cubin), str(source)]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    rows = {row["symbol"]: row for row in cuda_resources.read(done.stderr)}
    return [(rows[name], code) for name, code in sass.disassemble(cubin).items()]


@pytest.fixture(scope="module")
def kernels(tmp_path_factory):
    """``(row of cuda_resources, sass.Code)`` of each kernel."""
    sources = sorted(KERNELS.glob("*/*_cuda.cu"))
    folder = tmp_path_factory.mktemp("cubins")
    with ThreadPoolExecutor(2) as pool:
        made = pool.map(lambda source: compile_for_orin(source, folder), sources)
        found = [each for some in made for each in some]
    assert len(found) >= 38
    return found


def named(kernels, start):
    found = [(row["kernel"], code) for row, code in kernels]
    found = [(name, code) for name, code in found if name.startswith(start)]
    assert found, start
    return found


def test_float64_is_left_to_units_that_float32_cannot_hold(kernels):
    users = set()
    for row, code in kernels:
        assert code.float64[sass.BODY] == 0, row["kernel"]
        users |= {function for function, count in code.float64.items() if count}
    assert any("weights_by_double" in function for function in users)
    users = {f for f in users if "weights_by_double" not in f}
    assert all(re.search(r"cuda_sm\d+_div_rn_f64", f) for f in users), users


def test_arguments_fit_what_every_driver_passes(kernels):
    assert all(0 < code.argument_bytes <= 4096 for _, code in kernels)
    (biggest,) = {code.argument_bytes for _, code in named(kernels, "fuse_argmax")}
    assert biggest > 3000  # the weights are there


def test_no_register_is_spilled(kernels):
    assert all(not row["spill_bytes"] and not row["stack_bytes"] for row, _ in kernels)


def test_labels_and_pictures_leave_sixteen_bytes_at_a_time(kernels):
    for kernel in ("overlay", "fuse_argmax", "upsample_argmax"):
        for name, code in named(kernels, kernel):
            wanted = {"overlay": 1, "fuse_argmax": 2, "upsample_argmax": 2}[kernel]
            assert code.stores[16] == wanted, name


def test_pixels_of_four_bytes_are_one_load(kernels):
    for name, code in named(kernels, "pack_color"):
        words = name.endswith("true>")
        assert (code.loads[1] == 0) == words, name
        assert (code.loads[4] > 0) == words, name

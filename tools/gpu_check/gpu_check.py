"""What only a GPU can show: kernels, whole frames and speed, on real hardware.

    make gpu-check                        every stage; needs an NVIDIA GPU, nvcc and pip
    make gpu-check ARGS='--only times'    one stage; may be given several times
    make gpu-check ARGS=--dry-run         the commands that would run, on any machine

The stages are the functions in STAGES. Their commands run in processes of their own, so
that one that fails or hangs loses no other. TensorRT and ONNX Runtime's CUDA provider
are checked where they are installed: `pip install tensorrt`, or on an RTX GPU also
`pip install "fuseg[tensorrt-rtx]"`; `pip install onnxruntime-gpu` in place of
onnxruntime. Results are kept in
benchmarks/results/<version>/gpu-check--<gpu>.json, beside those of earlier calls;
`make docs` puts them into docs/benchmarks.md. A wrong answer or a failed stage makes
the exit status 1; a target that is missed is recorded as missed. **Not yet run on
hardware.**
"""

from __future__ import annotations

import argparse
import ctypes
import importlib.metadata
import importlib.util
import json
import platform
import re
import shutil
import sys
import time
from pathlib import Path
from typing import Any

from commands import HERE, ROOT, WORK, Commands

BUNDLE = WORK / "rgbd.fuseg"
CHECKPOINT = ROOT / "export" / "checkpoints" / "rgbd.safetensors"
PUBLISHED = ROOT / "tests" / "data" / "format1.fuseg"  # any bundle will do
SMALL = (HERE / "kernel_times.py", "--small")
OURS = ("--kernel-name", "kns=fuseg")  # PyTorch's are not ours to check
COUNTERS = (
    "smsp__inst_executed_pipe_fp64.sum",
    "l1tex__average_t_sectors_per_request_pipe_lsu_mem_global_op_ld.ratio",
    "l1tex__average_t_sectors_per_request_pipe_lsu_mem_global_op_st.ratio",
)
TESTS = ("tests/cuda", "tests/runtime/gpu")
_CUDA = "cu13" if platform.machine() == "aarch64" else "cu12"
BACKENDS = {  # and their packages
    "onnxruntime-cuda": "onnxruntime-gpu",
    "tensorrt": "tensorrt",
    "tensorrt-rtx": f"tensorrt-rtx-{_CUDA}-bindings",
}
SKIPPED_FOR_NO_GPU = r"SKIPPED.*(no CUDA device|no real GPU through native)"


# Stages --------------------------------------------------------------------------


def machine(run: Commands, record: dict[str, Any]) -> None:
    """The GPU, its driver and clocks, and the versions of what is installed."""
    record["host"] = platform.platform()
    record["python"] = platform.python_version()
    if (ROOT / ".git").exists():
        record["commit"] = run("git", "describe", "--always", "--dirty", seconds=30)
    record["nvcc"] = run("nvcc", "--version", seconds=30).splitlines()[-2:]
    code = (
        "import torch as t; print(t.cuda.get_device_name(), t.__version__, "
        "t.version.cuda, *t.cuda.get_device_capability(), sep='|')"
    )
    output = run.python("-c", code, seconds=120)
    if not run.dry:
        record["gpu"], record["torch"], *more = output.strip().split("|")
        record["torch's CUDA"], record["capability"] = more[0], ".".join(more[1:])
    if shutil.which("nvidia-smi") or run.dry:  # older Jetsons have none
        query = (
            "--query-gpu=name,driver_version,compute_mode,memory.total,clocks.sm,"
            "clocks.mem,power.limit"
        )
        record["nvidia-smi"] = run("nvidia-smi", query, "--format=csv", seconds=30)


def build(run: Commands, record: dict[str, Any]) -> None:
    """fuseg with the CUDA kernels, compiled for this GPU, into this environment."""
    settings = ("FUSEG_CUDA=ON", "CMAKE_CUDA_ARCHITECTURES=native")
    defines = [f"--config-settings=cmake.define.{each}" for each in settings]
    words = ("install", "--no-deps", "--no-build-isolation", *defines, "-e", ROOT)
    run.python("-m", "pip", *words, seconds=900)
    code = "import fuseg._kernels_cuda as module; print(module.__file__)"
    record["module"] = run.python("-c", code, seconds=60).strip()


def tests(run: Commands, record: dict[str, Any]) -> None:
    """Every test marked gpu: each kernel against the CPU's, memory, streams, frames."""
    words = ("-q", "-rs", "-m", "gpu", "-W", "default", "-p", "no:cacheprovider")
    words += ("--continue-on-collection-errors", *TESTS)
    output = run.python("-m", "pytest", *words, seconds=600)
    record["pytest"] = output.splitlines()[-8:]
    if re.search(SKIPPED_FOR_NO_GPU, output):
        raise RuntimeError(f"tests found no CUDA device:\n{output[-2000:]}")


def smoke(run: Commands, record: dict[str, Any]) -> None:
    """Every kernel once, and from a CUDA graph: no PyTorch, a few seconds."""
    run.measure(record, "kernel_smoke.py", seconds=60)


def memcheck(run: Commands, record: dict[str, Any]) -> None:
    """No kernel reads or writes outside its arrays (compute-sanitizer)."""
    sanitize(run, record, "memcheck", *SMALL, kernels=OURS)


def synccheck(run: Commands, record: dict[str, Any]) -> None:
    """No thread misses a barrier that its block or warp waits at."""
    sanitize(run, record, "synccheck", *SMALL, kernels=OURS)


def initcheck(run: Commands, record: dict[str, Any]) -> None:
    """No kernel reads what nobody wrote."""
    # What writes has to be watched, too: without PyTorch that is little.
    sanitize(run, record, "initcheck", HERE / "kernel_smoke.py")


def racecheck(run: Commands, record: dict[str, Any]) -> None:
    """No kernel's threads race for shared memory."""
    sanitize(run, record, "racecheck", *SMALL, kernels=OURS)


def sanitize(
    run: Commands,
    record: dict[str, Any],
    tool: str,
    *script: object,
    kernels: tuple[str, ...] = (),
) -> None:
    if not run.dry and shutil.which("compute-sanitizer") is None:
        record["skipped"] = "compute-sanitizer is not on PATH"
        return
    words = ("--tool", tool, "--error-exitcode", "9", *kernels, sys.executable)
    # PyTorch's own allocator would hide where an array ends.
    command = ("env", "PYTORCH_NO_CUDA_MEMORY_CACHING=1", "compute-sanitizer")
    output = run(*command, *words, *script, seconds=300)
    record["summary"] = [line for line in output.splitlines() if "=====" in line][-3:]


def times(run: Commands, record: dict[str, Any]) -> None:
    """Each kernel beside torch eager, torch.compile and a copy of as many bytes."""
    run.measure(record, "kernel_times.py", seconds=600)


def counters(run: Commands, record: dict[str, Any]) -> None:
    """Each kernel's instructions of the float64 pipe, which are to be none, and the
    sectors of 32 bytes that a warp's load and store touch (Nsight Compute)."""
    if not run.dry and shutil.which("ncu") is None:
        record["skipped"] = "ncu is not on PATH"
        return
    words = ("--csv", "--metrics", ",".join(COUNTERS), "--kernel-name", "regex:_kernel")
    output = run("ncu", *words, sys.executable, HERE / "kernel_smoke.py", seconds=120)
    record["csv"] = [line for line in output.splitlines() if line.startswith('"')]


def programs(run: Commands, record: dict[str, Any]) -> None:
    """Bundles of several graphs, beside the CPU: a stand-in, texts and their number."""
    for backend, package in BACKENDS.items():
        if run.dry or installed(package):
            record[backend] = found = dict[str, Any]()
            run.measure(found, "programs.py", backend, seconds=600)


def bundle(run: Commands, record: dict[str, Any]) -> None:
    """The shipped checkpoint in every precision; a quarter of an hour, once."""
    if BUNDLE.exists() and not run.dry:
        record["kept"] = "made by an earlier call"
        return
    words = ("rgbd", "--checkpoint", CHECKPOINT, "--precision", "fp32,fp16,int8")
    run.python("-m", "fuseg", "export", *words, "-o", BUNDLE, seconds=3600)


def bindings(run: Commands, record: dict[str, Any]) -> None:
    """Whole frames through fuseg's CUDA module and PyCUDA, with a network that copies:
    labels as on the CPU, as one CUDA graph, two in flight, frames on the GPU, of
    another stream, and of more buffers than there are graphs."""
    names = ["native"]
    if run.dry or installed("pycuda"):
        names.append("pycuda")
    for name in names:
        record[name] = found = dict[str, Any]()
        words = ("copy_network.py", name, "--bundle", PUBLISHED)
        run.measure(found, *words, seconds=240)
    if len({found.get("labels") for found in record.values()}) > 1:
        raise RuntimeError("the two bindings give different labels")


def onnxruntime(run: Commands, record: dict[str, Any]) -> None:
    """The bundle on ONNX Runtime's CUDA provider: labels, mIoU, and times in turns with
    PyTorch, torch.compile and the usual recipe."""
    frames(run, record, "onnxruntime-cuda")


def tensorrt(run: Commands, record: dict[str, Any]) -> None:
    """The same on TensorRT, whose engines are built first; frames two in flight and the
    latency of one, beside the engine alone."""
    frames(run, record, "tensorrt")


def tensorrt_rtx(run: Commands, record: dict[str, Any]) -> None:
    """The same on TensorRT for RTX; with FP16 and INT8 side by side."""
    frames(run, record, "tensorrt-rtx")


def frames(run: Commands, record: dict[str, Any], backend: str) -> None:
    package = BACKENDS[backend]
    record["version"] = version = installed(package)
    if version is None and not run.dry:
        record["skipped"] = f"{package} is not installed here"
        return
    words = (backend, "--bundle", BUNDLE, "--checkpoint", CHECKPOINT)
    run.measure(record, "frame_times.py", *words, seconds=1800)


STAGES = (  # what explains or spoils the results of others comes before them
    *(machine, build, smoke, memcheck, synccheck, initcheck, racecheck),
    *(tests, bindings, programs, times, counters),
    *(bundle, onnxruntime, tensorrt, tensorrt_rtx),
)

# ---------------------------------------------------------------------------------


def installed(package: str) -> str | None:
    """Its version; None without it. A board's own packages may not know theirs."""
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "unknown" if importlib.util.find_spec(package) else None


def gpus() -> int:
    """How many GPUs the driver shows; 0 without one."""
    try:
        driver = ctypes.CDLL("libcuda.so.1")
    except OSError:
        return 0
    count = ctypes.c_int(0)
    if driver.cuInit(0) != 0 or driver.cuDeviceGetCount(ctypes.byref(count)) != 0:
        return 0
    return count.value


def results_of(folder: Path, gpu: str) -> Path:
    name = re.sub(r"\W+", "-", gpu).strip("-").lower()
    return folder / f"gpu-check--{name}.json"


def conduct(stage: Any, run: Commands, record: dict[str, Any]) -> str:
    """Run one stage, whatever comes of it; its state in a word."""
    begin = time.perf_counter()
    try:
        stage(run, record)
    except Exception as error:  # noqa: BLE001 - one that fails must not lose the others
        record["error"] = f"{type(error).__name__}: {error}"
    record["took_s"] = round(time.perf_counter() - begin, 1)
    if "error" in record:
        return f"FAILED: {record['error']}"
    return f"skipped: {record['skipped']}" if "skipped" in record else "ok"


def main() -> int:
    text = (ROOT / "pyproject.toml").read_text()
    version = re.findall(r'^version = "(.*)"', text, re.MULTILINE)[0]
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    names = [stage.__name__ for stage in STAGES]
    parser.add_argument("--only", action="append", choices=names, metavar="STAGE")
    parser.add_argument("--dry-run", action="store_true", help="print the commands")
    results = ROOT / "benchmarks" / "results" / version
    parser.add_argument("--results", type=Path, default=results, metavar="FOLDER")
    options = parser.parse_args()
    chosen = [s for s in STAGES if not options.only or s.__name__ in options.only]
    if options.dry_run:
        for stage in chosen:
            print(f"{stage.__name__}: {' '.join(str(stage.__doc__).split())}")
            stage(Commands(dry=True), {})
        return 0
    if gpus() == 0:
        sys.exit(
            "gpu-check needs an NVIDIA GPU and CUDA shows none here: run it where "
            "`nvidia-smi` lists one, or see what it would do with --dry-run."
        )
    WORK.mkdir(parents=True, exist_ok=True)
    run, about = Commands(dry=False), dict[str, Any]()
    print(f"{machine.__name__:12s} {conduct(machine, run, about)}", flush=True)
    path = results_of(options.results, about.get("gpu", platform.machine()))
    record = json.loads(path.read_text()) if path.exists() else {}
    record |= {"title": "gpu-check", machine.__name__: about}
    failed = "error" in about
    for stage in chosen:
        if stage is not machine:
            record[stage.__name__] = found = dict[str, Any]()
            print(f"{stage.__name__:12s} {conduct(stage, run, found)}", flush=True)
            failed = failed or "error" in found
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(record, indent=1, default=float) + "\n")
    print(f"results: {path}")
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())

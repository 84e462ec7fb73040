"""The GPU half of ``fuseg doctor``: driver, libraries, power and clocks."""

from __future__ import annotations

import platform
import shutil
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from ..host import probe
from ..host.power import jetson
from ..host.probe import Answer
from .doctor_backends import (
    onnxruntime,
    onnxruntime_packages,
    pycuda,
    tensorrt,
    tensorrt_rtx,
)
from .findings import JETPACK, NEW_DRIVER, NO_GPU, Finding, Machine

_NVCC = "/usr/local/cuda/bin/nvcc"
_GPU_BACKENDS = "backends tensorrt, tensorrt-rtx and onnxruntime-cuda"


def findings(power: dict[str, Any], root: Path = Path("/")) -> list[Finding]:
    """Everything between fuseg and an NVIDIA GPU.

    Args:
        power: What `fuseg.power.describe` says of this machine.
        root: The file system to read, ``/`` but for tests.
    """
    modules = {
        "tensorrt": "tensorrt",
        "tensorrt_rtx": "tensorrt_rtx_bindings",
        "pycuda": "pycuda",
        "kernels": "fuseg._kernels_cuda",
        "onnxruntime": "onnxruntime",
    }
    here = [name for name, module in modules.items() if find_spec(module)]
    questions = ["driver", *here]
    with ThreadPoolExecutor() as pool:
        answers = dict(zip(questions, pool.map(probe.query, questions), strict=True))
    driver = answers["driver"]
    machine = _machine(root, driver)
    found = [
        _driver(machine, driver, power),
        *_gpus(machine, driver),
        tensorrt(machine, answers.get("tensorrt")),
        *tensorrt_rtx(machine, answers.get("tensorrt_rtx")),
        pycuda(machine, answers.get("pycuda")),
        _kernels(machine, answers.get("kernels")),
        onnxruntime(machine, answers.get("onnxruntime")),
        *onnxruntime_packages(machine),
        _nvcc(machine),
    ]
    if power["kind"] != "other":
        found.append(_power(power))
    return found


def _machine(root: Path, driver: Answer) -> Machine:
    version = (driver.facts or {}).get("cuda")
    major, _, minor = (version or "").partition(".")
    is_jetson = jetson.is_jetson(root)
    return Machine(
        root=root,
        is_jetson=is_jetson,
        has_gpu=is_jetson
        or _on_the_bus(root)
        or bool((driver.facts or {}).get("gpus")),
        cuda=(int(major), int(minor)) if version else None,
        arch=platform.machine(),
    )


def _on_the_bus(root: Path) -> bool:
    vendors = (root / "sys/bus/pci/devices").glob("*/vendor")
    return any(vendor.read_text().strip() == "0x10de" for vendor in vendors)


def _driver(machine: Machine, driver: Answer, power: dict[str, Any]) -> Finding:
    name, impact = "gpu driver", f"{_GPU_BACKENDS}, CUDA arrays"
    if driver.facts:
        versions = [gpu["driver"] for gpu in power["gpus"] if gpu["driver"]][:1]
        if machine.is_jetson:
            versions = [f"Jetson Linux {power['release'] or 'of unknown version'}"]
        supported = f"supports CUDA {driver.facts['cuda']}"
        return Finding(name, "ok", ", ".join([*versions, supported]))
    if machine.is_jetson:
        detail = f"{driver.fault}: in a container, start it with --runtime nvidia"
        return Finding(name, "broken", detail, False, impact, JETPACK)
    if machine.has_gpu:
        fix = NEW_DRIVER
        detail = f"an NVIDIA device without a driver ({driver.fault})"
        return Finding(name, "missing", detail, False, impact, fix)
    return Finding(name, "missing", "no NVIDIA GPU", False, impact)


def _gpus(machine: Machine, driver: Answer) -> list[Finding]:
    """A line for each; nothing where there is no driver to show them."""
    if driver.facts is None:
        return []
    found = [
        Finding(
            "gpu" if ordinal == 0 else f"gpu {ordinal}",
            "ok",
            f"{gpu['name']}, SM {gpu['capability'][0]}.{gpu['capability'][1]}, "
            f"{gpu['memory_bytes'] / 2**30:.1f} GiB"
            + (" shared with the CPU" if gpu["integrated"] else ""),
        )
        for ordinal, gpu in enumerate(driver.facts["gpus"])
    ]
    if found:
        return found
    fault = driver.facts["fault_of_gpus"] or "no reason given"
    fix = "reboot, then run nvidia-smi: it says what is wrong"
    if machine.is_jetson:
        fix = "sudo usermod -aG video,render $USER, then log in again"
    detail = f"the driver lists none: {fault}"
    return [Finding("gpu", "broken", detail, False, _GPU_BACKENDS, fix)]


def _kernels(machine: Machine, answer: Answer | None) -> Finding:
    """fuseg's own CUDA module: built or not, and accepted by the driver or not."""
    name, impact = "cuda kernels", f"{_GPU_BACKENDS}, fuseg.ops on CUDA arrays"
    fix = (
        "PATH=/usr/local/cuda/bin:$PATH pip install --force-reinstall --no-deps "
        "fuseg-*.tar.gz (fuseg's sdist, built here)"
    )
    if answer is None:
        nvcc = _find_nvcc(machine)
        detail = "not built into this fuseg"
        if not machine.has_gpu:
            return Finding(name, "missing", detail + NO_GPU, False, impact)
        if nvcc is None:
            fix = f"install nvcc first (see below), then {fix}"
        return Finding(name, "missing", detail, False, impact, fix)
    if answer.facts is None:
        return Finding(name, "broken", str(answer.fault), False, impact, fix)
    if answer.facts["gpus"]:
        return Finding(name, "ok", "built, and accepted by the driver")
    why = answer.facts["why_none"] or "it sees no GPU"
    if not machine.has_gpu:
        return Finding(name, "ok", f"built{NO_GPU}")
    if "InsufficientDriver" in why:
        known = f", {machine.cuda[0]}.{machine.cuda[1]}" if machine.cuda else ""
        detail = f"built with a newer CUDA than the driver supports{known}"
        if not machine.is_jetson:
            fix = f"a newer driver ({NEW_DRIVER}), or {fix}"
        return Finding(name, "broken", detail, False, impact, fix)
    return Finding(name, "broken", f"built, but: {why}", False, impact, fix)


def _nvcc(machine: Machine) -> Finding:
    found = _find_nvcc(machine)
    if found:
        return Finding("nvcc", "ok", found)
    impact = "building fuseg's CUDA kernels here"
    fix: str | None = "sudo apt install nvidia-cuda-toolkit"
    if machine.is_jetson:  # Ubuntu's toolkit is not made for a Jetson
        fix = "sudo apt install nvidia-cuda-dev"
    elif not machine.has_gpu:
        fix = None
    return Finding("nvcc", "missing", "not found", False, impact, fix)


def _find_nvcc(machine: Machine) -> str | None:
    if path := shutil.which("nvcc"):
        return path
    there = machine.root / _NVCC.lstrip("/")
    return str(there) if there.is_file() else None


def _power(power: dict[str, Any]) -> Finding:
    """Clocks below their maximum are no fault, but times are not comparable there."""
    words = [f"mode {power['mode']}"] if power["mode"] else []
    words += [
        f"{gpu['name']} at {gpu['mhz']:g} of {gpu['max_mhz']:g} MHz"
        for gpu in power["gpus"]
        if None not in (gpu["mhz"], gpu["max_mhz"])
    ]
    detail = ", ".join(words) or "not readable"
    if power["at_maximum"] is not False:
        return Finding("power and clocks", "ok", detail)
    detail = "; ".join([detail, *power["why_not"]])
    impact = "comparable benchmarks"
    return Finding("power and clocks", "slow", detail, False, impact, power["fix"])

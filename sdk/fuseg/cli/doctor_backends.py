"""What ``fuseg doctor`` says of the libraries that run a network on an NVIDIA GPU."""

from __future__ import annotations

import re
from importlib import metadata
from pathlib import Path

from ..backends.onnxruntime import clashing_packages
from ..host.probe import Answer
from .findings import JETPACK, NEW_DRIVER, NO_GPU, Finding, Machine

_PIP_TENSORRT = re.compile(r"tensorrt[-_]cu\d\d([-_](libs|bindings))?$")

_JETPACK_6_ONNXRUNTIME = (
    "pip install onnxruntime-gpu --index-url https://pypi.jetson-ai-lab.io/jp6/cu126"
)


def tensorrt(machine: Machine, answer: Answer | None) -> Finding:
    name, impact = "tensorrt", "backend tensorrt, fuseg build"
    if answer is None:
        detail = "not installed"
        fix: str | None = _install_tensorrt(machine)
        if machine.is_jetson and (python := _python_with_tensorrt(machine.root)):
            detail = f"JetPack's is for the system's Python 3.{python}"
            fix = f"python3.{python} -m venv --system-site-packages ENV"
            if python < 10:
                detail += "; fuseg needs 3.10 or later"
                fix = "JetPack 6 or later"
        elif not machine.has_gpu:
            detail, fix = detail + NO_GPU, None
        return Finding(name, "missing", detail, False, impact, fix)
    foreign = _installed_from_pypi()
    if machine.is_jetson and foreign:
        detail = f"{' '.join(foreign)} from PyPI: hides JetPack's"
        fix = f"pip uninstall tensorrt {' '.join(foreign)}"
        return Finding(name, "broken", detail, False, impact, fix)
    if answer.facts is None:
        fix = _install_tensorrt(machine)
        if fix.startswith("pip"):
            fix += " --force-reinstall"
        if machine.is_jetson:
            fix = "sudo apt install --reinstall python3-libnvinfer"
        return Finding(name, "broken", str(answer.fault), False, impact, fix)
    made_for = max((int(n.partition("cu")[2][:2]) for n in foreign), default=0)
    version = answer.facts["version"]
    if machine.cuda and made_for > machine.cuda[0]:
        detail = f"{version} is for CUDA {made_for}, the driver for {machine.cuda[0]}"
        fix = (
            f"pip uninstall tensorrt {' '.join(foreign)}; {_install_tensorrt(machine)}"
        )
        return Finding(name, "broken", detail, False, impact, fix)
    return Finding(name, "ok", f"{version}, imports")


def tensorrt_rtx(machine: Machine, answer: Answer | None) -> list[Finding]:
    """Nothing on a Jetson, which it does not run on."""
    if machine.is_jetson:
        return []
    name, impact = "tensorrt-rtx", "backend tensorrt-rtx, fuseg build --target rtx"
    install = 'pip install "fuseg[tensorrt-rtx]"'
    if machine.arch != "x86_64":  # GB10
        install = "pip install tensorrt-rtx-cu13-libs tensorrt-rtx-cu13-bindings"
    if answer is None:
        if not machine.has_gpu:
            return [Finding(name, "missing", f"not installed{NO_GPU}", False, impact)]
        detail = "not installed; only RTX GPUs need it"
        return [Finding(name, "missing", detail, False, impact, install)]
    if answer.facts is None:
        fix = f"{install} --force-reinstall"
        return [Finding(name, "broken", str(answer.fault), False, impact, fix)]
    return [Finding(name, "ok", f"{answer.facts['version']}, imports")]


def _install_tensorrt(machine: Machine) -> str:
    """Never from PyPI on a Jetson: those wheels are for servers."""
    if machine.is_jetson:
        return JETPACK
    if machine.arch != "x86_64":
        return "NVIDIA's apt repository for arm64-sbsa: sudo apt install tensorrt"
    if machine.cuda and machine.cuda[0] < 12:
        return f"{NEW_DRIVER}: TensorRT on PyPI is for CUDA 12 and 13"
    if machine.cuda and machine.cuda[0] == 12:
        return "pip install tensorrt-cu12"
    return 'pip install "fuseg[tensorrt]"'


def _python_with_tensorrt(root: Path) -> int | None:
    """The minor version of the Python that JetPack installed TensorRT for."""
    found = (root / "usr/lib").glob("python3.*/dist-packages/tensorrt")
    minors = [path.parts[-3].removeprefix("python3.") for path in found]
    return max((int(minor) for minor in minors if minor.isdigit()), default=None)


def _installed_from_pypi() -> list[str]:
    names = {str(d.metadata["Name"]) for d in metadata.distributions()}
    return sorted(name for name in names if _PIP_TENSORRT.match(name))


def pycuda(machine: Machine, answer: Answer | None) -> Finding:
    name = "pycuda"
    impact = "sharing the GPU through pycuda; not needed by fuseg itself"
    fix: str | None = 'PATH=/usr/local/cuda/bin:$PATH pip install "fuseg[pycuda]"'
    if answer is None:
        if not machine.has_gpu:
            return Finding(name, "missing", f"not installed{NO_GPU}", False, impact)
        return Finding(name, "missing", "not installed", False, impact, fix)
    if answer.facts is None:
        if not machine.has_gpu:
            fix = None
        again = fix and f"{fix} --force-reinstall --no-cache-dir"
        return Finding(name, "broken", str(answer.fault), False, impact, again)
    return Finding(name, "ok", f"{answer.facts['version']}, imports")


def onnxruntime(machine: Machine, answer: Answer | None) -> Finding:
    """Its list of providers proves nothing; a session that starts on the GPU does."""
    name, impact = "onnxruntime cuda", "backend onnxruntime-cuda"
    fix: str | None = f"pip uninstall -y onnxruntime; {_install_onnxruntime(machine)}"
    if not machine.has_gpu:
        fix = None
    if answer is None:
        return Finding(
            name, "missing", "onnxruntime is not installed", False, impact, fix
        )
    if answer.facts is None:
        return Finding(name, "broken", str(answer.fault), False, impact, fix)
    if not answer.facts["offered"]:
        detail = "not part of the installed onnxruntime"
        return Finding(name, "missing", detail, False, impact, fix)
    if not answer.facts["runs"]:
        detail = f"listed, but a session does not use it: {answer.log}"
        return Finding(name, "broken", detail, False, impact, fix)
    return Finding(name, "ok", "available, and a session runs on it")


def onnxruntime_packages(machine: Machine) -> list[Finding]:
    """Nothing, unless several packages share ONNX Runtime's folder."""
    found = clashing_packages()
    if not found:
        return []
    both = " and ".join(f"{name} {version}" for name, version in found.items())
    impact = "backends onnxruntime and onnxruntime-cuda: either may run"
    fix = f"pip uninstall -y {' '.join(found)}; {_install_onnxruntime(machine)}"
    detail = f"{both} share one folder"
    return [Finding("onnxruntime packages", "broken", detail, False, impact, fix)]


def _install_onnxruntime(machine: Machine) -> str:
    if not machine.has_gpu:
        return "pip install onnxruntime"
    if machine.is_jetson and machine.cuda == (12, 6):
        return _JETPACK_6_ONNXRUNTIME
    if machine.is_jetson:
        return "install a wheel for this JetPack: docs/jetson.md"
    if machine.cuda and machine.cuda[0] == 12:
        return 'pip install "onnxruntime-gpu[cuda,cudnn]<1.27"'  # the last for 12
    return 'pip install "onnxruntime-gpu[cuda,cudnn]"'

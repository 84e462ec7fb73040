"""``fuseg doctor``: what is here, what is missing, the impact of that, the fix."""

from __future__ import annotations

import importlib
import platform
from dataclasses import asdict
from importlib import metadata
from importlib.util import find_spec

import typer
from rich.text import Text

from .. import _kernels
from .._version import __version__
from ..backends import onnxruntime, registry
from ..host import cpu, power
from ..selection import tuning_cache
from . import doctor_gpu
from .findings import Finding
from .options import JsonOption
from .printing import print_json, print_table, say
from .training_half import INSTALL

_LEVELS = {
    0: "the compiler's baseline",
    2: "x86-64-v2 (SSE4)",
    3: "x86-64-v3 (AVX2)",
    4: "x86-64-v4 (AVX-512)",
}
_STYLES = {"ok": "green", "missing": "yellow", "slow": "yellow", "broken": "bold red"}


def doctor(json: JsonOption = False) -> None:
    """Show what this machine has for fuseg, and how to fix the rest.

    Exits with 1 if something that every command needs does not work.
    """
    speed = power.describe()
    findings = [
        _native(),
        _onnxruntime(),
        *_required(),
        *_optional(),
        *doctor_gpu.findings(speed),
    ]
    healthy = all(f.state == "ok" for f in findings if f.required)
    about = {
        "fuseg": __version__,
        "python": platform.python_version(),
        "machine": cpu.describe(),
    }
    if json:
        found = [asdict(f) for f in findings]
        rest = {"power": speed, "findings": found, "tuned": _tuned()}
        print_json({"ok": healthy, **about, **rest})
    else:
        _show(findings)
        for row in _tuned():
            say(_tuned_line(row))
        say(_summary(findings))
    if not healthy:
        raise typer.Exit(1)


def _tuned() -> list[dict[str, str | int | float | bool]]:
    """What fuseg tune chose on this CPU, a row for each bundle and thread count."""
    return [
        {
            "bundle": tuned.digest,
            "threads": tuned.threads,
            "allow_spinning": tuned.allow_spinning,
            **asdict(tuned.measured[0]),
            "outdated": tuned.outdated,
        }
        for tuned in tuning_cache.everything()
    ]


def _tuned_line(row: dict[str, str | int | float | bool]) -> str:
    asleep = "" if row["allow_spinning"] else " (--no-spinning)"
    again = " (other versions: run fuseg tune again)" if row["outdated"] else ""
    return (
        f"tuned: bundle {str(row['bundle'])[:12]}, threads {row['threads']}{asleep}: "
        f"{row['variant']} on {row['backend']}, {row['p50_ms']:.2f} ms{again}"
    )


def _native() -> Finding:
    level = _kernels.levels()[-1]
    return Finding("kernels", "ok", _LEVELS.get(level, f"level {level}"), required=True)


def _onnxruntime() -> Finding:
    """It is really imported: that is what fails on boards with a wrong wheel."""
    name, impact = onnxruntime.INFO.name, onnxruntime.INFO.impact
    fix = "pip install --force-reinstall onnxruntime"
    try:
        library = importlib.import_module(name)
        providers = ", ".join(library.get_available_providers())
    except ModuleNotFoundError:
        fix = onnxruntime.INFO.install
        return Finding(name, "missing", "not installed", True, impact, fix)
    except (ImportError, AttributeError, OSError) as err:
        return Finding(name, "broken", str(err), True, impact, fix)
    return Finding(name, "ok", f"{library.__version__} (providers: {providers})", True)


def _required() -> list[Finding]:
    return [
        _module("numpy", "numpy", impact="everything", required=True),
        _module("PIL", "pillow", impact="image files", required=True),
    ]


def _optional() -> list[Finding]:
    export = "export, models, bench's peers"
    return [
        _module("torch", "torch", impact=export, fix=INSTALL),
        _module("onnx", "onnx", impact=export, fix=INSTALL),
        _module(
            "onnxsim", "onnxsim", impact="the simplifying stage of export", fix=INSTALL
        ),
        _module("safetensors", "safetensors", impact=export, fix=INSTALL),
        _module("cv2", "opencv-python-headless", impact="bench's usual-recipe peer"),
        *(
            _module(info.module, info.packages[0], impact=info.impact, fix=info.install)
            for info in registry.CPU
            if not info.required
        ),
    ]


def _module(
    module: str,
    package: str,
    *,
    impact: str,
    fix: str | None = None,
    required: bool = False,
) -> Finding:
    """Look for a module without importing it."""
    if find_spec(module) is None:
        fix = fix or f"pip install {package}"
        return Finding(package, "missing", "not installed", required, impact, fix)
    try:
        version = metadata.version(package)
    except metadata.PackageNotFoundError:
        version = "version not recorded"
    return Finding(package, "ok", version, required)


def _show(findings: list[Finding]) -> None:
    say(f"fuseg {__version__}, Python {platform.python_version()}")
    about = cpu.describe()
    say(f"{about['cpu']}, {about['cores']} cores, {about['system']}")
    rows = []
    for found in findings:
        state = "not needed" if found.not_needed else found.state
        rows.append((found.name, Text(state, _STYLES.get(state, "")), found.detail))
    print_table(("", "state", "detail"), rows)
    for found in findings:
        if found.state != "ok" and not found.not_needed:
            say(f"{found.name}: {found.state}")
            say(f"    impact: {found.impact}")
            if found.fix is not None:
                say(f"    fix: {found.fix}")


def _summary(findings: list[Finding]) -> str:
    """The one line that most people look for."""
    by_name = {found.name: found for found in findings}
    faulty = [f.name for f in findings if f.required and f.state != "ok"]
    cpu = f"not ready ({', '.join(faulty)})" if faulty else "ready"
    rows = ("tensorrt", "tensorrt-rtx", "onnxruntime cuda")
    states = {name: by_name[name].state for name in rows if name in by_name}
    here = [n.replace(" ", "-") for n, state in states.items() if state == "ok"]
    needed = "gpu driver", "gpu", "cuda kernels"
    faulty = [n for n in needed if n in by_name and by_name[n].state != "ok"]
    if by_name["gpu driver"].not_needed:
        gpu = "none from NVIDIA"
    elif faulty or not here:
        gpu = f"not ready ({', '.join(faulty) or 'no backend'})"
    else:
        gpu = f"ready ({', '.join(here)})"
    return f"CPU: {cpu}. GPU: {gpu}."

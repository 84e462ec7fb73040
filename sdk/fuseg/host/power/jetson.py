"""What a Jetson's own files say: power mode, clocks, memory.

Where they are is known from NVIDIA's ``nvpmodel`` tables and from what jetson-stats
reads; nobody has run this on a board yet.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, NamedTuple

from . import sysfs

# Orin's with JetPack 6 and 5, older boards', and Thor's, whose video engine
# has a node beside it, gpu-nvd-0.
_GPU_NODE = re.compile(r"(^|\.)(gpu|ga10b|gv11b|gp10b)$|^gpu-gpc-\d+$")
_UNCAPPED = {-1, 0, 2**31 - 1}  # how the tables of several releases spell "no limit"
_HEADING = re.compile(r"^<\s*(\w+)\b([^>]*)>", re.MULTILINE)


class Mode(NamedTuple):
    """A power mode, and what sets it apart from the others."""

    number: int
    name: str
    rank: tuple[float, ...]  # larger is faster


def is_jetson(root: Path = Path("/")) -> bool:
    """Whether this is a Jetson; a container may see only one of the two files."""
    if (root / "etc/nv_tegra_release").is_file():
        return True
    return "nvidia,tegra" in (sysfs.text(root / "proc/device-tree/compatible") or "")


def release(root: Path = Path("/")) -> str | None:
    """Version of Jetson Linux, "36.4.3"; JetPack 5 is 35, 6 is 36, 7 is 38 and 39."""
    text = sysfs.text(root / "etc/nv_tegra_release") or ""
    match = re.search(r"R(\d+) \(release\), REVISION: ([\d.]+)", text)
    return f"{match[1]}.{match[2]}" if match else None


def describe(root: Path) -> dict[str, Any]:
    """What `fuseg.power.describe` returns, as far as only a Jetson has it."""
    status = sysfs.text(root / "var/lib/nvpmodel/status") or ""
    table = sysfs.text(root / "etc/nvpmodel.conf") or ""
    known = {mode.number: mode for mode in modes(table)}
    number, name = _current(status, table)
    fastest = max(known.values(), key=lambda mode: mode.rank, default=None)
    if number in known:
        current = known[number]
        name = current.name
        if fastest and current.rank == fastest.rank:
            fastest = current
    fan_mode = re.search(r"fmode:\s*(\S+)", status)
    return {
        "kind": "jetson",
        "board": sysfs.text(root / "proc/device-tree/model"),
        "release": release(root),
        "mode": name,
        "mode_id": number,
        "fastest_mode": fastest.name if fastest else None,
        "fastest_mode_id": fastest.number if fastest else None,
        "gpus": [
            {
                "name": node.name,
                **sysfs.clock(node),
                **dict.fromkeys(("power_limit_w", "persistence", "driver")),
            }
            for node in sorted((root / "sys/class/devfreq").glob("*"))
            if _GPU_NODE.search(node.name)
        ],
        "memory": _memory(root),
        "fan_mode": fan_mode[1] if fan_mode else None,
    }


def judge(found: dict[str, Any]) -> tuple[bool, list[str], list[str]]:
    """Whether enough is known, what is slow, and the commands that change it."""
    why, fix = [], []
    now, fastest = found["mode_id"], found["fastest_mode_id"]
    if None not in (now, fastest) and now != fastest:
        name = found["mode"] or now
        why.append(f"power mode {name} is not the fastest, {found['fastest_mode']}")
        fix.append(f"sudo nvpmodel -m {fastest}")
    units = [("GPU", gpu) for gpu in found["gpus"]]
    units += [("memory", found["memory"]), ("CPU", found["cpu"])]
    read = [
        (unit, clock["min_mhz"], clock["max_mhz"])
        for unit, clock in units
        if clock and None not in (clock["min_mhz"], clock["max_mhz"])
    ]
    why += [
        f"{unit} clock may fall from {high:g} to {low:g} MHz"
        for unit, low, high in read
        if low < high
    ]
    known = now is not None and any(unit == "GPU" for unit, *_ in read)
    return known, why, [*fix, "sudo jetson_clocks"]


def modes(table: str) -> list[Mode]:
    """The power modes of an ``nvpmodel.conf``, in its order.

    Their numbers say nothing of their speed: 0 is the fastest of an AGX Orin, 15 W of
    an Orin Nano. What a mode leaves uncapped tells.
    """
    headings = [*_HEADING.finditer(table)]
    stops = [*(heading.start() for heading in headings[1:]), len(table)]
    found = []
    for heading, end in zip(headings, stops, strict=False):  # no heading, one end
        words = dict(re.findall(r"(\w+)\s*=\s*(\S+)", heading[2]))
        number = str(words.get("ID", ""))
        if heading[1] == "POWER_MODEL" and number.isdigit():
            body = table[heading.end() : end]
            name = str(words.get("NAME", number))
            found.append(Mode(int(number), name, _rank(name, body)))
    return found


def _rank(name: str, body: str) -> tuple[float, ...]:
    lines = [line.split() for line in body.splitlines()]
    settings = [
        line for line in lines if len(line) == 3 and not line[0].startswith("#")
    ]

    def cap(unit: str) -> float:
        caps = [
            int(value)
            for parameter, argument, value in settings
            if parameter.startswith(unit)
            and argument == "MAX_FREQ"
            and value.lstrip("-").isdigit()
        ]
        if not caps or _UNCAPPED & set(caps):
            return float("inf")
        return float(max(caps))

    cores = sum(line[0] == "CPU_ONLINE" and line[2] == "1" for line in settings)
    maxn, super_mode = name.upper().startswith("MAXN"), "SUPER" in name.upper()
    return (maxn, super_mode, cap("GPU"), cap("EMC"), float(cores), cap("CPU_"))


def _current(status: str, table: str) -> tuple[int | None, str | None]:
    """Mode as nvpmodel stored it, as it says itself, or as the board starts with."""
    if match := re.search(r"pmode:\s*(\d+)", status):
        return int(match[1]), None
    answer = sysfs.answer("nvpmodel", "-q")
    if match := re.search(r"NV Power Mode: *(\S+)\s+(\d+)", answer):
        return int(match[2]), match[1]
    if match := re.search(r"^<\s*PM_CONFIG\s+DEFAULT\s*=\s*(\d+)", table, re.MULTILINE):
        return int(match[1]), None
    return None, None


def _memory(root: Path) -> dict[str, Any] | None:
    """Thor shows its memory's clock to everybody, the others to root alone."""
    clock = sysfs.clock(root / "sys/class/devfreq/bwmgr")
    if clock["mhz"] is not None:
        return clock
    emc = root / "sys/kernel/debug/bpmp/debug/clk/emc"
    now, high = sysfs.mhz(emc / "rate"), sysfs.mhz(emc / "max_rate")
    if now is None:
        return None
    # jetson_clocks holds it at the maximum; min_rate is another thing.
    return {"mhz": now, "min_mhz": now, "max_mhz": high, "governor": None}

"""What ``nvidia-smi`` says of the GPUs of a desktop or a server."""

from __future__ import annotations

from typing import Any

from . import sysfs

_FIELDS = (
    *("name", "driver_version", "clocks.sm", "clocks.max.sm", "power.limit"),
    *("persistence_mode", "temperature.gpu"),
)


def describe(found: dict[str, Any]) -> None:
    """Add the GPUs to what `fuseg.power.describe` returns, if there are any."""
    words = (f"--query-gpu={','.join(_FIELDS)}", "--format=csv,noheader")
    rows = [row.split(", ") for row in sysfs.answer("nvidia-smi", *words).splitlines()]
    for row in rows:
        if len(row) != len(_FIELDS):  # a sentence that there is no device
            continue
        found["kind"] = "nvidia"
        name, driver, now, highest, limit, persistence, celsius = row
        if (degrees := sysfs.number(celsius)) is not None:
            found["temperatures_c"][f"gpu{len(found['gpus'])}"] = degrees
        found["gpus"].append(
            {
                "name": name,
                "mhz": sysfs.number(now),
                "min_mhz": None,
                "max_mhz": sysfs.number(highest),
                "governor": None,
                "power_limit_w": sysfs.number(limit),
                "persistence": {"Enabled": True, "Disabled": False}.get(persistence),
                "driver": driver,
            }
        )


def judge(found: dict[str, Any]) -> tuple[bool, list[str], list[str]]:
    """Whether the clocks are known, which are low, and the commands that raise them."""
    gpus = [gpu for gpu in found["gpus"] if None not in (gpu["mhz"], gpu["max_mhz"])]
    why = [
        f"{gpu['name']} is at {gpu['mhz']:g} of {gpu['max_mhz']:g} MHz now"
        for gpu in gpus
        if gpu["mhz"] < gpu["max_mhz"]
    ]
    highest = max((gpu["max_mhz"] for gpu in gpus), default=0)
    lock = f"sudo nvidia-smi --lock-gpu-clocks={highest:g},{highest:g}"
    return bool(gpus), why, ["sudo nvidia-smi -pm 1", lock]

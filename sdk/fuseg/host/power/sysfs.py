"""What Linux itself shows of clocks, temperatures and fans, under a root folder."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

_SECONDS = 5.0  # for a vendor's command; they hang where the driver does


def cpu(root: Path) -> dict[str, Any] | None:
    """The clock, in MHz, of the core whose own may fall furthest."""
    cores = [
        {
            "mhz": mhz(core / "scaling_cur_freq", 1e3),
            "min_mhz": mhz(core / "scaling_min_freq", 1e3),
            "max_mhz": mhz(core / "scaling_max_freq", 1e3),
            "governor": text(core / "scaling_governor"),
        }
        for core in sorted((root / "sys/devices/system/cpu").glob("cpu[0-9]*/cpufreq"))
    ]

    def gap(core: dict[str, Any]) -> float:
        low, high = core["min_mhz"], core["max_mhz"]
        return -1.0 if None in (low, high) else float(high - low)

    return max(cores, key=gap, default=None)


def clock(node: Path) -> dict[str, Any]:
    """The clock, in MHz, that a devfreq folder shows."""
    return {
        "mhz": mhz(node / "cur_freq"),
        "min_mhz": mhz(node / "min_freq"),
        "max_mhz": mhz(node / "max_freq"),
        "governor": text(node / "governor"),
    }


def temperatures(root: Path) -> dict[str, float]:
    """Degrees Celsius by thermal zone; a zone of a unit that is off has none."""
    found = {}
    for zone in sorted((root / "sys/class/thermal").glob("thermal_zone*")):
        name, milli = text(zone / "type"), number(text(zone / "temp"))
        if name and milli is not None:
            found[name] = round(milli / 1000, 1)
    return found


def fan(root: Path) -> int | None:
    """Duty of the first fan there is, 0 to 255."""
    for pwm in sorted((root / "sys/class/hwmon").glob("hwmon*/pwm1")):
        if (value := number(text(pwm))) is not None:
            return int(value)
    return None


def answer(command: str, *words: str) -> str:
    """What a command prints; nothing if it is absent, fails or takes too long."""
    import shutil
    import subprocess  # here: `import fuseg` would take longer

    path = shutil.which(command)
    if path is None:
        return ""
    try:
        done = subprocess.run(
            [path, *words],
            capture_output=True,
            check=True,
            encoding="utf-8",
            errors="replace",
            stdin=subprocess.DEVNULL,
            timeout=_SECONDS,
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout


def text(path: Path) -> str | None:
    """A file's text; None if it is empty, absent, or refuses as some of sysfs do."""
    try:
        return path.read_text(errors="replace").strip("\0\n ") or None
    except OSError:
        return None


def mhz(path: Path, per_mhz: float = 1e6) -> float | None:
    """A frequency in a file of Hz, or of what there are ``per_mhz`` of in one MHz."""
    value = number(text(path))
    return None if value is None else round(value / per_mhz, 3)


def number(words: str | None) -> float | None:
    """The number that a text begins with, as in "210 MHz"; of "[N/A]" there is none."""
    match = re.match(r"-?\d+(\.\d+)?", words or "")
    return float(match[0]) if match else None

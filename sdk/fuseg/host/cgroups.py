"""The CPU quota of this process, as Linux's control groups have it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path, PurePosixPath


def cpu_quota(root: Path = Path("/")) -> float | None:
    """CPUs' worth of time that this process may use; None if nothing limits it.

    The smallest of the limits of its own group and of all above it: of version 2
    (``cpu.max``) and of version 1 (``cpu.cfs_quota_us``). A file that is absent, that
    cannot be read or understood limits nothing.

    Args:
        root: The file system to read, ``/`` but for tests.
    """
    limits = []
    for folder in _folders(root):
        for limit in (_version_2(folder), _version_1(folder)):
            if limit is not None:
                limits.append(limit)
    return min(limits, default=None)


def _folders(root: Path) -> Iterator[Path]:
    """Of every hierarchy that may limit CPU time: this process's folder up to the top.

    In a container, only a part of the tree may be mounted: the mount says which.
    """
    groups = {}
    for line in _lines(root / "proc/self/cgroup"):
        number, controllers, path = (*line.split(":", 2), "", "")[:3]
        if number == "0" or "cpu" in controllers.split(","):
            groups["cgroup2" if number == "0" else "cgroup"] = PurePosixPath(path)
    for line in _lines(root / "proc/self/mountinfo"):
        left, _, right = line.partition(" - ")
        fields, (kind, _, options) = left.split(), (*right.split(), "", "", "")[:3]
        if len(fields) < 5 or kind not in groups:
            continue
        if kind == "cgroup" and "cpu" not in options.split(","):
            continue
        mounted, top = fields[3], root / fields[4].lstrip("/")
        group = groups[kind]
        folder = top
        if ".." not in group.parts and group.is_relative_to(mounted):
            folder = top / group.relative_to(mounted)
        while folder != top:
            yield folder
            folder = folder.parent
        yield top


def _version_2(folder: Path) -> float | None:
    """``cpu.max``: quota and period in microseconds; a quota of "max" is none."""
    words = " ".join(_lines(folder / "cpu.max")).split()
    return _ratio(*words) if len(words) == 2 else None


def _version_1(folder: Path) -> float | None:
    """The same in two files; a quota of -1 is none."""
    quota = " ".join(_lines(folder / "cpu.cfs_quota_us"))
    return _ratio(quota, " ".join(_lines(folder / "cpu.cfs_period_us")))


def _ratio(quota: str, period: str) -> float | None:
    try:
        taken, of = int(quota), int(period)
    except ValueError:
        return None
    return taken / of if taken > 0 and of > 0 else None


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(errors="replace").splitlines()
    except OSError:
        return []

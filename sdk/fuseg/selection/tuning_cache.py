"""What was found out on this machine about a bundle, kept in the user's cache.

Two kinds of files, JSON, one for each fact: what ``fuseg tune`` measured, and which
variants gave the labels of the bundle's samples. A file that is damaged, or that
somebody else may have written, counts as absent; a warning says so.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from .._version import __version__
from ..backends import registry
from ..errors import InputFileError, OutputFileError
from ..host import cpu
from ..host.files import cache_folder, is_private, read_private, write_file

_log = logging.getLogger("fuseg")
_LARGEST = 1 << 20  # bytes of a file: some dozen rows


@dataclass(frozen=True)
class Measured:
    """One backend with one variant: half of its frames took at most ``p50_ms``."""

    backend: str
    variant: str
    p50_ms: float


@dataclass(frozen=True)
class Tuned:
    """What ``fuseg tune`` stored of one bundle.

    Attributes:
        digest: The bundle's.
        threads: As many as the backends had.
        versions: Of fuseg and of the backends, then.
        measured: The fastest first, at least one.
        gpu: What those of a GPU ran on; None if there were none.
        allow_spinning: Whether waiting threads might keep a core busy.
    """

    digest: str
    threads: int
    versions: dict[str, str]
    measured: tuple[Measured, ...]
    gpu: str | None = None
    allow_spinning: bool = True

    @property
    def outdated(self) -> bool:
        """Whether fuseg or a backend has changed, come or gone since."""
        return self.versions != versions()


def versions() -> dict[str, str]:
    """fuseg's, and that of each installed backend.

    A child process is asked for TensorRT's if it came with a board's own packages,
    which pip knows nothing of.
    """
    return {"fuseg": __version__, **registry.versions()}


def store(
    digest: str,
    threads: int | None,
    measured: Sequence[Measured],
    gpu: str | None = None,
    *,
    allow_spinning: bool = True,
) -> Path:
    """Keep what was measured, in place of what was there; return the file.

    Args:
        gpu: What the GPU backends ran on, if there were any, as
            `registry.gpu_name` says it.

    Raises:
        OutputFileError: It cannot be written.
    """
    key = _tuned_key(digest, threads, allow_spinning)
    rows = [asdict(m) for m in sorted(measured, key=lambda m: m.p50_ms)]
    value = {"versions": versions(), "measured": rows}
    return _write("tuned", key, value if gpu is None else value | {"gpu": gpu})


def stored(
    digest: str,
    threads: int | None,
    device: int = 0,
    *,
    allow_spinning: bool = True,
) -> Tuned | None:
    """What was stored for this bundle, this CPU and so many threads, if anything.

    What was measured with threads that sleep is another matter: without spinning,
    several threads of ONNX Runtime are slower, by more the more operators there are.

    Nothing, too, if it was measured with another GPU than the one of this number. If
    there is none now, the times of the CPU backends still hold.

    ``threads=None``, a backend's own choice, counts as one for each core.
    """
    tuned = _read_tuned(_path("tuned", _tuned_key(digest, threads, allow_spinning)))
    if tuned is None or tuned.gpu is None:
        return tuned
    here = registry.gpu_name(device)
    return tuned if here in (None, tuned.gpu) else None


def everything() -> list[Tuned]:
    """All that was stored for this CPU."""
    found = [_read_tuned(path) for path in sorted(cache_folder().glob("tuned-*.json"))]
    return [tuned for tuned in found if tuned is not None]


def has_passed(
    digest: str, backend: str, variant: str, where: str | None = None
) -> bool:
    """Whether this variant gave the samples' labels here, with these versions.

    ``where`` is the GPU, if it runs on one.
    """
    key = _passed_key(digest, backend, variant, where)
    return _read(_path("passed", key), key) is not None


def remember_pass(
    digest: str, backend: str, variant: str, where: str | None = None
) -> None:
    """Let `has_passed` say so from now on; if it cannot be kept, the log says why."""
    try:
        _write("passed", _passed_key(digest, backend, variant, where), {})
    except OutputFileError as err:
        _log.info("the next load will replay the samples again: %s", err)


def _tuned_key(
    digest: str, threads: int | None, allow_spinning: bool
) -> dict[str, Any]:
    count = threads or cpu.cores()
    key = {"bundle": digest, "cpu": cpu.cpu_name(), "threads": count}
    return key if allow_spinning else key | {"allow_spinning": False}


def _passed_key(
    digest: str, backend: str, variant: str, where: str | None
) -> dict[str, Any]:
    used = {"fuseg": __version__, backend: registry.version_of(backend)}
    name = cpu.cpu_name()
    key = {"bundle": digest, "cpu": name, "variant": variant, "versions": used}
    return key if where is None else key | {"gpu": where}


def _path(kind: str, key: Mapping[str, Any]) -> Path:
    text = json.dumps(key, sort_keys=True)
    return (
        cache_folder() / f"{kind}-{hashlib.sha256(text.encode()).hexdigest()[:32]}.json"
    )


def _write(kind: str, key: dict[str, Any], value: dict[str, Any]) -> Path:
    path = _path(kind, key)
    if not path.is_absolute():
        raise OutputFileError(f"{path} cannot be written: this user has no home.")
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as err:
        raise OutputFileError(
            f"{path.parent} cannot be made: {err.strerror or err}."
        ) from err
    if not is_private(path.parent):
        raise OutputFileError(
            f"{path.parent} must be writable by this user alone: chmod 700 it."
        )
    text = json.dumps({**key, **value}, indent=1) + "\n"
    write_file(path, text.encode(), mode=0o600)
    return path


def _read(path: Path, key: Mapping[str, Any]) -> dict[str, Any] | None:
    """The object in a file, if it is there, ours, and begins with this key."""
    try:
        data = read_private(path, _LARGEST)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except InputFileError as err:
        _log.warning("%s is ignored: %s", path, err)
        return None
    except OSError as err:  # such as the cache of root, whose HOME this user has
        _log.info("%s cannot be read: %s.", path, err.strerror or err)
        return None
    try:
        value = json.loads(data)
    except (ValueError, RecursionError) as err:
        _log.warning("%s is ignored, it is damaged: %s.", path, err)
        return None
    if not isinstance(value, dict) or any(value.get(k) != key[k] for k in key):
        _log.warning("%s is ignored: it is about something else.", path)
        return None
    return value


def _read_tuned(path: Path) -> Tuned | None:
    value = _read(path, {"cpu": cpu.cpu_name()})
    if value is None:
        return None
    try:
        tuned = Tuned(
            str(value["bundle"]),
            int(value["threads"]),
            {str(name): str(version) for name, version in value["versions"].items()},
            tuple(
                Measured(str(row["backend"]), str(row["variant"]), float(row["p50_ms"]))
                for row in value["measured"]
            ),
            value.get("gpu"),
            bool(value.get("allow_spinning", True)),
        )
    except (AttributeError, KeyError, TypeError, ValueError) as err:
        _log.warning("%s is ignored, it is damaged: %r.", path, err)
        return None
    known = all(m.backend in registry.KNOWN[1:] for m in tuned.measured)
    if not (
        tuned.measured and known and all(0 < m.p50_ms < 1e9 for m in tuned.measured)
    ):
        _log.warning("%s is ignored, it is damaged: no times of backends.", path)
        return None
    on_gpu = any(registry.runs_on_gpu(m.backend) for m in tuned.measured)
    if not isinstance(tuned.gpu, str if on_gpu else str | None):
        _log.warning("%s is ignored, it is damaged: times on no GPU.", path)
        return None
    key = _tuned_key(tuned.digest, tuned.threads, tuned.allow_spinning)
    if path != _path("tuned", key):
        _log.warning("%s is ignored: it is about something else.", path)
        return None
    return tuned

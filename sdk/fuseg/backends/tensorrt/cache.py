"""Engines kept on this device: one private folder, one file for each fingerprint.

A file is read by anybody at any time and takes its place at once, whole. Only who
holds the lock of a fingerprint builds and writes; the system frees the lock of a
process that died. What is damaged or of something else counts as absent.
"""

from __future__ import annotations

import errno
import logging
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from ...errors import BundleError, InputFileError, OutputFileError
from ...host.files import cache_folder, is_private, read_private, write_file
from .fingerprint import OPTIONS, Fingerprint
from .record import EngineRecord, read_file, require_member

__all__ = ["Entry", "clear", "folder", "keep", "locked", "look_up", "newest"]
__all__ += ["path_of", "prepare", "require_private", "runtime_cache"]
__all__ += ["timing_cache", "touch"]

_log = logging.getLogger("fuseg")

_SUFFIX = ".engine"
_LARGEST = 4 << 30
_PAUSE_S = 0.05  # between two looks at a lock that somebody holds
_NO_LOCKS = {errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS}  # on some network disks


def folder() -> Path:
    """Where the engines are; it need not be there."""
    return cache_folder() / "engines"


def path_of(fingerprint: Fingerprint) -> Path:
    """The file of the engine with this fingerprint."""
    name = f"{fingerprint.subject[:24]}-{fingerprint.key[:24]}{_SUFFIX}"
    return folder() / name


def timing_cache(fingerprint: Fingerprint) -> Path:
    """What TensorRT timed before: by its version and the GPU."""
    words = f"{fingerprint.tensorrt}-{fingerprint.gpu}-{fingerprint.capability}"
    return folder() / f"timing-{_file_name(words)}.cache"


def runtime_cache(record: EngineRecord, gpu: str, driver: str) -> Path:
    """Kernels of a portable engine that were finished for this GPU and driver."""
    words = f"{record.plan.sha256[:24]}-{driver}-{gpu}"
    return folder() / f"runtime-{_file_name(words)}.cache"


def _file_name(words: str) -> str:
    kept = "".join(c if c.isascii() and c.isalnum() else "-" for c in words)
    return kept[:100]


def require_private() -> None:
    """Refuse a cache that others may write to: a plan is code.

    Raises:
        OutputFileError: So it is; the sentence says how to mend it.
    """
    for where in (folder().parent, folder()):
        try:
            private = is_private(where)
        except OSError:  # not there, or not to be looked at: `prepare` will say
            continue
        if not private:
            raise OutputFileError(
                f"{where} must belong to this user and be writable by nobody else, "
                "since engines are code: chmod 700 it, or set XDG_CACHE_HOME."
            )


def prepare() -> None:
    """Make the folder, 0700, and see that it can be written to.

    Raises:
        OutputFileError: It cannot, or others may write there.
    """
    where = folder()
    if not where.is_absolute():
        raise OutputFileError(f"{where} cannot be made: this user has no home.")
    try:
        for made in (where.parent, where):
            made.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as err:
        raise OutputFileError(
            f"{where} cannot be made: {err.strerror or err}."
        ) from err
    require_private()
    if not os.access(where, os.W_OK | os.X_OK):
        raise OutputFileError(f"{where} cannot be written to.")


@contextmanager
def locked(path: Path, waiting: str | None = None) -> Iterator[None]:
    """Hold the lock file ``path``; it stays when the lock is free again.

    Args:
        waiting: What the log says if another process holds it.

    Raises:
        OutputFileError: The file cannot be made.
    """
    flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
    try:
        handle = os.open(path, flags, 0o600)
    except OSError as err:
        raise OutputFileError(
            f"{path} cannot be written: {err.strerror or err}."
        ) from err
    try:
        _wait_for(handle, path, waiting)
        yield
    finally:
        os.close(handle)


def _wait_for(handle: int, path: Path, waiting: str | None) -> None:
    import fcntl

    while True:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            if waiting is not None:
                _log.warning("%s", waiting)
                waiting = None
            time.sleep(_PAUSE_S)
        except OSError as err:
            if err.errno not in _NO_LOCKS:
                raise OutputFileError(
                    f"{path} cannot be locked: {err.strerror or err}."
                ) from err
            _log.warning("%s cannot be locked here: others may build too.", path)
            return


def look_up(
    fingerprint: Fingerprint, level: int = logging.WARNING
) -> tuple[EngineRecord, memoryview] | None:
    """The kept engine with this fingerprint, every byte of it checked.

    If there is a file that is not this engine, whole, the log says in one sentence of
    this level what is wrong, and the answer is None.

    Raises:
        OutputFileError: See `require_private`.
    """
    require_private()
    return _checked(path_of(fingerprint), fingerprint, frozenset(), level)


def newest(fingerprint: Fingerprint) -> tuple[EngineRecord, memoryview] | None:
    """The newest kept engine that differs from this fingerprint in its options alone.

    As `look_up`.
    """
    require_private()
    for entry in _entries(f"{fingerprint.subject[:24]}-*{_SUFFIX}"):
        found = _checked(entry.path, fingerprint, OPTIONS, logging.WARNING)
        if found is not None:
            return found
    return None


def _checked(
    path: Path, fingerprint: Fingerprint, may_differ: frozenset[str], level: int
) -> tuple[EngineRecord, memoryview] | None:
    try:
        data = read_private(path, _LARGEST)
        file = read_file(data)
        record = EngineRecord.parse(file.record)
        require_member("plan", file.plan, record.plan)
        found = record.fingerprint.differences(fingerprint)
        differing = [name for name in found if name not in may_differ]
        if differing:
            raise BundleError(f"it is of another {', '.join(differing)}.")
    except (FileNotFoundError, NotADirectoryError):
        return None
    except InputFileError as err:
        _log.log(level, "%s is not used but built again: %s", path, err)
        return None
    except OSError as err:
        why = err.strerror or err
        _log.log(level, "%s cannot be read, so it is built again: %s.", path, why)
        return None
    except BundleError as err:
        _log.log(level, "%s is not used but built again: %s", path, err)
        return None
    return record, file.plan


def touch(fingerprint: Fingerprint) -> None:
    """Make an engine the newest: it is the one that was asked for last."""
    with suppress(OSError):  # on a disk that is read only the order stays
        os.utime(path_of(fingerprint))


def keep(fingerprint: Fingerprint, data: bytes) -> Path:
    """Write the file of an engine; call it with the lock held.

    Raises:
        OutputFileError: It cannot be written; what was there before still is.
    """
    path = path_of(fingerprint)
    write_file(path, data, 0o600, locked=True)
    return path


@dataclass(frozen=True)
class Entry:
    """A file of the cache: its size in bytes, and when it was written."""

    path: Path
    bytes: int
    written: float


def clear(keep_newest: int = 0) -> list[Entry]:
    """Delete engines, timings and kernels, but for the newest engines.

    With ``keep_newest`` above 0 timings and kernels stay too, else what killed
    processes left half written goes as well. Nothing else ever deletes an engine: a
    robot that starts without a network shall not find that it has to build.

    Returns:
        What is gone.

    Raises:
        OutputFileError: A file cannot be deleted.
    """
    others = [] if keep_newest else ["timing-*.cache", "runtime-*.cache", ".*.part"]
    kinds = [f"*{_SUFFIX}", *others]
    gone = [entry for kind in kinds for entry in _entries(kind)][keep_newest:]
    for entry in gone:
        try:
            entry.path.unlink(missing_ok=True)
        except OSError as err:
            raise OutputFileError(
                f"{entry.path} cannot be deleted: {err.strerror or err}."
            ) from err
    return gone


def _entries(pattern: str) -> list[Entry]:
    """The newest first."""
    found = []
    for path in folder().glob(pattern):
        with suppress(FileNotFoundError):  # somebody clears the cache just now
            status = path.lstat()
            found.append(Entry(path, status.st_size, status.st_mtime))
    return sorted(found, key=lambda entry: entry.written, reverse=True)

"""Files written whole or not at all, texts, and the folder of this user's cache."""

from __future__ import annotations

import os
import secrets
import stat
from contextlib import suppress
from pathlib import Path

from ..errors import InputFileError, OutputFileError


def write_file(
    path: Path, data: bytes, mode: int = 0o666, *, locked: bool = False
) -> None:
    """Write ``data`` to ``path``, making the folders on the way.

    The bytes go to a temporary name in the same folder, which then takes the
    place of ``path``: a reader sees the old file or the new one, never a part,
    even if the power goes.

    Args:
        mode: Of a new file, less what the umask takes away.
        locked: Whether the caller holds a lock for ``path``, and made its folder.
            The temporary name is then always the same: what a killed process
            leaves is overwritten by the next one.

    Raises:
        OutputFileError: The file or a folder cannot be written. The temporary
            file is gone, and what was at ``path`` before is still there.
    """
    name = path.name if locked else secrets.token_hex(6)
    part = path.parent / f".{name}.part"
    flags = os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
    flags |= os.O_TRUNC if locked else os.O_EXCL
    try:
        if not locked:
            path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with open(os.open(part, flags, mode), "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            os.replace(part, path)
        except BaseException:
            with suppress(OSError):
                part.unlink()
            raise
    except OSError as err:
        raise OutputFileError(
            f"{path} cannot be written: {err.strerror or err}."
        ) from err


def read_text(path: Path) -> str:
    """Read a text file in UTF-8, with or without the mark that Windows puts first.

    Raises:
        InputFileError: It cannot be read, or is in another encoding.
    """
    try:
        return path.read_text(encoding="utf-8-sig")
    except OSError as err:
        raise InputFileError(f"{path} cannot be read: {err.strerror or err}.") from err
    except UnicodeDecodeError as err:
        raise InputFileError(
            f"{path} must be text in UTF-8, which byte {err.start} is not: save it as "
            "UTF-8."
        ) from err


def cache_folder() -> Path:
    """``$XDG_CACHE_HOME/fuseg``, or ``~/.cache/fuseg``; it need not be there."""
    base = os.environ.get("XDG_CACHE_HOME", "")
    if not os.path.isabs(base):  # as its specification says of a relative one
        base = os.path.expanduser("~/.cache")
    return Path(base) / "fuseg"


def is_private(folder: Path) -> bool:
    """Whether only this user may write there, as far as the system knows users."""
    return _is_ours(folder.stat())


def read_private(path: Path, largest: int) -> bytes:
    """Read a file of the cache, if this user alone can have written it.

    The folder and the file are looked at through the descriptors that are then read
    from: nobody who may write further up can put something else in their place. What
    is no regular file, such as a pipe, is not waited for, and a link is not followed.

    Args:
        largest: Bytes that it may have.

    Raises:
        FileNotFoundError, NotADirectoryError, OSError: It cannot be opened.
        InputFileError: It is not private, no regular file, or too large; the sentence
            has no subject.
    """
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        if not _is_ours(os.fstat(folder)):
            raise InputFileError("others may write in its folder.")
        flags = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
        handle = os.open(path.name, flags, dir_fd=folder)
    finally:
        os.close(folder)
    with open(handle, "rb") as file:
        status = os.fstat(handle)
        if not stat.S_ISREG(status.st_mode) or status.st_size > largest:
            raise InputFileError("it is not a regular file, or is too large.")
        if not _is_ours(status):
            raise InputFileError("others may write it.")
        return file.read(largest)


def _is_ours(status: os.stat_result) -> bool:
    if not hasattr(os, "getuid"):
        return True
    return status.st_uid == os.getuid() and not status.st_mode & 0o022

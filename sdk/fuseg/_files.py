"""Files written whole or not at all, texts, and the folder of this user's cache."""

from __future__ import annotations

import os
import secrets
from contextlib import suppress
from pathlib import Path

from .errors import InputFileError, OutputFileError


def write_file(path: Path, data: bytes) -> None:
    """Write ``data`` to ``path``, making the folders on the way.

    The bytes go to a temporary name in the same folder, which then takes the
    place of ``path``: a reader sees the old file or the new one, never a part.

    Raises:
        OutputFileError: The file or a folder cannot be written. The temporary
            file is gone, and what was at ``path`` before is still there.
    """
    part = path.parent / f".{secrets.token_hex(6)}.part"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with part.open("xb") as file:
                file.write(data)
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
    if not hasattr(os, "getuid"):
        return True
    status = folder.stat()
    return status.st_uid == os.getuid() and not status.st_mode & 0o022

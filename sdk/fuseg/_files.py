"""Writing result files: whole or not at all."""

from __future__ import annotations

import os
import secrets
from contextlib import suppress
from pathlib import Path

from .errors import OutputFileError


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

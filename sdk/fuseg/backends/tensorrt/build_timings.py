"""What TensorRT timed in earlier builds, so that it need not time it again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ...errors import OutputFileError
from ...host.files import read_private, write_file
from .build_protocol import BuildLog
from .cache import locked

__all__ = ["keep_timings", "with_timings"]

_LARGEST = 1 << 28  # bytes; TensorRT's are a few MiB


def with_timings(flags: Any, config: Any, said: BuildLog, path: Path) -> Any:
    """Give a build the stored timings, or none if there are none that fit.

    From version 10.8 on they hold the tactics that were chosen, and the build keeps to
    these.
    """
    if hasattr(flags, "EDITABLE_TIMING_CACHE"):
        config.set_flag(flags.EDITABLE_TIMING_CACHE)
    stored = _read(path)
    cache = config.create_timing_cache(stored)
    if cache is None or not config.set_timing_cache(cache, ignore_mismatch=False):
        said.add("WARNING", f"{path} does not fit here and is not used.")
        cache = config.create_timing_cache(b"")
        config.set_timing_cache(cache, ignore_mismatch=False)
    return cache


def keep_timings(config: Any, cache: Any, said: BuildLog, path: Path) -> None:
    """Store them, with what others stored meanwhile."""
    try:
        with locked(path.with_suffix(".lock")):
            stored = _read(path)
            other = config.create_timing_cache(stored) if stored else None
            if other is not None:
                cache.combine(other, ignore_mismatch=False)
            timings = bytes(memoryview(cache.serialize()))
            write_file(path, timings, 0o600, locked=True)
    except OutputFileError as err:
        said.add("WARNING", f"the next build will time the same again: {err}")


def _read(path: Path) -> bytes:
    try:
        return read_private(path, _LARGEST)
    except OSError:
        return b""

"""Keeping what foreign and native code prints away from the output."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator

__all__ = ["stdout_to"]


@contextlib.contextmanager
def stdout_to(descriptor: int) -> Iterator[None]:
    """Send all that this process prints to stdout to another file descriptor.

    Native code included, which Python's own redirection does not reach.
    """
    sys.stdout.flush()
    kept = os.dup(1)
    try:
        os.dup2(descriptor, 1)
        yield
        sys.stdout.flush()
    finally:
        os.dup2(kept, 1)
        os.close(kept)

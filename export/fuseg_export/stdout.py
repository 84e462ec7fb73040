"""Keeping what foreign and native code prints away from the output."""

from __future__ import annotations

import contextlib
import logging
import os
import sys
from collections.abc import Callable, Iterator

from rich.console import Console

__all__ = ["foreign_prints_to_stderr", "no_log", "progress_on_terminal", "stdout_to"]

_STDERR = 2


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


@contextlib.contextmanager
def foreign_prints_to_stderr() -> Iterator[None]:
    """Networks and exporters print as they like; stdout is for the result."""
    with stdout_to(_STDERR), contextlib.redirect_stdout(sys.stderr):
        yield


@contextlib.contextmanager
def no_log() -> Iterator[None]:
    """Without the warnings that libraries log, and with their errors."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(before)


@contextlib.contextmanager
def progress_on_terminal() -> Iterator[Callable[[str], None]]:
    """What is being done, on stderr if that is a terminal."""
    if not sys.stderr.isatty():
        yield lambda _: None
        return
    with Console(stderr=True).status("starting") as status:
        yield status.update

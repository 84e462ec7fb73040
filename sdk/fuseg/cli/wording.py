"""Errors about frames, in files and options instead of Python."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from ..errors import Fault, FrameError, FusegError

__all__ = ["facts", "in_options", "naming_files"]

_OPTIONS = {
    "frame": "--input",
    "units": "--unit",
    "channels": "--channels",
    "missing": "--missing",
}


def facts(err: FrameError) -> str:
    """Which inputs have no usable frame and why, without the advice in Python."""
    return str(err).partition(" Give a usable frame")[0]


def in_options(err: FusegError) -> str:
    """The error's sentence as the command line says it."""
    fault = err.fault
    if isinstance(err, FrameError):
        return facts(err)
    if fault is None:
        return str(err)
    subject = _OPTIONS[fault.subject]
    if fault.name is not None:
        subject = f"{subject} {fault.name}"
    return _sentence(subject, fault)


def naming_files(err: FusegError, files: Mapping[str, Path]) -> FusegError:
    """The same error about the frame's file, if it is about a frame."""
    fault = err.fault
    path = None if fault is None else files.get(str(fault.name))
    if fault is None or path is None:
        return err
    return type(err)(_sentence(str(path), fault))


def _sentence(subject: str, fault: Fault) -> str:
    return f"{subject} {fault.problem} {fault.command_line}".rstrip()

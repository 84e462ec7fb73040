"""Every exception fuseg raises on purpose.

FusegError
├── ArgumentError(ValueError)   a value of the right type, but not allowed
│   ├── ShapeError
│   └── LayoutError             right shape, wrong strides
├── DTypeError(TypeError)
├── FrameError(ValueError)      a sensor has no usable frame, policy: refuse
├── BundleError(ValueError)     the .fuseg file is damaged, foreign or not trusted
│   └── ManifestError           its manifest breaks the schema
├── BackendError(RuntimeError)  the backend cannot be loaded or run
│   ├── BuildError              TensorRT could not build its engine
│   └── DeviceError             the GPU refused, or was lost
│       └── DeviceMemoryError(MemoryError)  it is out of memory
├── InputFileError(OSError)     a file given by the user cannot be read
├── OutputFileError(OSError)    a result cannot be written
├── MissingPackageError(ImportError)  what an extra brings is not installed
└── ExportError(RuntimeError)   a stage of the export failed its check
    └── CheckpointError         the checkpoint does not fit the network
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

__all__ = [
    "ArgumentError",
    "BackendError",
    "BuildError",
    "BundleError",
    "CheckpointError",
    "DTypeError",
    "DeviceError",
    "DeviceMemoryError",
    "ExportError",
    "Fault",
    "FrameError",
    "FusegError",
    "InputFileError",
    "LayoutError",
    "ManifestError",
    "MissingPackageError",
    "OutputFileError",
    "ShapeError",
]

Cause = Literal["absent", "invalid", "late", "early"]  # of a frame not used


@dataclass(frozen=True)
class Fault:
    """What is wrong with a sensor's frame, or with what was said of it at loading.

    An error's sentence is for a Python caller; a program with a face of its own, as the
    command line, words it anew from these parts.

    Attributes:
        subject: What is wrong: a ``"frame"``, or the option ``"units"``,
            ``"channels"`` or ``"missing"``.
        name: The bundle's input; None if the option names none that there is.
        problem: What it must be and what it was, without the subject.
        advice: What to do about it in Python; may be empty.
        command_line: The same in files and in options of ``fuseg run``.
    """

    subject: str
    name: str | None
    problem: str
    advice: str = ""
    command_line: str = ""

    def __str__(self) -> str:
        subject = str(self.name)
        if self.subject != "frame":
            key = "" if self.name is None else f"[{self.name!r}]"
            subject = f"{self.subject}{key}"
        return f"{subject} {self.problem} {self.advice}".rstrip()


class FusegError(Exception):
    """Base of every exception fuseg raises on purpose.

    Attributes:
        fault: The parts of the sentence, where it is about a frame; else None.
    """

    fault: Fault | None = None

    @classmethod
    def of(cls, fault: Fault) -> FusegError:
        """The error with the sentence of this fault."""
        error = cls(str(fault))
        error.fault = fault
        return error


class ArgumentError(FusegError, ValueError):
    """An argument has the right type and a value that is not allowed."""


class ShapeError(ArgumentError):
    """An array has a shape the operation does not take."""


class LayoutError(ArgumentError):
    """An array has strides the operation does not take."""


class DTypeError(FusegError, TypeError):
    """An array has an element type the operation does not take."""


class FrameError(FusegError, ValueError):
    """A sensor gave no usable frame and its declared policy is to refuse.

    Attributes:
        causes: By input name, why each refused input has no usable frame: see
            ``fuseg.Source.cause``. Empty if not an input of a call was refused.
    """

    def __init__(self, message: str, *, causes: Mapping[str, Cause] | None = None):
        super().__init__(message)
        self.causes: dict[str, Cause] = dict(causes or {})


class BundleError(FusegError, ValueError):
    """A bundle is damaged, is not a bundle, or holds what a bundle must not hold."""


class ManifestError(BundleError):
    """A manifest breaks the schema, or was written for a newer fuseg."""


class BackendError(FusegError, RuntimeError):
    """A backend cannot be loaded on this machine, or failed while running."""


class BuildError(BackendError):
    """TensorRT could not build an engine; nothing else was harmed."""


class DeviceError(BackendError):
    """The GPU refused what was asked of it, or was lost."""


class DeviceMemoryError(DeviceError, MemoryError):
    """The GPU is out of memory."""


class InputFileError(FusegError, OSError):
    """A file that the user named cannot be read or understood."""


class OutputFileError(FusegError, OSError):
    """A result cannot be written: no space, no permission, no such folder."""


class MissingPackageError(FusegError, ImportError):
    """A package of one of fuseg's extras is needed and not installed."""


class ExportError(FusegError, RuntimeError):
    """A stage of the export failed, or differs from the stage before it."""


class CheckpointError(ExportError):
    """A checkpoint is unsafe to load or does not fit the network."""

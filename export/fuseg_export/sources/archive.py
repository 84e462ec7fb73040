"""A ``torch.export`` archive (``.pt2``): the network as torch itself stores it."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import MethodType

import torch
from torch import nn

from fuseg.errors import InputFileError

from ..errors import first_sentence
from ..stdout import no_log

__all__ = ["Archive", "is_archive"]


@dataclass(frozen=True)
class Archive:
    """An archive, which torch reads: what is in it can run code, as a factory can.

    Attributes:
        path: Of the file.
    """

    path: Path

    @cached_property
    def sha256(self) -> str:
        """Of the file's bytes, in hex.

        Raises:
            InputFileError: The file cannot be read.
        """
        try:
            return hashlib.sha256(self.path.read_bytes()).hexdigest()
        except OSError as err:
            raise InputFileError(
                f"{self.path} cannot be read: {err.strerror or err}."
            ) from err

    def factory(self) -> Callable[[], nn.Module]:
        """What gives the network, with its weights.

        Raises:
            InputFileError: torch cannot read the file.
        """
        assert self.sha256, "it can be read"
        try:
            with no_log():  # of the whole traceback
                program = torch.export.load(self.path)
        except Exception as err:  # torch's reader raises anything
            raise InputFileError(
                f"{self.path} must be an archive of torch.export.save, written by "
                f"torch {torch.__version__} or an older one, but torch cannot read it: "
                f"{first_sentence(err)}."
            ) from err
        return lambda: _settled(program.module())


def is_archive(word: str) -> bool:
    """Whether a target is such a file."""
    return word.lower().endswith(".pt2")


def _settled(network: nn.Module) -> nn.Module:
    """It refuses to change its mode, which was fixed when it was exported."""

    def same(self: nn.Module, mode: bool = False) -> nn.Module:  # noqa: ARG001
        return self

    network.train = network.eval = MethodType(same, network)  # type: ignore[method-assign]
    return network

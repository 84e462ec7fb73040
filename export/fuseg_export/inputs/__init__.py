"""Inputs of the network that is exported which are no pictures: a file for each kind.

Those that are pictures are read by `network.input_options`.
"""

from __future__ import annotations

from collections.abc import Callable

from .audio import Audio
from .base import ExportedInput
from .text import Text

__all__ = ["FORMS", "KINDS", "ExportedInput"]

KINDS: dict[str, Callable[..., ExportedInput]] = {"text": Text.of, "audio": Audio.of}

# How the size is given in --input: what it is, and an example.
FORMS = {"text": Text.FORM, "audio": Audio.FORM}

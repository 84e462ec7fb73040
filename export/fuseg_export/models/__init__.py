"""The reference models: networks whose export, precision and speed are all measured."""

from __future__ import annotations

from .catalogue import REFERENCE
from .reference_model import ReferenceModel

__all__ = ["REFERENCE", "ReferenceModel"]

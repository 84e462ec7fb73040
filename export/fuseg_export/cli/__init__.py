"""The commands that ``fuseg_export`` adds to ``fuseg``."""

from __future__ import annotations

from .export_command import export
from .models_command import models

__all__ = ["export", "models"]

"""Trained weights that come with this package."""

from __future__ import annotations

from pathlib import Path

__all__ = ["shipped_weights"]


def shipped_weights(name: str) -> Path | None:
    """Those of a reference model, in this package or beside it in a checkout."""
    package = Path(__file__).parents[1]
    for folder in (package, package.parent):
        file = folder / "checkpoints" / f"{name}.safetensors"
        if file.is_file():
            return file
    return None

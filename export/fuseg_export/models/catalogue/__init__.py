"""Every reference model: a file for each family, found by its place in this folder.

Such a file holds ``MODELS``, a tuple of `ReferenceModel`.
"""

from __future__ import annotations

from importlib import import_module
from pkgutil import iter_modules

from ..reference_model import ReferenceModel

__all__ = ["REFERENCE"]

_FILES = sorted(
    (module.name for module in iter_modules(__path__)),
    key=lambda name: (name != "rooms", name),  # the shipped ones first
)


def _models() -> dict[str, ReferenceModel]:
    found: dict[str, ReferenceModel] = {}
    for name in _FILES:
        for model in import_module(f"{__name__}.{name}").MODELS:
            if model.name in found:
                raise ValueError(f"two reference models are called {model.name}.")
            found[model.name] = model
    return found


REFERENCE = _models()

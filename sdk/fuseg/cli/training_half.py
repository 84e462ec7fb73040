"""What ``fuseg_export`` adds to this command line, found by entry point.

The device half never imports the training half: its package names its commands in the
entry-point group ``fuseg.commands``, and they are loaded when they are called.
"""

from __future__ import annotations

from importlib.metadata import entry_points
from typing import Any

GROUP = "fuseg.commands"
COMMANDS = {
    "demo": "Make a bundle of the shipped network, and frames to try it on.",
    "export": "Make a verified bundle from a trained checkpoint.",
    "models": "List the reference models that can be exported by name.",
}
INSTALL = 'pip install "fuseg[export]"'
_PACKAGES = ("fuseg_export", "onnx", "onnxsim", "safetensors", "torch")


def load(name: str) -> Any:
    """Import what the entry point ``name`` of the group stands for.

    Raises:
        ModuleNotFoundError: The training half, or what it needs, is not installed.
    """
    for entry in entry_points(group=GROUP, name=name):
        return entry.load()
    raise ModuleNotFoundError(f"no entry point {name}", name="fuseg_export")


def what_to_install(err: ModuleNotFoundError, command: str | None) -> str | None:
    """The sentence for a missing training half; None if something else is missing."""
    package = (err.name or "").partition(".")[0]
    if package not in _PACKAGES:
        return None
    return f"fuseg {command} needs {package}, which is not installed here: {INSTALL}."

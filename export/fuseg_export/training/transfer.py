"""Weights of another network to begin with, and parts that stay as they are."""

from __future__ import annotations

from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import nn

from fuseg.errors import CheckpointError

from ..models.closest import closest

__all__ = ["begin_with", "freeze"]


def begin_with(network: nn.Module, path: Path) -> int:
    """Take all weights of a file that the network has under the same name and shape.

    Returns:
        How many of the network's tensors were taken.

    Raises:
        CheckpointError: It is no safetensors, or has none of the network's weights.
    """
    try:
        stored = load_file(path)
    except (OSError, SafetensorError) as err:
        raise CheckpointError(
            f"--init {path} must be a file of safetensors, but: {err}."
        ) from err
    own = network.state_dict()
    taken = {
        name: tensor
        for name, tensor in stored.items()
        if name in own and own[name].shape == tensor.shape
    }
    if not taken:
        raise CheckpointError(
            f"--init {path} must have weights of the network's names and shapes, as "
            f"{next(iter(own))}, got {next(iter(stored), 'none')}."
        )
    network.load_state_dict(taken, strict=False)
    return len(taken)


def freeze(network: nn.Module, name: str) -> None:
    """Keep a part's weights and statistics; the rest is put into the training mode.

    Raises:
        ArgumentError: There is no such part.
    """
    parts = dict(network.named_children())
    closest("--freeze", name, list(parts))
    network.train()
    parts[name].eval().requires_grad_(False)

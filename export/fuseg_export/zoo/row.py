"""What a row of the table is: a network, what it learns, and what it must beat."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from fuseg.errors import ArgumentError

__all__ = ["Row", "Weights", "take_alike"]

Weights = Mapping[str, Tensor]


def take_alike(network: nn.Module, weights: Weights) -> None:
    """Take all weights that the network has under the same name and shape, if any.

    Raises:
        ArgumentError: There are weights, and none is alike.
    """
    own = network.state_dict()
    alike = {n: v for n, v in weights.items() if n in own and own[n].shape == v.shape}
    if weights and not alike:
        raise ArgumentError(
            "the row that this one starts from has no weight of this one's names and "
            "shapes: start from another, or from none."
        )
    network.load_state_dict(alike, strict=False)


@dataclass(frozen=True)
class Row:
    """One network, trained and measured.

    Attributes:
        name: Of the row, its folder and its weights.
        model: What `fuseg export` takes; see `models.REFERENCE`.
        task: Gives what is learned, a `fit.Task`; frames are kept in the folder.
        steps: Of training, of eight frames if the task does not say otherwise.
        rate: The highest of the schedule.
        metric: The number of the table, a key of what the task's ``evaluate`` gives.
        beats: What it is held against, and by how much it must be higher: another row's
            ``metric`` by that row's name; another number of it as ``ROW:KEY``, with
            its own of that key if it has one; or a number of its own by its key.
        also: Further numbers that the table shows.
        exported: Whether it is a system of its own; a baseline is only trained.
        start: The row whose trained weights ``prepare`` and ``learned`` are given.
        prepare: Called with the new network, in training mode, and with these weights.
        learned: Makes what is learned of the task, the network and these weights.
        before: Whether it is also evaluated before it is trained.
        seed: Of weights and batches.
    """

    name: str
    model: str
    task: Callable[[Path], Any]
    steps: int
    metric: str = "miou"
    beats: Mapping[str, float] = field(default_factory=dict)
    also: tuple[str, ...] = ()
    rate: float = 3e-3
    exported: bool = True
    start: str | None = None
    prepare: Callable[[nn.Module, Weights], None] = take_alike
    learned: Callable[[Any, nn.Module, Weights], Any] | None = None
    before: bool = False
    seed: int = 1

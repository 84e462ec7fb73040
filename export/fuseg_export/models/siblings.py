"""A network of several sensors, and one of each of them alone for when it is left."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from torch import Tensor, nn

from ..parts.records import Part, Parts

__all__ = ["SCORES", "with_siblings"]

SCORES = "scores"


class WithSiblings(nn.Module):
    """All of them in one checkpoint; forward is that of all sensors together."""

    def __init__(self, together: nn.Module, alone: dict[str, nn.Module]) -> None:
        super().__init__()
        self.together = together
        self.alone = nn.ModuleDict(alone)

    def forward(self, *sensors: Tensor) -> Tensor:
        scores: Tensor = self.together(*sensors)
        return scores


def with_siblings(
    sensors: Sequence[str],
    together: Callable[[], nn.Module],
    alone: Callable[[str], nn.Module],
) -> Parts:
    """``net`` of all sensors, and in its place ``SENSOR-alone`` when others are gone.

    Args:
        sensors: Names of the inputs' tensors, the one to prefer first.
        together: Gives the network of all of them.
        alone: Gives that of one.
    """
    whole = WithSiblings(together(), {sensor: alone(sensor) for sensor in sensors})
    parts = {"net": Part(whole.together, [*sensors], [SCORES])}
    for sensor, network in whole.alone.items():
        parts[f"{sensor}-alone"] = Part(network, [sensor], [SCORES], "net")
    return Parts(whole, parts)

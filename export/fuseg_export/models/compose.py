"""A reference model from a few words: its sensors, how and where they are fused."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

from torch import nn

from fuseg.errors import ArgumentError
from fuseg.manifest import Class

from ..frames.rendered import SMALL_CAMERA, Scenes, small_rooms
from ..parts.records import Parts
from .closest import closest
from .fusion import OPERATORS, operator
from .network import EarlyFusion, FusionNet, LateFusion
from .reference_model import ReferenceModel
from .siblings import with_siblings

__all__ = ["POSITIONS", "SENSORS", "compose", "spec_of", "words_of"]


class Sensor(NamedTuple):
    """What a sensor's frames are, as its network takes them.

    Attributes:
        kind: Of the manifest's input.
        planes: Channels of its tensor.
        said: What its spec says.
    """

    kind: str
    planes: int
    said: Mapping[str, Any]


SENSORS = {
    "rgb": Sensor("color", 3, {}),
    "depth": Sensor(
        "depth",
        1,
        {
            "mean": [2.0],
            "std": [1.5],
            "fill": -2.0,  # nearer than any reading: a hole must not look like one
        },
    ),
    "thermal": Sensor(
        "thermal", 1, {"unit": "0.01K", "scale": 0.01, "mean": [295.0], "std": [8.0]}
    ),
    "range": Sensor("range", 1, {"mean": [3.0], "std": [2.0], "fill": -2.0}),
}
POSITIONS = {"early": EarlyFusion, "middle": FusionNet, "late": LateFusion}

# Of the networks that are compared with each other: what a minute of training tells
# apart.
SIZE = SMALL_CAMERA
SMALL: Mapping[str, Any] = {
    "widths": (16, 32, 48, 64),
    "depths": (1, 1, 1, 1),
    "decoder_channels": 32,
    "bins": (),
}


def compose(
    name: str,
    sensors: Sequence[str],
    classes: Sequence[Class],
    fusion: str | None = None,
    position: str | None = None,
    *,
    family: str = "fusion",
    summary: str = "",
    size: tuple[int, int] = SIZE,
    spec: Mapping[str, Any] | None = None,
    scenes: Scenes = small_rooms,
    siblings: bool = False,
    **sizes: Any,
) -> ReferenceModel:
    """Compose a segmentation network of one sensor, or of several that are fused.

    Args:
        name, family, summary: See `ReferenceModel`.
        sensors: Names of ``SENSORS``, each once, in the order of forward's arguments.
        classes: What is told apart, one at least.
        fusion: A name of `fusion.OPERATORS`, for two sensors or more.
        position: A key of ``POSITIONS``: behind each sensor's stem, at every scale, or
            on the scores; for two sensors or more.
        size: Height and width of the network's inputs.
        spec: What differs from `spec_of`, by key.
        scenes: See `ReferenceModel`.
        siblings: Whether a network of each sensor alone stands by for the others.
        sizes: Of `FusionNet`; ``SMALL`` where nothing is said.

    Raises:
        ArgumentError: There is no such network, and why.
    """
    for sensor in sensors:
        closest("a sensor that has an encoder", sensor, list(SENSORS))
    _require_once(sensors)
    if not classes:
        raise ArgumentError(
            f"classes of {name} must be one or more, or its head has nothing to tell "
            "apart, got none."
        )
    planes = [SENSORS[sensor].planes for sensor in sensors]
    network: Any = partial(FusionNet, planes, len(classes))
    if len(sensors) > 1:
        if fusion is None or position is None:
            raise ArgumentError(
                f"fusion and position of {name} must be given for {len(sensors)} "
                f"sensors: one of {', '.join(OPERATORS)} and of {', '.join(POSITIONS)}."
            )
        operator(fusion)
        closest("position", position, list(POSITIONS))
        network = partial(POSITIONS[position], planes, len(classes), fusion=fusion)
    elif fusion is not None or position is not None:
        raise ArgumentError(
            f"fusion and position of {name} must be absent for one sensor, "
            f"{sensors[0]}: there is nothing to fuse it with."
        )

    sizes = {**SMALL, **sizes}

    def together() -> nn.Module:
        made: nn.Module = network(**sizes)
        return made

    def alone(sensor: str) -> nn.Module:
        return FusionNet([SENSORS[sensor].planes], len(classes), **sizes)

    def build() -> nn.Module | Parts:
        return with_siblings(sensors, together, alone) if siblings else together()

    return ReferenceModel(
        name,
        family,
        summary,
        build,
        words_of(sensors, size),
        {**spec_of(sensors, classes), **(spec or {})},
        scenes,
    )


def words_of(sensors: Sequence[str], size: tuple[int, int] = SIZE) -> tuple[str, ...]:
    """What ``--input`` says of these sensors, as in ``rgb=color:96x128``."""
    height, width = size
    return tuple(f"{s}={SENSORS[s].kind}:{height}x{width}" for s in sensors)


def spec_of(sensors: Sequence[str], classes: Sequence[Class]) -> dict[str, Any]:
    """A spec file's content for these sensors and classes."""
    return {
        "inputs": {sensor: dict(SENSORS[sensor].said) for sensor in sensors},
        "classes": [{"name": c.name, "color": list(c.color)} for c in classes],
    }


def _require_once(sensors: Sequence[str]) -> None:
    if not sensors:
        raise ArgumentError(
            f"sensors must be one or more of {', '.join(SENSORS)}, got none."
        )
    for sensor in sensors:
        if list(sensors).count(sensor) > 1:
            raise ArgumentError(f"sensors must be named once, got {sensor} twice.")

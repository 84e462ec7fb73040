"""A room and the things in it: plain data, in metres and radians, z up."""

from __future__ import annotations

from dataclasses import dataclass
from math import cos, sin, tan

import numpy as np
from numpy.typing import NDArray

from .materials import Material, Rgb

Vec = tuple[float, float, float]


@dataclass(frozen=True)
class Patch:
    """Paint on a flat surface: it changes colour and class, never geometry.

    Attributes:
        center: Surface coordinates of its middle, metres.
        half: Half its width and height, metres.
        yaw: Its rotation in the surface, radians.
        material: Its texture; None keeps what lies beneath.
        gain: Multiplies the reflectance.
        label: Its class; None keeps the class beneath.
        oval: Whether it is an ellipse rather than a rectangle.
    """

    center: tuple[float, float]
    half: tuple[float, float]
    yaw: float = 0.0
    material: Material | None = None
    gain: float = 1.0
    label: int | None = None
    oval: bool = False


@dataclass(frozen=True)
class Finish:
    """How a surface looks.

    Attributes:
        material: Its texture.
        label: Its class.
        gain: Multiplies the reflectance.
        patches: Paint on top, later ones over earlier ones.
        depth_loss: Share of its pixels from which the depth sensor gets nothing.
    """

    material: Material
    label: int
    gain: float = 1.0
    patches: tuple[Patch, ...] = ()
    depth_loss: float = 0.0


@dataclass(frozen=True)
class Room:
    """An empty box from the origin to ``size``.

    ``finishes`` are its sides in the order -x, +x, -y, +y, floor, ceiling. Their
    surface coordinates are the two world coordinates that vary on the side.
    """

    size: Vec
    finishes: tuple[Finish, Finish, Finish, Finish, Finish, Finish]


@dataclass(frozen=True)
class Box:
    """A box turned about the vertical.

    Attributes:
        center: Its middle.
        half: Half its extent along its own axes, before turning.
        yaw: Its rotation about z, radians.
        finish: Of all its sides.
        side_gains: Brightness of the sides -x, +x, -y, +y, -z, +z.
        continues_room: Whether its texture is laid out in world coordinates, so
            that it runs on from the floor or wall of the same material.
    """

    center: Vec
    half: Vec
    yaw: float
    finish: Finish
    side_gains: tuple[float, ...] = (1.0,) * 6
    continues_room: bool = False


@dataclass(frozen=True)
class Ball:
    """A sphere."""

    center: Vec
    radius: float
    finish: Finish


@dataclass(frozen=True)
class Cylinder:
    """An upright cylinder; ``center`` is its middle."""

    center: Vec
    radius: float
    half_height: float
    finish: Finish


Thing = Box | Ball | Cylinder


@dataclass(frozen=True)
class Light:
    """A point light; ``power`` is linear RGB at one metre."""

    position: Vec
    power: Rgb


@dataclass(frozen=True)
class Camera:
    """A pinhole. ``fov`` is horizontal; pitch is positive upwards; all radians."""

    position: Vec
    yaw: float
    pitch: float
    roll: float
    fov: float

    def axes(self) -> NDArray[np.float64]:
        """Forward, right and up in the world, shape ``(3, 3)``, one per row."""
        cy, sy = cos(self.yaw), sin(self.yaw)
        cp, sp = cos(self.pitch), sin(self.pitch)
        forward = np.array([cp * cy, cp * sy, sp])
        level_right = np.array([sy, -cy, 0.0])
        level_up = np.array([-sp * cy, -sp * sy, cp])
        cr, sr = cos(self.roll), sin(self.roll)
        right = cr * level_right - sr * level_up
        return np.stack([forward, right, cr * level_up + sr * level_right])

    def half_width(self) -> float:
        """Half the width of the image plane one metre away, metres."""
        return tan(0.5 * self.fov)


@dataclass(frozen=True)
class World:
    """A furnished, lit room with a camera in it.

    Only the first light casts shadows. At most 40 things, ``painted`` ones with them.

    Attributes:
        painted: Things that are only painted on the room, in this camera's perspective:
            a photograph shows them, while nothing is there to be measured.
    """

    room: Room
    things: tuple[Thing, ...]
    lights: tuple[Light, ...]
    camera: Camera
    ambient: float = 0.4
    painted: tuple[Thing, ...] = ()

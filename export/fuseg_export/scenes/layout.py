"""Where things can go: a room being furnished, and the camera that sees it."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import cos, hypot, pi, radians, sin

import numpy as np

from .material_sampling import Rng
from .world import Camera, Patch, Thing, Vec


@dataclass
class Layout:
    """A room being furnished.

    Attributes:
        rng: Source of all random choices.
        size: The room, metres.
        camera: Things go where it sees them.
        things: In the room so far.
        painted: Things that are only painted on it.
        patches: Decals on each side of the room, in the order of ``Room.finishes``.
        taken: Circles of floor in use: x, y, radius, metres.
    """

    rng: Rng
    size: Vec
    camera: Camera
    things: list[Thing] = field(default_factory=list)
    painted: list[Thing] = field(default_factory=list)
    patches: list[list[Patch]] = field(default_factory=lambda: [[] for _ in range(6)])
    taken: list[tuple[float, float, float]] = field(default_factory=list)

    def sees(self, x: float, y: float, z: float) -> bool:
        """Whether the point is in view, if nothing stands in front of it."""
        offset = np.array([x, y, z]) - self.camera.position
        forward, right, up = self.camera.axes() @ offset
        half = self.camera.half_width() * forward
        return bool(forward > 0.3 and abs(right) < 0.95 * half and abs(up) < 0.7 * half)

    def free_position(
        self, radius: float, z: float, far: float, *, flat: bool = False
    ) -> tuple[float, float] | None:
        """A free place on the floor, in view at height ``z``; None if none."""
        for _ in range(25):
            bearing = self.camera.yaw + self.rng.uniform(-0.45, 0.45) * self.camera.fov
            near = 1.1 + radius
            air = free_distance(self.size, *self.camera.position[:2], bearing) - radius
            if air <= near:
                continue
            reach = self.rng.uniform(near, min(air, far))
            x = self.camera.position[0] + reach * cos(bearing)
            y = self.camera.position[1] + reach * sin(bearing)
            fits = all(
                radius < value < extent - radius
                for value, extent in zip((x, y), self.size[:2], strict=True)
            )
            if fits and self.sees(x, y, z) and (flat or self.free(x, y, radius)):
                return x, y
        return None

    def free(self, x: float, y: float, radius: float) -> bool:
        """Whether a circle on the floor touches nothing."""
        return all(hypot(x - a, y - b) > radius + r for a, b, r in self.taken)

    def free_wall_position(self, z: float) -> tuple[int, float] | None:
        """A side of the room and a coordinate along it, in view at height ``z``."""
        for _ in range(25):
            bearing = self.camera.yaw + self.rng.uniform(-0.45, 0.45) * self.camera.fov
            x0, y0 = self.camera.position[:2]
            air = free_distance(self.size, x0, y0, bearing)
            x, y = x0 + air * cos(bearing), y0 + air * sin(bearing)
            gaps = (x, self.size[0] - x, y, self.size[1] - y)
            side = int(np.argmin(gaps))
            if air > 1.2 and self.sees(x, y, z):
                return side, (y if side < 2 else x)
        return None


def sample_camera(rng: Rng, size: Vec) -> Camera:
    """Somewhere in the room, with three metres of free space ahead if there are."""
    best, best_air = (size[0] / 2, size[1] / 2, 0.0), 0.0
    for _ in range(20):
        x, y = rng.uniform(0.4, size[0] - 0.4), rng.uniform(0.4, size[1] - 0.4)
        yaw = rng.uniform(-pi, pi)
        air = free_distance(size, x, y, yaw)
        if air > best_air:
            best, best_air = (x, y, yaw), air
        if best_air > 3.0:
            break
    height = rng.uniform(0.5, 1.7)
    # A low camera that looks steeply down would see a square metre of floor.
    steepest = 12.0 + 23.0 * (height - 0.5) / 1.2
    return Camera(
        position=(best[0], best[1], height),
        yaw=best[2],
        pitch=-radians(steepest * rng.random() ** 2),
        roll=radians(rng.normal(0.0, 1.5)),
        fov=radians(rng.uniform(60.0, 75.0)),
    )


def free_distance(size: Vec, x: float, y: float, yaw: float) -> float:
    """Level distance from a point to the wall it looks at, metres."""
    c, s = cos(yaw), sin(yaw)
    to_x = ((size[0] if c > 0 else 0.0) - x) / c if abs(c) > 1e-9 else np.inf
    to_y = ((size[1] if s > 0 else 0.0) - y) / s if abs(s) > 1e-9 else np.inf
    return float(min(to_x, to_y))

"""What a colour camera and a depth sensor make of a shaded world."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .materials import Floats, Rgb

MIN_DEPTH_M = 0.3
MAX_DEPTH_M = 6.0
NOISE_AT_1_M = 0.003
_NOMINAL_HEIGHT = 240


@dataclass(frozen=True)
class Exposure:
    """How one photograph is taken.

    Attributes:
        gain: Exposure; 1 puts the mean of the frame at a medium grey.
        white_balance: Gain of each channel.
        blur: Path of the camera's shake, right and down, in heights of the image.
        shot_noise: Variance per unit of light.
        read_noise: Standard deviation in the dark.
    """

    gain: float = 1.0
    white_balance: Rgb = (1.0, 1.0, 1.0)
    blur: tuple[float, float] = (0.0, 0.0)
    shot_noise: float = 0.0004
    read_noise: float = 0.003


def draw_exposure(rng: np.random.Generator) -> Exposure:
    """Choose how a photograph is taken: mostly well, sometimes badly."""
    if rng.random() < 0.55:
        gain = rng.uniform(0.75, 1.3)
    else:
        gain = np.exp(rng.uniform(np.log(0.35), np.log(2.2)))
    angle = rng.uniform(0.0, 2.0 * np.pi)
    length = rng.uniform(0.006, 0.022) if rng.random() < 0.4 else 0.0
    red, blue = rng.uniform(0.88, 1.12, 2)
    return Exposure(
        gain=float(gain),
        white_balance=(float(red), 1.0, float(blue)),
        blur=(float(length * np.cos(angle)), float(length * np.sin(angle))),
        shot_noise=float(rng.uniform(0.0002, 0.0012)),
        read_noise=float(rng.uniform(0.001, 0.006)),
    )


def photograph(
    radiance: Floats, exposure: Exposure, rng: np.random.Generator
) -> NDArray[np.uint8]:
    """Expose, shake, add noise, clip.

    Args:
        radiance: Linear RGB, shape ``(3, H, W)``.
        exposure: The settings.
        rng: Source of the noise.

    Returns:
        Shape ``(H, W, 3)``, uint8, RGB.
    """
    light = _shaken(radiance, exposure.blur)
    gain = exposure.gain * 0.22 / max(float(light.mean()), 1e-6)
    balance = np.asarray(exposure.white_balance, np.float32) * np.float32(gain)
    light = light * balance[:, None, None]
    variance = light * np.float32(exposure.shot_noise)
    variance += np.float32(exposure.read_noise**2)
    light += rng.standard_normal(light.shape, np.float32) * np.sqrt(variance)
    # Gamma 2: near enough to sRGB, and a square root is cheap.
    np.clip(light, 0.0, 1.0, out=light)
    coded = (np.sqrt(light) * np.float32(255.0) + np.float32(0.5)).astype(np.uint8)
    return np.ascontiguousarray(coded.transpose(1, 2, 0))


def _shaken(image: Floats, blur: tuple[float, float]) -> Floats:
    """Mean of the image along a path; the rim repeats."""
    height, width = image.shape[1:]
    right, down = blur[0] * height, blur[1] * height
    steps = int(np.ceil(max(abs(right), abs(down))))
    if steps == 0:
        return image
    taps = {
        (round(right * k), round(down * k)) for k in np.linspace(-0.5, 0.5, steps + 1)
    }
    reach = max(max(abs(x), abs(y)) for x, y in taps)
    padded = np.pad(image, ((0, 0), (reach, reach), (reach, reach)), mode="edge")
    total = np.zeros_like(image)
    for x, y in sorted(taps):
        total += padded[:, reach + y :, reach + x :][:, :height, :width]
    total /= np.float32(len(taps))
    return total


def measure_depth(
    depth: Floats, facing: Floats, depth_loss: Floats, rng: np.random.Generator
) -> NDArray[np.uint16]:
    """Read depth as a structured-light sensor does.

    Noise and quantisation grow with the square of the distance. There is no
    reading nearer than 0.3 m, beyond 6 m, beside a depth edge, on most grazing
    surfaces, and on some of those that swallow light.

    Args:
        depth: True depth, metres along the axis, shape ``(H, W)``.
        facing: Cosine of incidence, shape ``(H, W)``.
        depth_loss: Share of readings lost to the surface, shape ``(H, W)``.
        rng: Source of noise and holes.

    Returns:
        Millimetres, shape ``(H, W)``, uint16, 0 = no reading.
    """
    height, width = depth.shape
    squared = depth * depth
    noise = rng.standard_normal(depth.shape, np.float32)
    measured = depth + noise * squared * np.float32(NOISE_AT_1_M)
    step = squared * np.float32(0.002) + np.float32(1e-4)
    measured = np.round(measured / step) * step
    lost = (depth < MIN_DEPTH_M) | (depth > MAX_DEPTH_M)

    chance = rng.random(depth.shape, np.float32)
    patchy = _blobs(height, width, rng)
    # Whole patches go, frayed at the rim.
    lost |= patchy < depth_loss * 2.0 - chance * 0.5
    lost |= chance > facing * np.float32(8.0)
    lost |= chance < np.float32(0.002)
    reach = max(1, round(height / _NOMINAL_HEIGHT))
    lost |= _behind_edges(depth, reach) & (chance < 0.85)

    millimetres: Floats = np.round(measured * np.float32(1000.0))
    millimetres[lost] = 0.0
    return millimetres.astype(np.uint16)


def _behind_edges(depth: Floats, reach: int) -> NDArray[np.bool_]:
    """Pixels beside something at least about 5 % nearer.

    That is ``reach`` pixels all around, and three times that to the left, where
    the thing stands in the light of the projector. Inverse depth is linear along
    any plane, however grazing, so its second difference sees jumps only.
    """
    inverse = 1.0 / depth
    edge = np.zeros(depth.shape, np.bool_)
    for image, mark in ((inverse, edge), (inverse.T, edge.T)):
        middle = image[reach:-reach]
        bend = image[: -2 * reach] + image[2 * reach :] - 2.0 * middle
        mark[reach:-reach] |= bend > middle * np.float32(0.05)
    far, near = inverse[:, : -3 * reach], inverse[:, 3 * reach :]
    edge[:, : -3 * reach] |= near > far * np.float32(1.2)
    return edge


def _blobs(height: int, width: int, rng: np.random.Generator) -> Floats:
    """Noise in [0, 1] with grains of about a tenth of the image."""
    coarse = rng.random((10, 13), np.float32)
    rows = np.linspace(0.0, 9.0, height, dtype=np.float32)
    columns = np.linspace(0.0, 12.0, width, dtype=np.float32)
    top = np.minimum(rows.astype(np.intp), 8)
    left = np.minimum(columns.astype(np.intp), 11)
    fy, fx = (rows - top)[:, None], columns - left
    along = coarse[:, left] * (1.0 - fx) + coarse[:, left + 1] * fx
    return np.asarray(along[top] * (1.0 - fy) + along[top + 1] * fy, np.float32)

"""TensorRT's layouts for gpu_times.py: the kernels write and read them as they are."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from gpu_cases import MEAN, STD, Case, camera_and_network, scene

from fuseg import ops

STEP = 0.02  # of int8


def layout_cases(rng: np.random.Generator, device: str, scale: int) -> list[Case]:
    """TensorRT's layouts, each with its linear form right before it."""
    return [
        *color_layouts(rng, device, scale),
        *depth_layouts(rng, device, scale),
        *label_layouts(rng, device, scale),
    ]


def color_layouts(rng: np.random.Generator, device: str, scale: int) -> list[Case]:
    whole, size = camera_and_network(scale)
    rgb = torch.from_numpy(rng.integers(0, 256, (*whole, 3), dtype=np.uint8))
    mean = torch.tensor(MEAN, device=device)[:, None, None]
    std = torch.tensor(STD, device=device)[:, None, None]

    def values(frame: torch.Tensor) -> torch.Tensor:
        planes = frame.permute(2, 0, 1)[None].float()
        small = F.interpolate(planes, size=size, mode="bilinear")[0]
        return (small / 255 - mean) / std

    how = {"size": size, "mean": MEAN, "std": STD, "dtype": np.int8}
    return int8_pair(
        f"pack_color {whole} -> {size} int8",
        lambda **layout: ops.PackColor(**how, out_scale=STEP, **layout),
        rgb.to(device),
        values,
        (3, *size),
    )


def depth_layouts(rng: np.random.Generator, device: str, scale: int) -> list[Case]:
    whole, size = camera_and_network(scale)
    depth = torch.from_numpy(rng.integers(1, 9000, whole).astype(np.float32))

    def values(frame: torch.Tensor) -> torch.Tensor:
        small = F.interpolate(frame[None, None], size=size, mode="nearest")[0]
        return (small * 0.001 - 2) / 1.5

    how = {"size": size, "scale": 0.001, "mean": 2, "std": 1.5, "dtype": np.int8}
    return int8_pair(
        f"pack_depth nearest {whole} -> {size} int8",
        lambda **layout: ops.PackDepth(np.float32, **how, out_scale=STEP, **layout),
        depth.to(device),
        values,
        size,
    )


def int8_pair(
    name: str,
    packer: Callable[..., Any],
    frame: torch.Tensor,
    values: Callable[[torch.Tensor], torch.Tensor],
    shape: tuple[int, ...],
) -> list[Case]:
    """The same planes linear and as chw4; ``values`` gives them as (C, h, w) float."""
    height, width = shape[-2:]
    stored = (1, height, width, 4)  # three channels or one, padded to four

    def linear(frame: torch.Tensor) -> torch.Tensor:
        steps = (values(frame) / STEP).round().clamp(-128, 127).to(torch.int8)
        return steps.reshape(shape)

    def chw4(frame: torch.Tensor) -> torch.Tensor:
        steps = linear(frame).reshape(-1, height, width)
        padded = F.pad(steps, (0, 0, 0, 0, 0, 4 - len(steps)))
        return padded.permute(1, 2, 0).contiguous()[None]

    forms = (("linear", shape, linear, packer()),)
    forms += (("chw4", stored, chw4, packer(layout="chw4")),)
    return [
        Case(
            f"{name} {layout}",
            [frame],
            torch.zeros(out, dtype=torch.int8, device=frame.device),
            lambda out, f, stream, p=pack: p(f, out, stream=stream),
            peer,
            by=1,
            linear="" if layout == "linear" else f"{name} linear",
        )
        for layout, out, peer, pack in forms
    ]


def label_layouts(rng: np.random.Generator, device: str, scale: int) -> list[Case]:
    """hwc8 beside what `label_cases` has of the same shapes in float16 planes."""
    cases = []
    for classes, low, high in ((19, (128, 256), (1024, 2048)),):
        low, high = (tuple(max(4, n // scale) for n in size) for size in (low, high))
        padded = -(-classes // 8) * 8
        label = ops.UpsampleArgmax(
            (classes, *low), np.float16, size=high, layout="hwc8"
        )

        def peer(s: torch.Tensor, size: Any = high, n: int = classes) -> torch.Tensor:
            planes = s[..., :n].permute(2, 0, 1)[None].float()
            large = F.interpolate(planes, size=size, mode="bilinear")
            return large.argmax(1)[0].to(torch.uint8)

        for kind in ("scene", "noise"):
            scores = scene(rng, classes, *low)
            if kind == "noise":
                scores = rng.standard_normal(scores.shape).astype(np.float32)
            stored = np.full((*low, padded), np.nan, np.float16)  # padding is not read
            stored[..., :classes] = scores.transpose(1, 2, 0)
            name = f"upsample_argmax C{classes} {low} -> {high} {kind} float16"
            cases.append(
                Case(
                    f"{name} hwc8",
                    [torch.from_numpy(stored).to(device)],
                    torch.empty(high, dtype=torch.uint8, device=device),
                    lambda out, s, stream, f=label: f(s, out=out, stream=stream),
                    peer,
                    differ=1e-3,
                    linear=name,
                )
            )
    return cases

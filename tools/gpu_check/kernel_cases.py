"""What gpu_times.py times: each CUDA kernel, and the same work in PyTorch."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F

from fuseg import ops

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


@dataclass
class Case:
    """``ours(out, *inputs, stream)`` and ``peer(*inputs)`` do the same work."""

    name: str
    inputs: list[torch.Tensor]
    out: torch.Tensor
    ours: Callable[..., object]
    peer: Callable[..., torch.Tensor]
    differ: float = 0.0  # the share of elements that may, by more than `by`
    by: float = 0.0
    touched: list[torch.Tensor] = field(default_factory=list)  # inputs that count
    linear: str = ""  # the name of the case that does the same in planes

    @property
    def bytes(self) -> int:
        arrays = [*(self.touched or self.inputs), self.out]
        return sum(a.numel() * a.element_size() for a in arrays)


def scene(
    rng: np.random.Generator, classes: int, height: int, width: int
) -> np.ndarray:
    """Logits of patches of one class: 5 to 20 % of the cells lie on a border."""
    patch = 10
    coarse = rng.integers(0, classes, (-(-height // patch), -(-width // patch)))
    label = coarse.repeat(patch, 0).repeat(patch, 1)[:height, :width]
    logits = rng.standard_normal((classes, height, width)) * 0.3
    logits += 8.0 * (np.arange(classes)[:, None, None] == label)
    return logits.astype(np.float32)


def camera_and_network(scale: int) -> tuple[tuple[int, int], tuple[int, int]]:
    return (1080 // scale, 1920 // scale), (480 // scale, 640 // scale)


def label_cases(rng: np.random.Generator, device: str, scale: int) -> list[Case]:
    cases = []
    for classes, low, high in (
        (19, (128, 256), (1024, 2048)),
        (19, (256, 512), (1024, 2048)),
        (40, (120, 160), (480, 640)),
        (150, (128, 128), (512, 512)),
    ):
        low, high = (tuple(max(4, n // scale) for n in size) for size in (low, high))
        for kind in ("scene", "noise"):
            for dtype in (torch.float32, torch.float16):
                scores = scene(rng, classes, *low)
                if kind == "noise":
                    scores = rng.standard_normal(scores.shape).astype(np.float32)
                given = torch.from_numpy(scores).to(device, dtype)
                label = ops.UpsampleArgmax(
                    tuple(given.shape), str(dtype).split(".")[1], size=high
                )

                def peer(s: torch.Tensor, size: Any = high) -> torch.Tensor:
                    large = F.interpolate(s[None].float(), size=size, mode="bilinear")
                    return large.argmax(1)[0].to(torch.uint8)

                cases.append(
                    Case(
                        f"upsample_argmax C{classes} {low} -> {high} {kind} "
                        f"{str(dtype).split(chr(46))[1]}",
                        [given],
                        torch.empty(high, dtype=torch.uint8, device=device),
                        lambda out, s, stream, f=label: f(s, out=out, stream=stream),
                        peer,
                        differ=1e-3,
                    )
                )
    return cases


def fuse_cases(rng: np.random.Generator, device: str, scale: int) -> list[Case]:
    low, high = ((n // scale for n in size) for size in ((128, 256), (1024, 2048)))
    low, high = tuple(low), tuple(high)
    maps = [torch.from_numpy(scene(rng, 19, *low)).to(device) for _ in range(2)]
    label = ops.FuseArgmax(19, [low, low], size=high)

    def peer(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        large = [F.interpolate(s[None], size=high, mode="bilinear") for s in (a, b)]
        return (large[0] + large[1]).argmax(1)[0].to(torch.uint8)

    out = torch.empty(high, dtype=torch.uint8, device=device)
    ours = lambda out, a, b, stream: label([a, b], out=out, stream=stream)
    return [Case(f"fuse_argmax 2 x C19 {low} -> {high}", maps, out, ours, peer, 1e-3)]


def pack_cases(rng: np.random.Generator, device: str, scale: int) -> list[Case]:
    whole, size = camera_and_network(scale)
    rgb = rng.integers(0, 256, (*whole, 3), dtype=np.uint8)
    depth = rng.integers(1, 9000, whole).astype(np.uint16)
    color = ops.PackColor(size=size, mean=MEAN, std=STD)
    mean = torch.tensor(MEAN, device=device)[:, None, None]
    std = torch.tensor(STD, device=device)[:, None, None]

    def peer(frame: torch.Tensor) -> torch.Tensor:
        planes = frame.permute(2, 0, 1)[None].float()
        small = F.interpolate(planes, size=size, mode="bilinear")[0]
        return (small / 255 - mean) / std

    cases = [
        Case(
            f"pack_color {whole} -> {size} float32",
            [torch.from_numpy(rgb).to(device)],
            torch.empty((3, *size), device=device),
            lambda out, f, stream: color(f, out, stream=stream),
            peer,
            by=1e-3,
        )
    ]
    for word in ("nearest", "bilinear"):
        pack = ops.PackDepth(np.float32, size=size, scale=0.001, filter=word)

        def plain(frame: torch.Tensor, mode: str = word) -> torch.Tensor:
            return F.interpolate(frame[None, None], size=size, mode=mode)[0, 0] * 0.001

        cases.append(
            Case(
                f"pack_depth {word} {whole} -> {size} float32",
                [torch.from_numpy(depth.astype(np.float32)).to(device)],
                torch.empty(size, device=device),
                lambda out, f, stream, p=pack: p(f, out, stream=stream),
                plain,
                by=1e-3,
            )
        )
    return cases


def picture_cases(rng: np.random.Generator, device: str, scale: int) -> list[Case]:
    size = (1024 // scale, 2048 // scale)
    palette = rng.integers(0, 256, (19, 3), dtype=np.uint8)
    coarse = rng.integers(0, 19, (size[0] // 16, size[1] // 16), dtype=np.uint8)
    labels = torch.from_numpy(coarse.repeat(16, 0).repeat(16, 1)).to(device)
    other = labels.roll(3, 0).contiguous()
    frame = torch.from_numpy(rng.integers(0, 256, (*size, 3), dtype=np.uint8))
    frame = frame.to(device)
    colours = torch.from_numpy(palette).to(device)
    paint = ops.Overlay(palette, alpha=0.5)
    count = ops.ConfusionMatrix(np.uint8, classes=19)

    def blend(labels: torch.Tensor, frame: torch.Tensor) -> torch.Tensor:
        mixed = frame.int() * 128 + colours[labels.int()].int() * 128 + 128
        return (mixed >> 8).to(torch.uint8)

    def matrix(truth: torch.Tensor, guess: torch.Tensor) -> torch.Tensor:
        cells = truth.long() * 19 + guess.long()
        return torch.bincount(cells.flatten(), minlength=361).reshape(19, 19)

    return [
        Case(
            f"overlay {size}",
            [labels, frame],
            torch.empty((*size, 3), dtype=torch.uint8, device=device),
            lambda out, a, b, stream: paint(a, frame=b, out=out, stream=stream),
            blend,
        ),
        Case(
            f"confusion_matrix {size} C19",
            [labels, other],
            torch.zeros((19, 19), dtype=torch.int64, device=device),
            lambda out, a, b, stream: count(a, b, out=out, stream=stream),
            matrix,
        ),
    ]

"""What kernel_times.py times: each CUDA kernel, and the same work in PyTorch."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F

from fuseg import ops

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
INT8_SCALE = 0.02
CAMERA, NETWORK = (1080, 1920), (480, 640)
# What packers write: dtype and TensorRT's layout, each chw4 right after its planes.
FORMS = (
    ("float32", "linear"),
    *(("float16", "linear"), ("float16", "chw4")),
    *(("int8", "linear"), ("int8", "chw4")),
)
STEPS = {"float32": 1e-3, "float16": 4e-3, "int8": 1}  # that results may be apart
SCORES = (  # classes, the network's grid, the camera's
    (19, (128, 256), (1024, 2048)),
    (19, (256, 512), (1024, 2048)),
    (40, (120, 160), (480, 640)),
    (150, (128, 128), (512, 512)),
)


@dataclass
class KernelCase:
    """``ours(out, *inputs, stream)`` and ``peer(*inputs)`` do the same work."""

    name: str
    inputs: list[torch.Tensor]
    out: torch.Tensor
    ours: Callable[..., object]
    peer: Callable[..., torch.Tensor]
    differ: float = 0.0  # the share of elements that may, by more than `by`
    by: float = 0.0
    linear: str = ""  # the name of the case that does the same in planes
    frame: int | None = None  # the input whose rows may lie apart
    aligned: bool = False  # inputs must lie at multiples of 16 bytes

    @property
    def bytes(self) -> int:
        return sum(a.numel() * a.element_size() for a in [*self.inputs, self.out])


def all_cases(
    rng: np.random.Generator, device: str, scale: int = 1
) -> list[KernelCase]:
    """Every case on this PyTorch device, its sides divided by ``scale``."""
    made: list[KernelCase] = []
    for make in (label_cases, fuse_cases, pack_cases, picture_cases, box_cases):
        made += make(rng, device, scale)
    return made


def odd_cases(rng: np.random.Generator, device: str, scale: int) -> list[KernelCase]:
    """Every case at odd sizes, three times: with arrays 1, 4 and 8 bytes beyond a
    multiple of 256, and with rows of frames 3, 4 and 8 bytes apart, or an element."""
    return [
        moved(case, offset, gap)
        for offset, gap in ((1, 3), (4, 4), (8, 8))
        for case in all_cases(rng, device, scale)
    ]


def moved(case: KernelCase, offset: int, gap: int) -> KernelCase:
    """The same work on arrays elsewhere; each ends where its memory does."""
    inputs = [
        a if case.aligned else placed(a, offset, gap if i == case.frame else 0)
        for i, a in enumerate(case.inputs)
    ]
    name = f"{case.name}, {offset} and {gap} bytes on"
    return replace(case, name=name, inputs=inputs, out=placed(case.out, offset, 0))


def placed(tensor: torch.Tensor, offset: int, gap: int) -> torch.Tensor:
    item = tensor.element_size()
    first, apart = (-(-count // item) for count in (offset, gap))
    steps = list(tensor.contiguous().stride())
    steps[0] += apart
    span = sum((n - 1) * step for n, step in zip(tensor.shape, steps, strict=True)) + 1
    room = torch.zeros(first + span, dtype=tensor.dtype, device=tensor.device)
    return room.as_strided(tensor.shape, steps, first).copy_(tensor)


def shrunk(size: tuple[int, int], scale: int) -> tuple[int, int]:
    """Odd, if it is shrunk."""
    height, width = (max(4, side // scale) | (scale > 1) for side in size)
    return height, width


def scene(rng: np.random.Generator, classes: int, grid: tuple[int, int]) -> np.ndarray:
    """Logits of patches of one class: 5 to 20 % of the cells lie on an edge."""
    patch, (height, width) = 10, grid
    coarse = rng.integers(0, classes, (-(-height // patch), -(-width // patch)))
    label = coarse.repeat(patch, 0).repeat(patch, 1)[:height, :width]
    logits = rng.standard_normal((classes, height, width)) * 0.3
    logits += 8.0 * (np.arange(classes)[:, None, None] == label)
    return logits.astype(np.float32)


def upsampled(scores: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
    return F.interpolate(scores[None].float(), size=size, mode="bilinear")[0]


def label_cases(
    rng: np.random.Generator, device: str, scale: int
) -> Iterator[KernelCase]:
    for classes, grid, size in SCORES:
        low, high = shrunk(grid, scale), shrunk(size, scale)
        for kind in ("scene", "noise"):
            planes = scene(rng, classes, low)
            if kind == "noise":
                planes = rng.standard_normal(planes.shape).astype(np.float32)
            name = f"upsample_argmax C{classes} {low} -> {high} {kind}"
            for dtype in ("float32", "float16"):
                yield label_case(name, planes, high, device, dtype, "linear")
            if grid == SCORES[0][1]:
                yield label_case(name, planes, high, device, "float16", "hwc8")


def label_case(
    name: str,
    planes: np.ndarray,
    size: tuple[int, int],
    device: str,
    dtype: str,
    layout: str,
) -> KernelCase:
    label = ops.UpsampleArgmax(planes.shape, dtype, size=size, layout=layout)
    scores, linear = planes.astype(dtype), f"{name} {dtype}"
    if layout == "hwc8":
        classes, *grid = planes.shape
        padded = np.full((*grid, -(-classes // 8) * 8), np.nan, dtype)  # never read
        padded[..., :classes] = scores.transpose(1, 2, 0)
        scores = padded

    def peer(given: torch.Tensor, classes: int = len(planes)) -> torch.Tensor:
        if layout == "hwc8":
            given = given[..., :classes].permute(2, 0, 1)
        return upsampled(given, size).argmax(0).to(torch.uint8)

    return KernelCase(
        linear if layout == "linear" else f"{linear} {layout}",
        [torch.from_numpy(scores).to(device)],
        torch.empty(size, dtype=torch.uint8, device=device),
        lambda out, s, stream: label(s, out=out, stream=stream),
        peer,
        differ=1e-3,
        linear="" if layout == "linear" else linear,
        aligned=layout == "hwc8",
    )


def fuse_cases(
    rng: np.random.Generator, device: str, scale: int
) -> Iterator[KernelCase]:
    classes, grid, size = SCORES[0]
    low, high = shrunk(grid, scale), shrunk(size, scale)
    maps = [torch.from_numpy(scene(rng, classes, low)).to(device) for _ in range(2)]
    label = ops.FuseArgmax(classes, [low, low], size=high)

    def peer(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        return (upsampled(a, high) + upsampled(b, high)).argmax(0).to(torch.uint8)

    yield KernelCase(
        f"fuse_argmax 2 x C{classes} {low} -> {high}",
        maps,
        torch.empty(high, dtype=torch.uint8, device=device),
        lambda out, a, b, stream: label([a, b], out=out, stream=stream),
        peer,
        differ=1e-3,
    )


def pack_cases(
    rng: np.random.Generator, device: str, scale: int
) -> Iterator[KernelCase]:
    camera, size = shrunk(CAMERA, scale), shrunk(NETWORK, scale)
    rgb = torch.from_numpy(rng.integers(0, 256, (*camera, 3), dtype=np.uint8))
    depth = torch.from_numpy(rng.integers(1, 9000, camera).astype(np.float32))
    mean, std = (torch.tensor(v, device=device)[:, None, None] for v in (MEAN, STD))

    def color_planes(frame: torch.Tensor) -> torch.Tensor:
        return (upsampled(frame.permute(2, 0, 1), size) / 255 - mean) / std

    def depth_planes(filter: str, frame: torch.Tensor) -> torch.Tensor:
        small = F.interpolate(frame[None, None], size=size, mode=filter)[0]
        return (small * 0.001 - 2) / 1.5

    for dtype, layout in FORMS:
        form: dict[str, Any] = {"size": size, "dtype": dtype, "layout": layout}
        if dtype == "int8":
            form["out_scale"] = INT8_SCALE
        color = ops.PackColor(mean=MEAN, std=STD, **form)
        name = f"pack_color {camera} -> {size}"
        yield pack_case(name, color, rgb.to(device), color_planes, form)
        for filter in ("nearest", "bilinear"):
            if filter == "bilinear" and dtype != "float32":
                continue
            pack = ops.PackDepth(
                np.float32, scale=0.001, mean=2, std=1.5, filter=filter, **form
            )
            planes = lambda frame, filter=filter: depth_planes(filter, frame)
            name = f"pack_depth {filter} {camera} -> {size}"
            yield pack_case(name, pack, depth.to(device), planes, form)


def pack_case(
    name: str,
    pack: Any,
    frame: torch.Tensor,
    planes: Callable[[torch.Tensor], torch.Tensor],
    form: dict[str, Any],
) -> KernelCase:
    """``planes`` gives (C, h, w) float32, before it is brought into its form."""
    dtype, layout = form["dtype"], form["layout"]

    def peer(frame: torch.Tensor) -> torch.Tensor:
        values = planes(frame)
        if dtype == "int8":
            values = (values / INT8_SCALE).round().clamp(-128, 127)
        values = values.to(getattr(torch, dtype))
        if layout == "chw4":
            padded = F.pad(values, (0, 0, 0, 0, 0, 4 - len(values)))
            return padded.permute(1, 2, 0).contiguous()[None]
        return values if frame.dim() == 3 else values[0]

    linear = f"{name} {dtype}"
    return KernelCase(
        linear if layout == "linear" else f"{linear} {layout}",
        [frame],
        torch.zeros_like(peer(frame)),  # what pads chw4 is not written
        lambda out, f, stream: pack(f, out, stream=stream),
        peer,
        by=STEPS[dtype],
        linear="" if layout == "linear" else linear,
        frame=0,
    )


def picture_cases(
    rng: np.random.Generator, device: str, scale: int
) -> Iterator[KernelCase]:
    size, classes = shrunk((1024, 2048), scale), 19
    palette = rng.integers(0, 256, (classes, 3), dtype=np.uint8)
    coarse = rng.integers(0, classes, [-(-n // 16) for n in size], dtype=np.uint8)
    patches = coarse.repeat(16, 0).repeat(16, 1)[: size[0], : size[1]]
    labels = torch.from_numpy(np.ascontiguousarray(patches)).to(device)
    frame = torch.from_numpy(rng.integers(0, 256, (*size, 3), dtype=np.uint8))
    colors = torch.from_numpy(palette).to(device)
    paint = ops.Overlay(palette, alpha=0.5)
    count = ops.ConfusionMatrix(np.uint8, classes=classes)

    def blend(labels: torch.Tensor, frame: torch.Tensor) -> torch.Tensor:
        mixed = frame.int() * 128 + colors[labels.int()].int() * 128 + 128
        return (mixed >> 8).to(torch.uint8)

    def matrix(truth: torch.Tensor, guess: torch.Tensor) -> torch.Tensor:
        cells = (truth.long() * classes + guess.long()).flatten()
        return torch.bincount(cells, minlength=classes**2).reshape(classes, classes)

    yield KernelCase(
        f"overlay {size}",
        [labels, frame.to(device)],
        torch.empty((*size, 3), dtype=torch.uint8, device=device),
        lambda out, a, b, stream: paint(a, frame=b, out=out, stream=stream),
        blend,
        frame=1,
    )
    yield KernelCase(
        f"confusion_matrix {size} C{classes}",
        [labels, labels.roll(3, 0).contiguous()],
        torch.zeros((classes, classes), dtype=torch.int64, device=device),
        lambda out, a, b, stream: count(a, b, out=out, stream=stream),
        matrix,
    )


def box_cases(
    rng: np.random.Generator, device: str, scale: int
) -> Iterator[KernelCase]:
    """Boxes around forty objects, of one class and of many."""
    count, most, iou = 1000 // scale, 300 // scale, 0.45
    for classes in (1, 80):
        of = rng.integers(0, 40, count)
        centres = (rng.random((40, 2)) * 560)[of] + rng.normal(0, 6, (count, 2))
        sides = (rng.random((40, 2)) * 80 + 10)[of]
        corners = np.concatenate([centres - sides, centres + sides], 1)
        kinds = rng.integers(0, classes, 40)[of]
        scores = rng.random(count, np.float32)
        given = corners.astype(np.float32), scores, kinds.astype(np.int32)
        suppress = ops.Nms(iou_threshold=iou, max_candidates=count, max_boxes=most)

        def peer(
            boxes: torch.Tensor, scores: torch.Tensor, kinds: torch.Tensor
        ) -> torch.Tensor:
            """All pairs at once; in turns, until those that stay no longer change."""
            order = scores.argsort(descending=True, stable=True)
            boxes, kinds = boxes[order], kinds[order]
            sides = torch.minimum(boxes[:, None, 2:], boxes[None, :, 2:])
            sides = sides - torch.maximum(boxes[:, None, :2], boxes[None, :, :2])
            shared = sides.clamp(min=0).prod(2)
            areas = (boxes[:, 2:] - boxes[:, :2]).prod(1)
            share = shared / (areas[:, None] + areas - shared)
            beats = ((share > iou) & (kinds[:, None] == kinds)).triu(1)
            stay = torch.ones_like(order, dtype=torch.bool)
            for _ in range(16):  # more than the longest chain of boxes here
                stay = ~(beats & stay[:, None]).any(0)
            places = torch.where(stay, stay.cumsum(0) - 1, len(order))
            found = torch.full((len(order) + 1,), -1, device=order.device)
            return found.scatter(0, places, torch.where(stay, order, -1))[:most]

        yield KernelCase(
            f"nms {count} C{classes}",
            [torch.from_numpy(array).to(device) for array in given],
            torch.empty(most, dtype=torch.int32, device=device),
            lambda out, *arrays, stream, suppress=suppress: suppress(
                *arrays, out=out, stream=stream
            ),
            peer,
        )

"""The time of each CUDA kernel beside PyTorch, checked first; a part of gpu_check.py.

Ours runs in a CUDA graph of many calls: warm, on the same arrays over and over, and
cold, around more arrays than the L2 cache holds. PyTorch runs eagerly and compiled, as
its users run it. GB/s counts what must move at least: inputs read once, outputs written
once; beside it stands what a large copy on the device reaches.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F

from fuseg import ops

COLD_BYTES = 256 << 20  # beyond every L2 cache
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
                label = ops.Labeler(
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
    label = ops.FusedLabeler(19, [low, low], size=high)

    def peer(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        large = [F.interpolate(s[None], size=high, mode="bilinear") for s in (a, b)]
        return (large[0] + large[1]).argmax(1)[0].to(torch.uint8)

    out = torch.empty(high, dtype=torch.uint8, device=device)
    ours = lambda out, a, b, stream: label([a, b], out=out, stream=stream)
    return [Case(f"fuse_argmax 2 x C19 {low} -> {high}", maps, out, ours, peer, 1e-3)]


def pack_cases(rng: np.random.Generator, device: str, scale: int) -> list[Case]:
    whole = (1080 // scale, 1920 // scale)
    size = (480 // scale, 640 // scale)
    rgb = rng.integers(0, 256, (*whole, 3), dtype=np.uint8)
    depth = rng.integers(1, 9000, whole).astype(np.uint16)
    color = ops.ColorPacker(size=size, mean=MEAN, std=STD)
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
        pack = ops.DepthPacker(np.float32, size=size, scale=0.001, filter=word)

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
    paint = ops.Painter(palette, alpha=0.5)
    count = ops.ConfusionCounter(np.uint8, classes=19)

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


def wrong(case: Case, device: str) -> str | None:
    """How the answer differs from the peer's, if it does."""
    case.ours(case.out, *case.inputs, stream=None)
    if device == "cuda":
        torch.cuda.synchronize()
    off = (case.out.double() - case.peer(*case.inputs).double()).abs() > case.by
    share = off.double().mean().item()
    return f"{share:.2%} of the elements differ" if share > case.differ else None


def graph_us(calls: list[Callable[[], object]]) -> float:
    """Microseconds a call, the median of ten replays of a graph of them."""
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        for call in calls:
            call()
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        for call in calls:
            call()
    return loop_us(graph.replay, 10) / len(calls)


def loop_us(call: Callable[[], object], rounds: int) -> float:
    for _ in range(3):
        call()
    times = []
    for _ in range(rounds):
        begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        begin.record()
        call()
        end.record()
        end.synchronize()
        times.append(begin.elapsed_time(end) * 1e3)
    return statistics.median(times)


def copy_gb_per_s() -> float:
    source = torch.ones(1 << 28, dtype=torch.float32, device="cuda")
    target = torch.empty_like(source)
    return 2 * source.numel() * 4 / loop_us(lambda: target.copy_(source), 10) / 1e3


def bound(case: Case, sets: int) -> list[Callable[[], object]]:
    """Calls on ``sets`` copies of the arrays, on whatever stream is current then."""

    def one(out: torch.Tensor, inputs: list[torch.Tensor]) -> Callable[[], object]:
        return lambda: case.ours(
            out, *inputs, stream=torch.cuda.current_stream().cuda_stream
        )

    return [
        one(torch.empty_like(case.out).zero_(), [i.clone() for i in case.inputs])
        for _ in range(sets)
    ]


def time_case(case: Case, copy: float) -> dict[str, Any]:
    warm = graph_us(bound(case, 1) * 50)
    cold = graph_us(bound(case, max(2, min(64, COLD_BYTES // case.bytes))))
    eager = loop_us(lambda: case.peer(*case.inputs), 50)
    row: dict[str, Any] = {
        "case": case.name,
        "bytes": case.bytes,
        "warm_us": warm,
        "cold_us": cold,
        "cold_gb_per_s": case.bytes / cold / 1e3,
        "share_of_copy": case.bytes / cold / 1e3 / copy,
        "eager_us": eager,
        "eager_ratio": eager / warm,
    }
    if "float16" in case.name:  # it takes seconds to compile one
        return row
    try:
        compiled = torch.compile(case.peer)
        row["compiled_us"] = loop_us(lambda: compiled(*case.inputs), 50)
        row["compiled_ratio"] = row["compiled_us"] / warm
    except Exception as error:  # noqa: BLE001 - its compiler may be missing: say so, go on
        row["compiled_error"] = str(error)[:300]
    return row


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", choices=["cuda", "cpu"], default="cuda")
    parser.add_argument("--small", action="store_true", help="answers only, no times")
    parser.add_argument("--save", type=Path, metavar="FILE", help="write JSON here")
    options = parser.parse_args()
    seed = time.time_ns() % 2**32
    rng = np.random.default_rng(seed)
    scale = 8 if options.small else 1
    record: dict[str, Any] = {"seed": seed, "rows": [], "wrong": {}}
    cases = [
        case
        for make in (label_cases, fuse_cases, pack_cases, picture_cases)
        for case in make(rng, options.device, scale)
    ]
    for case in cases:
        difference = wrong(case, options.device)
        if difference:
            record["wrong"][case.name] = difference
            print(f"WRONG {case.name}: {difference}")
    if options.device == "cuda" and not options.small:
        record["copy_gb_per_s"] = copy = copy_gb_per_s()
        nothing = torch.empty(1, device="cuda")
        record["launch_us"] = graph_us([nothing.zero_] * 50)
        print(f"copy {copy:.0f} GB/s, a launch {record['launch_us']:.2f} us")
        for case in cases:
            row = time_case(case, copy)
            record["rows"].append(row)
            print(
                f"{case.name:58s} warm {row['warm_us']:8.2f} us  cold "
                f"{row['cold_us']:8.2f} us {row['share_of_copy']:6.1%} of a copy  "
                f"eager x{row['eager_ratio']:.1f}  "
                f"compiled x{row.get('compiled_ratio', float('nan')):.1f}",
                flush=True,
            )
            if options.save:
                options.save.write_text(json.dumps(record))
    print(f"{len(cases)} cases, {len(record['wrong'])} wrong")
    if options.save:
        options.save.write_text(json.dumps(record))
    sys.exit(1 if record["wrong"] else 0)


if __name__ == "__main__":
    main()

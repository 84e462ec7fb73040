"""The time of each CUDA kernel beside PyTorch's, the answer checked first.

    python tools/gpu_check/kernel_times.py --save FILE
    python tools/gpu_check/kernel_times.py --small      answers only, for a sanitizer:
                                                        odd sizes, addresses and rows

Ours runs in a CUDA graph of many calls: warm, on the same arrays over and over, and
cold, around more arrays than the L2 cache holds. PyTorch runs eagerly and compiled, as
its users run it. GB/s counts what must move at least, inputs read once and outputs
written once; beside it stands what a large copy on the GPU reaches. TensorRT's layouts
stand beside the planes of the same work.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from kernel_cases import KernelCase, all_cases, odd_cases

COLD_BYTES = 256 << 20  # beyond every L2 cache


def wrong(case: KernelCase) -> str | None:
    """How the answer differs from the peer's, if it does."""
    case.ours(case.out, *case.inputs, stream=None)
    if case.out.is_cuda:
        torch.cuda.synchronize()
    off = (case.out.double() - case.peer(*case.inputs).double()).abs() > case.by
    share = off.double().mean().item()
    return f"{share:.2%} of the elements differ" if share > case.differ else None


def event_us(call: Callable[[], object], rounds: int) -> float:
    """Microseconds of a call on the current stream, by its events: the median."""
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


def graph_us(calls: list[Callable[[], object]]) -> float:
    """Microseconds a call, of ten replays of a graph of all of them."""
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
    return event_us(graph.replay, 10) / len(calls)


def calls_on_copies(case: KernelCase, count: int) -> list[Callable[[], object]]:
    """Calls on ``count`` copies of the arrays, on the stream that is current then."""

    def one(out: torch.Tensor, inputs: list[torch.Tensor]) -> Callable[[], object]:
        return lambda: case.ours(
            out, *inputs, stream=torch.cuda.current_stream().cuda_stream
        )

    return [
        one(torch.zeros_like(case.out), [i.clone() for i in case.inputs])
        for _ in range(count)
    ]


def copy_gb_per_s() -> float:
    source = torch.ones(1 << 28, dtype=torch.float32, device="cuda")
    target = torch.empty_like(source)
    return 2 * source.numel() * 4 / event_us(lambda: target.copy_(source), 10) / 1e3


def time_case(case: KernelCase, copy: float) -> dict[str, Any]:
    copies = max(2, min(64, COLD_BYTES // case.bytes))
    warm = graph_us(calls_on_copies(case, 1) * 50)
    cold = graph_us(calls_on_copies(case, copies))
    eager = event_us(lambda: case.peer(*case.inputs), 50)
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
    if "float16" in case.name:  # each takes seconds to compile
        return row
    try:
        compiled = torch.compile(case.peer)
        row["compiled_us"] = event_us(lambda: compiled(*case.inputs), 50)
        row["compiled_ratio"] = row["compiled_us"] / warm
    except Exception as error:  # noqa: BLE001 - its compiler may be missing: say so, go on
        row["compiled_error"] = str(error)[:300]
    return row


def beside_linear(
    row: dict[str, Any], case: KernelCase, rows: list[dict[str, Any]]
) -> None:
    """Say how long the same work takes in planes, if that was timed before."""
    for other in rows:
        if other["case"] == case.linear:
            row["linear_case"] = case.linear
            row["of_linear"] = row["warm_us"] / other["warm_us"]


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--small", action="store_true", help="answers only, no times")
    parser.add_argument("--save", type=Path, metavar="FILE", help="write JSON here")
    options = parser.parse_args()
    seed = time.time_ns() % 2**32
    rng = np.random.default_rng(seed)
    cases = odd_cases(rng, "cuda", 16) if options.small else all_cases(rng, "cuda")
    found = {case.name: wrong(case) for case in cases}
    failed = {name: how for name, how in found.items() if how}
    record: dict[str, Any] = {"seed": seed, "wrong": failed, "rows": []}
    if not options.small:
        record["copy_gb_per_s"] = copy = copy_gb_per_s()
        nothing = torch.empty(1, device="cuda")
        record["launch_us"] = graph_us([nothing.zero_] * 50)
        print(f"copy {copy:.0f} GB/s, a launch {record['launch_us']:.2f} us")
        for case in cases:
            row = time_case(case, copy)
            beside_linear(row, case, record["rows"])
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
    for name, fault in failed.items():
        print(f"WRONG {name}: {fault}")
    print(f"{len(cases)} cases, {len(failed)} wrong")
    return int(bool(failed))


if __name__ == "__main__":
    sys.exit(main())

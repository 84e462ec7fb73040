"""Whole frames: `fuseg bench` of the shipped checkpoint, as the README shows it.

python benchmarks/bench_frames.py [--rounds 100] [--machine NAME]

Once with one thread and once with two, on the bundle's own frames (480 x 640); and
once with one thread on frames of the network's size (240 x 320), every second pixel.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
from shipped import BUNDLE

import fuseg
from fuseg.bundle import Bundle

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "benchmarks" / "results" / fuseg.__version__
CHECKPOINT = ROOT / "export" / "checkpoints" / "rgbd.safetensors"
HALVES = ROOT / "out" / "halves"


def main() -> int:
    parser = argparse.ArgumentParser(description="Time whole frames.")
    parser.add_argument("--rounds", type=int, default=100)
    parser.add_argument("--machine", metavar="NAME", help="keep the results as its")
    options = parser.parse_args()
    status = 0
    for name, threads, inputs in (
        ("1-thread", 1, []),
        ("1-thread-240x320", 1, halves()),
        ("2-threads", 2, []),
    ):
        bundle = str(BUNDLE.relative_to(ROOT))  # as the results name it
        words = [sys.executable, "-m", "fuseg", "bench", bundle, *inputs]
        words += ["--threads", str(threads), "--rounds", str(options.rounds)]
        words += ["--torch", "rgbd", "--checkpoint", str(CHECKPOINT)]
        if options.machine:
            words += ["--save", str(RESULTS / f"bench--{options.machine}--{name}.json")]
        cores = set(sorted(os.sched_getaffinity(0))[-threads:])
        done = subprocess.run(
            words,
            cwd=ROOT,
            check=False,
            preexec_fn=lambda cores=cores: os.sched_setaffinity(0, cores),
        )
        status = status or done.returncode
    return status


def halves() -> list[str]:
    """The bundle's frames without every second row and column, as --input words."""
    words: dict[str, str] = {}
    for i, (frames, _) in enumerate(Bundle.open(BUNDLE).samples()):
        for name, frame in frames.items():
            folder = HALVES / name
            folder.mkdir(parents=True, exist_ok=True)
            np.save(folder / f"{i}.npy", np.ascontiguousarray(frame[::2, ::2]))
            words[name] = f"{name}={folder}"
    return [word for value in words.values() for word in ("--input", value)]


if __name__ == "__main__":
    sys.exit(main())

"""Everything that only a GPU can show, from a copy of the tree and without a network.

    python tests/gpu_check/gpu_check.py              on a machine with a GPU and nvcc
    python tests/gpu_check/gpu_check.py --dry-run    what needs no GPU, anywhere
    python tests/gpu_check/gpu_check.py --unpack out/gpu-check/chunks --only tensorrt

It needs cmake, pybind11, numpy, pytest and PyTorch (with CUDA); OpenCV for one peer.
What else a section needs comes in chunks, which gpu_prepare.py makes where there is a
network. Sections stand each on its own, so that one that fails loses nothing, and are
bounded in time. Their record is JSON and grows from call to call:
gpu-check--<machine>.json in $OUT, or in benchmarks/results/<version>/, and in --work. A
wrong answer or a failed section makes the exit status 1; a bar that is missed is
recorded as missed. Without a GPU each section is explained instead, and nothing runs.

For a machine that takes 64 MiB of files a call besides the tree, that keeps what is in
out/ while it is held, and is held for a quarter of an hour. C is out/gpu-check/chunks;
every call carries C/index.json and what is named here:

    1     C/inputs.tar.xz.00    --unpack C --only unpack --only machine --only build
                                --only tests --only native --only times
          four minutes: are the kernels right, how fast are they, do whole frames run
    2-4   C/onnxruntime-cp312.tar.xz.00, .01, .02, one a call    --only unpack
    5     C/onnxruntime-cp312.tar.xz.03    --unpack C --only unpack --only onnxruntime
          two to three minutes, most of it torch.compile's
    6-14  C/tensorrt.tar.xz.00 to .08, one a call    --only unpack
    15    C/tensorrt.tar.xz.09, C/tensorrt-python.tar.xz.00
                                --unpack C --only unpack --only tensorrt
          three engines, one after another, then as 5
    16    --only sanitizer, if time is left

``index.json`` says how many chunks an archive has; the last ones are small, and those
of several archives fit into one call. Which ONNX Runtime is wanted the machine's
``python3 --version`` says (cp312 is for 3.12). If chunks travel slowly, leave 2 to 5
out: 15 times the peers, too, all but fuseg on ONNX Runtime. The last record holds all
sections that ran. **None of this has run on hardware yet.**
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import sys
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gpu_chunks
from gpu_build import Kernels
from gpu_frames import Frames
from gpu_place import Place, gpus
from gpu_sources import ROOT, digest


@dataclass(frozen=True)
class Section:
    """One part of the check.

    Attributes:
        does: What it would run.
        needs: What it needs beside a GPU.
        run: Fills a record; raises if something is wrong.
    """

    does: str
    needs: str
    run: Callable[[dict[str, Any]], None]


def sections(place: Place, chunks: Path | None, frames: Frames) -> dict[str, Section]:
    """All of them, in the order in which they run."""
    kernels = Kernels(place)

    def unpack(record: dict[str, Any]) -> None:
        if chunks is None:
            record["skipped"] = "no --unpack DIR was given"
            return
        told = record["archives"] = gpu_chunks.unpack(chunks, place.unpacked)
        for name, state in told.items():
            print(f"  {name}: {state}")

    return {
        "unpack": Section(
            "joins the chunks that are here and unpacks those archives that are whole",
            "--unpack DIR, and what `make gpu-check-prepare` makes",
            unpack,
        ),
        "machine": Section(
            "notes the GPU, its driver and clocks, and the versions of what is here",
            "nvcc, PyTorch with CUDA",
            kernels.machine,
        ),
        "build": Section(
            "compiles both modules of fuseg for this GPU",
            "nvcc, cmake, a C++ compiler, pybind11; up to 7 minutes",
            kernels.build,
        ),
        "tests": Section(
            "every test marked gpu, with fresh inputs: each CUDA kernel against the "
            "CPU's, memory and streams through each seam",
            "build; pytest, numpy, PyTorch; up to 3 times 150 seconds",
            kernels.tests,
        ),
        "native": Section(
            "whole frames through fuseg's own CUDA module, and through PyCUDA where "
            "that can be imported, with a network that only copies: labels as on the "
            "CPU, as one CUDA graph, two in flight, frames that lie on the GPU",
            "build; the bundle of the archive inputs; up to 4 minutes",
            frames.native,
        ),
        "times": Section(
            "each CUDA kernel, in TensorRT's layouts too, beside PyTorch eager and "
            "compiled",
            "build; PyTorch; up to 5 minutes",
            kernels.times,
        ),
        "onnxruntime": Section(
            "the shipped bundle through ONNX Runtime CUDA, fp32 and fp16: labels "
            "against the CPU's and PyTorch's, mIoU on 50 unseen rooms, p50, p90 and "
            "p99 of whole frames in turns with PyTorch, torch.compile and the usual "
            "recipe",
            "build; archives inputs and onnxruntime-cpXY, or an onnxruntime with CUDA "
            "here; safetensors, for a peer cv2; up to 7 minutes",
            frames.onnxruntime,
        ),
        "tensorrt": Section(
            "builds every variant that fits with TensorRT; labels, mIoU and times as "
            "above; frames two in flight against the engine alone, latency beyond "
            "engine and copies, p99 against p50",
            "build; archive inputs; tensorrt here, or the archives tensorrt and "
            "tensorrt-python; up to 15 minutes, four as a rule",
            frames.tensorrt,
        ),
        "sanitizer": Section(
            "all kernels at small sizes under compute-sanitizer: memcheck, racecheck",
            "build; compute-sanitizer, PyTorch; up to 5 minutes",
            kernels.sanitizer,
        ),
    }


def explain(chosen: dict[str, Section]) -> str:
    """What would have run, and the sentence that says why it did not."""
    for name, section in chosen.items():
        print(f"{name}\n    would run: {section.does}\n    needs: {section.needs}")
    return (
        "gpu-check needs an NVIDIA GPU and CUDA shows none here: run it where "
        "`nvidia-smi` lists one, or try out what needs none with --dry-run."
    )


def place_of(record: dict[str, Any], dry: bool) -> Path:
    name = str(record.get("machine", {}).get("gpu", platform.machine()))
    name = re.sub(r"\W+", "-", name).strip("-").lower() + ("--dry-run" if dry else "")
    if "OUT" in os.environ:
        return Path(os.environ["OUT"]) / f"gpu-check--{name}.json"
    if dry:
        return ROOT / "out" / f"gpu-check--{name}.json"
    text = (ROOT / "pyproject.toml").read_text()
    version = re.findall(r'^version = "(.*)"', text, re.MULTILINE)[0]
    return ROOT / "benchmarks" / "results" / version / f"gpu-check--{name}.json"


def conduct(section: Section, found: dict[str, Any]) -> str:
    """Run one, whatever comes of it, and fill its record; its state in a word."""
    found["sources"] = digest("sdk", "kernels", "tests/gpu_check")
    try:
        section.run(found)
    except Exception as error:  # noqa: BLE001 - a section that fails must not lose the others
        found |= {"error": str(error), "traceback": traceback.format_exc()}
        return "FAILED"
    return "skipped: " + found["skipped"] if "skipped" in found else "ok"


def fresh(record: dict[str, Any], name: str) -> dict[str, Any]:
    record[name] = found = dict[str, Any]()
    return found


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--dry-run", action="store_true", help="without a GPU")
    add("--work", type=Path, default=ROOT / "out" / "gpu-check", help="keeps all")
    add("--unpack", type=Path, metavar="DIR", help="chunks of gpu_prepare.py")
    add("--only", metavar="SECTION", action="append", help="several times for several")
    options = parser.parse_args()
    place = Place(options.work.resolve(), options.dry_run)
    record: dict[str, Any] = {}

    def keep() -> None:
        text = json.dumps(record, indent=1, default=str) + "\n"
        for path in (place.record, place_of(record, place.dry)):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)

    frames = Frames(place, keep)
    every = sections(place, options.unpack, frames)
    if unknown := set(options.only or ()) - every.keys():
        parser.error(f"--only must be one of {', '.join(every)}, got {unknown.pop()!r}")
    chosen = {n: s for n, s in every.items() if not options.only or n in options.only}
    if gpus() == 0 and not place.dry:
        sys.exit(explain(chosen))
    place.work.mkdir(parents=True, exist_ok=True)
    if place.record.exists():
        record |= json.loads(place.record.read_text())
    record |= {"title": "gpu-check", "dry run": place.dry}
    failed = False
    for name, section in chosen.items():
        begin = time.perf_counter()
        state = conduct(section, fresh(record, name))
        seconds = record[name]["took_s"] = round(time.perf_counter() - begin, 1)
        failed = failed or state == "FAILED"
        print(f"{name:12s} {seconds:6.1f} s  {state}", flush=True)
        if "error" in record[name]:
            print(record[name]["error"], flush=True)
        keep()
    frames.team.close()
    print(f"record: {place_of(record, place.dry)}")
    sys.exit(failed)


if __name__ == "__main__":
    main()

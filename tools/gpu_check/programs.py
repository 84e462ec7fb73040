"""Bundles of several graphs on a GPU, frame by frame beside the CPU.

    python tools/gpu_check/programs.py tensorrt --save FILE

Depth comes with every third frame and is lost for a while, so that a stand-in takes its
place; texts change in mid-stream, and so does their number. The labels must be those of
the CPU, the same graphs must have run for them, and results degraded alike.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import small_networks
import torch
from safetensors.torch import save_file

import fuseg
from fuseg.dataset.metrics import label_agreement
from fuseg_export.network.target import NetworkOptions
from fuseg_export.pipeline import export_bundle

LEAST = 0.999  # of the labels of a frame; fp32 on both
FRAMES, LOST = 60, range(30, 42)
FRAME_NS = 33_000_000
WORDS = ("-", "?", "a", "red", "green", "box", "ball", "the")
TEXTS = (["a red box"], ["the ball", "a green box"], ["a", "red", "green", "box"])
SPECS: dict[str, dict[str, Any]] = {
    "late": {
        "inputs": {
            "depth": {
                "missing": {"policy": "hold", "max_age_ms": 150, "then": "sibling"}
            }
        }
    },
    "found": {
        "inputs": {
            "prompt": {
                "tokenizer": "tokenizer.json",
                "default": TEXTS[0][0],
                "examples": TEXTS[2],
                "dimension": {"min": 1, "max": 4, "typical": 2},
            }
        },
        "outputs": {"labels": {"classes_from": "prompt", "background": {"score": 0.0}}},
    },
}
INPUTS = {
    "late": ["rgb=color:96x128", "depth=depth:96x128"],
    "found": ["rgb=color:96x128", "prompt=text:8"],
}
SPLITS = {"found": ["prompt"]}


def tokenizer() -> dict[str, Any]:
    """A `tokenizer.json` that knows a few words."""
    return {
        "version": "1.0",
        "truncation": None,
        "padding": {
            "strategy": {"Fixed": 8},
            "direction": "Left",
            "pad_to_multiple_of": None,
            "pad_id": 0,
            "pad_type_id": 0,
            "pad_token": "-",
        },
        "added_tokens": [],
        "normalizer": None,
        "pre_tokenizer": {"type": "Whitespace"},
        "post_processor": None,
        "decoder": None,
        "model": {
            "type": "WordLevel",
            "vocab": {word: number for number, word in enumerate(WORDS)},
            "unk_token": "?",
        },
    }


def make(name: str, folder: Path) -> Path:
    """Export one of `small_networks`."""
    torch.manual_seed(0)
    network = getattr(small_networks, name)()
    weights, spec = folder / f"{name}.safetensors", folder / f"{name}.json"
    save_file(getattr(network, "whole", network).state_dict(), weights)
    said = SPECS[name]
    for entry in said["inputs"].values():
        if "tokenizer" in entry:
            entry["tokenizer"] = str(folder / "tokenizer.json")
            Path(entry["tokenizer"]).write_text(json.dumps(tokenizer()))
    spec.write_text(json.dumps(said))
    options = NetworkOptions(
        f"small_networks:{name}",
        weights,
        inputs=INPUTS[name],
        outputs=["labels=segmentation"] if "outputs" in said else [],
        split=SPLITS.get(name, ()),
        spec=spec,
    )
    path = folder / f"{name}.fuseg"
    export_bundle(options, path, check_tensorrt=False)
    return path


def stream(segmenter: fuseg.Segmenter) -> Iterator[dict[str, Any]]:
    """What is given to a bundle, frame by frame."""
    rng = np.random.default_rng(1)
    has_texts = bool(segmenter.manifest.texts)
    for number in range(FRAMES):
        stamp = number * FRAME_NS
        rgb = rng.integers(0, 256, (120, 160, 3), np.uint8)
        given: dict[str, Any] = {"rgb": fuseg.Frame(rgb, stamp), "stamp_ns": stamp}
        if has_texts and number % 20 == 0:
            given["prompt"] = TEXTS[number // 20]
        if not has_texts and number % 3 == 0 and number not in LOST:
            depth = rng.integers(500, 5000, (120, 160)).astype(np.uint16)
            given["depth"] = fuseg.Frame(depth, stamp)
        yield given


def check(path: Path, backend: str) -> dict[str, Any]:
    """What is equal of a bundle's results on this backend and on the CPU."""
    cpu = fuseg.load(path, backend="onnxruntime", variant="fp32")
    ours = fuseg.load(path, backend=backend, variant="fp32")
    least, degraded = 1.0, 0
    before = [list(each.backend.ran) for each in (cpu, ours)]
    for given in stream(cpu):
        wanted, found = cpu(**given), ours(**given)
        least = min(least, label_agreement(wanted.labels, found.labels))
        if wanted.reason != found.reason:
            raise RuntimeError(f"{path.stem}: {found.reason}, not {wanted.reason}")
        degraded += found.degraded
    ran = [
        [now - then for now, then in zip(each.backend.ran, start, strict=True)]
        for each, start in zip((cpu, ours), before, strict=True)
    ]
    if ran[0] != ran[1]:
        raise RuntimeError(f"{path.stem}: graphs ran {ran[1]} times, not {ran[0]}")
    return {
        "graphs": dict(zip([g.name for g in cpu.manifest.graphs], ran[1], strict=True)),
        "least labels equal": least,
        "degraded": degraded,
        "cuda graph": ours.cuda_graph_disabled_reason or "yes",
    }


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("backend", choices=fuseg.backends.KNOWN)
    parser.add_argument("--save", type=Path, required=True, metavar="FILE")
    options = parser.parse_args()
    record: dict[str, Any] = {}
    wrong = []
    with tempfile.TemporaryDirectory() as folder:
        for name in SPECS:
            record[name] = row = check(make(name, Path(folder)), options.backend)
            options.save.write_text(json.dumps(record))
            print(f"{name}: {row}")
            if row["least labels equal"] < LEAST:
                wrong.append(name)
    print("".join(f"WRONG labels of {name}\n" for name in wrong), end="")
    return int(bool(wrong))


if __name__ == "__main__":
    sys.exit(main())

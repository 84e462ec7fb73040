"""Train a reference model, or fine-tune it for INT8; a stopped run goes on."""

from __future__ import annotations

import argparse
import copy
import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save_file
from torch import nn

from fuseg.dataset.metrics import iou, miou
from fuseg.errors import FusegError

from ..models import REFERENCE, ReferenceModel
from ..network.checkpoint import load_checkpoint
from ..scenes import HELD_OUT_SEEDS, TRAIN_SEEDS
from .data import RenderedFrames, frames_of
from .evaluate import held_out_confusion
from .fit import fit
from .qat import fine_tune, measure

CAMERA = (480, 640)
STEPS, RATE = 2400, 2e-3
QAT_STEPS, QAT_RATE = 300, 1e-4
_WHAT = "a reference model; or frames: only render what all of them are trained on"
_QAT = "fine-tune a checkpoint with fake quantization, for INT8"


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m fuseg_export.training", description=__doc__
    )
    parser.add_argument("what", choices=[*REFERENCE, "frames"], help=_WHAT)
    parser.add_argument("--qat", action="store_true", help=_QAT)
    parser.add_argument("--checkpoint", type=Path, help="of the model; only for --qat")
    parser.add_argument("--out", type=Path, default=Path("export/checkpoints"))
    parser.add_argument("--work", type=Path, default=Path("out/training"))
    parser.add_argument("--steps", type=int)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--frames", type=int, default=3000)
    parser.add_argument("--held-out", type=int, default=200)
    parser.add_argument("--rate", type=float)
    parser.add_argument("--depth-dropout", type=float, default=0.1)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()
    if args.qat != (args.checkpoint is not None) or (
        args.qat and args.what == "frames"
    ):
        parser.error("--qat and --checkpoint must be given together, with a model.")
    if args.steps is None:
        args.steps = QAT_STEPS if args.qat else STEPS
    if args.rate is None:
        args.rate = QAT_RATE if args.qat else RATE
    settings = {
        name: getattr(args, name)
        for name in ("steps", "batch", "frames", "rate", "depth_dropout", "seed")
    }
    torch.set_num_threads(args.threads)
    train = frames_of(TRAIN_SEEDS[: args.frames], *CAMERA, args.work / "frames")
    held_out = frames_of(HELD_OUT_SEEDS[: args.held_out], *CAMERA, args.work / "frames")
    if args.what == "frames":
        return
    model = REFERENCE[args.what]
    if args.qat:
        name = f"{model.name}-qat"
        network, record = tuned(model, args, settings, train, held_out)
    else:
        name = model.name
        network, record = fit(model, train, settings, args.work / name)
    record["held_out"] = {"frames": args.held_out, "camera": CAMERA}
    record["held_out"] |= accuracy(model, network, held_out)
    record["command"] = f"python -m fuseg_export.training {model.name}"
    if args.qat:
        record["command"] += f" --qat --checkpoint {args.checkpoint}"
    args.out.mkdir(parents=True, exist_ok=True)
    weights = args.out / f"{name}.safetensors"
    save_file({k: v.contiguous() for k, v in network.state_dict().items()}, weights)
    record["sha256"] = hashlib.sha256(weights.read_bytes()).hexdigest()
    (args.out / f"{name}.json").write_text(json.dumps(record, indent=1) + "\n")
    print(f"{name}: held-out mIoU {record['held_out']['miou']:.4f} -> {weights}")


def tuned(
    model: ReferenceModel,
    args: argparse.Namespace,
    settings: dict[str, Any],
    train: RenderedFrames,
    held_out: RenderedFrames,
) -> tuple[nn.Module, dict[str, Any]]:
    """A checkpoint's network fine-tuned, and what INT8 was before and is after."""
    before = model.build()
    try:
        digest = load_checkpoint(before, args.checkpoint).sha256
    except FusegError as err:
        raise SystemExit(str(err)) from err
    settings = settings | {"network": digest}
    network, record = fine_tune(
        model, copy.deepcopy(before), train, settings, args.work / f"{model.name}-qat"
    )
    record["int8"] = measure(model, before, network, train, held_out)
    for name, found in record["int8"].items():
        low, high = found["miou_ratio_interval"]
        print(
            f"{name}: {found['agreement']:.5f} of the labels are the first fp32's, "
            f"mIoU {found['miou']:.4f}, {found['miou_ratio']:.5f} of it "
            f"({low:.5f} to {high:.5f})"
        )
    return network, record


def accuracy(
    model: ReferenceModel, network: nn.Module, frames: RenderedFrames
) -> dict[str, Any]:
    def counts(without: str | None) -> np.ndarray[Any, np.dtype[np.int64]]:
        return held_out_confusion(
            network,
            model.inputs,
            frames,
            classes=len(model.classes),
            ignore=model.ignore,
            without=without,
        )

    full = counts(None)
    result: dict[str, Any] = {
        "miou": round(miou(full), 5),
        "iou": {
            c.name: round(float(v), 5)
            for c, v in zip(model.classes, iou(full), strict=True)
        },
    }
    if len(model.inputs) > 1:
        result["miou_depth_substituted"] = round(miou(counts("depth")), 5)
    return result


if __name__ == "__main__":
    main()

"""Train a reference model, or go on where the last run of it was stopped."""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save_file
from torch import nn
from torch.nn import functional as F

from fuseg.metrics import iou, miou

from ..models import REFERENCE, ReferenceModel
from ..scenes import HELD_OUT_SEEDS, TRAIN_SEEDS
from .data import Frames, frames_of, random_batch
from .evaluate import held_out_confusion

SAVE_EVERY_S = 120.0
CURVE_EVERY = 50
CAMERA = (480, 640)
_WHAT = "a reference model; or frames: only render what all of them are trained on"


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m fuseg_export.training", description=__doc__
    )
    parser.add_argument("what", choices=[*REFERENCE, "frames"], help=_WHAT)
    parser.add_argument("--out", type=Path, default=Path("export/checkpoints"))
    parser.add_argument("--work", type=Path, default=Path("out/training"))
    parser.add_argument("--steps", type=int, default=2400)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--frames", type=int, default=3000)
    parser.add_argument("--held-out", type=int, default=200)
    parser.add_argument("--rate", type=float, default=2e-3)
    parser.add_argument("--depth-dropout", type=float, default=0.1)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()
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
    network, record = fit(model, train, settings, args.work / model.name)
    record["held_out"] = {"frames": args.held_out, "camera": CAMERA}
    record["held_out"] |= accuracy(model, network, held_out)
    record["command"] = f"python -m fuseg_export.training {model.name}"
    args.out.mkdir(parents=True, exist_ok=True)
    weights = args.out / f"{model.name}.safetensors"
    save_file({k: v.contiguous() for k, v in network.state_dict().items()}, weights)
    record["sha256"] = hashlib.sha256(weights.read_bytes()).hexdigest()
    (args.out / f"{model.name}.json").write_text(json.dumps(record, indent=1) + "\n")
    print(f"{model.name}: held-out mIoU {record['held_out']['miou']:.4f} -> {weights}")


def fit(
    model: ReferenceModel, train: Frames, settings: dict[str, Any], work: Path
) -> tuple[nn.Module, dict[str, Any]]:
    """Train to the end; the state is saved every two minutes and taken up again."""
    torch.manual_seed(settings["seed"])
    network = model.build()
    optimizer = torch.optim.AdamW(
        network.parameters(), settings["rate"], weight_decay=1e-2
    )
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, settings["rate"], total_steps=settings["steps"], pct_start=0.1
    )
    weights = class_weights(train, len(model.classes))
    curve: list[list[float]] = []
    step, seconds = 0, 0.0

    work.mkdir(parents=True, exist_ok=True)
    saved = work / "state.pt"
    if saved.exists():
        state = torch.load(saved, weights_only=True)
        if state["settings"] != settings:
            raise SystemExit(
                f"{saved} is of a run with {state['settings']}, this one has "
                f"{settings}: give the same settings, or delete the folder."
            )
        network.load_state_dict(state["network"])
        optimizer.load_state_dict(state["optimizer"])
        schedule.load_state_dict(state["schedule"])
        step, seconds, curve = state["step"], state["seconds"], state["curve"]
        print(f"{model.name}: goes on at step {step}")

    def save() -> None:
        unfinished = saved.with_suffix(".part")
        torch.save(
            {
                "settings": settings,
                "network": network.state_dict(),
                "optimizer": optimizer.state_dict(),
                "schedule": schedule.state_dict(),
                "step": step,
                "seconds": seconds,
                "curve": curve,
            },
            unfinished,
        )
        os.replace(unfinished, saved)

    network.train()
    began = last_save = time.monotonic()
    losses: list[float] = []
    while step < settings["steps"]:
        # Each step has its own generator: a resumed run sees the same batches.
        rng = np.random.default_rng([settings["seed"], step])
        tensors, labels = random_batch(
            train,
            model.inputs,
            settings["batch"],
            rng=rng,
            depth_dropout=settings["depth_dropout"],
        )
        tensors = [t.contiguous(memory_format=torch.channels_last) for t in tensors]
        loss = F.cross_entropy(
            network(*tensors), labels, weights, ignore_index=model.ignore
        )
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call] # torch has no types here
        nn.utils.clip_grad_norm_(network.parameters(), 5.0)
        optimizer.step()
        schedule.step()
        step += 1
        losses.append(loss.item())
        if step % CURVE_EVERY == 0 or step == settings["steps"]:
            curve.append([step, round(float(np.mean(losses)), 5)])
            print(
                f"{model.name}: step {step}/{settings['steps']} loss {curve[-1][1]:.4f}"
                f" {seconds + time.monotonic() - began:.0f} s",
                flush=True,
            )
            losses.clear()
        now = time.monotonic()
        if now - last_save > SAVE_EVERY_S or step == settings["steps"]:
            seconds += now - began
            began = last_save = now
            save()
    return network, {
        "model": model.name,
        "parameters": sum(p.numel() for p in network.parameters()),
        **settings,
        "torch": torch.__version__,
        "threads": torch.get_num_threads(),
        "seconds": round(seconds),
        "curve": curve,
    }


def class_weights(train: Frames, classes: int) -> torch.Tensor:
    """Weights ``(classes,)``: inverse square root of frequency, mean 1."""
    sample = train.labels[:: max(1, len(train) // 200)]
    counts = np.bincount(sample.ravel(), minlength=256)[:classes]
    weights = 1 / np.sqrt(np.maximum(counts, 1) / counts.sum())
    return torch.from_numpy(weights / weights.mean()).float()


def accuracy(
    model: ReferenceModel, network: nn.Module, frames: Frames
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

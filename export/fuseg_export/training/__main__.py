"""Train a reference model, or fine-tune it for INT8; a stopped run goes on."""

from __future__ import annotations

import argparse
import copy
import hashlib
import json
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from fuseg.errors import ArgumentError, FusegError

from ..frames.rendered import CAMERA, SMALL_CAMERA, labelled_rooms, small_rooms
from ..models import REFERENCE, ReferenceModel
from ..models.closest import closest
from ..network.checkpoint import load_checkpoint
from ..parts.records import Part, Parts
from ..scenes import HELD_OUT_SEEDS, TRAIN_SEEDS
from ..scenes.things import VALIDATION_SEEDS
from .augment import Augmentation, frame_chances
from .data import RenderedFrames, frames_of
from .evaluate import held_out_labels
from .fit import fit
from .losses import class_weights
from .qat import fine_tune, measure
from .tasks.rooms import Rooms
from .transfer import begin_with, freeze

# What those that are trained here see of a room: scenes, and the camera's size.
ROOMS = {labelled_rooms: CAMERA, small_rooms: SMALL_CAMERA}
STEPS, RATE = 2400, 2e-3
QAT_STEPS, QAT_RATE = 300, 1e-4
_WHAT = "a reference model; or frames: only render what all of them are trained on"
_DROPOUT = "share of frames without an input, as in depth=0.1; once for each input"
_AUGMENT = "crop=0.7, rotate=10 (degrees), gray=0.1 or noise=8; once for each"
_FOCAL = "the focal loss instead of cross-entropy, as 2"
_WEIGHTED = "rare classes count more in the loss"
_RARE = "frames of classes that fewer frames have are drawn more often, as 0.3"
_INIT = "weights to begin with, by name and shape"
_VALIDATION = "evaluate on other scenes than the test's, to choose a recipe by"
_PART = "train only this part of the network; the whole is written by a run without"
_QAT = "fine-tune a checkpoint with fake quantization, for INT8"


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m fuseg_export.training", description=__doc__
    )
    rooms = [name for name, m in REFERENCE.items() if m.scenes in ROOMS]
    parser.add_argument("what", choices=[*rooms, "frames"], help=_WHAT)
    parser.add_argument("--part", help=_PART)
    parser.add_argument("--qat", action="store_true", help=_QAT)
    parser.add_argument("--checkpoint", type=Path, help="of the model; only for --qat")
    parser.add_argument("--out", type=Path, default=Path("export/checkpoints"))
    parser.add_argument("--work", type=Path, default=Path("out/training"))
    parser.add_argument("--steps", type=int)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--frames", type=int, default=3000)
    parser.add_argument("--held-out", type=int, default=200)
    parser.add_argument("--rate", type=float)
    parser.add_argument("--dropout", action="append", type=_number, help=_DROPOUT)
    parser.add_argument("--augment", action="append", type=_number, help=_AUGMENT)
    parser.add_argument("--focal", type=float, metavar="GAMMA", help=_FOCAL)
    parser.add_argument("--weighted", action="store_true", help=_WEIGHTED)
    parser.add_argument("--rare", type=float, metavar="SHARE", help=_RARE)
    parser.add_argument("--init", type=Path, metavar="FILE", help=_INIT)
    parser.add_argument("--freeze", metavar="MODULE", help="keep its weights: encoder")
    parser.add_argument("--validation", action="store_true", help=_VALIDATION)
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
        for name in ("steps", "batch", "frames", "rate", "seed")
    }
    settings["dropout"] = dict(args.dropout or [("depth", 0.1)])
    said = {
        name: getattr(args, name) for name in ("focal", "weighted", "rare", "freeze")
    }
    settings |= {name: value for name, value in said.items() if value}
    if args.augment:
        settings["augment"] = dict(args.augment)
    if args.init:
        settings["init"] = hashlib.sha256(args.init.read_bytes()).hexdigest()
    torch.set_num_threads(args.threads)
    model = None if args.what == "frames" else REFERENCE[args.what]
    if args.part is not None:
        parts = {} if model is None else parts_of(model)[1]
        try:
            closest("--part", args.part, list(parts))
        except ArgumentError as err:
            parser.error(str(err))
    sensors = [i.name for i in model.inputs] if model else []
    for name, _ in args.dropout or ():
        closest("--dropout", name, sensors)
    for name, _ in args.augment or ():
        closest("--augment", name, [field.name for field in fields(Augmentation)])
    camera = CAMERA if model is None else ROOMS[model.scenes]
    train = frames_of(TRAIN_SEEDS[: args.frames], *camera, args.work / "frames")
    seeds = VALIDATION_SEEDS if args.validation else HELD_OUT_SEEDS
    test = frames_of(seeds[: args.held_out], *camera, args.work / "frames")
    if model is None:
        return

    def task_of(reads: Sequence[str]) -> Rooms:
        return Rooms(
            [i for i in model.inputs if i.tensor in reads],
            model.classes,
            model.ignore,
            train,
            test,
            size=args.batch,
            dropout=settings["dropout"],
            **recipe(args, train, len(model.classes)),
        )

    task = task_of([i.tensor for i in model.inputs])
    if args.qat:
        name = f"{model.name}-qat"
        network, record = tuned(model, args, settings, task)
    else:
        name = model.name
        torch.manual_seed(args.seed)
        network, parts = parts_of(model)
        if args.init:
            print(f"took {begin_with(network, args.init)} tensors of {args.init}")
        record = {"parts": {}}
        for part, found in parts.items():
            if args.part in (None, part):
                found.module.train()
                if args.freeze:
                    freeze(found.module, args.freeze)
                record["parts"][part] = fit(
                    found.module,
                    task_of(found.reads),
                    settings,
                    args.work / name / part,
                )
        if args.part is not None:
            return
    agreement = round_to_float16(network, task)
    record = {"model": model.name, **record, "float16_agreement": agreement}
    scored = "validation" if args.validation else "held_out"
    record[scored] = {"frames": args.held_out, "camera": camera}
    record[scored] |= task.evaluate(network)
    if not args.qat:
        for part, found in parts.items():
            if found.stands_in_for is not None:
                alone = task_of(found.reads).evaluate(found.module)
                record[scored][f"miou_{part}"] = alone["miou"]
    record["command"] = f"python -m fuseg_export.training {model.name}"
    if args.qat:
        record["command"] += f" --qat --checkpoint {args.checkpoint}"
    args.out.mkdir(parents=True, exist_ok=True)
    weights = args.out / f"{name}.safetensors"
    state = network.state_dict()
    save_file({k: stored(v).contiguous() for k, v in state.items()}, weights)
    record["sha256"] = hashlib.sha256(weights.read_bytes()).hexdigest()
    (args.out / f"{name}.json").write_text(json.dumps(record, indent=1) + "\n")
    print(f"{name}: {scored} mIoU {record[scored]['miou']:.4f} -> {weights}")


def parts_of(model: ReferenceModel) -> tuple[nn.Module, dict[str, Part]]:
    """A new network with random weights, and what of it is trained by itself."""
    made = model.build()
    if isinstance(made, Parts):
        return made.whole, dict(made.parts)
    reads = [i.tensor for i in model.inputs]
    return made, {"net": Part(made, reads, ["scores"])}


def stored(value: Tensor) -> Tensor:
    """As a checkpoint holds it: weights, but not what normalises, in float16."""
    return value.half() if value.ndim > 1 else value


def round_to_float16(network: nn.Module, task: Rooms) -> float:
    """Give it the weights that are stored; the share of labels that stay the same."""
    before = np.stack([*held_out_labels(network, task.inputs, task.test)])
    rounded = {k: stored(v) for k, v in network.state_dict().items()}
    network.load_state_dict(rounded)
    after = np.stack([*held_out_labels(network, task.inputs, task.test)])
    return round(float(np.mean(before == after)), 6)


def tuned(
    model: ReferenceModel,
    args: argparse.Namespace,
    settings: dict[str, Any],
    task: Rooms,
) -> tuple[nn.Module, dict[str, Any]]:
    """A checkpoint's network fine-tuned, and what INT8 was before and is after."""
    before = model.network()
    try:
        digest = load_checkpoint(before, args.checkpoint).sha256
    except FusegError as err:
        raise SystemExit(str(err)) from err
    settings = settings | {"network": digest}
    network, record = fine_tune(
        model, copy.deepcopy(before), task, settings, args.work / f"{model.name}-qat"
    )
    record["int8"] = measure(model, before, network, task.train, task.test)
    for name, found in record["int8"].items():
        low, high = found["miou_ratio_interval"]
        print(
            f"{name}: {found['agreement']:.5f} of the labels are the first fp32's, "
            f"mIoU {found['miou']:.4f}, {found['miou_ratio']:.5f} of it "
            f"({low:.5f} to {high:.5f})"
        )
    return network, record


def recipe(
    args: argparse.Namespace, train: RenderedFrames, classes: int
) -> dict[str, Any]:
    """What the options say of the loss and the batches, as arguments of `Rooms`."""
    said: dict[str, Any] = {"gamma": args.focal or 0.0}
    if args.weighted:
        said["weights"] = class_weights(train.labels, classes)
    if args.augment:
        said["augmentation"] = Augmentation(**dict(args.augment))
    if args.rare:
        said["chances"] = frame_chances(train.labels, classes, args.rare)
    return said


def _number(word: str) -> tuple[str, float]:
    """As in ``depth=0.1``."""
    name, _, number = word.partition("=")
    return name, float(number)


if __name__ == "__main__":
    try:
        main()
    except FusegError as err:
        raise SystemExit(str(err)) from err

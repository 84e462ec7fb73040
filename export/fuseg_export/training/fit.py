"""The training loop, whatever the loss: it is taken up again where it was stopped."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..models import ReferenceModel
from .data import RenderedFrames, random_batch

__all__ = ["Loss", "fit"]

SAVE_EVERY_S = 120.0
CURVE_EVERY = 50

Loss = Callable[[int, list[Tensor], Tensor], Tensor]  # of step, tensors and labels


def fit(
    model: ReferenceModel,
    train: RenderedFrames,
    settings: dict[str, Any],
    work: Path,
    *,
    start: tuple[nn.Module, Loss] | None = None,
) -> tuple[nn.Module, dict[str, Any]]:
    """Train to the end; the state is saved every two minutes and taken up again.

    Args:
        start: A network whose parameters to train, in the mode that it is in, and the
            loss; without it a new network learns the labels.
    """
    torch.manual_seed(settings["seed"])
    network, loss_of = _from_labels(model, train) if start is None else start
    optimizer = torch.optim.AdamW(
        network.parameters(), settings["rate"], weight_decay=1e-2
    )
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, settings["rate"], total_steps=settings["steps"], pct_start=0.1
    )
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
        loss = loss_of(step, tensors, labels)
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


def _from_labels(
    model: ReferenceModel, train: RenderedFrames
) -> tuple[nn.Module, Loss]:
    network = model.build().train()
    weights = class_weights(train, len(model.classes))

    def loss_of(_step: int, tensors: list[Tensor], labels: Tensor) -> Tensor:
        scores = network(*tensors)
        return F.cross_entropy(scores, labels, weights, ignore_index=model.ignore)

    return network, loss_of


def class_weights(train: RenderedFrames, classes: int) -> Tensor:
    """Weights ``(classes,)``: inverse square root of frequency, mean 1."""
    sample = train.labels[:: max(1, len(train) // 200)]
    counts = np.bincount(sample.ravel(), minlength=256)[:classes]
    weights = 1 / np.sqrt(np.maximum(counts, 1) / counts.sum())
    return torch.from_numpy(weights / weights.mean()).float()

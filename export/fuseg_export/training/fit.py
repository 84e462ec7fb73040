"""The training loop, whatever is learned: it is taken up again where it was stopped."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol, TypeVar

import numpy as np
import torch
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bar
from torch import Tensor, nn

__all__ = ["Task", "fit"]

SAVE_EVERY_S = 120.0
CURVE_EVERY = 50

Batch = TypeVar("Batch")


class Task(Protocol[Batch]):
    """What a network learns, and how well it did."""

    def batch(self, rng: np.random.Generator) -> Batch:
        """Frames and their truth; the same for the same state of ``rng``."""

    def loss(self, network: nn.Module, batch: Batch) -> Tensor:
        """What a step makes smaller: a number, with its gradients."""

    def evaluate(self, network: nn.Module) -> dict[str, Any]:
        """Numbers of scenes that it was not trained on; leaves it in eval mode."""


def fit(
    network: nn.Module, task: Task[Any], settings: Mapping[str, Any], work: Path
) -> dict[str, Any]:
    """Train to the end; the state is saved every two minutes and taken up again.

    Args:
        network: Trained in place, in the mode that it is in: those of its parameters
            that ask for gradients.
        task: Gives the batches and the loss.
        settings: ``steps``, ``rate`` and ``seed``, and all else that says which run
            it is: a state of other settings is refused.
        work: Folder of the state, and the run's name.

    Returns:
        A record of the run, with the settings and the curve of the loss.
    """
    name, steps = work.name, settings["steps"]
    parameters = [p for p in network.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(parameters, settings["rate"], weight_decay=1e-2)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, settings["rate"], total_steps=steps, pct_start=0.1
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
        print(f"{name}: goes on at step {step}")

    def save() -> None:
        unfinished = saved.with_suffix(".part")
        torch.save(
            {
                "settings": dict(settings),
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
    with _bar(name, step, steps) as advance:
        while step < steps:
            # Each step has its own generator: a resumed run sees the same batches.
            rng = np.random.default_rng([settings["seed"], step])
            loss = task.loss(network, task.batch(rng))
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call] # torch has no types here
            nn.utils.clip_grad_norm_(parameters, 5.0)
            optimizer.step()
            schedule.step()
            step += 1
            advance()
            losses.append(loss.item())
            if step % CURVE_EVERY == 0 or step == steps:
                curve.append([step, round(float(np.mean(losses)), 5)])
                print(
                    f"{name}: step {step}/{steps} loss {curve[-1][1]:.4f}"
                    f" {seconds + time.monotonic() - began:.0f} s",
                    flush=True,
                )
                losses.clear()
            now = time.monotonic()
            if now - last_save > SAVE_EVERY_S or step == steps:
                seconds += now - began
                began = last_save = now
                save()
    return {
        "parameters": sum(p.numel() for p in network.parameters()),
        **settings,
        "torch": torch.__version__,
        "threads": torch.get_num_threads(),
        "seconds": round(seconds),
        "curve": curve,
    }


@contextmanager
def _bar(name: str, done: int, steps: int) -> Iterator[Callable[[], object]]:
    """A bar on a terminal, and what moves it on by a step."""
    screen = Console(stderr=True)
    columns = (
        TextColumn(name),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
    )
    with Bar(*columns, console=screen, disable=not screen.is_terminal) as bar:
        task = bar.add_task(name, completed=done, total=steps)
        yield lambda: bar.advance(task)

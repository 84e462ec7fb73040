"""The other programs of ``fuseg bench``: which of them run, and beside whom."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from ..bench.frames import Frames
from ..dataset import metrics
from ..segmenter import Segmenter
from . import training_half

__all__ = ["MIN_AGREEMENT", "RECIPE", "find_peers", "pre_post", "unavailable"]

# Peers resize label maps by nearest, fuseg interpolates scores: edges differ a little.
MIN_AGREEMENT = 0.98
RECIPE = "opencv+numpy+onnxruntime"


def find_peers(
    bundle: Path,
    segmenter: Segmenter,
    frames: list[Frames],
    threads: int,
    torch: str | None,
    checkpoint: Path | None,
) -> tuple[list[Any], dict[str, dict[str, Any]]]:
    """The peers that give the right labels; and of each peer what is known so far."""
    try:
        make_peers = training_half.load("bench-peers")
        peers = make_peers(
            bundle, threads=threads, torch_target=torch, checkpoint=checkpoint
        )
    except ModuleNotFoundError as err:
        sentence = training_half.what_to_install(err, "bench")
        if sentence is None:
            raise
        return [], unavailable(sentence, torch)
    expected = [segmenter(**frame).labels for frame in frames]
    right, notes = [], {}
    for peer in peers:
        if peer.call is None:
            notes[peer.name] = {"unavailable": peer.unavailable}
            continue
        agreement = float(
            np.mean(
                [
                    metrics.label_agreement(labels, np.asarray(peer.call(frame)))
                    for frame, labels in zip(frames, expected, strict=True)
                ]
            )
        )
        notes[peer.name] = {"label_agreement": agreement}
        if agreement < MIN_AGREEMENT:
            notes[peer.name]["unavailable"] = (
                f"wrong: only {agreement:.2%} of its labels equal fuseg's, at least "
                f"{MIN_AGREEMENT:.0%} must."
            )
        else:
            right.append(peer)
    return right, notes


def unavailable(sentence: str, torch: str | None) -> dict[str, dict[str, Any]]:
    names = [RECIPE] if torch is None else [RECIPE, "pytorch"]
    return {name: {"unavailable": sentence} for name in names}


def pre_post(
    parts: dict[str, list[float]], times: dict[str, list[float]]
) -> dict[str, float]:
    """Pre- and post-processing, ours and the recipe's: medians in ms.

    Both run the same network in the same ONNX Runtime, so what the recipe spends
    around it is its total minus the time our network took in the same round.
    """
    ours = np.add(parts["pack"], parts["label"])
    recipe = np.subtract(times[RECIPE], parts["network"])
    pre, around = np.median(times[f"{RECIPE}: pre"]), np.median(recipe)
    row = {
        "fuseg_ms": np.median(ours),
        "fuseg_share": np.median(ours) / np.median(times["fuseg"]),
        "recipe_ms": around,
        "recipe_pre_ms": pre,
        "recipe_post_ms": around - pre,
        "recipe_share": around / np.median(times[RECIPE]),
        "ratio": around / np.median(ours),
    }
    return {name: float(value) for name, value in row.items()}

"""Make the bundles that `bench_precision.py` times: float32 and INT8 of each network.

python benchmarks/precision_bundles.py NAME

Alone among the benches it needs the training half: other precisions are made there.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import safetensors.torch
import torch
from precision_cases import FOLDER, NETWORKS, Network
from torch import nn

from fuseg_export.frames.frame_set import first
from fuseg_export.frames.rendered import rooms
from fuseg_export.frames.selection import FrameOptions
from fuseg_export.models import REFERENCE
from fuseg_export.network.factory import build_network
from fuseg_export.network.target import NetworkOptions
from fuseg_export.pipeline import export_bundle
from fuseg_export.precision.options import Budget, Precision

ANY = Budget(miou_drop=1, class_drop=1, agreement=0)
# Of rendered rooms: statistics and ranges of random weights need no more.
CALIBRATION, HELD_OUT = range(8), range(8, 12)
INPUTS = REFERENCE["rgbd"].inputs


def make(network: Network) -> None:
    """Export a network with `--precision fp32,int8` to its bundle."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    if network.checkpoint is not None:
        precision = Precision(("fp32", "int8"))
        export_bundle(
            NetworkOptions(network.target, network.checkpoint),
            network.bundle,
            precision=precision,
            progress=print,
        )
        return
    checkpoint = FOLDER / f"{network.name}.safetensors"
    settle(network, checkpoint)
    export_bundle(
        NetworkOptions(network.target, checkpoint, inputs=network.inputs),
        network.bundle,
        frames=FrameOptions(_rooms("held-out", HELD_OUT)),
        precision=Precision(
            ("fp32", "int8"), calibration=_rooms("calibration", CALIBRATION), budget=ANY
        ),
        progress=print,
    )


def settle(network: Network, checkpoint: Path) -> None:
    """Random weights, the same every time, with statistics of rendered rooms.

    Without those the features of a deep network all vanish, and one class wins
    everywhere. A reference model, which needs no ``inputs``, sees to that itself.
    """
    torch.manual_seed(0)
    built = build_network(network.target)
    if not network.inputs:
        safetensors.torch.save_file(built.state_dict(), checkpoint)
        return
    for module in built.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.reset_running_stats()
            module.momentum = None  # the mean of all frames
    built.train()
    tensors = [
        [_scaled(frame.arrays[i.name], i.mean, i.std, i.scale) for i in INPUTS]
        for frame in first(rooms(INPUTS, CALIBRATION), len(CALIBRATION))
    ]
    with torch.inference_mode():
        built(*(torch.stack(sensor) for sensor in zip(*tensors, strict=True)))
    safetensors.torch.save_file(built.state_dict(), checkpoint)


def _scaled(
    frame: np.ndarray, mean: tuple[float, ...], std: tuple[float, ...], scale: float
) -> torch.Tensor:
    values = (frame.reshape(*frame.shape[:2], -1) * scale - mean) / std
    return torch.from_numpy(values.astype(np.float32)).permute(2, 0, 1)


def _rooms(name: str, numbers: range) -> Mapping[str, str]:
    """Rendered rooms as files, by input name."""
    frames = rooms(INPUTS, range(numbers.stop))
    folders = {}
    for number in numbers:
        for sensor, array in frames[number].arrays.items():
            folder = FOLDER / name / sensor
            folder.mkdir(parents=True, exist_ok=True)
            np.save(folder / f"{number:02}.npy", array)
            folders[sensor] = str(folder)
    return folders


if __name__ == "__main__":
    torch.set_num_threads(1)
    (chosen,) = (network for network in NETWORKS if network.name == sys.argv[1])
    make(chosen)

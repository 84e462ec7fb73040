"""The networks that `bench_precision.py` times, and what must be reached."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "out" / "precision"
CAMERA = ("rgb=color:480x640", "depth=depth:480x640")


@dataclass(frozen=True)
class Network:
    """A network with its bars.

    Attributes:
        target, inputs: As `fuseg export` takes them.
        checkpoint: None: random weights. Their labels mean nothing and INT8 may change
            them as it likes; programs that run the same graph must still agree.
        over_fp32: How many times faster than fuseg with fp32 on ONNX Runtime.
        over_peer: How many times faster than the best peer. None sets no bar.
    """

    name: str
    summary: str
    target: str
    inputs: tuple[str, ...] = ()
    checkpoint: Path | None = None
    over_fp32: float | None = None
    over_peer: float | None = None

    @property
    def bundle(self) -> Path:
        return FOLDER / f"{self.name}.fuseg"


NETWORKS = (
    Network(
        "shipped",
        "the shipped RGB-D network, 240 x 320, logits at 1/4",
        "rgbd",
        checkpoint=ROOT / "export" / "checkpoints" / "rgbd.safetensors",
        over_fp32=1.7,
        over_peer=1.2,
    ),
    Network(
        "r34",
        "two encoders like ResNet-34, 480 x 640, logits at 1/4",
        "precision_networks:rgbd_r34",
        CAMERA,
        over_fp32=2.5,
        over_peer=1.2,
    ),
    Network(
        "light",
        "a light network like Fast-SCNN, 480 x 640, logits at 1/8",
        "precision_networks:rgbd_light",
        CAMERA,
        over_peer=2.5,
    ),
)

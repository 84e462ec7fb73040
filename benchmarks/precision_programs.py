"""All ways from frames to labels that `bench_precision.py` times beside each other."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fuseg import backends, load
from fuseg.backends import registry
from fuseg.bench import Frames
from fuseg.bundle import Bundle

BASELINE = "fuseg fp32, onnxruntime"


@dataclass(frozen=True)
class Program:
    """One way from frames to labels.

    Attributes:
        kind: "fuseg", "peer", or "recipe", which is listed and has no bar.
        like: Name of the program whose labels it must give.
        stages: Of fuseg: where each call leaves its Timing.
    """

    name: str
    kind: str
    call: Callable[[Frames], NDArray[np.uint8]]
    like: str
    stages: list[Any] = field(default_factory=list)


def programs(path: Path) -> list[Program]:
    """All that is installed here, fuseg's baseline first."""
    bundle = Bundle.open(path)
    manifest = bundle.manifest
    variants = [v for v in manifest.variants if v.name in ("fp32", "int8-cpu")]
    found = [
        fuseg_program(bundle, variant.name, backend)
        for variant in sorted(variants, key=lambda v: v.name)
        for backend in backends.installed()
    ]
    if "openvino" in backends.installed():
        found += [p for v in variants for p in openvino_programs(bundle, v)]
    (peers,) = entry_points(group="fuseg.commands", name="bench-peers")
    recipe = peers.load()(path, threads=1, torch_target=None, checkpoint=None)[0]
    if recipe.call is not None:
        found.append(Program(f"{recipe.name}, fp32", "recipe", recipe.call, BASELINE))
    return found


def fuseg_program(bundle: Bundle, variant: str, backend: str) -> Program:
    (entry,) = (v for v in bundle.manifest.variants if v.name == variant)
    created = registry.load(bundle, backend, entry, threads=1)
    # A backend of one's own is taken as it is: random weights pass no replay.
    segmenter = load(bundle, backend=created, variant=variant)
    stages: list[Any] = []

    def call(frames: Frames) -> NDArray[np.uint8]:
        result = segmenter(**frames)
        stages.append(result.timing)
        return result.labels

    name = f"fuseg {variant}, {backend}"
    return Program(name, "fuseg", call, f"fuseg {variant}, onnxruntime", stages)


def openvino_programs(bundle: Bundle, variant: Any) -> list[Program]:
    """The same graph in OpenVINO's own pipeline, in every way that may be the best."""
    import precision_peers

    frames, _ = next(iter(bundle.samples()))
    (output,) = bundle.manifest.label_outputs
    camera = next(iter(frames.values())).shape[:2]
    ways = {True: "scores to the camera's size"}
    if camera != output.tail.size:
        ways[False] = "labels to the camera's size"
    return [
        Program(
            f"OpenVINO {variant.name}, {precision}, {way}",
            "peer",
            precision_peers.whole_pipeline(
                bundle.read(bundle.network(variant).file),
                bundle.manifest.inputs,
                output,
                frames,
                direct=direct,
                precision=precision,
            ),
            f"fuseg {variant.name}, openvino",
        )
        for direct, way in ways.items()
        for precision in ("f32", "bf16")
    ]

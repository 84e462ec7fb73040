"""What one would have written instead of fuseg, for ``fuseg bench`` to time."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fuseg.bundle import Bundle
from fuseg.manifest import ImageInput, SegmentationOutput, image_inputs, input_shapes

from .reference import threshold

__all__ = ["Peer", "make_peers"]

Frames = Mapping[str, NDArray[Any]]
RECIPE = "opencv+numpy+onnxruntime"
TORCH = "pytorch"


@dataclass(frozen=True)
class Peer:
    """Another way from frames to labels.

    Attributes:
        name: What it is made of.
        call: Frames, by input name, to uint8 labels at the first frame's size; None
            if it cannot run here.
        pre: Its preprocessing alone.
        unavailable: Why it cannot run, in one sentence.
    """

    name: str
    call: Callable[[Frames], NDArray[np.uint8]] | None = None
    pre: Callable[[Frames], object] | None = None
    unavailable: str | None = None


def make_peers(
    bundle_path: Path,
    *,
    threads: int,
    torch_target: str | None,
    checkpoint: Path | None,
) -> list[Peer]:
    """The peers of a bundle, on as many threads as fuseg gets.

    Args:
        bundle_path: What fuseg runs. The recipe runs the same network, with what was
            cut off its end back in the graph.
        threads: For the runtimes, and OpenCV.
        torch_target, checkpoint: The network before it was exported, for plain
            PyTorch; see ``fuseg export``.

    Raises:
        FusegError: The bundle, the target or the checkpoint cannot be used.
    """
    bundle = Bundle.open(bundle_path)
    return [
        _recipe(bundle, threads),
        _pytorch(bundle, threads, torch_target, checkpoint),
    ]


def _recipe(bundle: Bundle, threads: int) -> Peer:
    """OpenCV resize, NumPy normalise, ONNX Runtime with Resize and ArgMax, OpenCV."""
    try:
        import cv2
    except ImportError:
        return Peer(
            RECIPE,
            unavailable="OpenCV is not installed: pip install opencv-python-headless.",
        )
    from .ort_session import open_cpu_session
    from .passes.restore_tail import with_tail

    if lacking := _transformed(bundle):
        return Peer(RECIPE, unavailable=lacking)
    full = bundle.manifest.full
    if full is None:
        return Peer(RECIPE, unavailable="the bundle has no float32 network to run.")
    cv2.setNumThreads(threads)
    inputs, (output,) = (
        image_inputs(bundle.manifest.sensors),
        bundle.manifest.label_outputs,
    )
    model = with_tail(bundle.read(bundle.network(full).file), output)
    session = open_cpu_session(model, threads)

    def pre(frames: Frames) -> dict[str, NDArray[np.float32]]:
        tensors = {n: np.empty(s, np.float32) for n, s in input_shapes(inputs).items()}
        for i in inputs:
            first = i.channel
            planes = tensors[i.tensor][0, first : first + i.planes]
            planes[:] = opencv_planes(cv2, i, frames[i.name])
        return tensors

    def call(frames: Frames) -> NDArray[np.uint8]:
        (labels,) = session.run(None, pre(frames))
        height, width = frames[inputs[0].name].shape[:2]
        small = labels.reshape(output.tail.size).astype(np.uint8)
        large = cv2.resize(small, (width, height), interpolation=cv2.INTER_NEAREST)
        return np.asarray(large, np.uint8)

    return Peer(RECIPE, call, pre)


def opencv_planes(cv2: Any, sensor: ImageInput, frame: NDArray[Any]) -> NDArray[Any]:
    size = (sensor.resize.width, sensor.resize.height)
    filters = {
        "bilinear": cv2.INTER_LINEAR,
        "nearest": cv2.INTER_NEAREST,
        "nearest-exact": cv2.INTER_NEAREST_EXACT,
    }
    small = cv2.resize(frame, size, interpolation=filters[sensor.resize.filter])
    if sensor.numbers < sensor.planes:
        small = np.repeat(small[..., None], sensor.planes, -1)
    values = small.astype(np.float32) * np.float32(sensor.scale)
    mean, std = np.array(sensor.mean, np.float32), np.array(sensor.std, np.float32)
    values = (values - mean) / std
    if sensor.kind == "color":
        return np.moveaxis(values, -1, 0)
    values[np.isin(small, sensor.invalid) | ~np.isfinite(small)] = sensor.fill
    return np.asarray(np.moveaxis(np.atleast_3d(values), -1, 0))


def _transformed(bundle: Bundle) -> str | None:
    """Why a peer, which resizes raw values, cannot read the frames of an input."""
    for entry in image_inputs(bundle.manifest.sensors):
        if entry.kind != "color" and entry.is_transformed:
            return f"{entry.name} is clipped or transformed, which it does not do."
    return None


def _pytorch(
    bundle: Bundle, threads: int, target: str | None, checkpoint: Path | None
) -> Peer:
    """Torch alone, eager: interpolate, normalise, the whole network, argmax."""
    if target is None or checkpoint is None:
        return Peer(TORCH, unavailable="give --torch TARGET and --checkpoint FILE.")
    if lacking := _transformed(bundle):
        return Peer(TORCH, unavailable=lacking)
    import torch
    from torch.nn import functional as F

    from .network.call import CALLS, Call, parse_values
    from .network.checkpoint import load_checkpoint
    from .network.outputs import LAYOUTS, SelectedOutputs, Source, choose, find
    from .sources.factory import build_network

    said = bundle.manifest.provenance
    if "constants" in said:
        return Peer(
            TORCH,
            unavailable="its forward takes constants, which the bundle does not hold: "
            "give a factory of a network that has them.",
        )
    torch.set_num_threads(threads)
    words = said.get("arguments", ())
    assert isinstance(words, tuple), "the exporter writes a list"
    network = build_network(target, parse_values("--arg", words, {}))
    key, ignored = said.get("weights_key"), said.get("ignore_weights", ())
    assert isinstance(ignored, tuple), "the exporter writes a list"
    load_checkpoint(
        network,
        checkpoint,
        key=None if key is None else str(key),
        ignored=ignored,
        own_load=bool(said.get("own_load_state_dict", False)),
    )
    inputs, (output,) = (
        image_inputs(bundle.manifest.sensors),
        bundle.manifest.label_outputs,
    )
    shapes = input_shapes(inputs)
    word = said.get("output")
    blank = [torch.zeros(shape) for shape in shapes.values()]
    style, seed = str(said.get("call", CALLS[0])), said.get("freeze_random")
    called = Call(style, tuple(shapes), seed=None if seed is None else int(str(seed)))
    with torch.inference_mode():
        how, _ = called.fitted(network, blank)
        returned = how(network, blank)
    if how.on_cpu:
        return Peer(
            TORCH,
            unavailable="its forward moves tensors to a GPU: give a factory of a "
            "network that stays on the CPU.",
        )
    path, _ = choose(returned, None if word is None else str(word))
    masks = said.get("masks")
    source = Source(
        path,
        str(said.get("layout", LAYOUTS[0])),
        None if masks is None else find(returned, str(masks), "masks"),
    )
    whole = SelectedOutputs(network, [source], replace(how, copies=False))

    def pre(frames: Frames) -> list[torch.Tensor]:
        planes: dict[str, list[torch.Tensor]] = {name: [] for name in shapes}
        for i in sorted(inputs, key=lambda i: i.channel):
            planes[i.tensor].append(_torch_planes(i, frames[i.name]))
        return [torch.cat(parts, 1) for parts in planes.values()]

    @torch.inference_mode()
    def call(frames: Frames) -> NDArray[np.uint8]:
        labels = _torch_labels(whole(*pre(frames))[0], output)
        size = frames[inputs[0].name].shape[:2]
        large = F.interpolate(labels.to(torch.uint8), size, mode="nearest")
        return np.asarray(large[0, 0].numpy(), np.uint8)

    return Peer(TORCH, call, torch.inference_mode()(pre))


def _torch_planes(sensor: ImageInput, frame: NDArray[Any]) -> Any:
    import torch
    from torch.nn import functional as F

    size = (sensor.resize.height, sensor.resize.width)
    pixels = torch.from_numpy(np.ascontiguousarray(frame)).float()
    pixels = pixels.permute(2, 0, 1) if pixels.ndim == 3 else pixels[None]
    small = F.interpolate(pixels[None], size, mode=sensor.resize.filter)
    mean, std = (torch.tensor(v).view(1, -1, 1, 1) for v in (sensor.mean, sensor.std))
    values = (small * sensor.scale - mean) / std
    if sensor.kind == "color":
        return values
    missing = ~small.isfinite()
    for value in sensor.invalid:
        missing |= small == value
    return values.masked_fill(missing, sensor.fill)


def _torch_labels(returned: Any, output: SegmentationOutput) -> Any:
    """Labels (1, 1, H, W) as users of plain torch make them: a peer, timed."""
    if "ArgMax" in output.tail.removed:
        return returned.reshape(1, 1, *output.tail.size)
    if returned.shape[1] == 1:
        return returned > threshold(output.tail.removed)
    return returned.argmax(1, keepdim=True)

"""Frames to labels on a GPU as one would write it oneself, for frame_times.py."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from fuseg.bundle import Bundle
from fuseg.manifest import input_shapes

Frames = Mapping[str, np.ndarray]
Label = Callable[[Frames], np.ndarray]


def recipe(bundle: Bundle, provider: str = "CUDAExecutionProvider") -> Label:
    """OpenCV and NumPy around ONNX Runtime: resize and argmax on the CPU."""
    import cv2
    import onnxruntime

    from fuseg_export.peers import opencv_planes

    if hasattr(onnxruntime, "preload_dlls"):
        onnxruntime.preload_dlls()
    network = bundle.read(bundle.network(bundle.manifest.full).file)
    session = onnxruntime.InferenceSession(network, providers=[provider])
    if provider not in session.get_providers():
        raise RuntimeError(f"this ONNX Runtime has no {provider}.")
    inputs = bundle.manifest.inputs

    def label(frames: Frames) -> np.ndarray:
        shapes = input_shapes(inputs).items()
        feeds = {name: np.empty(shape, np.float32) for name, shape in shapes}
        for sensor in inputs:
            first = sensor.channel
            planes = opencv_planes(cv2, sensor, frames[sensor.name])
            feeds[sensor.tensor][0, first : first + sensor.planes] = planes
        (scores,) = session.run(None, feeds)
        height, width = frames[inputs[0].name].shape[:2]
        pixels = np.ascontiguousarray(scores[0].transpose(1, 2, 0))
        return cv2.resize(pixels, (width, height)).argmax(2).astype(np.uint8)

    return label


def pytorch(bundle: Bundle, checkpoint: Path, mode: str, device: str = "cuda") -> Label:
    """The network before its export; all but the copies on the GPU.

    Args:
        mode: "eager"; "compile", with CUDA graphs; "compile, float16".
    """
    import torch
    from torch.nn.functional import interpolate

    from fuseg_export.models import REFERENCE
    from fuseg_export.network.checkpoint import load_checkpoint

    torch.manual_seed(0)
    network = REFERENCE["rgbd"].network().eval()
    load_checkpoint(network, checkpoint)
    dtype = torch.float16 if mode.endswith("float16") else torch.float32
    if dtype == torch.float16:
        network = network.half().to(memory_format=torch.channels_last)
    network = network.to(device)
    inputs = bundle.manifest.inputs
    scaling = [
        [torch.tensor(v, device=device).view(1, -1, 1, 1) for v in (i.mean, i.std)]
        for i in inputs
    ]

    def planes(sensor: Any, mean: Any, std: Any, frame: Any) -> Any:
        if sensor.kind == "color":
            pixels = frame.permute(2, 0, 1)[None].float()
        else:  # uint16, which arrives as int16
            pixels = (frame.int() & 0xFFFF).float()[None, None]
        size = (sensor.resize.height, sensor.resize.width)
        small = interpolate(pixels, size=size, mode=sensor.resize.filter)
        values = (small * sensor.scale - mean) / std
        for value in () if sensor.kind == "color" else sensor.invalid:
            values = values.masked_fill(small == value, sensor.fill)
        return values.to(dtype)

    def whole(*frames: Any) -> Any:
        given = zip(inputs, scaling, frames, strict=True)
        features = network.encode(*(planes(i, *s, frame) for i, s, frame in given))
        features[-1] = network.context(features[-1])
        scores = network.head(network.decoder(features)).float()
        large = interpolate(scores, frames[0].shape[:2], mode="bilinear")
        return large.argmax(1)[0].to(torch.uint8)

    call = whole
    if mode != "eager":
        call = torch.compile(whole, mode="reduce-overhead")
    pinned: dict[Any, Any] = {}

    def stage(name: str, like: Any) -> Any:
        """Page-locked memory, as a fast program has it; made once."""
        key = (name, tuple(like.shape))
        if key not in pinned:
            there = torch.empty(like.shape, dtype=like.dtype)
            pinned[key] = there.pin_memory() if device == "cuda" else there
        return pinned[key]

    @torch.inference_mode()
    def label(frames: Frames) -> np.ndarray:
        given = []
        for i in inputs:
            array = frames[i.name]
            signed = array.view(np.int16) if array.dtype == np.uint16 else array
            pageable = torch.from_numpy(signed)
            staged = stage(i.name, pageable).copy_(pageable)
            given.append(staged.to(device, non_blocking=True))
        labels = call(*given)
        staged = stage("labels", labels).copy_(labels, non_blocking=True)
        if device == "cuda":
            torch.cuda.synchronize()
        return staged.numpy().copy()

    return label

"""Programs from camera frames to labels on the host: fuseg, and what one would write.

They run in a process each, see gpu_worker.py; what a program needs is imported when it
is made.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

Frames = Mapping[str, np.ndarray]


class Fuseg:
    """``fuseg.load`` with one engine and variant."""

    def __init__(self, bundle: Path, backend: str, variant: str) -> None:
        import fuseg

        self._bundle = bundle
        self.segmenter = fuseg.load(bundle, backend=backend, variant=variant)
        self.split: list[float] = []

    def label(self, frames: Frames) -> np.ndarray:
        found = self.segmenter(**frames)
        t = found.timing
        self.split = [t.pack_ms, t.network_ms, t.label_ms, t.total_ms]
        return found.labels

    def facts(self) -> dict[str, Any]:
        segmenter = self.segmenter
        facts = {
            "backend": segmenter.backend_name,
            "variant": segmenter.variant.name,
            "without graph": segmenter.cuda_graph_disabled_reason,
        }
        engine = segmenter._loop.pipeline.engine()
        if hasattr(engine, "device"):
            facts["seam"] = engine.device.name
        if segmenter.backend_name == "tensorrt":
            facts["engine"] = self._engine(engine.device.facts)
        return facts

    def _engine(self, gpu: Any) -> dict[str, Any]:
        from fuseg.backends.tensorrt import engines

        found = engines.find(self.segmenter.bundle, self.segmenter.variant, gpu)
        record = found.record
        return {
            "tensorrt": record.fingerprint.tensorrt,
            "build_seconds": record.seconds,
            "io_formats": {
                name: f"{border.dtype} {border.layout}"
                for name, border in record.io_formats.items()
            },
            "reformats": list(record.reformats),
            "fallback": record.fallback,
            "warnings": list(record.warnings),
        }


class Recipe:
    """OpenCV and NumPy around ONNX Runtime: resize and argmax on the host."""

    def __init__(self, bundle: Path, provider: str) -> None:
        import cv2
        import onnxruntime

        from fuseg.bundle import Bundle

        opened = Bundle.open(bundle)
        self._cv2, self._inputs = cv2, opened.manifest.inputs
        network = opened.read(opened.manifest.full.file)
        if hasattr(onnxruntime, "preload_dlls"):
            onnxruntime.preload_dlls()
        self._session = onnxruntime.InferenceSession(network, providers=[provider])
        found = self._session.get_providers()
        if provider not in found:
            raise RuntimeError(f"ONNX Runtime must have {provider}, got {found}.")
        self._version = onnxruntime.__version__

    def label(self, frames: Frames) -> np.ndarray:
        from fuseg_export.peers import _opencv_planes

        feeds: dict[str, np.ndarray] = {}
        for sensor in self._inputs:
            shape = sensor.tensor.shape
            tensor = feeds.setdefault(sensor.tensor.name, np.empty(shape, np.float32))
            first = sensor.tensor.channel
            planes = _opencv_planes(self._cv2, sensor, frames[sensor.name])
            tensor[0, first : first + sensor.planes] = planes
        (scores,) = self._session.run(None, feeds)
        height, width = frames[self._inputs[0].name].shape[:2]
        pixels = np.ascontiguousarray(scores[0].transpose(1, 2, 0))
        large = self._cv2.resize(pixels, (width, height))
        return large.argmax(2).astype(np.uint8)

    def facts(self) -> dict[str, Any]:
        return {"onnxruntime": self._version}


class Torch:
    """The network before its export, from bytes to labels on the GPU, by PyTorch.

    Args:
        how: "eager"; "compile", with CUDA graphs; "compile, float16".
        device: "cuda", or "cpu" to try it out; there nothing is really compiled.
    """

    def __init__(self, bundle: Path, checkpoint: Path, how: str, device: str) -> None:
        import torch

        from fuseg.bundle import Bundle
        from fuseg_export.models import REFERENCE
        from fuseg_export.network.checkpoint import load_checkpoint

        torch.manual_seed(0)
        network = REFERENCE["rgbd"].build().eval()
        load_checkpoint(network, checkpoint)
        self._torch, self._device = torch, device
        self._inputs = Bundle.open(bundle).manifest.inputs
        half = how.endswith("float16")
        if half:
            network = network.half().to(memory_format=torch.channels_last)
        network = network.to(device)
        whole = self._whole(network, torch.float16 if half else torch.float32)
        self._call: Callable[..., Any] = whole
        if how != "eager":
            real = {"mode": "reduce-overhead"}
            self._call = torch.compile(
                whole, **real if device == "cuda" else {"backend": "eager"}
            )
        self._staged: dict[str, Any] = {}

    def _whole(self, network: Any, dtype: Any) -> Callable[..., Any]:
        torch, inputs = self._torch, self._inputs
        resize = torch.nn.functional.interpolate
        numbers = [
            [torch.tensor(v, device=self._device).view(1, -1, 1, 1) for v in pair]
            for pair in ((i.mean, i.std) for i in inputs)
        ]

        def planes(number: int, frame: Any) -> Any:
            sensor, (mean, std) = inputs[number], numbers[number]
            if sensor.kind == "color":
                pixels = frame.permute(2, 0, 1)[None].float()
            else:  # uint16, which arrives as int16
                pixels = (frame.int() & 0xFFFF).float()[None, None]
            size = (sensor.resize.height, sensor.resize.width)
            small = resize(pixels, size, mode=sensor.resize.filter)
            values = (small * sensor.scale - mean) / std
            for value in sensor.invalid:
                values = values.masked_fill(small == value, sensor.fill)
            return values.to(dtype)

        def whole(*frames: Any) -> Any:
            tensors = [planes(i, frame) for i, frame in enumerate(frames)]
            features = network.encode(*tensors)
            features[-1] = network.context(features[-1])
            scores = network.head(network.decoder(features)).float()
            camera = tuple(frames[0].shape[:2])
            return resize(scores, camera, mode="bilinear").argmax(1)[0].to(torch.uint8)

        return whole

    def label(self, frames: Frames) -> np.ndarray:
        torch = self._torch
        with torch.inference_mode():
            given = [self._upload(i.name, frames[i.name]) for i in self._inputs]
            labels = self._call(*given)
            return self._download(labels)

    def _upload(self, name: str, frame: np.ndarray) -> Any:
        signed = frame.view(np.int16) if frame.dtype == np.uint16 else frame
        pageable = self._torch.from_numpy(signed)
        if self._device == "cpu":
            return pageable
        pinned = self._pinned(name, pageable)
        return pinned.copy_(pageable).to(self._device, non_blocking=True)

    def _download(self, labels: Any) -> np.ndarray:
        if self._device == "cpu":
            return labels.numpy()
        pinned = self._pinned("labels", labels)
        pinned.copy_(labels, non_blocking=True)
        self._torch.cuda.synchronize()
        return pinned.numpy().copy()

    def _pinned(self, name: str, like: Any) -> Any:
        found = self._staged.get(name)
        if found is None or found.shape != like.shape:
            found = self._torch.empty(like.shape, dtype=like.dtype, pin_memory=True)
            self._staged[name] = found
        return found

    def facts(self) -> dict[str, Any]:
        torch = self._torch
        return {
            "torch": torch.__version__,
            "tf32 in convolutions": torch.backends.cudnn.allow_tf32,
        }


def make(what: Mapping[str, Any]) -> Any:
    """A program of its description: ``{"program": ..., ...}``."""
    words = {
        k: Path(v) if k in ("bundle", "checkpoint") else v for k, v in what.items()
    }
    kind = words.pop("program")
    if kind == "copying":
        from gpu_copying import Copying

        return Copying(**words)
    return {"fuseg": Fuseg, "recipe": Recipe, "torch": Torch}[kind](**words)

"""A short fine-tune with fake quantization: what INT8 gets wrong is trained away.

The float network is its own teacher: its quantized self learns to give the same scores.
What comes out is an ordinary float checkpoint, to be exported like any other.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from fuseg.manifest import input_shapes

from ..frames.packing import PackedFrame
from ..models import ReferenceModel
from ..network.outputs import SelectedOutputs, Source
from ..outputs.comparison import Comparison
from ..outputs.label_task import LabelTask
from ..passes.cut_tail import cut_tail
from ..passes.simplify import simplify
from ..precision.calibrate import calibrate
from ..precision.evaluate import NetworkFunction, evaluate, network_function
from ..precision.int8.qdq_placement import CPU, TENSORRT
from ..precision.int8.quantize import quantize
from ..reference import at_size
from ..to_onnx import to_onnx
from .data import RenderedFrames, pack
from .fake_quantize import fake_quantized, ranges_of
from .fit import fit
from .tasks.rooms import Batch, Rooms

__all__ = ["fine_tune", "measure"]

CALIBRATED_ON = 64  # frames
TRUTH = 0.1  # weight of the true labels' loss beside the teacher's
_SCHEMES = {"int8-cpu": CPU, "int8-trt8": TENSORRT}
_OPSET = 17


def fine_tune(
    model: ReferenceModel,
    network: nn.Module,
    task: Rooms,
    settings: dict[str, Any],
    work: Path,
) -> tuple[nn.Module, dict[str, Any]]:
    """Train a network to label alike in INT8; it is taken up again where it stopped.

    Each step takes one of the exporter's schemes, so that one checkpoint serves all.
    Ranges are those of the network as it comes, and so are the statistics of its
    normalisations; all else is trained, in place.

    Args:
        network: Trained, float32.
        task: What it was trained on; calibrated on the first of its frames.
        settings: See `fit.fit`; ``network`` must be among them, as a digest.

    Raises:
        ExportError: See `fx_graph.traced_graph`.
    """
    network.eval()
    teacher = copy.deepcopy(network).requires_grad_(False)
    sensors = len(model.inputs)
    frames = (
        [torch.from_numpy(tensors[i.tensor]) for i in model.inputs]
        for tensors in _packed(model, task.train, CALIBRATED_ON)
    )
    ranges = ranges_of(network, frames, sensors)
    students = [
        fake_quantized(network, ranges, scheme, sensors) for scheme in _SCHEMES.values()
    ]
    record = fit(network, _Alike(task, teacher, students), settings, work)
    return network, record


@dataclass(frozen=True, eq=False)
class _Alike:
    """The teacher's scores from each of its quantized selves; see `fit.Task`.

    The students share the parameters of the network that is trained.
    """

    task: Rooms
    teacher: nn.Module
    students: Sequence[nn.Module]

    def batch(self, rng: np.random.Generator) -> tuple[nn.Module, Batch]:
        """A batch of the task's, and the student whose turn it is."""
        found = self.task.batch(rng)
        return self.students[int(rng.integers(len(self.students)))], found

    def loss(self, _network: nn.Module, batch: tuple[nn.Module, Batch]) -> Tensor:
        student, (tensors, labels) = batch
        scores = student(*tensors)
        with torch.no_grad():
            wanted = self.teacher(*tensors).log_softmax(1)
        apart = F.kl_div(
            scores.log_softmax(1), wanted, reduction="sum", log_target=True
        )
        truth = F.cross_entropy(scores, labels, ignore_index=self.task.ignore)
        return apart / labels.numel() + TRUTH * truth

    def evaluate(self, network: nn.Module) -> dict[str, Any]:
        return self.task.evaluate(network)


def measure(
    model: ReferenceModel,
    before: nn.Module,
    after: nn.Module,
    train: RenderedFrames,
    held_out: RenderedFrames,
) -> dict[str, dict[str, Any]]:
    """Both networks' INT8 variants beside ``before`` in float32, on the same frames.

    Args:
        before, after: The network before and after `fine_tune`.
        train: The first of which are calibrated on.
        held_out: With the true labels, evaluated on.

    Returns:
        By variant, ``before int8-cpu`` and so on, a `Comparison` as a dict,
        with ``miou_ratio``: the mean IoU as a share of ``before``'s in float32.
    """
    fp32, task, variants = _variants(model, before, train)
    own, _, tuned = _variants(model, after, train)
    functions = {f"before {name}": scores for name, scores in variants.items()}
    functions["after fp32"] = own
    functions |= {f"after {name}": scores for name, scores in tuned.items()}
    frames = (
        PackedFrame(tensors, at_size(held_out.labels[number], task.size))
        for number, tensors in enumerate(_packed(model, held_out, len(held_out)))
    )
    found = evaluate(frames, fp32, functions, {"labels": task})["labels"]
    return {name: _record(comparison) for name, comparison in found.comparisons.items()}


def _variants(
    model: ReferenceModel, network: nn.Module, train: RenderedFrames
) -> tuple[NetworkFunction, LabelTask, dict[str, NetworkFunction]]:
    shapes = input_shapes(model.inputs)
    example = {name: torch.zeros(shape) for name, shape in shapes.items()}
    whole = SelectedOutputs(network.eval(), [Source()])
    exported = to_onnx(whole, example, _OPSET).model
    plain = {name: tensor.numpy() for name, tensor in example.items()}
    graph, tail = cut_tail(simplify(exported, plain)[0])
    ranges = calibrate(graph, _packed(model, train, CALIBRATED_ON))
    variants = {
        name: network_function(quantize(graph, ranges, scheme))
        for name, scheme in _SCHEMES.items()
    }
    classes = tuple(c.name for c in model.classes)
    task = LabelTask(classes, model.ignore, tail.size, tail.align_corners)
    return network_function(graph), task, variants


def _packed(
    model: ReferenceModel, frames: RenderedFrames, most: int
) -> Iterator[dict[str, np.ndarray[Any, np.dtype[np.float32]]]]:
    """The tensors of the first frames, one at a time."""
    for index in range(min(most, len(frames))):
        tensors = {}
        for spec in model.inputs:
            frame = np.ascontiguousarray(frames.of(spec, index))
            tensors[spec.tensor] = pack(spec, frame)[None]
        yield tensors


def _record(comparison: Comparison) -> dict[str, Any]:
    assert comparison.miou is not None
    assert comparison.miou_drop is not None
    assert comparison.interval is not None
    full = comparison.miou + comparison.miou_drop
    low, high = comparison.interval
    return asdict(comparison) | {
        "miou_ratio": comparison.miou / full,
        "miou_ratio_interval": (1 - high / full, 1 - low / full),
    }

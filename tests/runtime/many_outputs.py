"""A network with two label maps, the scene's class, and a tensor for the caller."""

from __future__ import annotations

import io
from dataclasses import replace
from typing import NamedTuple

import numpy as np
from onnx import helper

from fuseg import bundle, manifest

from .programs import RNG, SIZE, model

SCENES = ("street", "indoors", "field")
_WEIGHTS = {
    "w_scores": RNG.standard_normal((4, 4, 1, 1)),
    "w_parts": RNG.standard_normal((1, 4, 1, 1)),
    "w_scene": RNG.standard_normal((4, 3)) * 3,
}
_OUTPUTS = {
    "scores": (1, 4, *SIZE),
    "parts": (1, 1, *SIZE),
    "scene": (1, 3),
    "mean": (1, 4),
}


class Expected(NamedTuple):
    """What the bundle must give."""

    labels: np.ndarray
    parts: np.ndarray
    scene: np.ndarray
    mean: np.ndarray


def network() -> bytes:
    return model(
        [
            helper.make_node("Concat", ["rgb", "depth"], ["x"], axis=1),
            helper.make_node("Conv", ["x", "w_scores"], ["scores"]),
            helper.make_node("Conv", ["x", "w_parts"], ["parts"]),
            helper.make_node("GlobalAveragePool", ["x"], ["pooled"]),
            helper.make_node("Flatten", ["pooled"], ["mean"]),
            helper.make_node("MatMul", ["mean", "w_scene"], ["scene"]),
        ],
        [("rgb", (1, 3, *SIZE)), ("depth", (1, 1, *SIZE))],
        list(_OUTPUTS.items()),
        _WEIGHTS,
    )


def expected(tensors) -> Expected:
    """In float64, of the network's input tensors."""
    x = np.concatenate([tensors["rgb"][0], tensors["depth"][0]]).astype(np.float64)
    scores, parts = (
        np.einsum("cp,phw->chw", _WEIGHTS[name][..., 0, 0], x)
        for name in ("w_scores", "w_parts")
    )
    mean = x.mean((1, 2))
    raw = np.exp(mean @ _WEIGHTS["w_scene"])
    return Expected(
        scores.argmax(0).astype(np.uint8),
        (parts[0] > 0).astype(np.uint8),
        raw / raw.sum(),
        mean[None],
    )


def write_outputs(path, one, samples=()):
    """A bundle like ``one`` of colour and depth, with four outputs.

    Args:
        samples: Frame sets, each with its expected arrays by output name.
    """
    whole = bundle.Bundle.open(one.path).manifest
    (labels,) = whole.outputs
    tail = manifest.Tail((), SIZE)
    outputs = (
        manifest.ClassesOutput("scene", "scene", "softmax", SCENES),
        replace(labels, tail=tail),
        replace(labels, name="parts", tensor="parts", classes=labels.classes[:2]),
        manifest.TensorOutput("mean", "mean"),
    )
    (graph,) = whole.graphs
    tensors = whole.tensors | {n: manifest.Tensor(s) for n, s in _OUTPUTS.items()}
    members, records = {"fp32.onnx": network()}, []
    for number, arrays in enumerate(samples):
        files = [{}, {}]
        for one_set, names in zip(arrays, files, strict=True):
            for name, array in one_set.items():
                names[name] = f"s{number}/{name}.npy"
                members[names[name]] = _npy(array)
        records.append(manifest.Sample(*files))
    whole = replace(
        whole,
        tensors=tensors,
        outputs=outputs,
        graphs=(replace(graph, writes=tuple(_OUTPUTS)),),
        samples=tuple(records),
        files={},
    )
    bundle.write(path, whole, members)
    return path


def _npy(array) -> bytes:
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()

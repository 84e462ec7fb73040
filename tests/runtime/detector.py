"""Bundles of colour with one output, made of a linear network's tensor."""

from __future__ import annotations

import io
from dataclasses import replace
from typing import NamedTuple

import numpy as np
from onnx import ModelProto, helper, numpy_helper

from fuseg import bundle, manifest

from .programs import model

NAMES = ("person", "car", "dog")
SIZE = (24, 32)  # of the network's input
N = 200


class Made(NamedTuple):
    path: object


def output(**changes):
    entry = manifest.BoxesOutput(
        "objects",
        "found",
        "xyxy",
        "objectness",
        "none",
        score_threshold=0.3,
        iou_threshold=0.5,
        classes=NAMES,
    )
    return replace(entry, **changes)


def write_detector(path, color, spec, fit="stretch", samples=(), axes=None):
    """A bundle whose tensor ``found`` is a linear network's of the mean colour."""
    color = replace(color, resize=replace(color.resize, fit=fit))
    if axes is None:
        axes = (N, spec.values) if spec.order == "boxes-values" else (spec.values, N)
    weights = np.random.default_rng(1).standard_normal((3, np.prod(axes)))
    network = model(
        [
            helper.make_node("GlobalAveragePool", ["rgb"], ["pooled"]),
            helper.make_node("Flatten", ["pooled"], ["mean"]),
            helper.make_node("MatMul", ["mean", "weights"], ["flat"]),
            helper.make_node("Reshape", ["flat", "shape"], ["found"]),
        ],
        [("rgb", (1, 3, *SIZE))],
        [("found", (1, *axes))],
        {"weights": weights},
    )
    network = with_shape(network, (1, *axes))
    members, records = {"fp32.onnx": network}, []
    for number, (frame, expected) in enumerate(samples):
        names = [f"{number}/rgb.npy", f"{number}/{spec.name}.npy"]
        members |= dict(zip(names, map(npy, (frame, expected)), strict=True))
        records.append(manifest.Sample({"rgb": names[0]}, {spec.name: names[1]}))
    whole = manifest.Manifest(
        "detector",
        "tests",
        {
            "rgb": manifest.Tensor((1, 3, *SIZE)),
            "found": manifest.Tensor((1, *axes)),
        },
        (color,),
        (
            manifest.Graph(
                "net",
                ("rgb",),
                ("found",),
                {"fp32": manifest.Network("fp32.onnx", 17, 8)},
            ),
        ),
        (spec,),
        (manifest.Variant("fp32", ("any",), {"kind": "fp32"}, ()),),
        samples=tuple(records),
    )
    bundle.write(path, whole, members)
    return Made(path)


def with_shape(network, shape):
    whole = ModelProto.FromString(network)
    whole.graph.initializer.append(numpy_helper.from_array(np.array(shape), "shape"))
    return whole.SerializeToString()


def npy(array):
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


def drawn(spec, seed=0, spread=2.0):
    """What a detector gives, (N, values), with corners in pixels, scores of 0 to 1."""
    rng = np.random.default_rng(seed)
    places = rng.random((8, 2)) * SIZE[::-1]
    centres = places[rng.integers(0, 8, N)] + rng.normal(0, spread, (N, 2))
    half = 1 + rng.random((N, 2)) * 6
    scores = rng.random((N, spec.values - 4)) ** 2
    rows = [centres - half, centres + half, scores]
    return np.concatenate(rows, 1).astype(np.float32)

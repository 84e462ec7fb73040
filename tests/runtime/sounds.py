"""Bundles that hear: the sound's tensor, or its features, is the result."""

from __future__ import annotations

import io
from dataclasses import replace
from typing import NamedTuple

import numpy as np
from onnx import helper

from fuseg import bundle, manifest
from fuseg_export.mel_filters import hann, mel_filters

from .programs import model

MEL = manifest.LogMel(
    frame=128,
    hop=64,
    frames=25,
    window="window.npy",
    filters="mel.npy",
    bands=20,
    log="ln",
    floor=1e-6,
)


class Hearing(NamedTuple):
    path: object
    spec: manifest.AudioInput


def audio_input(**changes):
    """0.1 s of int16 at 16 kHz as log-mel of (1, 20, 25), policy refuse."""
    entry = manifest.AudioInput(
        name="sound",
        tensor="heard",
        dtype="int16",
        rate=16000,
        samples=1600,
        scale=1 / 32768,
        features=MEL,
        mean=-4.0,
        std=2.0,
        fill=-3.0,
        missing=manifest.Missing("refuse"),
    )
    return replace(entry, **changes)


def npy(array) -> bytes:
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


def tables(spec):
    """The members that the input names."""
    made = spec.features
    if made is None:
        return {}
    filters = mel_filters(spec.rate, made.frame, made.bands)
    window = hann(made.frame, made.frame)
    return {made.window: npy(window), made.filters: npy(filters)}


def write_hearing(path, spec=None, members=None):
    """A bundle that gives back what it hears, times 1."""
    spec = spec or audio_input()
    network = model(
        [helper.make_node("Mul", ["heard", "one"], ["felt"])],
        [("heard", spec.shape)],
        [("felt", spec.shape)],
        {"one": np.ones(1)},
    )
    whole = manifest.Manifest(
        "hearing",
        "tests",
        {name: manifest.Tensor(spec.shape) for name in ("heard", "felt")},
        (spec,),
        (
            manifest.Graph(
                "net",
                ("heard",),
                ("felt",),
                {"fp32": manifest.Network("fp32.onnx", 17, 8)},
            ),
        ),
        (manifest.TensorOutput("felt", "felt"),),
        (manifest.Variant("fp32", ("any",), {"kind": "fp32"}, ()),),
    )
    found = tables(spec) if members is None else members
    bundle.write(path, whole, {"fp32.onnx": network} | found)
    return Hearing(path, spec)

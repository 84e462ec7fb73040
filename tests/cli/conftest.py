"""The command line, called in this process, and files to give it."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

import fuseg as library
from fuseg import bundle as bundles
from fuseg.cli import app
from fuseg.manifest import Sample


class Outcome:
    """What a command left: exit code, the two streams, and stdout as JSON."""

    def __init__(self, result: Any) -> None:
        self.code: int = result.exit_code
        self.stdout: str = result.stdout
        self.stderr: str = result.stderr

    @property
    def json(self) -> Any:
        return json.loads(self.stdout)


@pytest.fixture
def fuseg() -> Callable[..., Outcome]:
    """``fuseg("run", path, ...)``: exceptions that are no error sentence go through."""

    def call(*words: object) -> Outcome:
        runner = CliRunner()
        return Outcome(
            runner.invoke(app, [str(w) for w in words], catch_exceptions=False)
        )

    return call


@pytest.fixture
def saved(tmp_path: Path) -> Callable[[str, Any], Path]:
    """``saved("rgb/1.png", array)``: the path under ``tmp_path`` where it lies now."""

    def save(name: str, array: np.ndarray) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.suffix == ".npy":
            np.save(path, array)
        else:
            Image.fromarray(array).save(path)
        return path

    return save


@pytest.fixture
def pair_of_files(frames, saved) -> list[str]:
    """``--input`` words for one frame of ``rgb`` and ``depth``, 6 x 8."""
    arrays = frames()
    words = []
    for name, array in arrays.items():
        words += ["--input", f"{name}={saved(f'one_{name}.png', array)}"]
    return words


@pytest.fixture
def sampled(rgbd, frames, tmp_path) -> Callable[..., Path]:
    """``sampled(wrong_pixels=0)``: the ``rgbd`` bundle with two samples, the labels of
    the second one wrong at that many pixels."""

    def npy(array: np.ndarray) -> bytes:
        buffer = io.BytesIO()
        np.save(buffer, array)
        return buffer.getvalue()

    def make(wrong_pixels: int = 0) -> Path:
        opened = bundles.Bundle.open(rgbd.path)
        members = {"fp32.onnx": opened.read("fp32.onnx")}
        segmenter = library.load(rgbd.path)
        samples = []
        for index in range(2):
            arrays = frames(index, 60, 80)
            labels = segmenter(**arrays).labels
            if index == 1:
                wrong = labels.ravel()[:wrong_pixels]
                wrong[:] = (wrong + 1) % 4
            named = {name: f"samples/{index}_{name}.npy" for name in arrays}
            samples.append(Sample(named, f"samples/{index}_labels.npy"))
            members |= {named[name]: npy(array) for name, array in arrays.items()}
            members[f"samples/{index}_labels.npy"] = npy(labels)
        path = tmp_path / "sampled.fuseg"
        manifest = replace(opened.manifest, samples=tuple(samples), files={})
        bundles.write(path, manifest, members)
        return path

    return make

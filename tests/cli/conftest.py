"""The command line, called in this process, and files to give it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from fuseg.cli import app


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

"""A process that fork copied labels, or raises one clear error; it never hangs."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

PROGRAM = Path(__file__).parent / "forking.py"

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs os.fork")


def children(bundle: Path, backend: str, threads: int, *how: str) -> list[str]:
    """What each child answered: "right", "refused" or how it failed."""
    words = [sys.executable, str(PROGRAM), str(bundle), backend, str(threads), *how]
    done = subprocess.run(
        words, capture_output=True, text=True, check=True, timeout=110
    )
    print(done.stderr)  # shown when the test fails
    return done.stdout.split()


@pytest.mark.parametrize("threads", [1, 2])
def test_onnx_runtime_labels_in_children_of_a_process_that_has_loaded(rgbd, threads):
    assert children(rgbd.path, "onnxruntime", threads) == ["right"] * 20


@pytest.mark.parametrize("threads", [1, 2])
def test_and_while_a_thread_of_the_parent_is_in_a_call(rgbd, threads):
    found = children(rgbd.path, "onnxruntime", threads, "in-a-call")
    assert found == ["right"] * 20


@pytest.mark.parametrize("how", [[], ["in-a-call"]])
def test_openvino_is_refused_in_children(rgbd, how):
    if find_spec("openvino") is None:
        pytest.skip("OpenVINO is not installed")
    assert children(rgbd.path, "openvino", 2, *how) == ["refused"] * 20

"""x86 without VNNI, where uint8 x int8 sums overflow: the labels must not change."""

from __future__ import annotations

import json
import os
import platform
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import fuseg
from fuseg import load
from fuseg.backends import create, onnxruntime
from fuseg.bundle import Bundle
from fuseg.dataset import metrics

KEY = "session.x64quantprecision"


def test_the_probe_is_the_model_it_says_it_is():
    from onnx import TensorProto, helper, numpy_helper

    graph = helper.make_graph(
        [helper.make_node("MatMulInteger", ["a", "b"], ["y"])],
        "g",
        [helper.make_tensor_value_info("a", TensorProto.UINT8, (1, 4))],
        [helper.make_tensor_value_info("y", TensorProto.INT32, (1, 1))],
        [numpy_helper.from_array(np.full((4, 1), 127, np.int8), "b")],
    )
    model = helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", 10)], ir_version=4
    )
    assert model.SerializeToString() == onnxruntime._PROBE


@pytest.mark.parametrize("saturates", [False, True])
def test_exact_sums_are_asked_for_only_where_they_would_overflow(
    rgbd, monkeypatch, saturates
):
    monkeypatch.setattr(onnxruntime, "saturates", lambda: saturates)
    options = fuseg.load(rgbd.path).backend.session.get_session_options()
    if saturates:
        assert options.get_session_config_entry(KEY) == "1"
    else:
        with pytest.raises(RuntimeError):
            options.get_session_config_entry(KEY)


@pytest.fixture(scope="module")
def emulated(int8_bundle, tmp_path_factory):
    """What without_vnni.py finds on a Haswell: AVX2 and no VNNI."""
    emulator = shutil.which("qemu-x86_64") or shutil.which("qemu-x86_64-static")
    if emulator is None or platform.machine() != "x86_64":
        pytest.skip("needs x86-64 Linux and qemu-x86_64 (Debian: qemu-user)")
    out = tmp_path_factory.mktemp("haswell") / "labels.npz"
    script = Path(__file__).with_name("without_vnni.py")
    site = ["-S"] if sys.flags.no_site else []  # as these tests were started
    python = [sys.executable, *site]
    done = subprocess.run(
        [emulator, "-cpu", "Haswell", *python, script, int8_bundle, out],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    with np.load(out) as labels:
        return json.loads(done.stdout), dict(labels)


def least_agreement(labels, wanted):
    pairs = zip(labels, wanted, strict=True)
    return min(metrics.label_agreement(one, other) for one, other in pairs)


@pytest.fixture
def here(int8_bundle):
    """Labels of int8-cpu on this CPU: the right ones, with VNNI or without."""
    bundle = Bundle.open(int8_bundle)
    backend = create("onnxruntime", bundle.read("int8-cpu.onnx"), threads=1)
    segmenter = load(bundle, backend=backend, variant="int8-cpu")
    return [segmenter(**frames).labels for frames, _ in bundle.samples()]


def test_without_vnni_the_labels_are_the_same(emulated, here):
    facts, labels = emulated
    assert facts["saturates"]
    assert least_agreement(labels["ours"], here) >= 0.995


def test_without_care_they_would_not_be_and_the_replay_would_notice(emulated, here):
    facts, labels = emulated
    assert least_agreement(labels["careless"], here) < 0.995
    assert "of a sample agree, 0.995 must" in facts["fallback"]

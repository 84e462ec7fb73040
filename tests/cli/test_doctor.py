from __future__ import annotations

import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import onnxruntime
import pytest

from fuseg.cli import doctor as module


def findings(done):
    return {found["name"]: found for found in done.json["findings"]}


def test_json_names_the_machine_and_every_part(fuseg):
    done = fuseg("doctor", "--json")
    assert done.code == 0
    assert done.json["ok"] is True
    parts = {"ok", "fuseg", "python", "machine", "power", "findings", "tuned"}
    assert set(done.json) == parts
    assert set(done.json["machine"]) == {"cpu", "cores", "system"}
    found = findings(done)
    assert found["numpy"]["detail"] == np.__version__
    assert found["onnxruntime"]["detail"].startswith(onnxruntime.__version__)
    assert "CPUExecutionProvider" in found["onnxruntime"]["detail"]
    assert {"kernels", "pillow", "torch", "openvino"} <= set(found)
    gpu = {"gpu driver", "tensorrt", "pycuda", "cuda kernels", "nvcc"}
    assert gpu | {"onnxruntime cuda"} <= set(found)


def test_every_missing_part_says_its_impact(fuseg):
    for found in fuseg("doctor", "--json").json["findings"]:
        assert (found["impact"] is None) == (found["state"] == "ok"), found["name"]


@pytest.fixture
def without(monkeypatch):
    """``without("torch")``: as if that module were not installed."""
    real = module.find_spec

    def hide(*names):
        monkeypatch.setattr(
            module, "find_spec", lambda name: None if name in names else real(name)
        )

    return hide


def test_a_missing_training_half_is_no_fault_and_has_its_fix(fuseg, without):
    without("torch", "onnx")
    done = fuseg("doctor", "--json")
    assert done.code == 0
    found = findings(done)
    for name in ("torch", "onnx"):
        assert found[name]["state"] == "missing"
        assert found[name]["impact"].startswith("export, models")
        assert found[name]["fix"] == 'pip install "fuseg[export]"'
    assert 'pip install "fuseg[export]"' in fuseg("doctor").stdout


def test_a_missing_required_part_ends_with_1(fuseg, without):
    without("PIL")
    done = fuseg("doctor", "--json")
    assert done.code == 1
    assert done.json["ok"] is False
    assert findings(done)["pillow"]["fix"] == "pip install pillow"


@pytest.mark.parametrize(
    ("error", "state", "fix"),
    [
        (ModuleNotFoundError("no"), "missing", "pip install onnxruntime"),
        (
            ImportError("libgomp.so.1: cannot open"),
            "broken",
            "pip install --force-reinstall onnxruntime",
        ),
    ],
)
def test_an_engine_that_does_not_load_ends_with_1(
    fuseg, monkeypatch, error, state, fix
):
    def fail(_):
        raise error

    monkeypatch.setattr(module, "importlib", SimpleNamespace(import_module=fail))
    done = fuseg("doctor", "--json")
    assert done.code == 1
    found = findings(done)["onnxruntime"]
    assert (found["state"], found["fix"]) == (state, fix)


def test_it_looks_without_importing():
    code = (
        "import sys; from fuseg.cli import app\n"
        "app(['doctor', '--json'], standalone_mode=False)\n"
        "heavy = {'torch', 'onnx', 'onnxsim', 'cv2', 'fuseg_export', 'openvino',"
        " 'tensorrt', 'pycuda', 'pycuda.driver', 'fuseg._kernels_cuda'}\n"
        "print(sorted(heavy & set(sys.modules)), file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert done.stderr == "[]\n"

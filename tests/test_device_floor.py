"""The wheel and the bundle on what JetPack 6 and ROS 2 Humble ship."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

tomllib = pytest.importorskip("tomllib", reason="Python 3.10 cannot read TOML")

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))[
    "project"
]
FLOOR = ROOT / ".venv-floor" / "bin" / "python"


@pytest.fixture
def floor_python():
    if not FLOOR.exists():
        pytest.skip(f"{FLOOR} is not there: `make test` makes it")
    return FLOOR


def run(python, *words):
    # Neither this checkout nor the caller's path: only what the wheel installed.
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    return subprocess.run(
        [python, "-P" if sys.version_info >= (3, 11) else "-s", *map(str, words)],
        cwd="/",
        env=environment,
        check=True,
        capture_output=True,
        text=True,
    ).stdout


def test_the_shipped_model_labels_alike_with_numpy_1_26_and_onnxruntime_1_23(
    floor_python, rgbd_bundle
):
    versions = run(
        floor_python,
        "-c",
        "import numpy, onnxruntime; print(numpy.__version__, onnxruntime.__version__)",
    )
    assert versions.split() == ["1.26.4", "1.23.2"]
    report = json.loads(
        run(floor_python, "-m", "fuseg", "verify", rgbd_bundle, "--json")
    )
    assert report["samples"]
    assert all(s["agreement"] >= 0.9995 for s in report["samples"])


def test_the_wheel_has_the_weights_that_fuseg_demo_exports(floor_python):
    code = (
        "import hashlib, importlib.metadata as m\n"
        "for file in m.files('fuseg'):\n"
        "    if str(file) == 'fuseg_export/checkpoints/rgbd.safetensors':\n"
        "        print(hashlib.sha256(file.locate().read_bytes()).hexdigest())\n"
    )
    weights = ROOT / "export" / "checkpoints" / "rgbd.safetensors"
    expected = hashlib.sha256(weights.read_bytes()).hexdigest()
    assert run(floor_python, "-c", code).split() == [expected]


def test_the_device_half_resolves_for_python_3_10_to_the_pinned_versions():
    needs = [*PROJECT["dependencies"], *PROJECT["optional-dependencies"]["cli"]]
    words = ["install", "--dry-run", "--quiet", "--ignore-installed", "--report", "-"]
    words += ["--python-version", "3.10", "--only-binary=:all:", "--target", "/nowhere"]
    done = subprocess.run(
        [sys.executable, "-m", "pip", "--disable-pip-version-check", *words, *needs],
        check=False,
        capture_output=True,
        text=True,
    )
    if "Failed to establish a new connection" in done.stderr:
        pytest.skip("the package registry cannot be reached")
    assert done.returncode == 0, done.stderr
    found = {
        entry["metadata"]["name"].lower(): entry["metadata"]["version"]
        for entry in json.loads(done.stdout)["install"]
    }
    # pip reads markers for the Python that runs it, so the pins are compared here.
    pins = (ROOT / "constraints.txt").read_text().splitlines()
    for name in ("numpy", "onnxruntime", "pillow", "typer"):
        assert f'{name}=={found[name]} ; python_version < "3.11"' in pins
    assert f"rich=={found['rich']}" in pins

"""What the extras pull in on each kind of machine, as pip sees it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

tomllib = pytest.importorskip("tomllib", reason="Python 3.10 cannot read TOML")
requirements = pytest.importorskip("packaging.requirements")

PROJECT = tomllib.loads(
    (Path(__file__).parents[1] / "pyproject.toml").read_text(encoding="utf-8")
)["project"]
EXTRAS = PROJECT["optional-dependencies"]
JETSON = {"platform_machine": "aarch64", "sys_platform": "linux"}
DESKTOP = {"platform_machine": "x86_64", "sys_platform": "linux"}

# pip reads markers for the machine that runs it, whatever --platform says.
PIP = """
import platform, sys
platform.machine = lambda: "aarch64"
from pip._internal.cli.main import main
sys.exit(main(sys.argv[1:]))
"""


def wanted(words, machine):
    """Names that these requirements ask for on a machine."""
    parsed = [requirements.Requirement(word) for word in words]
    return {r.name for r in parsed if r.marker is None or r.marker.evaluate(machine)}


@pytest.mark.parametrize("extra", sorted(EXTRAS))
def test_no_extra_asks_for_tensorrt_on_a_jetson(extra):
    assert not any("tensorrt" in name for name in wanted(EXTRAS[extra], JETSON))


def test_the_tensorrt_extra_asks_for_it_on_an_x86_linux_alone():
    extra = EXTRAS["tensorrt"]
    assert wanted(extra, DESKTOP) == {"tensorrt"}
    for machine in (
        JETSON,
        {"platform_machine": "AMD64", "sys_platform": "win32"},
        {"platform_machine": "x86_64", "sys_platform": "darwin"},
    ):
        assert wanted(extra, machine) == set()


def test_pycuda_comes_by_its_own_extra_only():
    asking = [name for name, words in EXTRAS.items() if "pycuda" in wanted(words, {})]
    assert asking == ["pycuda"]
    assert "pycuda" not in wanted(PROJECT["dependencies"], {})


def test_pip_on_a_jetson_finds_wheels_for_the_device_half_and_nothing_of_nvidia():
    words = ["--disable-pip-version-check", "install", "--dry-run", "--quiet"]
    words += ["--ignore-installed", "--report", "-", "--target", "/nowhere"]
    words += ["--python-version", "3.10", "--only-binary=:all:"]  # JetPack 6's Python
    for tag in ("manylinux_2_28", "manylinux_2_27", "manylinux2014"):
        words += ["--platform", f"{tag}_aarch64"]
    needs = [*PROJECT["dependencies"], *EXTRAS["tensorrt"]]
    done = subprocess.run(
        [sys.executable, "-c", PIP, *words, *needs],
        check=False,
        capture_output=True,
        text=True,
    )
    if "Failed to establish a new connection" in done.stderr:
        pytest.skip("the package registry cannot be reached")
    assert done.returncode == 0, done.stderr
    found = {
        entry["metadata"]["name"].lower(): entry["download_info"]["url"]
        for entry in json.loads(done.stdout)["install"]
    }
    assert {"numpy", "onnxruntime", "pillow"} <= set(found)
    assert found["onnxruntime"].endswith("_aarch64.whl")
    assert not [n for n in found if n.startswith(("tensorrt", "nvidia", "pycuda"))]

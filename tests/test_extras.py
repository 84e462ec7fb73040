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


def test_a_plain_install_labels_on_a_cpu_and_brings_no_more():
    assert wanted(PROJECT["dependencies"], {}) == {"numpy", "onnxruntime"}
    assert wanted(EXTRAS["cli"], {}) == {"pillow", "rich", "typer"}
    assert "fuseg[cli]" in EXTRAS["export"]  # its commands are the CLI's


BASE = """
import importlib, pkgutil, sys

for name in sys.argv[2].split(","):
    sys.modules[name] = None  # as if it were not installed
import fuseg

for found in pkgutil.walk_packages(fuseg.__path__, "fuseg."):
    needs_more = ("fuseg.cli", "fuseg._kernels_cuda", "fuseg.dataset.pillow")
    if found.name.startswith(needs_more):
        continue
    importlib.import_module(found.name)
segmenter = fuseg.load(sys.argv[1])
for frames, expected in segmenter.bundle.samples():
    assert (segmenter(**frames).labels == expected["labels"]).mean() > 0.999
    print("labelled")
"""
NOT_IN_A_PLAIN_INSTALL = (
    *("typer", "click", "rich", "PIL", "cryptography", "pydantic", "cv2", "yaml"),
    *("torch", "onnx", "onnx_ir", "onnxscript", "onnxsim", "safetensors"),
    "openvino",
    *("tensorrt", "pycuda", "packaging", "requests", "tqdm"),
)


def without(names, *words):
    """``python -m fuseg`` in a process that lacks these packages."""
    code = (
        "import sys\nfor name in sys.argv.pop(1).split(','): sys.modules[name] = None"
    )
    code += "\nfrom fuseg.__main__ import main\nmain()"
    return subprocess.run(
        [sys.executable, "-c", code, ",".join(names), *map(str, words)],
        check=False,
        capture_output=True,
        text=True,
    )


def test_numpy_and_onnxruntime_are_enough_for_all_but_the_command(sampled):
    words = [sampled(), ",".join(NOT_IN_A_PLAIN_INSTALL)]
    done = subprocess.run(
        [sys.executable, "-c", BASE, *map(str, words)],
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert "labelled" in done.stdout


@pytest.mark.parametrize("name", ["typer", "rich"])
def test_the_command_without_its_libraries_says_how_to_get_them(name):
    sentence = (
        f"the fuseg command needs {name}, which is not installed here: "
        'pip install "fuseg[cli]".'
    )
    done = without([name], "doctor")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == f"error: {sentence}\n"
    done = without([name], "doctor", "--json")
    assert (done.returncode, done.stderr) == (2, f"error: {sentence}\n")
    error = {"type": "MissingPackageError", "message": sentence}
    assert json.loads(done.stdout) == {"error": error}


def test_pictures_without_pillow_are_one_sentence_and_arrays_need_none(
    sampled, tmp_path
):
    code = """
import sys
sys.modules["PIL"] = None
from pathlib import Path
import numpy as np
from fuseg import errors
from fuseg.dataset import images, pictures
one = np.zeros((4, 5, 3), np.uint8)
np.save("one.npy", one)
assert (images.read_frame(Path("one.npy"), "color") == one).all()
for call in (
    lambda: images.read_frame(Path("one.png"), "color"),
    lambda: images.write_png(Path("one.png"), one),
    lambda: pictures.sheet(["one"], [[one]]),
):
    try:
        call()
    except errors.MissingPackageError as err:
        print(err)
"""
    said = subprocess.check_output(
        [sys.executable, "-c", code], cwd=tmp_path, text=True
    ).splitlines()
    assert len(said) == 3
    assert all('pip install "fuseg[cli]"' in sentence for sentence in said)
    words = ["--out", tmp_path / "out"]
    for name in ("rgb", "depth"):
        words += ["--input", f"{name}={tmp_path / 'a.png'}"]
    (tmp_path / "a.png").touch()
    done = without(["PIL"], "run", sampled(), *words)
    assert done.returncode != 0
    assert "Traceback" not in done.stderr
    assert 'pip install "fuseg[cli]"' in " ".join(done.stderr.split())


def test_pip_on_a_jetson_finds_wheels_for_the_device_half_and_nothing_of_nvidia():
    words = ["--disable-pip-version-check", "install", "--dry-run", "--quiet"]
    words += ["--ignore-installed", "--report", "-", "--target", "/nowhere"]
    words += ["--python-version", "3.10", "--only-binary=:all:"]  # JetPack 6's Python
    for tag in ("manylinux_2_28", "manylinux_2_27", "manylinux2014"):
        words += ["--platform", f"{tag}_aarch64"]
    needs = [*PROJECT["dependencies"], *EXTRAS["cli"], *EXTRAS["tensorrt"]]
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

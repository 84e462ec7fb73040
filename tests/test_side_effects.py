"""What fuseg's libraries do on their own: nothing. No network, files or threads.

Their reporting is quiet where ``CI`` is set, and has left its marks in the home of
whoever runs these tests; so a child process gets an empty home and only what is named
here of the environment.
"""

from __future__ import annotations

import ast
import json
import os
import re
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parents[1]
ENVIRONMENT = ("PATH", "LD_LIBRARY_PATH", "PYTHONPATH")

needs_openvino = pytest.mark.skipif(
    find_spec("openvino_telemetry") is None, reason="OpenVINO is not installed"
)

LABEL = """
import json, os, sys, threading
import numpy  # its BLAS starts threads

def tasks():
    return len(os.listdir("/proc/self/task"))

before = tasks()
import fuseg
segmenter = fuseg.load(sys.argv[1], backend=sys.argv[2], threads=1)
for frames, _ in segmenter.bundle.samples():
    segmenter(**frames)
links = [f"/proc/self/fd/{n}" for n in os.listdir("/proc/self/fd")]
print(json.dumps({
    "more_tasks": tasks() - before,
    "python_threads": threading.active_count(),
    "sockets": [s for s in links if os.path.exists(s) and "socket:" in os.readlink(s)],
}))
"""

NETWORK = """
import torch

class Network(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = torch.nn.Conv2d(4, 5, 3, 4, 1)

    def forward(self, color, depth):
        scores = self.conv(torch.cat([color, depth], 1))
        size = color.shape[2:]
        return torch.nn.functional.interpolate(scores, size, mode="bilinear")
"""


class Watched:
    """Runs Python in an empty home, and says what came of it."""

    def __init__(self, folder: Path) -> None:
        self.home, self.temporary = folder / "home", folder / "tmp"
        self._log = folder / "strace"
        for made in (self.home, self.temporary):
            made.mkdir()
        strace = ["strace", "-f", "--seccomp-bpf", "-qq", "-e", "trace=network"]
        strace += ["-o", str(self._log)]
        self.by_strace = (
            shutil.which("strace") is not None
            and not (
                subprocess.run([*strace, "true"], capture_output=True, check=False)
            ).returncode
        )
        self._before = strace if self.by_strace else []
        print("network watched by", "strace" if self.by_strace else "/proc/self/fd")

    def run(self, *words: str | Path, **more: str) -> str:
        given = {n: os.environ[n] for n in ENVIRONMENT if n in os.environ}
        own = {"HOME": str(self.home), "TMPDIR": str(self.temporary)}
        done = subprocess.run(
            [*self._before, sys.executable, *map(str, words)],
            capture_output=True,
            check=False,
            cwd=self.home.parent,
            env={**given, **own, **more},
            stdin=subprocess.DEVNULL,
            text=True,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def calls(self) -> list[str]:
        """Sockets made; a pair of ends in one process is no network."""
        if not self.by_strace:
            return []
        calls = self._log.read_text().splitlines()
        return [c for c in calls if re.search(r"\b(socket|connect|send\w+)\(", c)]

    def files(self) -> list[str]:
        """Files in the home but for fuseg's cache, and what is left in $TMPDIR."""
        found = [*self.home.rglob("*"), *self.temporary.rglob("*")]
        names = [str(p.relative_to(self.home.parent)) for p in found if p.is_file()]
        return [n for n in names if not n.startswith("home/.cache/fuseg/")]


@pytest.fixture
def watched(tmp_path):
    return Watched(tmp_path)


def test_loading_and_labelling_adds_no_thread_file_or_socket(watched, rgbd):
    said = json.loads(watched.run("-c", LABEL, rgbd.path, "onnxruntime"))
    assert said == {"more_tasks": 0, "python_threads": 1, "sockets": []}
    assert watched.files() == []
    assert watched.calls() == []


@needs_openvino
def test_openvino_adds_no_python_thread_file_or_socket(watched, rgbd):
    said = json.loads(watched.run("-c", LABEL, rgbd.path, "openvino"))
    assert said["python_threads"] == 1  # the tasks of its executor are no Python
    assert said["sockets"] == []
    assert watched.files() == []
    assert watched.calls() == []


def test_exporting_leaves_nothing_but_the_bundle(watched, tmp_path):
    pytest.importorskip("torch")
    (tmp_path / "network.py").write_text(NETWORK)
    save = (
        "import torch, network; torch.manual_seed(0);"
        "torch.save(network.Network().state_dict(), 'w.pth')"
    )
    watched.run("-c", save)
    rng = np.random.default_rng(0)
    for name, dtype, planes in (("rgb", np.uint8, (3,)), ("depth", np.uint16, ())):
        (tmp_path / name).mkdir()
        for key in ("a.npy", "b.npy"):
            frame = rng.integers(1, np.iinfo(dtype).max, (48, 64, *planes), dtype)
            np.save(tmp_path / name / key, frame)
    words = ["-m", "fuseg", "export", "network:Network", "--checkpoint", "w.pth"]
    words += ["--input", "rgb=color:48x64", "--input", "depth=depth:48x64"]
    words += ["--frames", "rgb=rgb", "--frames", "depth=depth"]
    watched.run(*words, "--out", "made.fuseg")
    assert (tmp_path / "made.fuseg").stat().st_size > 0
    watched.run("-c", "import fuseg_export.precision.calibrate")
    assert watched.files() == []
    assert watched.calls() == []


@pytest.mark.parametrize("package", ["fuseg", "fuseg_export"])
@pytest.mark.parametrize("own", [None, "0"])
def test_a_users_own_setting_wins(watched, package, own):
    code = f"import {package}, os; print(os.environ['ORT_DISABLE_TELEMETRY'])"
    more = {} if own is None else {"ORT_DISABLE_TELEMETRY": own}
    assert watched.run("-c", code, **more).strip() == (own or "1")


@needs_openvino
def test_an_answer_given_to_openvino_stays(watched):
    code = """
from fuseg.backends.openvino import import_openvino
import_openvino()
from openvino.tools.ovc import telemetry_utils
print(telemetry_utils.tm.__name__)
import openvino_telemetry
"""
    assert watched.run("-c", code).strip() == "openvino.tools.ovc.telemetry_stub"
    (watched.home / "intel").mkdir()
    (watched.home / "intel" / "openvino_telemetry").write_text("0")
    assert watched.run("-c", code).strip() == "openvino_telemetry"
    assert watched.calls() == []


def imports(path: Path) -> list[str]:
    """Top-level packages in the order of the lines that import them, at any depth."""
    found = []
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found += [(node.lineno, a.name.split(".")[0]) for a in node.names]
        elif isinstance(node, ast.ImportFrom) and not node.level and node.module:
            found.append((node.lineno, node.module.split(".")[0]))
    return [name for _, name in sorted(found)]


def test_openvino_is_imported_in_one_place():
    files = [
        p for d in ("sdk", "export", "benchmarks") for p in (ROOT / d).rglob("*.py")
    ]
    importing = [p for p in files if "openvino" in imports(p)]
    assert importing == [ROOT / "sdk" / "fuseg" / "backends" / "openvino.py"]


def test_benchmarks_import_fuseg_before_onnxruntime():
    for path in (ROOT / "benchmarks").glob("*.py"):
        names = imports(path)
        for acting in {"onnxruntime", "onnxsim"} & {*names}:
            ours = [n for n in ("fuseg", "fuseg_export") if n in names]
            assert ours, path
            assert min(map(names.index, ours)) < names.index(acting), path

"""The code of README.md and docs/ runs, in order, as it is written there.

Python blocks of a page share one namespace; a value is what its comment says in quotes.
One that begins with a path is that file.
Shell lines run where they stand between them, in a folder that has what the page speaks
of: the demo in ``out/demo``, a network and frames "of your own"; JSON is ``spec.json``
there. What cannot run here is in `CANNOT_RUN`; a ``fuseg`` command among it is still
parsed, so that an unknown option fails.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import onnx
import pytest
import typer.main
from onnx_nets import two_sensors
from safetensors.torch import save_file
from torch import nn

from fuseg.cli import app
from fuseg.cli.training_half import COMMANDS, load
from fuseg_export.models.fusion.gated import Gated

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]

# What a line begins with, and why it is not run.
CANNOT_RUN = {
    r"sudo ": "changes the system",
    r"git clone ": "needs a network",
    r"python3 -m venv |pip |\. |export ": "installs",
    r"make ": "builds (test_readme.py looks for its target)",
    r"fuseg build ": "needs TensorRT",
    r"fuseg tune |fuseg bench |fuseg export rgbd ": "takes minutes",
}

NETWORK = """
import torch
from torch import nn


class Fusion(nn.Module):
    def __init__(self):
        super().__init__()
        self.scores = nn.Conv2d(4, 5, 4, stride=4)

    def forward(self, rgb, depth):
        scores = self.scores(torch.cat([rgb, depth], 1))
        return nn.functional.interpolate(scores, size=rgb.shape[2:], mode="bilinear")


def build():
    return Fusion()
"""

SEVERAL_OUTPUTS = """
from torch import nn


class Rooms(nn.Module):
    def __init__(self):
        super().__init__()
        self.scores = nn.Conv2d(3, 5, 4, stride=4)

    def forward(self, rgb):
        scores = self.scores(rgb)
        whole = nn.functional.interpolate(scores, size=rgb.shape[2:], mode="bilinear")
        return {"semantic": {"out": whole}, "scene": scores.mean((2, 3))}


def build():
    return Rooms()
"""

LATE = """
import torch
from torch import nn


class Encoder(nn.Module):
    def __init__(self, planes):
        super().__init__()
        self.first = nn.Conv2d(planes, 8, 4, stride=4)
        self.second = nn.Conv2d(8, 8, 1)

    def forward(self, x):
        x = self.first(x).relu()
        return x, self.second(x).relu()


class Head(nn.Module):
    def __init__(self, planes):
        super().__init__()
        self.scores = nn.Conv2d(planes, 5, 1)

    def forward(self, *features):
        scores = self.scores(torch.cat(features, 1))
        return nn.functional.interpolate(scores, scale_factor=4, mode="bilinear")


class Late(nn.Module):
    def __init__(self):
        super().__init__()
        self.color, self.depth = Encoder(3), Encoder(1)
        self.head, self.head_without_depth = Head(32), Head(16)

    def forward(self, rgb, depth):
        return self.head(*self.color(rgb), *self.depth(depth))
"""

MEMORY = """
from torch import nn


class Video(nn.Module):
    def __init__(self):
        super().__init__()
        self.sees = nn.Conv2d(3, 64, 16, stride=16)
        self.scores = nn.Conv2d(64, 5, 1)

    def forward(self, rgb, memory):
        memory = (memory + self.sees(rgb)) / 2
        scores = self.scores(memory)
        whole = nn.functional.interpolate(scores, size=rgb.shape[2:], mode="bilinear")
        return whole, memory


def build():
    return Video()
"""


SOUNDS = """
from torch import nn


class Sounds(nn.Module):
    def __init__(self):
        super().__init__()
        self.hears, self.says = nn.Conv1d(80, 8, 5), nn.Linear(8, 3)

    def forward(self, sound):
        return self.says(self.hears(sound).relu().mean(2))


def build():
    return Sounds()
"""


@dataclass(frozen=True)
class Block:
    """A fenced block of a page; ``name`` says where it begins."""

    name: str
    language: str
    text: str

    def commands(self) -> list[str]:
        """Shell lines without comments, joined where they end in a backslash."""
        joined = self.text.replace("\\\n", " ")
        lines = (re.sub(r"(^|\s)#.*", "", line).strip() for line in joined.split("\n"))
        return [re.sub(r"\s+", " ", line) for line in lines if line]


def blocks(page: Path) -> list[Block]:
    text = page.read_text()
    found = re.finditer(r"^```(\w*)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    return [
        Block(f"{page.name}:{text.count(chr(10), 0, m.start()) + 1}", m[1], m[2])
        for m in found
    ]


def why_not(command: str) -> str | None:
    """Why this command is not run here; None if it is."""
    reasons = (why for start, why in CANNOT_RUN.items() if re.match(start, command))
    return next(reasons, None)


def command_of(name: str):
    """What parses the options of a ``fuseg`` command."""
    if name not in COMMANDS:
        return typer.main.get_command(app).commands[name]
    alone = typer.Typer(add_completion=False)
    alone.command(name)(load(name))
    return typer.main.get_command(alone)


@pytest.fixture
def folder(demo_folder, tmp_path, monkeypatch):
    """Where the pages' code runs."""
    shutil.copytree(demo_folder, tmp_path / "out" / "demo")
    for name in ("rgb", "depth"):
        shutil.copytree(demo_folder / name, tmp_path / "frames" / name)
    shutil.copy(demo_folder / "rgbd.fuseg", tmp_path)
    (tmp_path / "my_package").mkdir()
    (tmp_path / "my_package" / "my_model.py").write_text(NETWORK)
    (tmp_path / "my_package" / "my_rooms.py").write_text(SEVERAL_OUTPUTS)
    (tmp_path / "my_package" / "my_video.py").write_text(MEMORY)
    (tmp_path / "my_package" / "my_sounds.py").write_text(SOUNDS)
    (tmp_path / "my_package" / "my_late.py").write_text(LATE)
    onnx.save(two_sensors(), tmp_path / "model.onnx")
    scope: dict[str, Any] = {}
    exec(LATE, scope)  # noqa: S102 - our own words, above
    save_file(scope["Late"]().state_dict(), tmp_path / "late.safetensors")
    for name, layers in {
        "weights": {"scores": nn.Conv2d(4, 5, 4, stride=4)},
        "rooms": {"scores": nn.Conv2d(3, 5, 4, stride=4)},
        "video": {"sees": nn.Conv2d(3, 64, 16), "scores": nn.Conv2d(64, 5, 1)},
        "sounds": {"hears": nn.Conv1d(80, 8, 5), "says": nn.Linear(8, 3)},
        "gates": {
            "rgb": nn.Conv2d(3, 8, 4),
            "depth": nn.Conv2d(1, 8, 4),
            "fuse": Gated(2, 8),
            "scores": nn.Conv2d(8, 5, 1),
        },
        "prompts": {
            "words": nn.Embedding(64, 16),
            "reads": nn.LSTM(16, 8),
            "image": nn.Conv2d(3, 8, 4),
        },
    }.items():
        weights = nn.ModuleDict(layers).state_dict()
        save_file(weights, tmp_path / f"{name}.safetensors")
    shim = tmp_path / "bin" / "fuseg"
    shim.parent.mkdir()
    shim.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m fuseg "$@"\n')
    shim.chmod(0o755)
    monkeypatch.setenv("PATH", f"{shim.parent}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_code_of_a_page_runs_in_order_as_written(page, folder):
    namespace: dict[str, object] = {}
    for block in blocks(page):
        path = re.match(r"# (\w+/\w+\.py)\n", block.text)
        if path is not None:
            (folder / path[1]).write_text(block.text)
            continue
        if block.language == "python":
            exec(compile(block.text, block.name, "exec"), namespace)  # noqa: S102
            for shown in re.finditer(r'(?m)^([^#\n]+)  # ("[^"]*")', block.text):
                assert eval(shown[1], namespace) == eval(shown[2]), shown[0]
            continue
        if block.language == "json":
            (folder / "spec.json").write_text(block.text)
            continue
        assert block.language in ("sh", "text"), f"{block.name}: {block.language}?"
        for command in block.commands() if block.language == "sh" else ():
            reason = why_not(command)
            if reason is not None:
                print(f"{block.name}: not run ({reason}): {command}")
                continue
            done = subprocess.run(
                ["bash", "-c", command],
                check=False,
                cwd=folder,
                capture_output=True,
                text=True,
            )
            assert done.returncode == 0, f"{block.name}: {command}\n{done.stderr}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_options_of_commands_that_are_not_run_exist(page):
    for block in blocks(page):
        for command in block.commands() if block.language in ("sh", "text") else ():
            run = block.language == "sh" and why_not(command) is None
            words = shlex.split(command)
            if words[0] == "fuseg" and not run:
                command_of(words[1]).make_context(words[1], words[2:])


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_commands_and_options_named_in_the_text_exist(page):
    text = re.sub(r"^```.*?^```$", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)
    spans = [" ".join(span.split()) for span in re.findall(r"`([^`]+)`", text)]
    names = [c.name for c in app.registered_commands]
    options = {
        word
        for name in names
        for parameter in command_of(name).params
        for word in (*parameter.opts, *parameter.secondary_opts)
    }
    for span in spans:
        words = span.split()
        if words[0] == "fuseg" and len(words) > 1:
            assert words[1] in names or words[1].startswith("-"), span
        if words[0] == "fuseg" or re.match(r"--[a-z]", span):
            own = {w.partition("=")[0] for w in words if re.match(r"--[a-z]", w)}
            assert own <= options | {"--version", "--help"}, span

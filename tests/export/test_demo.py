from __future__ import annotations

import json
import shlex
import shutil
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from fuseg.errors import InputFileError, OutputFileError
from fuseg_export.demo import command
from fuseg_export.models import shipped
from fuseg_export.scenes import TRAIN_SEEDS, render

KEYS = [f"{number:04}" for number in range(8)]


def files_in(folder):
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and path.name != "demo.json"
    }


@pytest.fixture
def quick(monkeypatch, rgbd_bundle):
    """The demo with a bundle that is there already."""

    def copied(network, out, progress):
        assert network.target == "rgbd"
        assert network.checkpoint.name == "rgbd.safetensors"
        progress("copying")
        shutil.copy(rgbd_bundle, out)

    monkeypatch.setattr(command, "export_bundle", copied)


def test_it_writes_frames_as_the_cameras_give_them(demo_folder):
    for folder in ("rgb", "depth", "truth"):
        made = sorted(path.name for path in (demo_folder / folder).iterdir())
        assert made == [f"{key}.png" for key in KEYS]
    for seed, key in zip(command.ROOMS, KEYS, strict=True):
        assert seed not in TRAIN_SEEDS
        scene = render(seed, 480, 640)
        for folder, mode, expected in (
            ("rgb", "RGB", scene.color),
            ("depth", "I;16", scene.depth),
            ("truth", "P", scene.labels),
        ):
            with Image.open(demo_folder / folder / f"{key}.png") as image:
                assert image.mode == mode
                np.testing.assert_array_equal(np.array(image), expected)


@pytest.mark.usefixtures("quick")
def test_a_second_demo_replaces_the_first_with_the_same_bytes(demo_folder, tmp_path):
    for _ in range(2):
        command.make_demo(tmp_path / "again")
        assert files_in(tmp_path / "again") == files_in(demo_folder)


@pytest.mark.usefixtures("quick")
def test_what_it_tells_to_type_next_works_as_printed(tmp_path, capsys):
    folder = tmp_path / "a folder"
    command.demo(out=folder)
    printed = capsys.readouterr().out
    commands = [line.strip() for line in printed.splitlines() if "  fuseg " in line]
    assert [shlex.split(c)[1] for c in commands] == ["run", "verify", "bench"]
    run, verify, _ = [shlex.split(c)[1:] for c in commands]
    call = [sys.executable, "-m", "fuseg"]
    subprocess.run([*call, *run], check=True, capture_output=True)
    labels = sorted(p.name for p in (folder / "labelled" / "labels").iterdir())
    assert labels == [f"{key}.png" for key in KEYS]
    done = subprocess.run(
        [*call, *verify, "--json"], check=True, capture_output=True, text=True
    )
    scored = json.loads(done.stdout)
    report = json.loads((folder / "demo.json").read_text())
    assert report["miou"] == pytest.approx(scored["truth"]["miou"], abs=1e-9)
    assert f"mIoU {scored['truth']['miou']:.4f}" in printed
    assert report["digest"] == scored["digest"]


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("name", ["rgb", "depth", "truth"])
def test_frames_of_the_users_own_are_never_overwritten(tmp_path, name):
    own = tmp_path / name / "0000.png"
    own.parent.mkdir()
    own.write_bytes(b"mine")
    with pytest.raises(OutputFileError, match=rf"--out must be .*, where {name} is"):
        command.make_demo(tmp_path)
    assert files_in(tmp_path) == {f"{name}/0000.png": b"mine"}


def test_without_the_weights_it_says_where_they_are(monkeypatch, tmp_path):
    monkeypatch.setattr(
        shipped, "__file__", str(tmp_path / "fuseg_export" / "models" / "shipped.py")
    )
    with pytest.raises(InputFileError, match=r"rgbd\.safetensors is missing"):
        command.shipped_checkpoint()
    installed = tmp_path / "fuseg_export" / "checkpoints" / "rgbd.safetensors"
    installed.parent.mkdir(parents=True)
    installed.write_bytes(b"")
    assert command.shipped_checkpoint() == installed

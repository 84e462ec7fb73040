"""The same checkpoint gives the same bytes, from any folder, at any time."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import fuseg
from fuseg.bundle import Bundle

ROOT = Path(__file__).parents[2]
CHECKPOINT = ROOT / "export" / "checkpoints" / "rgbd.safetensors"


def copied_checkout(folder: Path) -> Path:
    """Another clone: the sources elsewhere, the compiled kernels beside them."""
    for part in ("sdk", "export"):
        shutil.copytree(
            ROOT / part, folder / part, ignore=shutil.ignore_patterns("__pycache__")
        )
    compiled = Path(fuseg._kernels.__file__)
    shutil.copy(compiled, folder / "sdk" / "fuseg" / compiled.name)
    return folder


def test_another_clone_at_another_time_exports_the_same_bytes(rgbd_bundle, tmp_path):
    clone = copied_checkout(tmp_path / "a clone, with a space")
    checkpoint = tmp_path / "renamed.safetensors"
    shutil.copy(CHECKPOINT, checkpoint)
    out = tmp_path / "other-name.fuseg"
    code = (
        "import sys; sys.path[:0] = sys.argv.pop(1).split(':');"
        # An editable install finds its packages by a hook that sits before sys.path.
        "sys.meta_path[:] = [f for f in sys.meta_path if isinstance(f, type)];"
        "import fuseg.cli;"
        "assert fuseg.__file__.startswith(sys.path[0]), fuseg.__file__;"
        "fuseg.cli.main()"
    )
    words = ["export", "rgbd", "--checkpoint", checkpoint, "-o", out]
    done = subprocess.run(
        [sys.executable, "-c", code, f"{clone / 'sdk'}:{clone / 'export'}"]
        + [str(word) for word in words],
        cwd=tmp_path,
        env=os.environ | {"PYTHONHASHSEED": "7", "TZ": "Asia/Tokyo"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert Bundle.open(out).digest == Bundle.open(rgbd_bundle).digest


def test_no_member_names_a_folder_of_this_machine(rgbd_bundle):
    with zipfile.ZipFile(rgbd_bundle) as archive:
        for name in archive.namelist():
            if not name.endswith(".npy"):
                content = archive.read(name)
                assert str(ROOT).encode() not in content
                assert b"site-packages" not in content
                assert os.path.expanduser("~").encode() + b"/" not in content

"""What the README says is what was measured, and what the Makefile has."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()


def test_the_numbers_are_those_of_the_committed_results():
    check = [sys.executable, ROOT / "benchmarks" / "readme.py", "--check"]
    subprocess.run(check, check=True)
    assert "p50 / fuseg" in README


def test_every_make_target_and_picture_it_names_exists():
    makefile = (ROOT / "Makefile").read_text()
    targets = set(re.findall(r"^([a-z-]+):", makefile, re.MULTILINE))
    command = r"(?:^|`)make (?:[A-Z_]+=\S+ )?([a-z-]+)"
    named = set(re.findall(command, README, re.MULTILINE))
    assert named
    assert named <= targets
    pictures = re.findall(r"!\[.*?\]\((.*?)\)", README)
    assert pictures
    assert all((ROOT / picture).exists() for picture in pictures)

"""Commands in processes of their own, with a time limit; or what they would be."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
WORK = ROOT / "out" / "gpu-check"


class Commands:
    """Runs commands, or prints them if this is a dry run."""

    def __init__(self, *, dry: bool) -> None:
        self.dry = dry

    def __call__(self, *words: object, seconds: float) -> str:
        """The output of a command; its end is in the exception if it fails."""
        command = [str(word) for word in words]
        if self.dry:
            print(f"    {shlex.join(command).replace(f'{ROOT}{os.sep}', '')}")
            return ""
        done = subprocess.run(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=seconds,
            check=False,
            cwd=ROOT,
            env=os.environ | {"XDG_CACHE_HOME": str(WORK / "cache")},
        )
        if done.returncode:
            end = done.stdout[-6000:]
            raise RuntimeError(f"{command[0]} ended with {done.returncode}\n{end}")
        return done.stdout

    def python(self, *words: object, seconds: float) -> str:
        return self(sys.executable, *words, seconds=seconds)

    def measure(
        self, record: dict[str, Any], script: str, *words: object, seconds: float
    ) -> None:
        """Run a script of this folder; what it saved is kept even if it fails."""
        saved = WORK / "measured.json"
        saved.unlink(missing_ok=True)
        words = (HERE / script, *words, "--save", saved)
        try:
            print(self.python(*words, seconds=seconds), end="")
        finally:
            if saved.exists():
                record |= json.loads(saved.read_text())

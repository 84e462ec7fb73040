"""NVIDIA's own parser and builder, of TensorRT for RTX: it needs no GPU to build."""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

WORKER = Path(__file__).parent / "worker.py"
TIMEOUT_S = 60.0


@dataclass(frozen=True)
class Verdict:
    """What became of one network.

    Attributes:
        stage: "built", or where it ended: "parse", "build", "crash" or "timeout".
        node, operator: What the parser refuses.
        reason: NVIDIA's words.
    """

    stage: str
    node: str = ""
    operator: str = ""
    reason: str = ""

    @property
    def built(self) -> bool:
        return self.stage == "built"


class RealBuilder:
    """A process with the builder in it; another one takes over when it ends."""

    def __init__(self, site: Path) -> None:
        self._environment = {**os.environ, "PYTHONPATH": str(site)}
        self._process: subprocess.Popen[str] | None = None

    def ask(
        self,
        model: Path,
        formats: Mapping[str, Sequence[str]] | None = None,
        profile: Mapping[str, Sequence[Sequence[int]]] | None = None,
    ) -> Verdict:
        """Parse and build the ONNX file; the others are as of `worker.Builder`."""
        process = self._running()
        assert process.stdin is not None
        assert process.stdout is not None
        request = json.dumps([str(model), formats or {}, profile])
        process.stdin.write(request + "\n")
        process.stdin.flush()
        if not select.select([process.stdout], [], [], TIMEOUT_S)[0]:
            self.close()
            return Verdict("timeout")
        line = process.stdout.readline()
        if not line:
            code = process.wait()
            self.close()
            return Verdict("crash", reason=f"exit code {code}")
        return Verdict(**json.loads(line))

    def close(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.communicate()

    def _running(self) -> subprocess.Popen[str]:
        if self._process is None:
            self._process = subprocess.Popen(
                [sys.executable, str(WORKER)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                text=True,
                env=self._environment,
            )
        return self._process

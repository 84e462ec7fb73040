"""Programs in processes of their own, timed in turns.

Each has its own Python, libraries and CUDA context; one that crashes or hangs is ended,
and the others go on.
"""

from __future__ import annotations

import json
import os
import random
import selectors
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

WORKER = Path(__file__).with_name("gpu_worker.py")


class WorkerError(RuntimeError):
    """A program failed, hung or ended."""


class Worker:
    """One process of gpu_worker.py.

    Args:
        name: Of the program, for people.
        what: Its description, for `gpu_programs.make`.
        log: Where its stderr goes.
        python: Its interpreter, and in ``environment`` what that needs.
        double: The version of TensorRT's double, to try things out without a GPU.
    """

    def __init__(
        self,
        name: str,
        what: Mapping[str, Any],
        log: Path,
        *,
        environment: Mapping[str, str],
        python: Path | None = None,
        double: str | None = None,
    ) -> None:
        self.name, self.what, self._log = name, dict(what), log
        words = [str(python or sys.executable), str(WORKER), *([double] * bool(double))]
        with log.open("w") as file:
            self._process = subprocess.Popen(
                words,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=file,
                text=True,
                env=os.environ | environment,
            )

    def send(self, do: str, **arguments: Any) -> None:
        """Ask for something, and go on."""
        try:
            assert self._process.stdin is not None
            self._process.stdin.write(json.dumps({"do": do, **arguments}) + "\n")
            self._process.stdin.flush()
        except (OSError, ValueError) as error:  # its pipe is broken, or closed
            raise WorkerError(self._sentence("has ended")) from error

    def receive(self, seconds: float) -> dict[str, Any]:
        """The answer to what was asked for."""
        stream = self._process.stdout
        assert stream is not None
        with selectors.DefaultSelector() as ready:
            ready.register(stream, selectors.EVENT_READ)
            if not ready.select(max(0.1, seconds)):
                self.stop()
                raise WorkerError(self._sentence(f"took more than {seconds:.0f} s"))
        line = stream.readline()
        if not line:
            self._process.wait(10)
            ended = f"ended with {self._process.returncode}"
            raise WorkerError(self._sentence(ended))
        answer: dict[str, Any] = json.loads(line)
        if "error" in answer:
            raise WorkerError(f"{self.name}: {answer['error']}")
        return answer

    def ask(self, do: str, seconds: float, **arguments: Any) -> dict[str, Any]:
        self.send(do, **arguments)
        return self.receive(seconds)

    def stop(self) -> None:
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                try:
                    stream.close()
                except OSError:  # what was still to be written has no reader
                    continue

    def _sentence(self, what: str) -> str:
        said = self._log.read_text(errors="replace").strip().splitlines()[-4:]
        return f"{self.name} {what}: {' / '.join(said) or 'it said nothing'}"


def interleave(
    workers: list[Worker], frames: int, rounds: int, seconds: float
) -> dict[str, dict[str, Any]]:
    """Time one frame of every program per round, in an order drawn anew each time.

    Returns:
        By name ``p50``, ``p90``, ``p99`` in ms, and ``rounds``; of one that failed
        meanwhile ``error``. It ends early when ``seconds`` are over.
    """
    order, end = random.Random(0), time.monotonic() + seconds
    times: dict[str, list[float]] = {worker.name: [] for worker in workers}
    failed: dict[str, str] = {}
    for index in range(rounds):
        if time.monotonic() > end:
            break
        for worker in order.sample(workers, len(workers)):
            if worker.name in failed:
                continue
            which = {"before": (index - 1) % frames, "index": index % frames}
            try:
                answer = worker.ask("time", 30, **which)
            except WorkerError as error:
                failed[worker.name] = str(error)
                continue
            times[worker.name].append(answer["ms"])
    found: dict[str, dict[str, Any]] = {}
    for name, values in times.items():
        if name in failed:
            found[name] = {"error": failed[name]}
        elif values:
            p50, p90, p99 = np.percentile(values, (50, 90, 99)).tolist()
            found[name] = {"p50": p50, "p90": p90, "p99": p99, "rounds": len(values)}
    return found


def stop_all(workers: Iterable[Worker]) -> None:
    for worker in workers:
        worker.stop()

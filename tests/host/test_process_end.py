"""A process ends with 0 whatever its daemon threads do, and no call is cut through."""

from __future__ import annotations

import random
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from fuseg import ops

PROGRAM = Path(__file__).parent / "daemon_thread.py"
OPS = sorted(n for n in ops.__all__ if not isinstance(getattr(ops, n), type))
RUNS = 20


def end(what: str, bundle: Path, runs: int) -> list[tuple[int, str]]:
    """The exit codes of this many runs, and what they print."""
    found = []
    for run in range(runs):
        seconds = random.Random(run).random() / 50
        done = subprocess.run(
            [sys.executable, str(PROGRAM), what, str(bundle), str(seconds)],
            capture_output=True,
            text=True,
            check=False,
            timeout=100,
        )
        found.append((done.returncode, done.stderr))
    return found


@pytest.mark.parametrize("what", [*OPS, "load", "onnxruntime", "openvino"])
def test_a_daemon_thread_that_works_does_not_abort_the_exit(what, rgbd):
    if what == "openvino" and find_spec("openvino") is None:
        pytest.skip("OpenVINO is not installed")
    assert end(what, rgbd.path, 2) == [(0, "")] * 2


@pytest.mark.slow
@pytest.mark.parametrize("what", [*OPS, "load", "onnxruntime", "openvino"])
def test_nor_in_any_of_twenty_runs(what, rgbd):
    assert end(what, rgbd.path, RUNS) == [(0, "")] * RUNS


def test_calls_of_a_program_that_ends_are_finished_and_no_later_one_begins():
    """The exit waits for the call in flight; its own thread may still call."""
    code = """
import atexit, threading, time
from fuseg import _kernels
log = []
atexit.unregister(_kernels.finish_native_calls)  # before the report below
atexit.register(lambda: print(log, _kernels.native_call(abs, -5)))
atexit.register(_kernels.finish_native_calls)
entered = threading.Event()
def long():
    entered.set()
    time.sleep(0.2)
    log.append("finished")
def work():
    _kernels.native_call(long)
    _kernels.native_call(log.append, "too late")
threading.Thread(target=work, daemon=True).start()
entered.wait()
"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert done.stdout == "['finished'] 5\n"


SIGNALLED = """
import signal, sys, fuseg
first, second = (fuseg.load(sys.argv[1], backend="openvino") for _ in range(2))
first.close()
second.close()
del first, second
signal.signal(signal.SIGALRM, lambda *_: print("handled"))
signal.raise_signal(signal.SIGALRM)
"""


def test_openvino_leaves_signals_a_stack_in_whatever_order_it_is_closed(rgbd):
    if find_spec("openvino") is None:
        pytest.skip("OpenVINO is not installed")
    command = [sys.executable, "-c", SIGNALLED, str(rgbd.path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "handled\n")

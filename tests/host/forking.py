"""Forks twenty times, and prints what came of each child; see test_fork.py.

Usage: forking.py BUNDLE BACKEND THREADS [in-a-call]
"""

from __future__ import annotations

import faulthandler
import os
import signal
import sys
import threading
import time

import numpy as np

import fuseg
from fuseg.errors import BackendError

ANSWERS = {0: "right", 3: "wrong", 4: "refused", 5: "raised"}

bundle, backend, threads = sys.argv[1], sys.argv[2], int(sys.argv[3])
rng = np.random.default_rng(0)
frames = {
    "rgb": rng.integers(0, 256, (48, 64, 3)).astype(np.uint8),
    "depth": rng.integers(1, 9000, (48, 64)).astype(np.uint16),
}
segmenter = fuseg.load(bundle, backend=backend, threads=threads)
wanted = segmenter(**frames).labels


def work() -> None:
    while True:
        segmenter(**frames)


def child() -> int:
    faulthandler.dump_traceback_later(40)  # to stderr: where a child hangs
    signal.alarm(50)  # and then it is killed, and is "signal14"
    refused = 0
    for use in (segmenter, segmenter.clone):
        try:
            use = use if use is segmenter else use()
            for _ in range(3):
                if not np.array_equal(use(**frames).labels, wanted):
                    return 3
        except BackendError as err:
            refused += "spawn" in str(err)
    return 0 if refused == 0 else 4 if refused == 2 else 5


if "in-a-call" in sys.argv:
    threading.Thread(target=work, daemon=True).start()
for number in range(20):
    time.sleep(number / 1000)
    process = os.fork()
    if process == 0:
        sys.exit(child())  # the whole exit, destructors and all
    status = os.waitpid(process, 0)[1]
    code = os.waitstatus_to_exitcode(status)
    print(ANSWERS.get(code, f"signal{-code}"), flush=True)

"""Threads of a backend that wait: busy for a while, as is their default, or asleep."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import numpy as np
import pytest

import fuseg
from fuseg import errors
from fuseg.backends.replay import ReplayBackend
from fuseg.selection import tuning_cache

DIGEST = "0123456789abcdef" * 4
KEYS = ["session.intra_op.allow_spinning", "session.inter_op.allow_spinning"]

# CPU time of the process between calls, in milliseconds: what its threads burn.
IDLE = """
import json, sys, time
import numpy as np
import fuseg

segmenter = fuseg.load(sys.argv[1], threads=2, allow_spinning=json.loads(sys.argv[2]))
frame = np.full((240, 320, 3), 77, np.uint8)
spent = 0
for _ in range(12):
    segmenter(rgb=frame)
    before = time.process_time()
    time.sleep(0.1)
    spent += time.process_time() - before
print(json.dumps(1e3 * spent))
"""


def entries(segmenter):
    options = segmenter.backend.session.get_session_options()
    found = []
    for key in KEYS:
        try:
            found.append(options.get_session_config_entry(key))
        except RuntimeError:  # not set
            found.append(None)
    return found


def test_the_option_reaches_onnxruntime(rgbd):
    assert entries(fuseg.load(rgbd.path)) == [None, None]
    assert entries(fuseg.load(rgbd.path, allow_spinning=False)) == ["0", "0"]
    twin = fuseg.load(rgbd.path, allow_spinning=False).clone()
    assert entries(twin) == ["0", "0"]


@pytest.mark.skipif((os.cpu_count() or 1) < 2, reason="one core: nobody waits")
def test_without_spinning_a_process_burns_nothing_between_calls(
    make_bundle, color_input, tmp_path
):
    path = make_bundle(color_input(size=(240, 320)), classes=24).path
    spinning, asleep = (
        json.loads(
            subprocess.check_output(
                [sys.executable, "-c", IDLE, path, json.dumps(allowed)], cwd=tmp_path
            )
        )
        for allowed in (True, False)
    )
    assert asleep < 12 * 1.0  # of 100 ms each; some 0.1 ms are the call's own end
    assert asleep < spinning / 4


def test_a_backend_object_has_its_own_way(rgbd):
    backend = ReplayBackend([np.zeros((1, 4, 6, 8), np.float32)])
    with pytest.raises(errors.ArgumentError, match="allow_spinning must be omitted"):
        fuseg.load(rgbd.path, backend=backend, allow_spinning=False)


def test_what_was_tuned_with_threads_that_sleep_is_kept_apart():
    fast = tuning_cache.Measured("openvino", "fp32", 1.0)
    slow = tuning_cache.Measured("onnxruntime", "fp32", 1.0)
    tuning_cache.store(DIGEST, 2, [slow])
    tuning_cache.store(DIGEST, 2, [fast], allow_spinning=False)
    found = {t.allow_spinning: t.measured for t in tuning_cache.everything()}
    assert found == {True: (slow,), False: (fast,)}
    assert tuning_cache.stored(DIGEST, 2).measured == (slow,)
    asleep = tuning_cache.stored(DIGEST, 2, allow_spinning=False)
    assert asleep.measured == (fast,)

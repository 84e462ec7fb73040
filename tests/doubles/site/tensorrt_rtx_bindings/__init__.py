"""``import tensorrt_rtx_bindings`` of a child process: see ../tensorrt."""

from __future__ import annotations

import os
import sys

if not os.environ["FUSEG_TENSORRT_DOUBLE"].startswith("rtx-"):
    raise ModuleNotFoundError("No module named 'tensorrt_rtx_bindings'")
import tensorrt

sys.modules[__name__] = tensorrt

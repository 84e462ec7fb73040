"""``import tensorrt`` of a child process: the double that the environment names.

FUSEG_TENSORRT_DOUBLE is the version; TensorRT for RTX is imported under its own name.
FUSEG_TENSORRT_DOUBLE_USES is a file that gets what the process used, a line of JSON
each, when it ends.
"""

from __future__ import annotations

import atexit
import json
import os
import sys
from pathlib import Path
from types import ModuleType

# The package without its __init__, which is for tests and imports more than needed.
_package = ModuleType("doubles")
_package.__path__ = [str(Path(__file__).parents[2])]
sys.modules["doubles"] = _package

from doubles.tensorrt import make

_double = make(None, os.environ["FUSEG_TENSORRT_DOUBLE"])
_path = os.environ.get("FUSEG_TENSORRT_DOUBLE_USES")


def _note() -> None:
    with open(str(_path), "a") as file:
        uses = sorted(set(_double.uses), key=str)
        file.writelines(json.dumps(use) + "\n" for use in uses)


if _path:
    atexit.register(_note)
sys.modules[__name__] = _double

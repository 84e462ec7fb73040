"""What a wheel brought works here: every example in the docstrings of fuseg.ops.

python tests/checks/smoke.py FOLDER    fuseg must come from FOLDER
"""

from __future__ import annotations

import doctest
import importlib
import pkgutil
import platform
import sys
from pathlib import Path

import fuseg.ops


def main() -> None:
    place = Path(fuseg.__file__).resolve()
    if Path(sys.argv[1]).resolve() not in place.parents:
        sys.exit(f"fuseg came from {place}")
    attempted = failed = 0
    for found in pkgutil.iter_modules(fuseg.ops.__path__):
        module = importlib.import_module(f"fuseg.ops.{found.name}")
        outcome = doctest.testmod(module)
        attempted += outcome.attempted
        failed += outcome.failed
    python = platform.python_version()
    print(f"{platform.machine()}, Python {python}: {attempted} lines of examples run")
    sys.exit(failed or not attempted)


if __name__ == "__main__":
    main()

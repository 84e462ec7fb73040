"""The ``fuseg`` script, and ``python -m fuseg``."""

from __future__ import annotations

import json
import sys


def main() -> None:
    """Run the command line; without the libraries it needs, say how to get them."""
    try:
        from .cli import main as run
    except ModuleNotFoundError as err:
        name = err.name or ""
        if name.partition(".")[0] in ("fuseg", ""):
            raise
        sentence = (
            f"the fuseg command needs {name}, which is not installed here: "
            'pip install "fuseg[cli]".'
        )
        print(f"error: {sentence}", file=sys.stderr)
        if "--json" in sys.argv:
            error = {"type": "MissingPackageError", "message": sentence}
            print(json.dumps({"error": error}, indent=1))
        sys.exit(2)
    run()


if __name__ == "__main__":
    main()

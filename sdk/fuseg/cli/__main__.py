"""``python -m fuseg.cli``: the same as the ``fuseg`` script."""

from __future__ import annotations

from . import main

main()

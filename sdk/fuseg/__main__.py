"""``python -m fuseg``: the same as the ``fuseg`` script."""

from __future__ import annotations

from .cli import main

main()

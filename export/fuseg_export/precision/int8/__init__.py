"""INT8 networks: where Q/DQ pairs go, and what runtimes make of them."""

from __future__ import annotations

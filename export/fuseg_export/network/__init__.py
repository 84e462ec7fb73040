"""The network to export: found, built, and filled with its trained weights."""

from __future__ import annotations

"""The rows of the table, in its order: a file for each kind of scenes."""

from __future__ import annotations

from . import rooms, senses, things

__all__ = ["ROWS"]

ROWS = {row.name: row for row in (*rooms.ROWS, *things.ROWS, *senses.ROWS)}

"""The rows of the table, in its order: a file for each kind of scenes."""

from __future__ import annotations

from . import rooms, senses, things, words

__all__ = ["ROWS"]

_OF = (rooms, things, words, senses)
ROWS = {row.name: row for module in _OF for row in module.ROWS}

"""Texts to token ids and back, as a ``tokenizer.json`` of Hugging Face says.

A subset of that format, read without its library and without any other; what lies
outside is refused, never left out. `Tokenizer` lists it.
"""

from __future__ import annotations

from .rows import TextRows
from .tokenizer import Tokenizer

__all__ = ["TextRows", "Tokenizer"]

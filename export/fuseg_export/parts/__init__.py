"""Networks of named parts, which become a bundle's graphs."""

from __future__ import annotations

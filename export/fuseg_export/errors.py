"""The one sentence of a foreign exception that a user needs."""

from __future__ import annotations

__all__ = ["cause"]

LONGEST = 200


def cause(err: BaseException) -> str:
    """Name an exception and quote its message's first sentence, without the stop."""
    lines = [line.strip() for line in str(err).splitlines() if line.strip()]
    first = lines[0].split(". ")[0].rstrip(".:") if lines else ""
    if len(first) > LONGEST:
        first = f"{first[:LONGEST]}..."
    return f"{type(err).__name__}: {first}" if first else type(err).__name__

"""Foreign exceptions in one sentence, for our own error messages."""

from __future__ import annotations

__all__ = ["first_sentence"]

LONGEST = 200


def first_sentence(err: BaseException) -> str:
    """An exception's type and the first sentence of its message, without the period."""
    lines = [line.strip() for line in str(err).splitlines() if line.strip()]
    first = lines[0].split(". ")[0].rstrip(".:") if lines else ""
    if len(first) > LONGEST:
        first = f"{first[:LONGEST]}..."
    return f"{type(err).__name__}: {first}" if first else type(err).__name__

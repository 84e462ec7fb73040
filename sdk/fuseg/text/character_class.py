"""The characters of a table of `characters`, as text and as a class of `re`."""

from __future__ import annotations

__all__ = ["char_class", "characters", "escaped"]


def char_class(table: str) -> str:
    """A class of Python's `re` of the characters of a table."""
    return f"[{escaped(table)}]"


def escaped(table: str) -> str:
    """What stands in the brackets of such a class."""
    return "".join(f"{_in_class(a)}-{_in_class(b)}" for a, b in _ranges(table))


def _in_class(number: int) -> str:
    # `re` reads an escape ten times as slowly, and there are thousands.
    return chr(number) if number > 127 else f"\\x{number:02x}"


def characters(table: str) -> str:
    """All of a table, one after the other."""
    return "".join(chr(c) for a, b in _ranges(table) for c in range(a, b + 1))


def _ranges(table: str) -> list[tuple[int, int]]:
    """The first and the last of each range.

    A table has two numbers in base 36 for each: how many characters lie between it and
    the range before, and how many more than one it has.
    """
    found, at = [], 0
    numbers = [int(word, 36) for word in table.split()]
    for gap, more in zip(numbers[::2], numbers[1::2], strict=True):
        found.append((at + gap, at + gap + more))
        at += gap + more + 1
    return found

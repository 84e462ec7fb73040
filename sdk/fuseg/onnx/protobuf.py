"""Protobuf messages: read field by field, written with some fields changed.

A message is a run of fields, each a number or bytes that may be a message themselves.
What is not changed is copied byte by byte. Damage, and more fields than a network has,
is a `BundleError`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

from ..errors import BundleError

__all__ = [
    "BYTES",
    "MOST_FIELDS",
    "NOT_ONNX",
    "VARINT",
    "Field",
    "Reader",
    "edited",
    "fields",
    "mapped",
    "written",
]

VARINT, BYTES = 0, 2  # wire types
_FIXED = {1: 8, 5: 4}  # bytes of a number, by wire type
MOST_FIELDS = 1_000_000  # a network of 10,000 nodes has half of that
NOT_ONNX = "it is not an ONNX file, or is cut off."


class Reader:
    """The fields of the messages in an ONNX file; so many of them, and no more."""

    def __init__(self, model: memoryview) -> None:
        self.model = model
        self._left = MOST_FIELDS

    def fields(self, start: int, end: int) -> Iterator[tuple[int, int, int, int]]:
        """Yield (number, wire type, first, last) of each field of one message.

        Bytes and fixed numbers lie from ``first`` to ``last``. Of a variable-length
        number ``last`` is the value, and ``first`` where the next field begins.

        Raises:
            BundleError: It is no protobuf message, or there are too many fields.
        """
        data = self.model
        while start < end:
            self._count(1)
            tag, start = _varint(data, start, end)
            number, wire = tag >> 3, tag & 7
            if not 0 < number < 1 << 29:  # runtimes cut a longer tag to 32 bits
                raise BundleError(NOT_ONNX)
            if wire == VARINT:
                value, start = _varint(data, start, end)
                yield number, wire, start, value
                continue
            if wire == BYTES:
                length, start = _varint(data, start, end)
            elif wire in _FIXED:
                length = _FIXED[wire]
            else:
                raise BundleError(NOT_ONNX)
            if start + length > end:
                raise BundleError(NOT_ONNX)
            yield number, wire, start, start + length
            start += length

    def numbers(self, wire: int, first: int, last: int) -> list[int]:
        """Those of a repeated field of whole numbers: one, or several in bytes."""
        if wire == VARINT:
            return [last]
        self._count(last - first)
        found = []
        while wire == BYTES and first < last:
            value, first = _varint(self.model, first, last)
            found.append(value)
        return found

    def _count(self, more: int) -> None:
        self._left -= more
        if self._left < 0:
            raise BundleError(
                f"it must have at most {MOST_FIELDS} fields: it is not a network that "
                "fuseg exports."
            )

    def text(self, first: int, last: int) -> str:
        return bytes(self.model[first:last]).decode("utf-8", "replace")


class Field(NamedTuple):
    """One field; ``raw`` are its bytes with its tag, ``value`` those without."""

    number: int
    value: int | memoryview
    raw: memoryview

    @property
    def message(self) -> memoryview:
        if isinstance(self.value, int):
            raise BundleError(NOT_ONNX)
        return self.value

    @property
    def whole(self) -> int:
        if not isinstance(self.value, int):
            raise BundleError(NOT_ONNX)
        return self.value

    @property
    def text(self) -> str:
        return bytes(self.message).decode("utf-8", "replace")

    def numbers(self) -> list[int]:
        """One number, or several that are packed into bytes."""
        if isinstance(self.value, int):
            return [self.value]
        return Reader(self.value).numbers(BYTES, 0, len(self.value))


def fields(message: memoryview) -> Iterator[Field]:
    """The fields of one message, in order."""
    start = 0
    for number, wire, first, last in Reader(message).fields(0, len(message)):
        value: int | memoryview
        if wire == VARINT:
            value, end = last, first
        else:
            value, end = message[first:last], last
            if wire != BYTES:
                value = int.from_bytes(value, "little")
        yield Field(number, value, message[start:end])
        start = end


def mapped(message: memoryview, edit: Callable[[Field], bytes]) -> bytes:
    """The message with each field as ``edit`` writes it."""
    return b"".join(map(edit, fields(message)))


def edited(
    message: memoryview, number: int, edit: Callable[[Field], bytes | int]
) -> bytes:
    """The message with the value of the fields of one number replaced."""
    return mapped(
        message,
        lambda f: written(number, edit(f)) if f.number == number else bytes(f.raw),
    )


def written(number: int, value: bytes | int) -> bytes:
    """One field."""
    if isinstance(value, int):
        return _spelled(number << 3 | VARINT) + _spelled(value)
    return _spelled(number << 3 | BYTES) + _spelled(len(value)) + value


def _varint(data: memoryview, start: int, end: int) -> tuple[int, int]:
    value = 0
    for index in range(start, min(end, start + 10)):
        value |= (data[index] & 0x7F) << 7 * (index - start)
        if data[index] < 0x80:
            return value, index + 1
    raise BundleError(NOT_ONNX)


def _spelled(number: int) -> bytes:
    out = bytearray()
    while number >= 0x80:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)

"""Protobuf messages: read field by field, written with some fields changed.

A message is a run of fields, each a number or bytes that may be a message themselves.
What is not changed is copied byte by byte. Damage is a `BundleError`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

from ..errors import BundleError

__all__ = ["Field", "edited", "fields", "mapped", "written"]

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_CUT_OFF = "the network is no ONNX file, or is cut off: export the bundle again."


class Field(NamedTuple):
    """One field; ``raw`` are its bytes with its tag, ``value`` those without."""

    number: int
    value: int | memoryview
    raw: memoryview

    @property
    def message(self) -> memoryview:
        if isinstance(self.value, int):
            raise BundleError(_CUT_OFF)
        return self.value

    @property
    def whole(self) -> int:
        if not isinstance(self.value, int):
            raise BundleError(_CUT_OFF)
        return self.value

    @property
    def text(self) -> str:
        return bytes(self.message).decode("utf-8", "replace")

    def numbers(self) -> Iterator[int]:
        """One number, or several that are packed into bytes."""
        if isinstance(self.value, int):
            yield self.value
            return
        start = 0
        while start < len(self.value):
            value, start = _varint(self.value, start)
            yield value


def fields(message: memoryview) -> Iterator[Field]:
    start = 0
    while start < len(message):
        tag, first = _varint(message, start)
        wire = tag & 7
        value: int | memoryview
        if wire == _VARINT:
            value, end = _varint(message, first)
        elif wire == _BYTES:
            length, first = _varint(message, first)
            end = first + length
            value = message[first:end]
        elif wire in (_FIXED32, _FIXED64):
            end = first + (4 if wire == _FIXED32 else 8)
            value = int.from_bytes(message[first:end], "little")
        else:
            raise BundleError(_CUT_OFF)
        if end > len(message):
            raise BundleError(_CUT_OFF)
        yield Field(tag >> 3, value, message[start:end])
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
        return _spelled(number << 3 | _VARINT) + _spelled(value)
    return _spelled(number << 3 | _BYTES) + _spelled(len(value)) + value


def _varint(data: memoryview, start: int) -> tuple[int, int]:
    value = 0
    for index in range(start, min(len(data), start + 10)):
        value |= (data[index] & 0x7F) << 7 * (index - start)
        if data[index] < 0x80:
            return value, index + 1
    raise BundleError(_CUT_OFF)


def _spelled(number: int) -> bytes:
    out = bytearray()
    while number >= 0x80:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)

"""The zip file under a bundle: it has exactly one spelling, so nothing can hide.

Members are stored, 64-byte aligned, dated 1980-01-01, in one order, without gaps.
`unpack` rebuilds every header from what the central directory says and compares it
with the file, so that all readers of the zip see the same members.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Mapping

from ..errors import BundleError
from ..manifest.variants import is_member_name

__all__ = ["LARGEST_FILE", "MANIFEST", "pack", "unpack"]

MANIFEST = "manifest.json"
LARGEST_FILE = 0xFFFF_FFFE  # what a zip holds without its 64-bit extension

_LOCAL = struct.Struct("<4s5H3L2H")
_CENTRAL = struct.Struct("<4s6H3L5H2L")
_END = struct.Struct("<4s4H2LH")
_EXTRA = struct.Struct("<3H")
_ALIGNMENT = 64
_ALIGNMENT_ID = 0xD935  # the extra field that zipalign pads with
_VERSION = 20
_DATE = 0x0021  # 1980-01-01, the first day a zip knows
_UNIX, _REGULAR_FILE = 3, 0o100644
_MOST_MEMBERS = 10_000
_LONGEST_OVERHEAD = 1024  # bytes around a member: headers, its name twice, padding
_LARGEST_MANIFEST = 4 << 20


def pack(manifest: bytes, members: Mapping[str, bytes]) -> bytes:
    """Lay out a bundle; the same members give the same bytes.

    Raises:
        BundleError: there are too many members, or they are 4 GiB or more.
    """
    total = len(manifest) + sum(map(len, members.values()))
    if total + _LONGEST_OVERHEAD * (len(members) + 1) > LARGEST_FILE:
        raise BundleError(f"it must stay below 4 GiB, got {total} bytes of members.")
    if len(members) >= _MOST_MEMBERS:
        raise BundleError(_refusal_of_count(len(members) + 1))
    blocks: list[bytes] = []
    directory: list[bytes] = []
    offset = 0
    for name, data in [(MANIFEST, manifest), *sorted(members.items())]:
        crc, size = zlib.crc32(data), len(data)
        header = _local(name, crc, size, offset)
        directory.append(_central(name, crc, size, offset))
        blocks += (header, data)
        offset += len(header) + size
    entries = b"".join(directory)
    return b"".join((*blocks, entries, _end(len(directory), len(entries), offset)))


def unpack(data: memoryview) -> dict[str, slice]:
    """Find every member of a bundle, the manifest first.

    Returns:
        Where each member's bytes are in ``data``.

    Raises:
        BundleError: the file is not what `pack` writes, to the last byte.
    """
    start, entries, count = _read_end(data)
    members: dict[str, slice] = {}
    offset = 0
    for _ in range(count):
        name, crc, size, length = _read_entry(entries, offset)
        if name in members:
            raise BundleError(f"it holds member {name!r} twice.")
        entries = entries[length:]
        header = _local(name, crc, size, offset)
        begin = offset + len(header)
        if bytes(data[offset:begin]) != header:
            raise BundleError(
                f"the header of member {name!r} differs from the central directory, "
                "or is not as fuseg writes it."
            )
        offset = begin + size
        if offset > start:
            raise BundleError(f"member {name!r} does not fit into the file.")
        if zlib.crc32(data[begin:offset]) != crc:
            raise BundleError(f"member {name!r} is damaged: its checksum is wrong.")
        members[name] = slice(begin, offset)
    if len(entries) or offset != start:
        raise BundleError("it has bytes that belong to no member.")
    _require_order(members)
    return members


def _read_end(data: memoryview) -> tuple[int, memoryview, int]:
    """Return where the central directory starts, its bytes and its entries."""
    if len(data) < _END.size or bytes(data[-_END.size :][:4]) != b"PK\5\6":
        raise BundleError(
            "it does not end as a bundle does: it was cut off, or something was added "
            "at its end."
        )
    count, size, start = _END.unpack(data[-_END.size :])[4:7]
    if start + size + _END.size != len(data) or _end(count, size, start) != bytes(
        data[-_END.size :]
    ):
        raise BundleError("its end record does not fit the file, or is in zip64 form.")
    if count > _MOST_MEMBERS:
        raise BundleError(_refusal_of_count(count))
    return start, data[start : start + size], count


def _read_entry(entries: memoryview, offset: int) -> tuple[str, int, int, int]:
    """Return name, checksum, size and own length of the first directory entry."""
    if len(entries) < _CENTRAL.size:
        raise BundleError("its central directory is damaged.")
    fields = _CENTRAL.unpack(entries[: _CENTRAL.size])
    flags, method, crc, stored, size, name_length = *fields[3:5], *fields[7:11]
    length = _CENTRAL.size + name_length
    name = bytes(entries[_CENTRAL.size : length]).decode("latin-1")
    if not is_member_name(name):
        raise BundleError(
            "a member's name must be a relative path of letters, digits, '_', '-' and "
            f"'.', got {name[:80]!a}."
        )
    if flags & 1:
        raise BundleError(f"member {name!r} is encrypted.")
    if method != 0 or stored != size:
        raise BundleError(
            f"member {name!r} is compressed: a bundle stores its members as they are."
        )
    if fields[16] != offset:
        raise BundleError(
            f"member {name!r} must follow the one before it: the file has a gap or "
            "an overlap."
        )
    if bytes(entries[:length]) != _central(name, crc, size, offset):
        raise BundleError(
            f"the directory entry of member {name!r} is not as fuseg writes it: it "
            "was repacked, or is not a regular file."
        )
    return name, crc, size, length


def _require_order(members: Mapping[str, slice]) -> None:
    names = list(members)
    if names[:1] != [MANIFEST]:
        raise BundleError(f"it is not a bundle: its first member is not {MANIFEST}.")
    if names[1:] != sorted(names[1:]):
        raise BundleError("its members are not in order: it was repacked.")
    size = members[MANIFEST].stop - members[MANIFEST].start
    if size > _LARGEST_MANIFEST:
        raise BundleError(f"its manifest must be at most 4 MiB, got {size} bytes.")


def _refusal_of_count(count: int) -> str:
    return f"it must hold at most {_MOST_MEMBERS} members, got {count}."


def _local(name: str, crc: int, size: int, offset: int) -> bytes:
    fixed = _LOCAL.size + len(name) + _EXTRA.size
    padding = -(offset + fixed) % _ALIGNMENT
    extra = _EXTRA.pack(_ALIGNMENT_ID, 2 + padding, _ALIGNMENT) + bytes(padding)
    sizes = (crc, size, size, len(name), len(extra))
    fields = _LOCAL.pack(b"PK\3\4", _VERSION, 0, 0, 0, _DATE, *sizes)
    return fields + name.encode("ascii") + extra


def _central(name: str, crc: int, size: int, offset: int) -> bytes:
    made_by, attributes = _UNIX << 8 | _VERSION, _REGULAR_FILE << 16
    sizes = (crc, size, size, len(name), 0, 0)
    fields = (made_by, _VERSION, 0, 0, 0, _DATE, *sizes, 0, 0, attributes, offset)
    return _CENTRAL.pack(b"PK\1\2", *fields) + name.encode("ascii")


def _end(count: int, size: int, start: int) -> bytes:
    return _END.pack(b"PK\5\6", 0, 0, count, count, size, start, 0)

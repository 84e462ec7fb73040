"""What is known of an engine, and the one file that holds it: record and plan.

The file is the container of a bundle, with ``manifest.json``, the record, and
``engine.plan``; an engine pack may have ``timings`` and a ``signature`` as well.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from typing import Any, Literal

from ...bundle.container import MANIFEST, pack, unpack
from ...errors import BundleError, ManifestError
from ...manifest import File
from ...manifest.schema import Record, dump, require
from .fingerprint import Fingerprint

__all__ = [
    "PLAN",
    "SIGNATURE",
    "TIMINGS",
    "EngineFile",
    "EngineRecord",
    "IoTensor",
    "read_file",
    "require_member",
    "write_file",
]

PLAN, SIGNATURE, TIMINGS = "engine.plan", "signature", "timings"
_LONGEST = 300  # characters of a warning that are kept
_MOST = 50


@dataclass(frozen=True)
class IoTensor(Record):
    """One input or output of an engine, as it lies in memory.

    Attributes:
        dtype: Of its elements.
        layout: "linear", planes (C, h, w); "chw4", int8 or float16, element (c, y, x)
            at ``((c // 4) * h * w + y * w + x) * 4 + c % 4``; "hwc8", float16, at
            ``(y * w + x) * P + c`` with P = C rounded up to a multiple of 8.
        scale: Of int8: the tensor's value is this times the element. Else absent.
    """

    dtype: Literal["float32", "float16", "int8", "int64", "int32"]
    layout: Literal["linear", "chw4", "hwc8"]
    scale: float | None = None

    def _check(self) -> None:
        require(
            (self.scale is not None) == (self.dtype == "int8"),
            "scale must be given of int8, and of nothing else.",
        )
        require(self.scale is None or self.scale > 0, "scale must be above 0.")
        fits = {"chw4": ("int8", "float16"), "hwc8": ("float16",)}
        require(
            self.dtype in fits.get(self.layout, (self.dtype,)),
            f"layout must be 'linear' of {self.dtype}, got {self.layout!r}.",
        )


@dataclass(frozen=True)
class EngineRecord(Record):
    """What was built, for what, and how that went.

    Attributes:
        fingerprint: What it is bound to.
        plan: Digest and size of the plan.
        io_formats: Its inputs and outputs by name.
        seconds: That the build took; absent in a pack, so that the same engine is
            always the same pack.
        fallback: Why all inputs and outputs are float32 although others were asked for.
        reformats: Layers that only convert, as TensorRT names them.
        warnings: TensorRT's, the first ones.
        timings: Of a pack: digest and size of what TensorRT timed for it.
        created_by: Such as "fuseg 0.1.0".
    """

    fingerprint: Fingerprint
    plan: File
    io_formats: dict[str, IoTensor]
    created_by: str
    seconds: float | None = None
    fallback: str | None = None
    reformats: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    timings: File | None = None
    format: int = field(default=1, kw_only=True)

    @classmethod
    def parse(cls, text: bytes) -> EngineRecord:
        """Read one; a BundleError says what is wrong with it."""
        try:
            value = json.loads(text, object_pairs_hook=_once)
        except (ValueError, RecursionError) as err:
            raise BundleError(f"its record is not JSON: {str(err)[:100]}.") from err
        if not isinstance(value, dict) or value.get("format") != 1:
            raise BundleError("its record is not of format 1.")
        try:
            return cls.from_json(value)
        except ManifestError as err:
            raise BundleError(f"its record is not as fuseg writes it: {err}") from err

    def dump(self) -> bytes:
        """Write it as JSON; equal records give equal bytes."""
        return (json.dumps(dump(self), indent=1, allow_nan=False) + "\n").encode()


@dataclass(frozen=True)
class EngineFile:
    """The members of an engine's file; the record is not parsed yet."""

    record: bytes
    plan: memoryview
    signature: bytes | None
    timings: memoryview | None


def write_file(
    record: bytes,
    plan: bytes,
    signature: bytes | None = None,
    timings: bytes | None = None,
) -> bytes:
    """The bytes of an engine's file."""
    others = {SIGNATURE: signature, TIMINGS: timings}
    present = {name: data for name, data in others.items() if data is not None}
    return pack(record, {PLAN: plan, **present})


def read_file(data: bytes) -> EngineFile:
    """An engine's file, each byte of it checked.

    Raises:
        BundleError: It is not exactly as `write_file` makes it.
    """
    view = memoryview(data)
    members = unpack(view)
    names = members.keys() - {MANIFEST, SIGNATURE, TIMINGS}
    if names != {PLAN}:
        raise BundleError(f"it must hold {PLAN}, got {', '.join(sorted(names)[:5])}.")
    signature, timings = members.get(SIGNATURE), members.get(TIMINGS)
    return EngineFile(
        bytes(view[members[MANIFEST]]),
        view[members[PLAN]],
        None if signature is None else bytes(view[signature]),
        None if timings is None else view[timings],
    )


def require_member(name: str, data: memoryview | None, wanted: File | None) -> None:
    """Refuse what the record does not vouch for, before anybody uses it."""
    found = None if data is None else File(hashlib.sha256(data).hexdigest(), len(data))
    if found != wanted:
        raise BundleError(
            f"the size and sha256 of its {name} must be those of its record."
        )


def kept_warnings(sentences: list[str]) -> tuple[str, ...]:
    """The first few, short, in characters that a terminal shows as they are."""
    return tuple(map(plain, sentences[:_MOST]))


def plain(text: str) -> str:
    """One line, short, of printable characters."""
    words = " ".join(text.split())
    shown = "".join(c if c.isprintable() else "?" for c in words)
    return shown[:_LONGEST] or "?"


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key is there twice")
    return found

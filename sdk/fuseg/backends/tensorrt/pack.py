"""Engine packs: the engines of a bundle in a file, for devices that do not build.

The pack of one engine is that engine's file; that of several holds a file for each.

A pack is taken only if it is for exactly what this device would build, and if somebody
who is trusted vouches for it: by the sha256 of the file, or by an Ed25519 signature.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from ...bundle.container import MANIFEST, pack, unpack
from ...bundle.signing import is_digest, read_limited, require_signature, sign
from ...errors import BundleError, InputFileError
from ...host.files import read_private
from ...host.files import write_file as write_result
from ...manifest import File
from . import cache
from .engines import Engine
from .fingerprint import Fingerprint
from .record import EngineFile, EngineRecord, read_file, require_member, write_file

__all__ = ["install", "write_pack"]

_LARGEST = 2 << 30
_MEMBER = "{}.engine"
_SIGNED = b"fuseg engine pack 1\0"  # before the record, so that nothing else is signed


def write_pack(
    path: Path, engines: Sequence[Engine], sign_key: Path | None = None
) -> str:
    """Write a pack of a bundle's engines, each signed with a key if there is one.

    Args:
        sign_key: A private Ed25519 key, PEM, without a password.

    Returns:
        The sha256 of the file, 64 hexadecimal digits.

    Raises:
        ArgumentError: The key is none, or the package cryptography is missing.
        InputFileError: The key cannot be read.
        OutputFileError: The pack cannot be written.
    """
    files = [_engine_file(engine, sign_key) for engine in engines]
    data = files[0]
    if len(files) > 1:
        names = [_MEMBER.format(index) for index in range(len(files))]
        data = pack(_manifest(len(files)), dict(zip(names, files, strict=True)))
    write_result(path, data)
    return hashlib.sha256(data).hexdigest()


def _engine_file(engine: Engine, sign_key: Path | None) -> bytes:
    timings = _timings_of(engine.fingerprint)
    member = timings and File(hashlib.sha256(timings).hexdigest(), len(timings))
    record = replace(engine.record, seconds=None, timings=member or None).dump()
    signature = None
    if sign_key is not None:
        signature = sign(sign_key, _SIGNED + record)
    return write_file(record, bytes(engine.plan), signature, timings)


def install(path: Path, trust: str, wanted: Sequence[Fingerprint]) -> list[Engine]:
    """Put the engines of a pack into this device's cache, and their timings.

    They take the place of those that are there: what is built here next has the pack's
    tactics, as far as it has the same layers and TensorRT can record tactics.

    Args:
        trust: The sha256 that the file must have, or the path of the public Ed25519
            key, PEM, that the signature of each engine must fit.
        wanted: Of what this device would build, graph by graph.

    Raises:
        BundleError: The pack is not trusted, damaged, or for something else; the
            sentence names what differs.
        ArgumentError: ``trust`` is neither, or the package cryptography is missing.
        InputFileError: The pack or the key cannot be read.
        OutputFileError: The cache cannot be written to.
    """
    data = read_limited(path, _LARGEST)
    digest = is_digest(trust)
    try:
        if digest and hashlib.sha256(data).hexdigest() != trust.lower():
            raise BundleError(
                "it does not have the sha256 that is trusted: it is another pack, or "
                "was changed. Nothing is taken from it."
            )
        key = None if digest else Path(trust)
        checked = [
            _checked(file, key, each)
            for file, each in zip(_files(data, len(wanted)), wanted, strict=True)
        ]
    except BundleError as err:
        raise BundleError(f"engine pack {path}: {err}") from err
    cache.prepare()
    return [_install(*each) for each in zip(checked, wanted, strict=True)]


def _files(data: bytes, count: int) -> list[bytes]:
    """The engine files of a pack, as many as there must be."""
    if count == 1:
        return [data]
    view = memoryview(data)
    members = unpack(view)
    names = [MANIFEST, *(_MEMBER.format(index) for index in range(count))]
    if sorted(members) != sorted(names) or view[members[MANIFEST]] != _manifest(count):
        raise BundleError(f"it must hold the {count} engines of the bundle's graphs.")
    return [bytes(view[members[name]]) for name in names[1:]]


def _manifest(count: int) -> bytes:
    return json.dumps({"format": 1, "engines": count}).encode()


def _checked(
    data: bytes, key: Path | None, wanted: Fingerprint
) -> tuple[EngineFile, EngineRecord]:
    """An engine's file that is vouched for, and for what this device would build."""
    file = read_file(data)
    if key is not None:
        require_signature(key, _SIGNED + file.record, file.signature)
    record = EngineRecord.parse(file.record)
    require_member("plan", file.plan, record.plan)
    require_member("timings", file.timings, record.timings)
    _require_equal(record.fingerprint, wanted)
    return file, record


def _install(checked: tuple[EngineFile, EngineRecord], wanted: Fingerprint) -> Engine:
    file, record = checked
    kept = cache.path_of(wanted)
    with cache.locked(kept.with_suffix(".lock"), f"{kept}: another process writes it."):
        cache.keep(wanted, write_file(file.record, bytes(file.plan)))
    if file.timings is not None:
        timed = cache.timing_cache(wanted)
        with cache.locked(timed.with_suffix(".lock")):
            write_result(timed, bytes(file.timings), 0o600, locked=True)
    return Engine(record, file.plan, kept, built=False)


def _timings_of(fingerprint: Fingerprint) -> bytes | None:
    """What is kept here of builds for the same GPU; of a portable engine nothing."""
    try:
        return read_private(cache.timing_cache(fingerprint), _LARGEST)
    except (OSError, InputFileError):
        return None


def _require_equal(found: Fingerprint, wanted: Fingerprint) -> None:
    differing = wanted.differences(found)
    if differing:
        spelled = ", ".join(
            f"{name} {here!a} here and {there!a} in the pack"
            for name, (here, there) in differing.items()
        )
        raise BundleError(
            f"it is not what this device would build: {spelled}. Build it here, or on "
            "a device and with options that are the same."
        )

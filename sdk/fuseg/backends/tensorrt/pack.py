"""Engine packs: one engine in a file, for devices that it fits and that cannot build.

A pack is taken only if it is for exactly what this device would build, and if somebody
who is trusted vouches for it: by the sha256 of the file, or by an Ed25519 signature.
"""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

from ...bundle.signing import is_digest, read_limited, require_signature, sign
from ...errors import BundleError, InputFileError
from ...host.files import read_private
from ...host.files import write_file as write_result
from ...manifest import File
from . import cache
from .engines import Engine
from .fingerprint import Fingerprint
from .record import EngineRecord, read_file, require_member, write_file

__all__ = ["install", "write_pack"]

_LARGEST = 2 << 30
_SIGNED = b"fuseg engine pack 1\0"  # before the record, so that nothing else is signed


def write_pack(path: Path, engine: Engine, sign_key: Path | None = None) -> str:
    """Write a pack of an engine, signed with a key if there is one.

    Args:
        sign_key: A private Ed25519 key, PEM, without a password.

    Returns:
        The sha256 of the file, 64 hexadecimal digits.

    Raises:
        ArgumentError: The key is none, or the package cryptography is missing.
        InputFileError: The key cannot be read.
        OutputFileError: The pack cannot be written.
    """
    timings = _timings_of(engine.fingerprint)
    member = timings and File(hashlib.sha256(timings).hexdigest(), len(timings))
    record = replace(engine.record, seconds=None, timings=member or None).dump()
    signature = None
    if sign_key is not None:
        signature = sign(sign_key, _SIGNED + record)
    data = write_file(record, bytes(engine.plan), signature, timings)
    write_result(path, data)
    return hashlib.sha256(data).hexdigest()


def install(path: Path, trust: str, wanted: Fingerprint) -> Engine:
    """Put the engine of a pack into this device's cache, and its timings.

    They take the place of those that are there: what is built here next has the pack's
    tactics, as far as it has the same layers and TensorRT can record tactics.

    Args:
        trust: The sha256 that the file must have, or the path of the public Ed25519
            key, PEM, that its signature must fit.
        wanted: Of what this device would build.

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
        file = read_file(data)
        if not digest:
            require_signature(Path(trust), _SIGNED + file.record, file.signature)
        record = EngineRecord.parse(file.record)
        require_member("plan", file.plan, record.plan)
        require_member("timings", file.timings, record.timings)
        _require_equal(record.fingerprint, wanted)
    except BundleError as err:
        raise BundleError(f"engine pack {path}: {err}") from err
    cache.prepare()
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

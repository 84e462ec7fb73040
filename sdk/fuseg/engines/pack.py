"""Engine packs: one engine in a file, for devices of the same kind that cannot build.

A pack is taken only if it is for exactly what this device would build, and if somebody
who is trusted vouches for it: by the sha256 of the file, or by an Ed25519 signature.
"""

from __future__ import annotations

import hashlib
import re
import stat
from pathlib import Path
from typing import Any

from .._files import write_file as write_result
from ..errors import ArgumentError, BundleError, InputFileError
from . import Engine, cache
from .fingerprint import Fingerprint
from .record import EngineRecord, read_file, require_plan, write_file

__all__ = ["install", "write_pack"]

_LARGEST = 2 << 30
_LARGEST_KEY = 1 << 16
_SIGNED = b"fuseg engine pack 1\0"  # before the record, so that nothing else is signed
_INSTALL = 'pip install "fuseg[sign]"'


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
    record = engine.record.dump()
    signature = None
    if sign_key is not None:
        signature = _private_key(sign_key).sign(_SIGNED + record)
    data = write_file(record, bytes(engine.plan), signature)
    write_result(path, data)
    return hashlib.sha256(data).hexdigest()


def install(path: Path, trust: str, wanted: Fingerprint) -> Engine:
    """Put the engine of a pack into this device's cache.

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
    data = _read(path, _LARGEST)
    digest = re.fullmatch("[0-9a-fA-F]{64}", trust)
    try:
        if digest and hashlib.sha256(data).hexdigest() != trust.lower():
            raise BundleError(
                "it does not have the sha256 that is trusted: it is another pack, or "
                "was changed. Nothing is taken from it."
            )
        text, plan, signature = read_file(data)
        if not digest:
            _require_signature(Path(trust), text, signature)
        record = EngineRecord.parse(text)
        require_plan(record, plan)
        _require_equal(record.fingerprint, wanted)
    except BundleError as err:
        raise BundleError(f"engine pack {path}: {err}") from err
    cache.prepare()
    kept = cache.path_of(wanted)
    with cache.locked(kept.with_suffix(".lock"), f"{kept}: another process writes it."):
        cache.keep(wanted, write_file(text, bytes(plan)))
    return Engine(record, plan, kept, built=False)


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


def _require_signature(key: Path, record: bytes, signature: bytes | None) -> None:
    public = _public_key(key)
    if signature is None:
        raise BundleError(
            "it is not signed: sign it with --sign-key, or trust it by its sha256."
        )
    from cryptography.exceptions import InvalidSignature

    try:
        public.verify(signature, _SIGNED + record)
    except InvalidSignature as err:
        raise BundleError(
            f"its signature is not by the key of {key}, or it was changed since. "
            "Nothing is taken from it."
        ) from err


def _private_key(path: Path) -> Any:
    kinds, serialization = _cryptography()
    data = _read(path, _LARGEST_KEY)
    try:
        key = serialization.load_pem_private_key(data, password=None)
    except (ValueError, TypeError) as err:
        raise ArgumentError(_no_key("--sign-key", path, "private", err)) from err
    if not isinstance(key, kinds.Ed25519PrivateKey):
        raise ArgumentError(_no_key("--sign-key", path, "private", None))
    return key


def _public_key(path: Path) -> Any:
    kinds, serialization = _cryptography()
    data = _read(path, _LARGEST_KEY)
    try:
        key = serialization.load_pem_public_key(data)
    except ValueError as err:
        raise ArgumentError(_no_key("--trust", path, "public", err)) from err
    if not isinstance(key, kinds.Ed25519PublicKey):
        raise ArgumentError(_no_key("--trust", path, "public", None))
    return key


def _cryptography() -> tuple[Any, Any]:
    try:
        from cryptography.hazmat.primitives import serialization
        from cryptography.hazmat.primitives.asymmetric import ed25519
    except ImportError as err:
        raise ArgumentError(
            f"keys need the package cryptography, which cannot be imported ({err}): "
            f"{_INSTALL}."
        ) from err
    return ed25519, serialization


def _no_key(option: str, path: Path, kind: str, err: Exception | None) -> str:
    told = "" if err is None else f" ({str(err)[:100]})"
    return (
        f"{option} must name a {kind} Ed25519 key in PEM form, without a password; "
        f"{path} is none{told}."
    )


def _read(path: Path, largest: int) -> bytes:
    try:
        with path.open("rb") as file:
            status = path.stat()
            if not stat.S_ISREG(status.st_mode) or status.st_size > largest:
                raise InputFileError(
                    f"{path} must be a regular file of at most {largest >> 10} KiB."
                )
            return file.read(largest + 1)
    except OSError as err:
        if isinstance(err, InputFileError):
            raise
        raise InputFileError(f"{path} cannot be read: {err.strerror or err}.") from err

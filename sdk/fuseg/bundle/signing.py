"""Who vouches for a file: its sha256, or an Ed25519 key that signed it.

A bundle's signature lies beside it, in ``<bundle>.sig``: the container stays as strict
as it is, and the file's digest what it was. An engine pack holds its own.
"""

from __future__ import annotations

import os
import re
import stat
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import ArgumentError, BundleError, InputFileError
from ..host.files import write_file

if TYPE_CHECKING:
    from . import Bundle

__all__ = ["Trust", "is_digest", "read_limited", "require_signature", "require_trusted"]
__all__ += ["sign", "sign_bundle", "signature_of"]

Trust = str | os.PathLike[str]

_LARGEST_KEY = 1 << 16
_SIGNED = b"fuseg bundle 1\0"  # before the digest, so that nothing else is signed
_INSTALL = 'pip install "fuseg[sign]"'


def is_digest(trust: Trust) -> bool:
    """Whether it is a sha256, 64 hexadecimal digits; else it is the path of a key."""
    return isinstance(trust, str) and re.fullmatch("[0-9a-fA-F]{64}", trust) is not None


def signature_of(path: Path) -> Path:
    """Where the signature of a bundle lies: beside it, with ``.sig`` added."""
    return path.with_name(path.name + ".sig")


def sign_bundle(bundle: Bundle, key: Path) -> Path:
    """Write a bundle's signature beside it, and return its path.

    Args:
        key: A private Ed25519 key, PEM, without a password.

    Raises:
        ArgumentError: The key is none, or the package cryptography is missing.
        InputFileError: The key cannot be read.
        OutputFileError: The signature cannot be written.
    """
    path = signature_of(bundle.path)
    write_file(path, sign(key, _SIGNED + bytes.fromhex(bundle.digest)))
    return path


def require_trusted(bundle: Bundle, trust: Trust) -> None:
    """Refuse a bundle that the user did not mean.

    Args:
        trust: The sha256 that the file must have, or the path of the public Ed25519
            key, PEM, that its signature must fit.

    Raises:
        BundleError: The file has another digest, no signature, or one that does not
            fit.
        ArgumentError: ``trust`` is neither, or the package cryptography is missing.
        InputFileError: The key or the signature cannot be read.
    """
    if isinstance(trust, str) and is_digest(trust):
        if bundle.digest != trust.lower():
            raise BundleError(
                f"{bundle.path}: it does not have the sha256 that is trusted but "
                f"{bundle.digest}: it is another bundle, or was changed."
            )
        return
    if not isinstance(trust, str | os.PathLike):
        raise ArgumentError(
            "trust must be a sha256, 64 hexadecimal digits, or the path of a public "
            f"key, got {type(trust).__name__}."
        )
    if not os.path.exists(trust):
        raise ArgumentError(
            "trust must be the file's sha256, 64 hexadecimal digits, or the path of a "
            f"public key, got {str(trust)[:100]!r}, which is not a file."
        )
    where = signature_of(bundle.path)
    signature = read_limited(where, _LARGEST_KEY) if where.exists() else None
    message = _SIGNED + bytes.fromhex(bundle.digest)
    try:
        require_signature(Path(trust), message, signature)
    except BundleError as err:
        raise BundleError(f"{bundle.path}: {err}") from err


def sign(key: Path, message: bytes) -> bytes:
    """The signature of a message, 64 bytes; raises as `sign_bundle`."""
    signature: bytes = _private_key(key).sign(message)
    return signature


def require_signature(key: Path, message: bytes, signature: bytes | None) -> None:
    """Refuse what the owner of a key did not sign.

    Args:
        key: A public Ed25519 key, PEM.
        signature: As `sign` gives it; None if there is none.

    Raises:
        BundleError: It is not signed, or not by this key; the sentence has no subject.
        ArgumentError, InputFileError: As `require_trusted`.
    """
    public = _public_key(key)
    if signature is None:
        raise BundleError(
            "it is not signed: sign it with --sign-key, or trust it by its sha256."
        )
    from cryptography.exceptions import InvalidSignature

    try:
        public.verify(signature, message)
    except InvalidSignature as err:
        raise BundleError(
            f"its signature is not by the key of {key}, or it was changed since. "
            "Nothing is taken from it."
        ) from err


def read_limited(path: Path, largest: int) -> bytes:
    """Read a regular file of at most so many bytes.

    Raises:
        InputFileError: It is none, or cannot be read.
    """
    try:
        handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        with open(handle, "rb") as file:
            status = os.fstat(handle)
            if not stat.S_ISREG(status.st_mode) or status.st_size > largest:
                raise InputFileError(
                    f"{path} must be a regular file of at most {largest >> 10} KiB."
                )
            return file.read(largest)
    except InputFileError:
        raise
    except (OSError, ValueError) as err:  # a path with a NUL is a ValueError
        why = getattr(err, "strerror", None) or err
        raise InputFileError(f"{path} cannot be read: {why}.") from err


def _private_key(path: Path) -> Any:
    kinds, serialization = _cryptography()
    data = read_limited(path, _LARGEST_KEY)
    try:
        key = serialization.load_pem_private_key(data, password=None)
    except (ValueError, TypeError) as err:
        raise ArgumentError(_no_key("--sign-key", path, "private", err)) from err
    if not isinstance(key, kinds.Ed25519PrivateKey):
        raise ArgumentError(_no_key("--sign-key", path, "private", None))
    return key


def _public_key(path: Path) -> Any:
    kinds, serialization = _cryptography()
    data = read_limited(path, _LARGEST_KEY)
    try:
        key = serialization.load_pem_public_key(data)
    except ValueError as err:
        raise ArgumentError(_no_key("trust", path, "public", err)) from err
    if not isinstance(key, kinds.Ed25519PublicKey):
        raise ArgumentError(_no_key("trust", path, "public", None))
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
    reason = "" if err is None else f" ({str(err)[:100]})"
    return (
        f"{option} must name a {kind} Ed25519 key in PEM form, without a password; "
        f"{path} is none{reason}."
    )

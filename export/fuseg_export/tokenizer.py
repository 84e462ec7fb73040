"""A ``tokenizer.json``: read, and compared with the library that it is of."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from fuseg.errors import ArgumentError, ExportError, InputFileError
from fuseg.text import Tokenizer

__all__ = ["compared_with_library", "read_tokenizer"]


def read_tokenizer(what: str, path: Any) -> bytes:
    """The content of a file that the user names.

    Raises:
        ArgumentError: No file is named; the sentence starts with ``what``.
        InputFileError: It cannot be read.
    """
    if not isinstance(path, str):
        raise ArgumentError(
            f"{what} must be the file tokenizer.json that makes ids of words, and "
            f"words of ids, got {path!r}."
        )
    try:
        return Path(path).read_bytes()
    except OSError as err:
        raise InputFileError(f"{path} cannot be read: {err.strerror}.") from err


def compared_with_library(name: str, data: bytes, texts: Iterable[str]) -> str:
    """Compare the bundle's reader with Hugging Face's ``tokenizers``.

    Args:
        name: Of the input.
        data: What the bundle's reader can read.

    Returns:
        A sentence on what was compared; on nothing where the library is not installed.

    Raises:
        ExportError: A text has other ids.
    """
    try:
        import tokenizers
    except ImportError:
        return (
            f"{name}: tokens were not compared with those of the library, which is "
            "not installed: pip install tokenizers"
        )
    library, own = tokenizers.Tokenizer.from_str(data.decode()), Tokenizer(data)
    library.no_padding()
    library.no_truncation()
    texts = tuple(texts)
    for text in texts:
        found, wanted = own.encode(text), library.encode(text).ids
        if found != wanted:
            raise ExportError(
                f"{name}: the bundle's reader must make the ids of {text!r} that "
                f"tokenizers {tokenizers.__version__} makes, {wanted}, got {found}: "
                "texts like it would be misread, so leave it out only if none come."
            )
    return (
        f"{name}: tokens of {len(texts)} texts are those of tokenizers "
        f"{tokenizers.__version__}"
    )

"""Tokenizers in a bundle: each must be read, and take the default texts."""

from __future__ import annotations

from ..errors import ArgumentError, BundleError
from ..manifest import Tensor, TextInput, TokensOutput
from ..text import TextRows, Tokenizer

__all__ = ["require_detokenizer", "require_tokenizer"]


def require_tokenizer(text: TextInput, tensor: Tensor, data: bytes) -> None:
    """Refuse a tokenizer that cannot fill the input's tensor.

    Raises:
        BundleError: It is not in the subset that is read, does not fit the tensor, or
            a default text is refused.
    """
    rows = TextRows(
        data,
        length=int(tensor.shape[1]),
        too_long=text.too_long,
        empty=text.empty,
    )
    for default in text.defaults:
        try:
            rows.row(f"the default of {text.name}", default)
        except ArgumentError as err:
            raise BundleError(str(err)) from None


def require_detokenizer(output: TokensOutput, data: bytes) -> None:
    """Refuse a tokenizer that cannot make words of the output's ids.

    Raises:
        BundleError: It is not in the subset that is read, or does not know the token
            that ends a text.
    """
    if not Tokenizer(data).knows(output.end):
        raise BundleError(
            f"vocab must have the token that ends a text of {output.name}, of id "
            f"{output.end}."
        )

"""Texts: token ids of fixed length, of one text or of as many as a dimension allows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from fuseg import manifest as m
from fuseg.errors import ArgumentError, BundleError, ManifestError
from fuseg.text import TextRows

from ..tokenizer import compared_with_library, read_tokenizer

__all__ = ["Text"]

_OWN = ("tokenizer", "examples", "dimension")  # keys that the manifest has elsewhere


@dataclass(frozen=True)
class Text:
    """See `ExportedInput`.

    Attributes:
        record: The manifest's.
        tokenizer: The content of the ``tokenizer.json``.
        length: Tokens of a text.
        dimension: Of the number of texts; None where that is 1.
        texts: To verify and calibrate on, each once, the default ones first.
        rows: Makes rows of ids of texts.
        notes: How the tokenizer was checked.
    """

    record: m.TextInput
    tokenizer: bytes
    length: int
    dimension: m.Dimension | None
    texts: tuple[str, ...]
    rows: TextRows
    notes: tuple[str, ...] = ()

    FORM: ClassVar = (r"(?P<length>[1-9]\d*)", "LENGTH, as in prompt=text:16")

    @classmethod
    def of(cls, name: str, size: Mapping[str, str], said: Mapping[str, Any]) -> Text:
        """See `ExportedInput`.

        Raises:
            ArgumentError: A key is unknown, missing or not of its form; a text is too
                long; there are fewer texts than the dimension's most.
            InputFileError: The tokenizer cannot be read.
            ExportError: The bundle's reader and the library make other ids of a text.
        """
        what = f"--spec: inputs.{name}"
        data = read_tokenizer(f"{what}.tokenizer", said.get("tokenizer"))
        draft = {key: said[key] for key in said if key not in _OWN}
        draft |= {"name": name, "kind": "text", "tensor": name}
        try:
            record = m.TextInput.from_json(
                {**draft, "tokenizer": f"{name}.tokenizer.json"}
            )
            dimension = _dimension(said.get("dimension"))
        except ManifestError as err:
            raise ArgumentError(f"input {name}: {err}") from err
        examples = said.get("examples", [])
        if not isinstance(examples, list) or not all(
            isinstance(text, str) for text in examples
        ):
            raise ArgumentError(f"{what}.examples must be a list of texts.")
        most = dimension.max if dimension else 1
        texts = tuple(dict.fromkeys((*record.defaults, *examples)))
        if not record.defaults:
            raise ArgumentError(
                f"{what}.default must be given: the bundle's samples are run with it."
            )
        if len(texts) < most:
            raise ArgumentError(
                f"{what}.examples must hold {most} different texts with the default, "
                f"as many as the network is verified with at once, got {len(texts)}."
            )
        length = int(size["length"])
        try:
            rows = TextRows(
                data, length=length, too_long=record.too_long, empty=record.empty
            )
        except BundleError as err:
            raise ArgumentError(f"{what}.tokenizer: {err}") from err
        made = cls(record, data, length, dimension, texts, rows)
        made.tensor(texts)  # refuses texts that are too long
        return replace(made, notes=(compared_with_library(name, data, texts),))

    @property
    def shape(self) -> tuple[int | str, ...]:
        """See `ExportedInput`."""
        return (f"{self.record.name}s" if self.dimension else 1, self.length)

    @property
    def members(self) -> Mapping[str, bytes]:
        """See `ExportedInput`."""
        return {self.record.tokenizer: self.tokenizer}

    @property
    def counts(self) -> tuple[int, ...]:
        """How many texts the network is verified with, the typical number first."""
        size = self.dimension
        if size is None:
            return (1,)
        return tuple(dict.fromkeys((size.typical, size.max, size.min)))

    def example(self, number: int) -> tuple[str, ...]:
        """See `ExportedInput`: texts in turn, now more of them, now fewer."""
        count = self.counts[number % len(self.counts)]
        places = range(number, number + count)
        return tuple(self.texts[place % len(self.texts)] for place in places)

    def tensor(self, given: Sequence[str]) -> NDArray[np.int64]:
        """See `ExportedInput`: a row of ids for each text."""
        return np.stack([self.rows.row(self.record.name, text) for text in given])


def _dimension(said: Any) -> m.Dimension | None:
    if said is None:
        return None
    found = m.Dimension.from_json(said)
    if found.min == found.max:
        raise ManifestError(
            f"dimension must have a max above its min, got {found.min} and "
            f"{found.max}: leave it out for one text."
        )
    return found

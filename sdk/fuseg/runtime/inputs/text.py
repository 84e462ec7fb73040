"""Texts: settings that stay, tokenized once when they change."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ...errors import ArgumentError, DTypeError
from ...manifest import Manifest
from ...manifest.inputs.text import count_of
from ...text import TextRows

__all__ = ["TextInputs", "Texts"]


class Texts(NamedTuple):
    """What an input was given.

    Attributes:
        texts: In order.
        ids: Their rows, ``(texts, length)``; another object for other texts.
    """

    texts: tuple[str, ...]
    ids: NDArray[np.int64]


class TextInputs:
    """The texts of a bundle.

    Args:
        manifest: The bundle's.
        read: The bytes of a member.

    Attributes:
        names: Of the inputs.
        known: By input name, what was given last, or is the default.
        tokenized: How many texts have been tokenized.
    """

    def __init__(self, manifest: Manifest, read: Callable[[str], bytes]) -> None:
        self._inputs = {entry.name: entry for entry in manifest.texts}
        self.names = tuple(self._inputs)
        self._counts = {}
        self._rows = {}
        self.known: dict[str, Texts] = {}
        self.tokenized = 0
        for name, entry in self._inputs.items():
            tensor = manifest.tensors[entry.tensor]
            first, length = tensor.shape
            dimension = manifest.dimensions.get(str(first))
            self._counts[name] = (dimension.min, dimension.max) if dimension else (1, 1)
            self._rows[name] = TextRows(
                read(entry.tokenizer),
                length=int(length),
                too_long=entry.too_long,
                empty=entry.empty,
            )
            if entry.defaults:
                self.known[name] = self._texts(name, entry.defaults)

    def take(
        self, given: Mapping[str, Any]
    ) -> tuple[dict[str, Texts], Mapping[str, Any]]:
        """What is known once these are given, by input name; nothing is remembered.

        Args:
            given: By input name a string, or a list or tuple of strings; None is as
                if it was not given.

        Returns:
            The texts, and what else was given.

        Raises:
            DTypeError: a text is no string.
            ArgumentError: a text is too long or empty and must not be, or there are
                more or fewer of them than may be.
        """
        if not self._inputs:
            return self.known, given
        found, others = dict(self.known), dict(given)
        for name in self._inputs:
            texts = others.pop(name, None)
            if texts is not None:
                many = isinstance(texts, (list, tuple))
                found[name] = self._texts(name, tuple(texts) if many else (texts,))
        return found, others

    def require(self, texts: Mapping[str, Texts]) -> None:
        """Refuse to go on without a text of each input.

        Raises:
            ArgumentError: one was never given, and has no default.
        """
        for name in self._inputs:
            if name not in texts:
                raise ArgumentError(
                    f"{name} must be given once, as the bundle has no default: a "
                    "string, which stays until another is given."
                )

    def tensors(self, texts: Mapping[str, Texts]) -> dict[str, NDArray[Any]]:
        """Their ids, copied, by tensor."""
        return {
            entry.tensor: texts[name].ids.copy() for name, entry in self._inputs.items()
        }

    def _texts(self, name: str, texts: tuple[Any, ...]) -> Texts:
        for text in texts:
            if not isinstance(text, str):
                raise DTypeError(
                    f"{name} must be a string, or a list of them where there may be "
                    f"several, got {type(text).__name__}."
                )
        known = self.known.get(name)
        if known is not None and texts == known.texts:
            return known
        least, most = self._counts[name]
        if not least <= len(texts) <= most:
            raise ArgumentError(
                f"{name} must be {count_of(least, most)}, got {len(texts)}."
            )
        rows = [self._rows[name].row(name, text) for text in texts]
        self.tokenized += len(rows)
        ids = np.stack(rows)
        ids.setflags(write=False)
        return Texts(texts, ids)

"""True labels: from the ids in a data set's files to the classes of a bundle."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import ArgumentError
from ..host.files import read_text
from ..manifest import Class
from .images import read_labels

__all__ = ["TruthReader"]

_OTHERS = "*"
_IGNORE = "ignore"
_IDS = re.compile(r"(-?\d+)(?:\s*-\s*(-?\d+))?")
_MOST_IDS = 65536


class TruthReader:
    """Reads the label maps of a data set as class indices of a bundle.

    What an id in a file means is said by the truth map if there is one, else by the
    ``ids`` of the classes if they have any (other ids are then ignored), else it is a
    class index. The id ``ignore`` is ignored wherever nothing else is said of it.

    A truth map is a text file with lines ``ID = CLASS``, or a JSON object of the same.
    ``ID`` is a number, a range such as ``1-40``, or ``*`` for all others; ``CLASS`` is
    a class's name or index, a range of as many indices, or ``ignore``. Lines that
    begin with ``#`` are comments.

    Args:
        classes: Of the bundle, in the order of their indices.
        ignore: The label of no class.
        truth_map: The file, or None.
        what: The labels' name in errors.

    Attributes:
        mapped: Whether ids are anything but class indices.

    Raises:
        InputFileError: The truth map cannot be read.
        ArgumentError: A line of it says nothing, or the same as another one.
    """

    def __init__(
        self,
        classes: Sequence[Class],
        ignore: int,
        truth_map: Path | None = None,
        *,
        what: str = "truth",
    ) -> None:
        self._what = what
        self._classes = [entry.name for entry in classes]
        self._ignore = ignore
        self._others: int | None = None
        self._ids = {ignore: ignore}
        own = {number: i for i, c in enumerate(classes) for number in c.ids}
        self.mapped = truth_map is not None or bool(own)
        if truth_map is not None:
            self._ids |= self._read_map(truth_map)
        elif own:
            self._ids |= own
            self._others = ignore
        else:
            self._ids = {i: i for i in range(len(classes))} | self._ids

    def __call__(self, path: Path) -> NDArray[np.uint8]:
        """The class index of each pixel, or ``ignore``: uint8, shape ``(H, W)``.

        Raises:
            InputFileError: See `fuseg.dataset.images.read_labels`.
            ArgumentError: An id in the file is of no class.
        """
        labels = read_labels(path)
        low, high = int(labels.min()), int(labels.max())
        if high - low >= _MOST_IDS:
            raise ArgumentError(
                f"{path} must hold the ids of classes, got {low} to {high}."
            )
        steps = labels.astype(np.int64) - low
        table = np.zeros(high - low + 1, np.uint8)
        for step in np.flatnonzero(np.bincount(steps.ravel())).tolist():
            table[step] = self._class_of(low + step, path)
        return table[steps]

    def _class_of(self, number: int, path: Path) -> int:
        index = self._ids.get(number, self._others)
        if index is not None:
            return index
        last = len(self._classes) - 1
        lines = f"'{number} = {self._classes[0]}' or '{number} = ignore'"
        if self.mapped:
            raise ArgumentError(
                f"{path}: {self._what} must hold ids of the --truth-map, got {number}: "
                f"add a line such as {lines}, or '* = ignore' for all that are not "
                "listed."
            )
        if number == last + 1:
            lines += f" (if 0 means ignore: '0 = ignore' and '1-{last + 1} = 0-{last}')"
        raise ArgumentError(
            f"{path}: {self._what} must be 0 to {last}, or ignore ({self._ignore}), "
            f"got {number}: say what the ids mean with --truth-map FILE, with a line "
            f"for each, such as {lines}."
        )

    def _read_map(self, path: Path) -> dict[int, int]:
        known: dict[int, int] = {}
        for left, right in _entries(path):
            what = f"--truth-map {path}: {left} = {right}"
            targets = self._targets(right, what)
            if left == _OTHERS and len(targets) == 1 and self._others is None:
                self._others = targets[0]
                continue
            numbers = _range(left)
            if numbers is None or left == _OTHERS:
                raise ArgumentError(
                    f"{what}: the left side must be an id, a range such as 1-40, or * "
                    "once for all others."
                )
            if len(targets) == 1:
                targets = targets * len(numbers)
            if len(targets) != len(numbers):
                raise ArgumentError(
                    f"{what}: both ranges must have the same length, got "
                    f"{len(numbers)} ids and {len(targets)} classes."
                )
            for number, target in zip(numbers, targets, strict=True):
                if number in known:
                    raise ArgumentError(
                        f"{what}: {number} must occur once, got it twice."
                    )
                known[number] = target
        if not known and self._others is None:
            raise ArgumentError(f"--truth-map {path} must hold a line, got none.")
        return known

    def _targets(self, word: str, what: str) -> list[int]:
        if word in self._classes:
            return [self._classes.index(word)]
        if word == _IGNORE:
            return [self._ignore]
        indices = _range(word)
        if indices is not None and set(indices) <= set(range(len(self._classes))):
            return list(indices)
        close = get_close_matches(word, self._classes, 1)
        hint = f"; did you mean {close[0]}?" if close else "."
        raise ArgumentError(
            f"{what}: the right side must be a class's name, an index from 0 to "
            f"{len(self._classes) - 1}, or ignore{hint}"
        )


def _entries(path: Path) -> Iterable[tuple[str, str]]:
    text = read_text(path).strip()
    if text.startswith("{"):
        try:
            pairs: Any = json.loads(text, object_pairs_hook=list)
        except (ValueError, RecursionError) as err:
            raise ArgumentError(f"--truth-map {path} must be JSON, but {err}.") from err
        return [(str(left).strip(), str(right).strip()) for left, right in pairs]
    lines = (line.strip() for line in text.splitlines())
    entries = []
    for line in lines:
        if not line or line.startswith("#"):
            continue
        left, equals, right = (part.strip() for part in line.partition("="))
        if not (left and equals and right):
            raise ArgumentError(
                f"--truth-map {path} must have lines ID = CLASS, as in 33 = "
                f"bicycle, got {line!r}."
            )
        entries.append((left, right))
    return entries


def _range(word: str) -> range | None:
    match = _IDS.fullmatch(word)
    if match is None or len(word) > 20:
        return None
    first = int(match[1])
    last = first if match[2] is None else int(match[2])
    wide = last - first >= _MOST_IDS
    return None if wide or last < first else range(first, last + 1)

"""What an export does with an input that is no picture, whatever its kind."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from numpy.typing import NDArray

from fuseg import manifest as m

__all__ = ["ExportedInput"]


class ExportedInput(Protocol):
    """One input, from ``--input`` to the bundle.

    ``KINDS[kind](name, size, said)`` makes it; ``said`` is what the spec file says.
    """

    @property
    def record(self) -> Any:
        """The manifest's."""

    @property
    def shape(self) -> tuple[int | str, ...]:
        """Of its tensor: for each axis a number, or the name of a dimension."""

    @property
    def dimension(self) -> m.Dimension | None:
        """Of the first axis, if its size may change."""

    @property
    def members(self) -> Mapping[str, bytes]:
        """The bundle's members that its record names."""

    @property
    def notes(self) -> Sequence[str]:
        """What was looked at or assumed, a sentence each."""

    def example(self, number: int) -> Any:
        """What is given with frame ``number`` of those to verify on.

        Of a dimension the first is of its typical size, the next of another, and the
        first three are of all that are verified: typical, least and most.
        """

    def tensor(self, given: Any) -> NDArray[Any]:
        """The network's tensor of what is given: its definition."""

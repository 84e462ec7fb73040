"""What outputs have in common."""

from __future__ import annotations

from dataclasses import dataclass, field

from ..schema import Record, require
from ..variants import is_member_name

__all__ = ["BaseOutput"]


@dataclass(frozen=True)
class BaseOutput(Record):
    """What every output has.

    Attributes:
        name: The name of the result: letters, digits and ``_``, ``-``, ``.``, as files
            are named by it.
        kind: What kind of result it is.
        tensor: The tensor, by name.
    """

    name: str
    kind: str = field(kw_only=True)
    tensor: str

    def _check(self) -> None:
        require(
            is_member_name(self.name) and "/" not in self.name,
            "name must be of letters, digits and _, - or ., as files are named by it, "
            f"got {self.name[:80]!r}.",
        )

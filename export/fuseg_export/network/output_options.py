"""``--output``: what the user wants of what the network returns."""

from __future__ import annotations

from collections.abc import Sequence

from fuseg.errors import ArgumentError
from fuseg.manifest import Class

from ..outputs import OutputRequest

__all__ = ["make_requests"]


def make_requests(
    words: Sequence[str], *, classes: tuple[Class, ...] | None, ignore: int
) -> tuple[OutputRequest, ...]:
    """Read ``--output``: a key of what forward returns, or nothing.

    Args:
        classes: Those of the segmentation; None if nobody named them.
        ignore: Its label of no class.

    Raises:
        ArgumentError: There is more than one word.
    """
    settings = {"ignore": ignore} | ({"classes": classes} if classes else {})
    if len(words) > 1:
        raise ArgumentError(f"--output must be given once, got {', '.join(words)}.")
    path = words[0] if words else None
    return (OutputRequest("labels", "segmentation", path, settings, named=False),)

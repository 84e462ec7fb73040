"""Options of ``fuseg export`` that would have no effect are refused."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fuseg.errors import ArgumentError

from ..models import REFERENCE

__all__ = ["require_effect"]


def require_effect(
    target: str, kinds: tuple[str, ...], options: Mapping[str, Any]
) -> None:
    """Refuse what the command line says in vain.

    Args:
        target: As given.
        kinds: Of ``--precision``.
        options: By option name; None or empty if it was not given.

    Raises:
        ArgumentError: An option would change nothing.
    """
    given = {name for name, value in options.items() if value not in (None, [], ())}
    variants = [kind for kind in kinds if kind != "fp32"]
    for name in (
        "--calibration",
        "--calibration-method",
        "--calibration-cache",
        "--max-miou-drop",
        "--min-agreement",
    ):
        if name in given and not variants:
            raise ArgumentError(
                f"{name} needs --precision fp16, int8 or auto: it is for variants "
                "other than fp32, and none was requested."
            )
    for name in ("--plane", "--match"):
        if name in given and not {"--frames", "--calibration"} & given:
            raise ArgumentError(f"{name} needs --frames or --calibration.")
    if "--truth" in given and "--frames" not in given:
        raise ArgumentError("--truth needs --frames, whose labels it holds.")
    if "--truth-map" in given and "--truth" not in given:
        raise ArgumentError(
            "--truth-map needs --truth, the label maps that it explains."
        )
    rooms = target in REFERENCE and "--frames" not in given  # these have labels
    if "--max-miou-drop" in given and not ({"--truth"} & given or rooms):
        raise ArgumentError(
            "--max-miou-drop needs true labels, or there is no mIoU: "
            "--frames NAME=PATH and --truth PATH."
        )

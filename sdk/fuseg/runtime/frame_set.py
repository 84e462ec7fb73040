"""The frames of one call, each with a stamp, on one clock.

Every frame of a call has a stamp in nanoseconds. It is the caller's
(``Frame(array, stamp_ns)``, or the call's own ``stamp_ns=`` for plain arrays), or,
when the caller gives none at all, its arrival on the system's monotonic clock; on Linux
the one that goes on while the machine sleeps, ``time.CLOCK_BOOTTIME``. The two clocks
cannot be compared, so one Segmenter stays with the first one it saw.
"""

from __future__ import annotations

import operator
import sys
import time
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NoReturn

from numpy.typing import NDArray

from ..errors import ArgumentError

Clock = Literal["caller", "arrival"]


@dataclass(frozen=True, eq=False)
class Frame:
    """One sensor's array and when it was taken.

    Attributes:
        array: The sensor's array, as the manifest declares it: ``(H, W, 3)`` uint8
            for colour, ``(H, W)`` for depth, thermal and range, ``(samples,)`` for
            sound.
        stamp_ns: Nanoseconds on a clock of yours that all sensors share (ROS time,
            ``time.monotonic_ns()``, a hardware trigger), or None: no stamp.
    """

    array: NDArray[Any]
    stamp_ns: int | None = None


@dataclass(frozen=True)
class FrameSet:
    """The frames of one call: arrays, a stamp for each, and the clock they are on."""

    arrays: dict[str, Any]
    stamps: dict[str, int]
    clock: Clock | None
    stamp_ns: int | None
    now_ns: int


def receive(
    frames: Mapping[str, object],
    *,
    names: Sequence[str],
    stamp_ns: int | None,
    clock: Clock | None,
    settings: Sequence[str] = (),
) -> FrameSet:
    """Take the frames of one call: known names, and one clock.

    Args:
        frames: What the caller gave: arrays, `Frame` objects, None for "no frame".
        names: The manifest's input names.
        stamp_ns: The call's own stamp, if the caller gave one. Plain arrays are then
            taken to be of that time.
        clock: The clock of earlier calls.
        settings: The names of inputs that are no frames, for the sentence.

    Raises:
        ArgumentError: an unknown name, a stamp that is not whole nanoseconds, or
            stamped and unstamped frames mixed, within the call or with earlier ones.
    """
    if not frames.keys() <= set(names):
        unknown = ", ".join(name for name in frames if name not in names)
        raise ArgumentError(
            f"{unknown}: no such input; this bundle's inputs are "
            f"{', '.join((*names, *settings))}."
        )
    now = _arrival_ns()
    plain = now if stamp_ns is None else _nanoseconds("stamp_ns", stamp_ns)
    arrays: dict[str, Any] = {}
    stamps: dict[str, int] = {}
    stamped: list[str] = []
    for name in names:
        given = frames.get(name)
        if given is None:
            continue
        arrays[name], stamps[name] = given, plain
        if isinstance(given, Frame):
            arrays[name] = given.array
            if given.stamp_ns is not None:
                stamps[name] = _nanoseconds(name, given.stamp_ns)
                stamped.append(name)
    seen: Clock | None = "arrival" if arrays else clock
    if stamped or stamp_ns is not None:
        seen = "caller"
    if clock not in (None, seen) or 0 < len(stamped) < len(arrays):
        _refuse_clocks(stamped, [n for n in arrays if n not in stamped], clock)
    return FrameSet(arrays, stamps, seen, None if stamp_ns is None else plain, now)


def result_stamp(frame_set: FrameSet, unusable: Container[str]) -> tuple[int, str]:
    """The stamp of the result, in nanoseconds, and in words whose it is.

    The call's ``stamp_ns`` if given; else the newest stamp among the usable frames;
    else among the unusable ones; else, if no frame was ever stamped by the caller,
    now.

    Raises:
        ArgumentError: no frame and no ``stamp_ns`` on the caller's clock: what time
            it is there cannot be known.
    """
    if frame_set.stamp_ns is not None:
        return frame_set.stamp_ns, "stamp_ns"
    usable = {n: s for n, s in frame_set.stamps.items() if n not in unusable}
    stamps = usable or frame_set.stamps
    if stamps:
        newest = max(stamps, key=stamps.__getitem__)
        return stamps[newest], f"{newest}'s"
    if frame_set.clock == "caller":
        raise ArgumentError(
            "stamp_ns must be given in a call without any frame, because earlier "
            "frames carried stamps of your clock and fuseg cannot read it."
        )
    return frame_set.now_ns, "now"


def _arrival_ns() -> int:
    if sys.platform == "linux":
        # time.monotonic_ns() stands still while the machine is suspended: what is held
        # from before would be as young as if no time had passed.
        return time.clock_gettime_ns(time.CLOCK_BOOTTIME)
    return time.monotonic_ns()


def _refuse_clocks(
    stamped: Sequence[str], plain: Sequence[str], clock: Clock | None
) -> NoReturn:
    """Say which two clocks were mixed. See the module's head."""
    if stamped and plain:
        raise ArgumentError(
            f"{', '.join(plain)} must carry a stamp, because {', '.join(stamped)} "
            "does: give every frame as fuseg.Frame(array, stamp_ns), or none."
        )
    if clock == "caller":
        raise ArgumentError(
            f"{', '.join(plain)} must carry a stamp, because earlier frames of this "
            "Segmenter did: give fuseg.Frame(array, stamp_ns) or the call's stamp_ns=, "
            "or use segmenter.clone() for frames without stamps."
        )
    raise ArgumentError(
        f"{', '.join(stamped) or 'stamp_ns'} must not carry a stamp, because earlier "
        "frames of this Segmenter were stamped on arrival: stamp all frames from the "
        "first call on, or use segmenter.clone() for stamped ones."
    )


def _nanoseconds(name: str, stamp: object) -> int:
    """``stamp`` as int; the sentence names the input, or the argument stamp_ns."""
    what = name if name == "stamp_ns" else f"the stamp_ns of {name}"
    if isinstance(stamp, bool):
        raise ArgumentError(f"{what} must be whole nanoseconds, got {stamp}.")
    try:
        whole = operator.index(stamp)  # type: ignore[arg-type]
    except TypeError:
        raise ArgumentError(
            f"{what} must be whole nanoseconds, got {stamp!r}: for seconds, "
            "int(seconds * 1e9)."
        ) from None
    if not -(2**63) <= whole < 2**63:
        raise ArgumentError(
            f"{what} must be nanoseconds that fit 64 bits, got one of "
            f"{whole.bit_length()} bits."
        )
    return whole

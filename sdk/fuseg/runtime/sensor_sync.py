"""Frames with a time, and what happens when a sensor has no usable one.

Pure bookkeeping on integers: no pixel is read here. The bytes are moved by
`preprocess.py`.

Time. Every frame of a call has a stamp in nanoseconds. It is the caller's
(``Frame(array, stamp_ns)``, or the call's own ``stamp_ns=`` for plain arrays), or,
when the caller gives none at all, its arrival on the system's monotonic clock; on Linux
the one that goes on while the machine sleeps, ``time.CLOCK_BOOTTIME``. The two clocks
cannot be compared, so one Segmenter stays with the first one it saw.

Age. Every frame, given or held, is measured against one stamp, the result's: the call's
``stamp_ns``, or else the newest usable frame's own. So without ``stamp_ns`` the newest
frame is fresh whatever its clock says, no given frame is early, and one clock that runs
ahead makes the others late: the reason then names the frame they are measured against.
Nothing is measured against earlier calls, so stamps may go back, as in the loop of a
recording; what is held from before then lies ahead, and is used up to the limit for
that. A held frame that was once found beyond a limit is never used again.
"""

from __future__ import annotations

import operator
import sys
import time
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, NoReturn

from numpy.typing import NDArray

from ..errors import ArgumentError, FrameError
from ..manifest import Missing

Clock = Literal["caller", "arrival"]
State = Literal["fresh", "held", "substituted", "absent"]
Cause = Literal["absent", "invalid", "late", "early"]

_NOT_TIME: dict[str, str] = {"absent": "no frame", "invalid": "no valid pixel"}
_NS_PER_MS = 1e6


@dataclass(frozen=True, eq=False)
class Frame:
    """One sensor's array and the moment it was taken.

    Attributes:
        array: The sensor's array, as the manifest declares it: ``(H, W, 3)`` uint8
            for colour, ``(H, W)`` for depth, thermal and range.
        stamp_ns: Nanoseconds on a clock of yours that all sensors share (ROS time,
            ``time.monotonic_ns()``, a hardware trigger), or None: no stamp.
    """

    array: NDArray[Any]
    stamp_ns: int | None = None


@dataclass(frozen=True)
class Source:
    """What one sensor contributed to a result.

    Attributes:
        state: ``"fresh"``: the frame given in this call. ``"held"``: the last good
            frame before it. ``"substituted"``: no frame, the manifest's ``fill``.
            ``"absent"``: the network was run without this sensor (no bundle of
            format 1 can say so).
        age_ms: The result's stamp minus the frame's, in milliseconds; negative for a
            frame taken later. None if substituted.
        cause: Why no frame of this call was used; None if one was. One of four words
            and nothing else, fit for the label of a metric. ``"absent"``: no frame was
            given. ``"invalid"``: the frame has not one valid pixel. ``"late"``: it is
            older than the input's ``max_age_ms``. ``"early"``: it lies more than
            ``max_ahead_ms`` after the result's stamp.
    """

    state: State
    age_ms: float | None
    cause: Cause | None = None


@dataclass(frozen=True)
class Received:
    """The frames of one call: arrays, a stamp for each, and the clock they are on."""

    arrays: dict[str, Any]
    stamps: dict[str, int]
    clock: Clock | None
    stamp_ns: int | None
    now_ns: int


@dataclass(frozen=True)
class Memory:
    """What a Segmenter knows from earlier calls. Replaced as a whole, never edited.

    Attributes:
        clock: The clock all stamps are on; None before the first frame.
        held: For each input with policy ``hold`` whose last good planes still lie in
            its tensor, the stamp of their frame.
        camera: (H, W) of the newest frame of the manifest's first input, not counting
            those in whose place the held one was used.
    """

    clock: Clock | None = None
    held: Mapping[str, int] = field(default_factory=dict)
    camera: tuple[int, int] | None = None

    def without(self, names: Container[str]) -> Memory:
        """The same without the held frames of these inputs."""
        kept = {name: stamp for name, stamp in self.held.items() if name not in names}
        return replace(self, held=kept)


@dataclass(frozen=True)
class Decision:
    """What becomes of one input in one call, and why if it is not fresh."""

    state: Literal["fresh", "held", "substituted", "refused"]
    age_ms: float | None
    cause: Cause | None
    why: str | None


def receive(
    frames: Mapping[str, object],
    *,
    names: Sequence[str],
    stamp_ns: int | None,
    clock: Clock | None,
) -> Received:
    """Take the frames of one call: known names, and one clock.

    Args:
        frames: What the caller gave: arrays, `Frame` objects, None for "no frame".
        names: The manifest's input names.
        stamp_ns: The call's own moment, if the caller gave one. Plain arrays are then
            taken to be of that moment.
        clock: The clock of earlier calls.

    Raises:
        ArgumentError: an unknown name, a stamp that is not whole nanoseconds, or
            stamped and unstamped frames mixed, within the call or with earlier ones.
    """
    if not frames.keys() <= set(names):
        unknown = ", ".join(name for name in frames if name not in names)
        raise ArgumentError(
            f"{unknown}: no such input; this bundle's inputs are {', '.join(names)}."
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
    return Received(arrays, stamps, seen, None if stamp_ns is None else plain, now)


def moment_of(received: Received, unusable: Container[str]) -> tuple[int, str]:
    """The stamp of the result, in nanoseconds, and in words whose it is.

    The call's ``stamp_ns`` if given; else the newest stamp among the usable frames;
    else among the unusable ones; else, if no frame was ever stamped by the caller,
    now.

    Raises:
        ArgumentError: no frame and no ``stamp_ns`` on the caller's clock: what time
            it is there cannot be known.
    """
    if received.stamp_ns is not None:
        return received.stamp_ns, "stamp_ns"
    usable = {n: s for n, s in received.stamps.items() if n not in unusable}
    stamps = usable or received.stamps
    if stamps:
        newest = max(stamps, key=stamps.__getitem__)
        return stamps[newest], f"{newest}'s"
    if received.clock == "caller":
        raise ArgumentError(
            "stamp_ns must be given in a call without any frame, because earlier "
            "frames carried stamps of your clock and fuseg cannot read it."
        )
    return received.now_ns, "now"


def decide(
    missing: Missing,
    *,
    cause: Cause | None,
    age_ms: float | None,
    held_age_ms: float | None,
    against: str,
) -> Decision:
    """Apply one input's limits and its missing-sensor policy.

    Args:
        missing: Limits and policy, from the manifest.
        cause: Why the given frame is unusable whatever its age: ``"absent"``,
            ``"invalid"`` or None.
        age_ms: Age of the given frame; None without one.
        held_age_ms: Age of the last good frame; None if there is none.
        against: Whose stamp ages are measured against, in the words of `moment_of`.
    """
    why = "" if cause is None else _NOT_TIME[cause]
    if cause is None and age_ms is not None:
        cause = _beyond(missing, age_ms)
        if cause is None:
            return Decision("fresh", age_ms, None, None)
        why = f"its frame {_too_far(missing, age_ms, against)}"
    policy = missing.policy
    if policy == "hold" and missing.then is not None:
        policy = missing.then
        if held_age_ms is None:
            why += "; none held"
        elif _beyond(missing, held_age_ms) is None:
            return Decision("held", held_age_ms, cause, why)
        else:
            why += f"; the held one {_too_far(missing, held_age_ms, against)}"
    state: Literal["refused", "substituted"]
    state = "refused" if policy == "refuse" else "substituted"
    return Decision(state, None, cause, why)


def sources_of(decisions: Mapping[str, Decision]) -> dict[str, Source]:
    """What each input contributes to the result.

    Raises:
        FrameError: the policy of some inputs is to refuse; the sentence names each.
    """
    refused: dict[str, Decision] = {}
    found = {}
    for name, decision in decisions.items():
        if decision.state == "refused":
            refused[name] = decision
        else:
            found[name] = Source(decision.state, decision.age_ms, decision.cause)
    if refused:
        listed = ", ".join(f"{name} ({d.why})" for name, d in refused.items())
        way_out = {name: {"policy": "substitute"} for name in refused}
        raise FrameError(
            f"{listed}: no usable frame, and the policy is to refuse then. Give a "
            f"usable frame, or go on without one: fuseg.load(..., missing={way_out}).",
            causes={name: d.cause for name, d in refused.items() if d.cause},
        )
    return found


def reason(decisions: Mapping[str, Decision]) -> str | None:
    """One sentence about every input that is not fresh; None if all are.

    As in ``"depth: held, 85 ms old; thermal: substituted (no valid pixel)"``.
    """
    parts = []
    for name, decision in decisions.items():
        if decision.state == "held" and decision.age_ms is not None:
            age = decision.age_ms
            when = f"{_ms(age)} old" if age >= 0 else f"{_ms(-age)} ahead"
            # A frame that was simply not given needs no explanation.
            why = "" if decision.cause == "absent" else f" ({decision.why})"
            parts.append(f"{name}: held, {when}{why}")
        elif decision.state == "substituted":
            parts.append(f"{name}: substituted ({decision.why})")
    return "; ".join(parts) or None


def age_ms(moment_ns: int, stamp_ns: int) -> float:
    """Milliseconds from ``stamp_ns`` to ``moment_ns``; negative if it lies ahead."""
    return (moment_ns - stamp_ns) / _NS_PER_MS


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


def _beyond(missing: Missing, age_ms: float) -> Literal["late", "early"] | None:
    """Which limit a frame of this age is beyond; None if it is within both."""
    if missing.max_age_ms is not None and age_ms > missing.max_age_ms:
        return "late"
    if missing.max_ahead_ms is not None and -age_ms > missing.max_ahead_ms:
        return "early"
    return None


def _too_far(missing: Missing, age: float, against: str) -> str:
    """As in "is 250 ms older than rgb's, more than 200 ms"."""
    limit = missing.max_age_ms if age > 0 else missing.max_ahead_ms
    far, most = _ms(abs(age)), _ms(limit or 0.0)
    if far == most:  # beyond it by less than is spelled
        far = f"{abs(age):.6f} ms"
    where = f"is {far} older than" if age > 0 else f"lies {far} ahead of"
    return f"{where} {against}, more than {most}"


def _ms(age: float) -> str:
    return f"{age:.1f}".removesuffix(".0") + " ms"

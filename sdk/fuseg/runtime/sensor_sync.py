"""What happens when a sensor has no usable frame: age limits and policies.

Pure bookkeeping on integers: no pixel is read here. The bytes are moved by
`preprocess.py`.

Every frame, given or held, is measured against one stamp, the result's: the call's
``stamp_ns``, or else the newest usable frame's own. So without ``stamp_ns`` the newest
frame is fresh whatever its clock says, no given frame is early, and one clock that runs
ahead makes the others late: the reason then names the frame they are measured against.
Nothing is measured against earlier calls, so stamps may go back, as in the loop of a
recording; what is held from before then lies ahead, and is used up to the limit for
that. A held frame that was once found beyond a limit is never used again.
"""

from __future__ import annotations

from collections.abc import Container, Mapping
from dataclasses import dataclass, field, replace
from typing import Literal, NamedTuple

from ..errors import Cause, FrameError
from ..manifest import Missing
from .frame_set import Clock
from .results import Source

_NS_PER_MS = 1e6
# What an input without a usable frame is by the policy that is left then.
_INSTEAD: dict[str, Literal["refused", "substituted", "absent"]] = {
    "refuse": "refused",
    "substitute": "substituted",
    "sibling": "absent",
}


@dataclass(frozen=True)
class SyncState:
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

    def without(self, names: Container[str]) -> SyncState:
        """The same without the held frames of these inputs."""
        kept = {name: stamp for name, stamp in self.held.items() if name not in names}
        return replace(self, held=kept)


class SensorDecision(NamedTuple):
    """What becomes of one input in one call, and why if it is not fresh."""

    state: Literal["fresh", "held", "substituted", "absent", "refused"]
    age_ms: float | None
    cause: Cause | None
    why: str | None


def decide(
    missing: Missing,
    *,
    cause: Cause | None,
    age_ms: float | None,
    held_age_ms: float | None,
    against: str,
    nothing_valid: str = "no valid pixel",
) -> SensorDecision:
    """Apply one input's limits and its missing-sensor policy.

    Args:
        missing: Limits and policy, from the manifest.
        cause: Why the given frame is unusable whatever its age: ``"absent"``,
            ``"invalid"`` or None.
        age_ms: Age of the given frame; None without one.
        held_age_ms: Age of the last good frame; None if there is none.
        against: Whose stamp ages are measured against, in the words of `result_stamp`.
        nothing_valid: What an invalid frame of this input is.
    """
    why = {"absent": "no frame", "invalid": nothing_valid}.get(str(cause), "")
    if cause is None and age_ms is not None:
        cause = _beyond(missing, age_ms)
        if cause is None:
            return SensorDecision("fresh", age_ms, None, None)
        why = f"its frame {_too_far(missing, age_ms, against)}"
    policy = missing.policy
    if policy == "hold" and missing.then is not None:
        policy = missing.then
        if held_age_ms is None:
            why += "; none held"
        elif _beyond(missing, held_age_ms) is None:
            return SensorDecision("held", held_age_ms, cause, why)
        else:
            why += f"; the held one {_too_far(missing, held_age_ms, against)}"
    return SensorDecision(_INSTEAD[policy], None, cause, why)


def sources_of(
    decisions: Mapping[str, SensorDecision], needed: Container[str] = ()
) -> dict[str, Source]:
    """What each input contributes to the result.

    Args:
        needed: Absent inputs that no graph does without, as they are absent together.

    Raises:
        FrameError: the policy of some inputs is to refuse, or they are needed; the
            sentence names each.
    """
    refusals: dict[str, SensorDecision] = {}
    found = {}
    for name, decision in decisions.items():
        if decision.state == "refused" or name in needed:
            refusals[name] = decision
        else:
            found[name] = Source(decision.state, decision.age_ms, decision.cause)
    if refusals:
        listed = ", ".join(f"{name} ({d.why})" for name, d in refusals.items())
        way_out = {name: {"policy": "substitute"} for name in refusals}
        raise FrameError(
            f"{listed}: no usable frame, and the policy is to refuse then. Give a "
            f"usable frame, or go on without one: fuseg.load(..., missing={way_out}).",
            causes={name: d.cause for name, d in refusals.items() if d.cause},
        )
    return found


def reason(decisions: Mapping[str, SensorDecision]) -> str | None:
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
        elif decision.state in ("substituted", "absent"):
            parts.append(f"{name}: {decision.state} ({decision.why})")
    return "; ".join(parts) or None


def age_ms(result_ns: int, stamp_ns: int) -> float:
    """Milliseconds from ``stamp_ns`` to ``result_ns``; negative if it lies ahead."""
    return (result_ns - stamp_ns) / _NS_PER_MS


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

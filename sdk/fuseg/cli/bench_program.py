"""``fuseg bench`` of a bundle of several graphs: which ran in each call, how long."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..bench.frames import Frames
from ..bench.timing import percentiles
from ..errors import ArgumentError
from ..manifest import Manifest
from ..runtime.frame_set import Frame
from ..runtime.results import Result
from ..segmenter import Segmenter

__all__ = ["ProgramCalls", "rates"]

_PERIOD_NS = 33_333_333  # of a camera of 30 frames a second


def rates(manifest: Manifest, every: Mapping[str, str]) -> dict[str, int]:
    """Read ``--every depth=3``.

    Raises:
        ArgumentError: no such input, no whole number of at least 2, an input that
            cannot be left out, or every input is.
    """
    policies = {entry.name: entry.missing.policy for entry in manifest.sensors}
    found = {}
    for name, word in every.items():
        if name not in policies:
            raise ArgumentError(
                f"--every must name inputs of the bundle ({', '.join(policies)}), got "
                f"{name!r}."
            )
        if not word.isdecimal() or int(word) < 2:
            raise ArgumentError(
                f"--every {name} must be a whole number of at least 2, got {word!r}."
            )
        if policies[name] != "hold":
            raise ArgumentError(
                f"--every must name inputs whose policy is hold, but that of {name} is "
                f"{policies[name]}."
            )
        found[name] = int(word)
    if found and len(found) == len(policies):
        raise ArgumentError("--every must leave out at least one input, got all.")
    return found


class ProgramCalls:
    """Calls a Segmenter of a program, and notes which graphs ran.

    Frames carry the stamps of a camera of 30 frames a second; calls come in pairs on
    one stamp, an untimed and a timed one.

    Args:
        every: An input's frame is given in every so many frame sets alone.
    """

    def __init__(self, segmenter: Segmenter, every: Mapping[str, int]) -> None:
        self._segmenter, self._every = segmenter, every
        self._calls: list[tuple[tuple[int, ...], tuple[int, ...]]] = []

    def __call__(self, frames: Frames) -> Result:
        """Label a frame set."""
        number = len(self._calls) // 2
        stamp = number * _PERIOD_NS
        given: dict[str, Any] = {
            name: Frame(array, stamp)
            for name, array in frames.items()
            if number % self._every.get(name, 1) == 0
        }
        before = self._counts()
        result = self._segmenter(**given)
        ran, spent = (
            tuple(now - then for now, then in zip(*counts, strict=True))
            for counts in zip(self._counts(), before, strict=True)
        )
        self._calls.append((ran, spent))
        return result

    def _counts(self) -> tuple[list[int], list[int]]:
        """How often each graph ran, and the time it took, which no GPU says: 0."""
        backend: Any = self._segmenter.backend
        ran = [*backend.ran]
        return ran, [*getattr(backend, "spent_ns", [0] * len(ran))]

    def report(self, times: list[float]) -> dict[str, Any]:
        """What the graphs did in the timed calls.

        Args:
            times: Milliseconds of each timed call; those before it are left out.
        """
        calls = self._calls[1::2][-len(times) :]
        names = [graph.name for graph in self._segmenter.manifest.graphs]
        graphs: dict[str, Any] = {}
        for index, name in enumerate(names):
            spent = [ns[index] / 1e6 for ran, ns in calls if ran[index]]
            graphs[name] = {"ran": len(spent), "of": len(calls)}
            if any(spent):
                graphs[name] |= percentiles(spent)
        sets: dict[tuple[str, ...], list[float]] = {}
        for (ran, _), whole in zip(calls, times, strict=True):
            key = tuple(n for n, count in zip(names, ran, strict=True) if count)
            sets.setdefault(key, []).append(whole)
        return {
            "graphs": graphs,
            "calls": [
                {"graphs": [*key], "calls": len(found), **percentiles(found)}
                for key, found in sorted(sets.items())
            ],
            "mean_ms": sum(times) / len(times),
        }

"""Thousands of calls on jumping clocks, held against a model in whole nanoseconds.

The model shares nothing with fuseg: it keeps the held frames themselves, so it knows
what the network must have been fed, not only what a result says of it.
"""

from __future__ import annotations

import itertools
import random
from types import SimpleNamespace

import numpy as np
import pytest

import fuseg
from fuseg import Frame, errors
from fuseg.backends.replay import ReplayBackend
from fuseg.runtime import frame_set

MS = 1_000_000
HOUR = 3600 * 1000 * MS
NAMES = ("a", "b", "c")
FILLS = {"a": -1.0, "b": -2.0, "c": -3.0}
POLICIES = (
    ("refuse", None),
    ("substitute", None),
    ("hold", "refuse"),
    ("hold", "substitute"),
)
AGES_NS = (33_300_000, 100 * MS, None)
AHEADS_NS = (0, 16_700_000, None)
RULES = [
    rule
    for rule in itertools.product(POLICIES, AGES_NS, AHEADS_NS)
    if rule[0][0] != "hold" or rule[1] is not None
]


class Model:
    """What every call must give, by the README's words.

    A frame is (stamp or None, value): a picture of one number, 0 being no reading.
    """

    def __init__(self, rules, hold):
        self.rules, self.hold = rules, hold
        self.held = {}  # name: (stamp, value)
        self.on_callers_clock = False

    def __call__(self, given, stamp_ns, now):
        """("labels", stamp, {name: (state, age in ns, cause, value)}), ("refused",
        {name: cause}) or ("no time",)."""
        plain = now if stamp_ns is None else stamp_ns
        frames = {n: (plain if s is None else s, v) for n, (s, v) in given.items()}
        stamped = stamp_ns is not None or any(s is not None for s, _ in given.values())
        if stamp_ns is not None:
            reference = stamp_ns
        elif frames:
            good = [s for s, v in frames.values() if v != 0]
            reference = max(good or [s for s, _ in frames.values()])
        elif self.on_callers_clock:
            return ("no time",)
        else:
            reference = now
        sources = {n: self._one(n, frames.get(n), reference) for n in NAMES}
        refused = {n: t[2] for n, t in sources.items() if t[0] == "refused"}
        if refused:
            for name in refused:
                self.held.pop(name, None)
            return "refused", refused
        for name, (state, *_) in sources.items():
            if state == "fresh" and self.hold:
                self.held[name] = frames[name]
            elif state == "substituted":
                self.held.pop(name, None)
        self.on_callers_clock |= stamped and self.hold
        return "labels", reference, sources

    def _one(self, name, frame, reference):
        (policy, then), *limits = self.rules[name]
        if frame is None:
            cause = "absent"
        elif frame[1] == 0:
            cause = "invalid"
        else:
            cause = outside(reference - frame[0], *limits)
        if cause is None:
            return "fresh", reference - frame[0], None, frame[1]
        if policy == "hold":
            held = self.held.get(name)
            if held is not None and outside(reference - held[0], *limits) is None:
                return "held", reference - held[0], cause, held[1]
            policy = then
        if policy == "refuse":
            return "refused", None, cause, None
        return "substituted", None, cause, FILLS[name]


def outside(age_ns, oldest_ns, farthest_ns):
    if oldest_ns is not None and age_ns > oldest_ns:
        return "late"
    if farthest_ns is not None and age_ns < -farthest_ns:
        return "early"
    return None


def as_dict(rule):
    (policy, then), *limits = rule
    ages = (None if limit is None else limit / MS for limit in limits)
    found = dict(zip(("max_age_ms", "max_ahead_ms"), ages, strict=True))
    return found | {"policy": policy} | ({"then": then} if then else {})


@pytest.fixture
def bundle(make_bundle, plane_input):
    """Three one-plane sensors whose tensors hold the frames' own numbers."""
    number = {"size": (2, 3), "scale": 1.0, "mean": (0.0,), "std": (1.0,)}
    return make_bundle(*(plane_input(n, fill=FILLS[n], **number) for n in NAMES)).path


def observed(segmenter, backend, given, stamp_ns):
    """What the model says, of fuseg; the numbers are those the network was fed."""
    frames = {
        name: Frame(np.full((2, 3), value, np.uint16), stamp)
        for name, (stamp, value) in given.items()
    }
    runs = len(backend.fed)
    try:
        result = segmenter(**frames, stamp_ns=stamp_ns)
    except errors.FrameError as err:
        found: tuple = ("refused", err.causes)
    except errors.ArgumentError as err:
        found = ("no time",) if "stamp_ns must be given" in str(err) else (str(err),)
    else:
        sources = {}
        for name, source in result.sources.items():
            (number,) = np.unique(backend.fed[-1][name])
            age = None if source.age_ms is None else round(source.age_ms * MS)
            sources[name] = source.state, age, source.cause, number
            named = f"{name}: {source.state}" in (result.reason or "")
            assert named == (source.cause is not None)
        assert result.degraded == (result.reason is not None)
        found, runs = ("labels", result.stamp_ns, sources), runs + 1
    assert len(backend.fed) == runs
    return found


def events(rng, rules, clock):
    """60 calls: frames that are late, early, blind or not given, often by just a limit
    or a nanosecond more, on a clock that now and then leaps."""
    now = 10 * HOUR
    for number in range(60):
        steps = [0, MS, 16 * MS, 33_300_000, 90 * MS]
        leaps = [-HOUR, -150 * MS, 150 * MS, HOUR] if clock == "stamps" else [HOUR]
        now += rng.choice(leaps if rng.random() < 0.1 else steps)
        stamp_ns = now if clock == "stamps" and rng.random() < 0.4 else None
        plain = clock == "arrival" or (stamp_ns is not None and rng.random() < 0.3)
        given = {}
        for index, name in enumerate(NAMES):
            oldest, farthest = (limit or 0 for limit in rules[name][1:])
            offsets = [0, 0, 0, -MS, MS, -oldest, -oldest - 1, farthest, farthest + 1]
            if rng.random() < 0.05:
                offsets = [-HOUR, HOUR]
            value = 0 if rng.random() < 0.1 else 3 * number + index + 1
            if rng.random() < 0.7:
                given[name] = None if plain else now + rng.choice(offsets), value
        yield now, stamp_ns, given


@pytest.mark.parametrize("clock", ["stamps", "arrival"])
@pytest.mark.parametrize("hold", [True, False])
def test_what_a_call_is_made_from_is_what_the_model_says(
    bundle, monkeypatch, clock, hold
):
    rng = random.Random(f"{clock} {hold}")
    arrival = SimpleNamespace(now=0)
    monkeypatch.setattr(frame_set, "_arrival_ns", lambda: arrival.now)
    met = set()
    for rule in RULES:
        rules = {"a": rng.choice(RULES), "b": rule, "c": rng.choice(RULES)}
        backend = ReplayBackend([np.zeros((1, 4, 2, 3), np.float32)])
        missing = {name: as_dict(rules[name]) for name in NAMES}
        segmenter = fuseg.load(bundle, backend=backend, missing=missing, hold=hold)
        model = Model(rules, hold)
        for arrival.now, stamp_ns, given in events(rng, rules, clock):
            wanted = model(given, stamp_ns, arrival.now)
            assert observed(segmenter, backend, given, stamp_ns) == wanted
            met |= {t[:3:2] for t in wanted[-1].values()} if len(wanted) == 3 else set()
    causes = {"absent", "invalid"} | ({"late", "early"} if clock == "stamps" else set())
    states = {"substituted", "held"} if hold else {"substituted"}
    assert met == {("fresh", None), *itertools.product(states, causes)}

from __future__ import annotations

import gc

import pytest

from fuseg import bench
from fuseg.bench import after, interleave, percentiles, repeated, time_frames


class Clock:
    """Milliseconds that pass when a candidate says so, and half a one at each look."""

    def __init__(self):
        self.now, self.slept = 0.0, []

    def perf_counter_ns(self):
        self.now += 0.5
        return int(self.now * 1e6)

    def passes(self, ms):
        self.now += ms - 0.5

    def sleep(self, seconds):
        self.slept.append(seconds)


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(bench.timing, "time", clock)
    monkeypatch.setattr(bench.frames, "time", clock)
    return clock


def test_each_timed_call_follows_one_of_the_same_program_on_the_frame_before(clock):
    seen = []
    programs = {
        name: lambda frame, name=name: seen.append((name, frame["i"])) for name in "abc"
    }
    times = time_frames(programs, [{"i": 0}, {"i": 1}, {"i": 2}], range(7))
    assert {name: len(values) for name, values in times.items()} == dict.fromkeys(
        "abc", 7
    )
    for number, start in enumerate(range(6 * bench.WARMUP, len(seen), 6)):
        calls = seen[start : start + 6]
        assert [i for _, i in calls] == [(number - 1) % 3, number % 3] * 3
        assert [n for n, _ in calls[::2]] == [n for n, _ in calls[1::2]]
        assert {n for n, _ in calls} == {*"abc"}
    assert clock.slept == [0.0] * 3 * bench.WARMUP + [bench.PAUSE_S] * 3 * 7


def test_times_of_frames_are_milliseconds_of_the_second_call_alone(clock):
    naps = iter([1.0] * 2 * bench.WARMUP + [50.0, 10.0, 50.0, 20.0])
    times = time_frames({"nap": lambda _: clock.passes(next(naps))}, [{}], range(2))
    assert times == {"nap": [10.0, 20.0]}


def test_the_order_changes_from_round_to_round_but_not_from_run_to_run():
    def orders(**options):
        seen = []
        turns = {name: lambda _, name=name: seen.append(name) or [] for name in "abc"}
        interleave(turns, range(20), **options)
        return ["".join(seen[i : i + 3]) for i in range(0, len(seen), 3)]

    first = orders()
    assert len(set(first)) > 3
    assert first == orders()
    assert orders(shuffle=False) == ["abc"] * 20


def test_a_quick_call_is_repeated_and_its_first_time_does_not_count(clock):
    lasts = iter([4.0, *[1.0] * 30])
    assert repeated(lambda: clock.passes(next(lasts)))(0) == [1.0, 1.0]
    assert repeated(lambda: clock.passes(next(lasts)))(0) == [1.0] * 6
    assert repeated(lambda: clock.passes(0.6), turn_ms=100)(0) == [0.6] * 20
    assert repeated(lambda: clock.passes(9.0))(0) == [9.0]


def test_what_comes_before_a_call_is_not_timed(clock):
    turn = after(lambda: clock.passes(70.0), lambda: clock.passes(2.0))
    assert turn(0) == [2.0]


def test_the_garbage_collector_rests_while_timing_and_wakes_after_a_failure():
    states = []

    def fail(_):
        states.append(gc.isenabled())
        raise RuntimeError

    with pytest.raises(RuntimeError):
        interleave({"fail": fail}, range(1))
    assert states == [False]
    assert gc.isenabled()


def test_percentiles_are_linear_between_neighbours():
    hundred = [float(v) for v in range(101)]
    assert percentiles(hundred) == {"p50": 50.0, "p90": 90.0, "p99": 99.0}
    assert percentiles([1.0, 2.0], (50,)) == {"p50": 1.5}

"""A bundle of several graphs: which of them run, and when a state moves on.

A graph runs when something that it reads is new: a frame, or what another graph wrote.
Names only: `program_cpu` and `program_gpu` have the memory and run the networks.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from functools import lru_cache

from ..manifest import Graph, State
from ..manifest.graphs import runnable

__all__ = ["Program"]

_MOST_PLANS = 64  # one for each set of lost tensors that was met


@dataclass(frozen=True)
class _Plan:
    """What runs while some tensors are lost.

    Attributes:
        graphs: Their indices, in order.
        written: The states whose next value is written.
    """

    graphs: tuple[int, ...]
    written: frozenset[int]


class Program:
    """The graphs of a bundle, and what of their tensors is new.

    Bits stand for graphs: bit ``1 << i`` of a number for graph ``i``.

    Args:
        graphs, states: The manifest's.
    """

    def __init__(self, graphs: Sequence[Graph], states: Sequence[State] = ()) -> None:
        self.graphs, self.states = tuple(graphs), tuple(states)
        self._readers: dict[str, int] = {}
        for index, graph in enumerate(graphs):
            for name in graph.reads:
                self._readers[name] = self._readers.get(name, 0) | 1 << index
        self._wakes = [self._reading(graph.writes) for graph in graphs]
        self._rivals = [
            sum(
                1 << other
                for other, twin in enumerate(graphs)
                if other != index and {*twin.writes} & {*graph.writes}
            )
            for index, graph in enumerate(graphs)
        ]
        self._plan = lru_cache(_MOST_PLANS)(self._make_plan)
        self._dirty = (1 << len(graphs)) - 1
        self._gone: frozenset[str] = frozenset()
        self._new = [False] * len(states)
        self._done = [False] * len(states)

    def renew(self, names: Collection[str]) -> None:
        """Run again, in the next `step`, the graphs that read or write these tensors.

        Where other memory was given to them; no state moves on.
        """
        for index, graph in enumerate(self.graphs):
            if not {*graph.reads, *graph.writes}.isdisjoint(names):
                self._dirty |= 1 << index | self._rivals[index]

    def put(self, fresh: Collection[str], gone: Collection[str]) -> None:
        """Say what the next `step` is made from.

        Args:
            fresh: The inputs' tensors that were written; those that hold what they
                held are not among them.
            gone: The inputs' tensors that have nothing to hold.
        """
        self._gone = frozenset(gone)
        self._dirty |= self._reading(fresh)
        for index, state in enumerate(self.states):
            if state.steps_with in fresh:
                self._new[index] = True

    def step(
        self,
        run: Callable[[int], None],
        advance: Callable[[int], None],
        reset: Callable[[int], None],
    ) -> None:
        """Run what has something new to read.

        A call that ends with an exception leaves the states at the frame before: the
        frame may be given again, or the next one.

        Args:
            run: Runs the graph of an index.
            advance: Copies a state's next value into the state.
            reset: Writes a state's initial value.
        """
        plan = self._plan(self._gone)
        for index, state in enumerate(self.states):
            if self._new[index] and self._done[index]:
                advance(index)
                self._done[index] = False
                self._dirty |= self._readers.get(state.tensor, 0)
        try:
            for index in plan.graphs:
                if self._dirty >> index & 1:
                    # Before it runs: it may die half-way through what they share.
                    self._dirty |= self._rivals[index]
                    run(index)
                    self._dirty = self._dirty & ~(1 << index) | self._wakes[index]
            for index, state in enumerate(self.states):
                if index in plan.written:
                    self._done[index] = True
                elif self._new[index] and state.when_skipped == "reset":
                    self.reset(index, reset)
                self._new[index] = False
        except BaseException:
            self.undo()
            raise

    def undo(self) -> None:
        """Leave the states at the frame before: what the last step made is no use."""
        self._done = [False] * len(self.states)

    def copy(self) -> Program:
        """One that goes its own way from here."""
        twin = copy.copy(self)
        twin._new, twin._done = [*self._new], [*self._done]
        return twin

    @property
    def done(self) -> tuple[bool, ...]:
        """By state: whether a frame was finished, whose next value it waits for."""
        return tuple(self._done)

    def resume(self, done: Sequence[bool]) -> None:
        """Go on from another's states, which were written where this one reads."""
        self._done = list(done)

    def reset(self, index: int, reset: Callable[[int], None]) -> None:
        """Start one state anew."""
        self._done[index] = False
        reset(index)
        self._dirty |= self._readers.get(self.states[index].tensor, 0)

    def _reading(self, names: Collection[str]) -> int:
        bits = 0
        for name in names:
            bits |= self._readers.get(name, 0)
        return bits

    def _make_plan(self, gone: frozenset[str]) -> _Plan:
        chosen, _ = runnable(self.graphs, gone)
        written = {name for index in chosen for name in self.graphs[index].writes}
        states = (i for i, s in enumerate(self.states) if s.next in written)
        return _Plan(chosen, frozenset(states))

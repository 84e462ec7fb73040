"""The manifest's graphs: networks that read tensors and write others, and state."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

from .schema import Record, require, require_unique, within
from .tensors import Tensor
from .variants import require_member

__all__ = ["Graph", "Network", "State", "require_program", "runnable", "shared_tensors"]


@dataclass(frozen=True)
class Network(Record):
    """An ONNX file: a graph in one precision.

    Attributes:
        file: The member's name; it ends in ``.onnx``.
        opset: The ONNX operator set.
        ir_version: The ONNX IR version.
    """

    file: str
    opset: int = field(metadata=within(1))
    ir_version: int = field(metadata=within(1))

    def _check(self) -> None:
        require_member("file", self.file, ".onnx")


@dataclass(frozen=True)
class Graph(Record):
    """A network that runs when something that it reads is new.

    Attributes:
        name: Unique in the list.
        reads: The tensors that are its ONNX inputs, by name.
        writes: The tensors that are its ONNX outputs, by name; those of states by the
            state's ``next``.
        networks: Its ONNX files, by variant. A variant that has none here runs the
            graph's ``fp32``.
        stands_in_for: The graph whose place it takes while that one lacks what it
            reads. It comes right after that one, or after others that stand in for it
            and are preferred; it writes the same tensors, but for states, which it may
            leave out.
    """

    name: str
    reads: tuple[str, ...]
    writes: tuple[str, ...]
    networks: dict[str, Network]
    stands_in_for: str | None = None

    def _check(self) -> None:
        for key in ("reads", "writes", "networks"):
            require(bool(getattr(self, key)), f"{key} must not be empty.")
        require_unique("reads", self.reads)
        require_unique("writes", self.writes)


@dataclass(frozen=True)
class State(Record):
    """A tensor that a graph hands on from one frame to the next.

    ``next`` is copied into the state when the next frame of ``steps_with`` begins: a
    graph that runs again for the same frame, as for a changed prompt, reads the same
    state again.

    Attributes:
        tensor: The tensor that graphs read; it has no dimension.
        next: The name of the tensor that a graph writes for the next frame; of the
            same shape, and not one of ``tensors``.
        initial: The value that the state starts with.
        steps_with: The tensor of inputs whose new frames are the steps.
        max_gap_ms: A longer time between two frames starts the state anew; ``null`` is
            no limit.
        when_skipped: What becomes of the state at a frame that a stand-in took which
            does not write it: ``reset`` or ``hold``.
    """

    tensor: str
    next: str
    initial: float
    steps_with: str
    max_gap_ms: float | None = field(default=None, metadata=within(0))
    when_skipped: Literal["reset", "hold"] = "reset"


class Step(Protocol):
    """What decides when a graph runs."""

    @property
    def name(self) -> str: ...

    @property
    def reads(self) -> tuple[str, ...]: ...

    @property
    def writes(self) -> tuple[str, ...]: ...

    @property
    def stands_in_for(self) -> str | None: ...


def runnable(
    graphs: Sequence[Step], gone: Collection[str]
) -> tuple[tuple[int, ...], frozenset[str]]:
    """What runs while inputs' tensors have no frame, a stand-in in its graph's place.

    Returns:
        The indices of the graphs that run, in order, and the tensors that nothing
        makes: those of ``gone`` and what cannot be made without them.
    """
    missing, chosen = set(gone), []
    for index, graph in enumerate(graphs):
        if graph.stands_in_for is not None:
            continue
        twins = [i for i, g in enumerate(graphs) if g.stands_in_for == graph.name]
        usable = (i for i in (index, *twins) if missing.isdisjoint(graphs[i].reads))
        found = next(usable, None)
        if found is None:
            missing.update(graph.writes)
        else:
            chosen.append(found)
    return tuple(chosen), frozenset(missing)


def shared_tensors(graphs: Sequence[Graph], states: Sequence[State]) -> frozenset[str]:
    """The tensors that several graphs use, or one graph at two frames: states."""
    uses = Counter(name for g in graphs for name in {*g.reads, *g.writes})
    kept = (name for state in states for name in (state.tensor, state.next))
    return frozenset((*kept, *(name for name in uses if uses[name] > 1)))


def require_program(
    graphs: Sequence[Graph],
    states: Sequence[State],
    *,
    tensors: Mapping[str, Tensor],
    filled: Collection[str],
    clocks: Collection[str],
    results: Mapping[str, str],
) -> None:
    """Refuse graphs that do not make the outputs' tensors of the inputs', in order.

    Args:
        tensors: The manifest's.
        filled: Those that inputs fill.
        clocks: Of these, those of sensors.
        results: Those that outputs are made of, by the path that names them.

    Raises:
        ManifestError: a graph reads what nothing wrote before it, two graphs write the
            same and neither stands in for the other, a tensor is filled or kept as
            well as written, a state or an output is written by nobody, a tensor is
            used by nobody, a stand-in leaves out what its graph writes.
    """
    require_unique("graphs", [graph.name for graph in graphs])
    nexts = {state.next for state in states}
    _require_states(states, tensors, filled, clocks)
    known = {*filled, *(state.tensor for state in states)}
    writers: dict[str, Graph] = {}
    for index, graph in enumerate(graphs):
        path = f"graphs[{index}]"
        original = graph
        if graph.stands_in_for is not None:
            original = _require_stand_in(path, graphs, index, nexts)
        for read in graph.reads:
            require(
                read in known and writers.get(read) is not original,
                f"{path}.reads must name what an input fills, a state, or what an "
                f"earlier graph writes, got {read[:80]!r}.",
            )
        for name in graph.writes if original is graph else ():
            require(
                name in nexts or name in tensors,
                f"{path}.writes must name one of tensors or a state's next, got "
                f"{name[:80]!r}.",
            )
            require(
                name not in known and name not in writers,
                f"{path}.writes must not name what an input, a state or another "
                f"graph is the source of, got {name[:80]!r}.",
            )
            writers[name] = graph
        known |= {name for name in graph.writes if name not in nexts}
    for index, state in enumerate(states):
        require(
            state.next in writers,
            f"states[{index}].next must be what a graph writes, got {state.next!r}.",
        )
    for path, name in results.items():
        require(
            name in writers and name not in nexts,
            f"{path} must be what a graph writes, got {name[:80]!r}.",
        )
    used = {name for graph in graphs for name in graph.reads}
    for name in tensors:
        require(
            name in used or name in results.values(),
            f"tensors must hold only what is used, but no graph or output reads "
            f"{name[:80]!r}.",
        )


def _require_states(
    states: Sequence[State],
    tensors: Mapping[str, Tensor],
    filled: Collection[str],
    clocks: Collection[str],
) -> None:
    require_unique("states", [state.tensor for state in states])
    require_unique("states[].next", [state.next for state in states])
    for index, state in enumerate(states):
        path = f"states[{index}]"
        require(
            state.tensor in tensors and state.tensor not in filled,
            f"{path}.tensor must be one of tensors that no input fills, got "
            f"{state.tensor[:80]!r}.",
        )
        require(
            not tensors[state.tensor].dimensions,
            f"{path}.tensor must have no dimension, as its size may not change, got "
            f"{list(tensors[state.tensor].shape)}.",
        )
        require(
            state.next not in tensors,
            f"{path}.next must be a name of its own, not one of tensors, got "
            f"{state.next[:80]!r}.",
        )
        require(
            state.steps_with in clocks,
            f"{path}.steps_with must be a tensor that a sensor fills, got "
            f"{state.steps_with[:80]!r}.",
        )


def _require_stand_in(
    path: str, graphs: Sequence[Graph], index: int, nexts: Collection[str]
) -> Graph:
    """The graph that one stands in for."""
    graph = graphs[index]
    first = index
    while first and graphs[first].stands_in_for is not None:
        first -= 1
    original = graphs[first]
    name = graph.stands_in_for or ""
    require(
        original.name == name and first < index,
        f"{path}.stands_in_for must be the graph that comes right before it and its "
        f"other stand-ins, got {name[:80]!r}.",
    )
    for written in original.writes:
        require(
            written in graph.writes or written in nexts,
            f"{path}.writes must hold {written[:80]!r}, as graph {original.name!r} "
            "does, for which it stands in.",
        )
    for written in graph.writes:
        require(
            written in original.writes,
            f"{path}.writes must hold only what graph {original.name!r} writes, for "
            f"which it stands in, got {written[:80]!r}.",
        )
    return original

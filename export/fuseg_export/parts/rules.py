"""Parts of a network that fit one another, and what runs without a sensor."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import combinations
from typing import Any

from torch import nn

from fuseg.errors import ArgumentError
from fuseg.manifest.graphs import runnable

from ..inputs import ExportedInput
from ..network.inputs import Inputs
from ..network.weight_names import some
from ..passes.split import Piece
from .records import Part

__all__ = [
    "losses",
    "make_pieces",
    "require_one_size",
    "require_weights",
    "with_siblings",
]

_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}")


def make_pieces(
    parts: Mapping[str, Part], tensors: Sequence[str], sensors: Sequence[str]
) -> tuple[Piece, ...]:
    """The graphs that these parts become.

    Args:
        parts: By name, in running order; none for a network that is one graph.
        tensors: Those of the inputs.
        sensors: Of these, those that may be missing.

    Raises:
        ArgumentError: They do not fit one another, or the inputs.
    """
    pieces: list[Piece] = []
    for name, part in parts.items():
        piece = _piece(name, part)
        if piece.stands_in_for is None:
            _require_fits(piece, pieces, tensors)
        else:
            _require_stands_in(piece, pieces, tensors)
        pieces.append(piece)
    used = {read for piece in pieces for read in piece.reads}
    for name in tensors if pieces else ():
        _require(
            name in used,
            f"the input {name} is read by no part: leave it out, or let a part read "
            "it.",
        )
    found = losses(pieces, sensors)
    for piece in pieces:
        if piece.stands_in_for is not None:
            read = next((w for w in piece.writes if w in used), "")
            _require(
                not read,
                f"part {piece.name} must stand in up to the outputs, but another part "
                f"reads {read}, which it writes: let it do what follows, too.",
            )
            _require(
                piece.name in found,
                f"part {piece.name} would never run: it must do without an input that "
                f"{piece.stands_in_for} needs, and so must all other outputs.",
            )
    return tuple(pieces)


def require_weights(parts: Mapping[str, Part], whole: nn.Module) -> None:
    """Refuse parts with weights that the whole network's checkpoint does not fill.

    Raises:
        ArgumentError: A part has some.
    """
    filled = {id(tensor) for tensor in whole.state_dict(keep_vars=True).values()}
    for name, part in parts.items():
        own = part.module.state_dict(keep_vars=True)
        others = [key for key, tensor in own.items() if id(tensor) not in filled]
        _require(
            not others,
            f"part {name} has weights that are not the whole network's, "
            f"{some(others)}: make its module one of the whole's, so that the "
            "checkpoint has them.",
        )


def require_one_size(inputs: Sequence[ExportedInput]) -> None:
    """Refuse inputs of a network of parts whose tensors have no fixed size."""
    for entry in inputs:
        _require(
            entry.dimension is None,
            f"the dimension of {entry.record.name} must be left out for a network of "
            "parts, whose sizes are fixed: export it as one network, or with one text.",
        )


def losses(
    pieces: Sequence[Piece], sensors: Sequence[str]
) -> dict[str, tuple[str, ...]]:
    """For each stand-in the fewest of the sensors' tensors without which it runs.

    It is left out where some output is lost then, as no policy allows that.
    """
    found: dict[str, tuple[str, ...]] = {}
    for count in range(1, len(sensors)):
        for gone in combinations(sensors, count):
            for name in _takes_over(pieces, gone):
                found.setdefault(name, gone)
    return found


def with_siblings(
    inputs: Inputs, pieces: Sequence[Piece], said: Mapping[str, Any]
) -> Inputs:
    """The inputs, with the policy ``sibling`` where a stand-in does without one.

    Args:
        said: What the user says of them, by name: a policy there stays.
    """

    def changed(record: Any) -> Any:
        user = said.get(record.name, {}).get("missing", {})
        takes_over = record.tensor in inputs.clocks and [
            *_takes_over(pieces, [record.tensor])
        ]
        if not takes_over or {"policy", "then"} & set(user):
            return record
        key = "then" if record.missing.policy == "hold" else "policy"
        return replace(record, missing=record.missing.changed({key: "sibling"}))

    others: tuple[Any, ...] = inputs.others
    return replace(
        inputs,
        pictures=tuple(map(changed, inputs.pictures)),
        others=tuple(replace(one, record=changed(one.record)) for one in others),
    )


def _takes_over(pieces: Sequence[Piece], gone: Sequence[str]) -> Iterator[str]:
    """The stand-ins that run without these inputs, if no output is lost."""
    read = {name for piece in pieces for name in piece.reads}
    results = {name for piece in pieces for name in piece.writes} - read
    chosen, lost = runnable(pieces, gone)
    if lost.isdisjoint(results):
        for index in chosen:
            if pieces[index].stands_in_for is not None:
                yield pieces[index].name


def _piece(name: Any, part: Any) -> Piece:
    _require(
        isinstance(name, str) and _NAME.fullmatch(name) is not None,
        f"parts must have names of letters, digits and _, - or ., got {name!r}.",
    )
    _require(
        isinstance(part, Part) and isinstance(part.module, nn.Module),
        f"part {name} must be a fuseg_export.Part of a torch.nn.Module, got "
        f"{type(getattr(part, 'module', part)).__name__}.",
    )
    for key in ("reads", "writes"):
        names = getattr(part, key)
        _require(
            isinstance(names, (list, tuple))
            and bool(names)
            and all(isinstance(n, str) and _NAME.fullmatch(n) for n in names)
            and len(set(names)) == len(names),
            f"part {name}: {key} must be a list of different names of letters, digits "
            f"and _, - or ., got {names!r}.",
        )
    return Piece(name, tuple(part.reads), tuple(part.writes), part.stands_in_for)


def _require_fits(
    piece: Piece, before: Sequence[Piece], tensors: Sequence[str]
) -> None:
    owners = _owners(before, tensors)
    _require_read(piece, owners)
    for name in piece.writes:
        _require(
            name not in owners,
            f"part {piece.name} writes {name}, which {owners.get(name)} makes: give it "
            "another name, or say for which part it stands in.",
        )


def _require_stands_in(
    piece: Piece, before: Sequence[Piece], tensors: Sequence[str]
) -> None:
    first = next((p for p in reversed(before) if p.stands_in_for is None), None)
    _require(
        first is not None and first.name == piece.stands_in_for,
        f"part {piece.name} must come right after the part that it stands in for, got "
        f"{piece.stands_in_for!r} after {first.name if first else 'none'}.",
    )
    assert first is not None  # said above
    _require(
        set(piece.writes) == set(first.writes),
        f"part {piece.name} must write what {first.name} does, for which it stands in, "
        f"{', '.join(first.writes)}, got {', '.join(piece.writes)}.",
    )
    known = _owners(before, tensors)
    _require_read(piece, {n: o for n, o in known.items() if n not in first.writes})


def _owners(before: Sequence[Piece], tensors: Sequence[str]) -> dict[str, str]:
    """Who makes what is known so far."""
    owners = dict.fromkeys(tensors, "an input")
    for piece in before:
        for name in piece.writes:
            owners.setdefault(name, f"part {piece.name}")
    return owners


def _require_read(piece: Piece, owners: Mapping[str, str]) -> None:
    for name in piece.reads:
        _require(
            name in owners,
            f"part {piece.name} reads {name!r}, which no input and no part before it "
            f"makes; there are {', '.join(owners)}.",
        )


def _require(fact: bool, sentence: str) -> None:
    if not fact:
        raise ArgumentError(sentence)

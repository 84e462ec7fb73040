"""All of ``--input``: pictures, and what is none."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from fuseg.errors import ArgumentError
from fuseg.manifest import ImageInput, input_shapes

from ..inputs import FORMS, KINDS, ExportedInput
from .input_options import FIXED, FORM, make_inputs, require_known

__all__ = ["Inputs", "read_inputs", "shapes_of"]

_WORD = re.compile(r"(?P<name>[^=]+)=(?P<kind>[^:]+):(?P<size>.+)")


@dataclass(frozen=True)
class Inputs:
    """What ``--input`` names.

    Attributes:
        pictures: In their order.
        others: In theirs.
        order: The names of all of them as they were given; empty for ``pictures``.
    """

    pictures: tuple[ImageInput, ...]
    others: tuple[ExportedInput, ...] = ()
    order: tuple[str, ...] = ()

    @property
    def tensors(self) -> tuple[str, ...]:
        """Those that they fill, in the order of forward's arguments."""
        records = (*self.pictures, *(other.record for other in self.others))
        filled = {entry.name: entry.tensor for entry in records}
        return tuple(dict.fromkeys(filled[name] for name in self.order or filled))

    @property
    def clocks(self) -> tuple[str, ...]:
        """The tensors of sensors, whose new frames may be a state's steps."""
        settings = [o.record.tensor for o in self.others if o.record.name in self.texts]
        return tuple(name for name in self.tensors if name not in settings)

    @property
    def texts(self) -> tuple[str, ...]:
        """The names of those that are texts."""
        return tuple(o.record.name for o in self.others if o.record.kind == "text")


def shapes_of(
    pictures: Sequence[ImageInput],
    others: Sequence[ExportedInput],
    tensors: Sequence[str],
) -> dict[str, tuple[int | str, ...]]:
    """Of these tensors, in their order, which these inputs fill; of all without any."""
    found: dict[str, tuple[int | str, ...]] = {
        **input_shapes(pictures),
        **{other.record.tensor: other.shape for other in others},
    }
    return {name: found[name] for name in tensors or found}


def read_inputs(
    words: Sequence[str], stacks: Sequence[str], spec: Mapping[str, Any]
) -> Inputs:
    """Make all inputs from options like ``rgb=color:480x640`` and ``prompt=text:16``.

    Args:
        words, stacks, spec: See `make_inputs`.

    Raises:
        ArgumentError: See `make_inputs`, and the kinds of `fuseg_export.inputs`.
    """
    matches = [_WORD.fullmatch(word) for word in words]
    apart = {m["name"]: m for m in matches if m and m["kind"] in KINDS}
    names = [m["name"] for m in matches if m]
    if apart:
        require_known(spec, names)
    for name in apart:
        if names.count(name) > 1:
            raise ArgumentError(
                f"--input must name every input once, got {name} twice."
            )
        if not isinstance(spec.get(name, {}), dict):
            raise ArgumentError(f"--spec: inputs.{name} must be an object.")
    rest = [
        w
        for w, m in zip(words, matches, strict=True)
        if not m or m["name"] not in apart
    ]
    unknown = {name: said for name, said in spec.items() if name not in apart}
    pictures = make_inputs(rest, stacks, unknown) if rest or not apart else ()
    others = tuple(_other(m, spec.get(name, {})) for name, m in apart.items())
    found = Inputs(pictures, others, tuple(names))
    if not found.clocks:
        raise ArgumentError(
            f"--input must name a sensor beside the texts, got {', '.join(names)} "
            f"alone: {FORM}."
        )
    return found


def _other(match: re.Match[str], said: Mapping[str, Any]) -> ExportedInput:
    name, kind = match["name"], match["kind"]
    pattern, form = FORMS[kind]
    size = re.fullmatch(pattern, match["size"])
    if size is None:
        raise ArgumentError(f"--input must be NAME={kind}:{form}, got {match.group()}.")
    for key in FIXED:
        if key in said:
            raise ArgumentError(
                f"--spec: inputs.{name} must not hold {key!r}: --input says the name "
                "and kind."
            )
    return KINDS[kind](name, size.groupdict(), said)

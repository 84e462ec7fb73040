"""``--state`` and the spec file's ``states``: what a network hands on to itself."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from fuseg.errors import ArgumentError, ManifestError
from fuseg.manifest import State

__all__ = ["StateRequest", "make_states"]

_FORM = "NAME=PATH or NAME=PATH:CxHxW, as in memory=1:16x30x40"
_WORD = re.compile(
    r"(?P<name>[^=:]+)=(?P<path>[^=:]+)(:(?P<shape>[1-9]\d*(x[1-9]\d*)*))?"
)


@dataclass(frozen=True)
class StateRequest:
    """A state that the user asks for.

    Attributes:
        state: The manifest's record.
        path: Of its next value in what forward returns, see `outputs.find`.
        shape: Without the batch; None: that of what forward returns when it is given
            None for every state.
    """

    state: State
    path: str
    shape: tuple[int, ...] | None


def make_states(
    words: Sequence[str],
    spec: Sequence[Any],
    tensors: Sequence[str],
    clocks: Sequence[str],
) -> tuple[StateRequest, ...]:
    """Read ``--state`` and the spec file's ``states``.

    Args:
        words: ``NAME=PATH`` or ``NAME=PATH:CxHxW``; forward takes them in this order,
            after its inputs.
        spec: Objects with ``tensor`` and ``output``, maybe ``shape``, and other keys of
            a manifest's ``states[]``.
        tensors: Those of the inputs.
        clocks: Those of sensors; states step with the first, unless it is said.

    Raises:
        ArgumentError: A word has another form, a key is unknown, a name is taken.
    """
    if words and spec:
        raise ArgumentError(
            "--state must be absent where the spec file has states: say all of it "
            "there."
        )
    drafts = [_parse(word) for word in words] or list(spec)
    made = [_make(draft, clocks) for draft in drafts]
    names = [*tensors, *(request.state.tensor for request in made)]
    for name in names:
        if names.count(name) > 1:
            raise ArgumentError(
                f"--state must have a name that no other tensor has, got {name}."
            )
    return tuple(made)


def _parse(word: str) -> dict[str, Any]:
    match = _WORD.fullmatch(word)
    if match is None:
        raise ArgumentError(f"--state must be {_FORM}, got {word}.")
    draft: dict[str, Any] = {"tensor": match["name"], "output": match["path"]}
    if match["shape"]:
        draft["shape"] = [int(side) for side in match["shape"].split("x")]
    return draft


def _make(draft: Any, clocks: Sequence[str]) -> StateRequest:
    if not isinstance(draft, dict):
        raise ArgumentError(f"--spec: states must be a list of objects, got {draft!r}.")
    said = dict(draft)
    name, path, shape = (said.pop(key, None) for key in ("tensor", "output", "shape"))
    if not isinstance(name, str) or not name.isidentifier():
        raise ArgumentError(
            f"a state's tensor must have a name like a Python name, got {name!r}."
        )
    if type(path) not in (int, str):
        raise ArgumentError(
            f"state {name}: output must say where forward returns its next value, a "
            f"key or an index, got {path!r}."
        )
    whole = isinstance(shape, list) and all(type(n) is int and n > 0 for n in shape)
    if shape is not None and not whole:
        raise ArgumentError(
            f"state {name}: shape must be a list of sizes without the batch, got "
            f"{shape!r}."
        )
    fixed = {"tensor": name, "next": f"{name}.next"}
    if "next" in said:
        raise ArgumentError(
            f"state {name}: next must be absent: it is {name}.next in the graph."
        )
    defaults = {"initial": 0.0, "steps_with": clocks[0]}
    try:
        state = State.from_json({**defaults, **said, **fixed})
    except ManifestError as err:
        raise ArgumentError(f"state {name}: {err}") from err
    if state.steps_with not in clocks:
        raise ArgumentError(
            f"state {name}: steps_with must be one of the inputs' tensors "
            f"{', '.join(clocks)}, got {state.steps_with}."
        )
    return StateRequest(state, str(path), tuple(shape) if shape else None)

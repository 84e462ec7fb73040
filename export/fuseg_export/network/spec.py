"""``--spec`` and ``--classes``: a spec file, and the names of classes."""

from __future__ import annotations

import colorsys
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fuseg.errors import ArgumentError, InputFileError, ManifestError
from fuseg.host.files import read_text
from fuseg.manifest import Class

from .call import CALLS

__all__ = [
    "Spec",
    "default_classes",
    "make_classes",
    "make_spec",
    "merged",
    "merged_keys",
    "parse_classes",
    "read_spec",
]

_KEYS = (
    *("inputs", "outputs", "states", "classes", "ignore", "split"),
    *("arguments", "call", "constants", "freeze_random"),
    *("weights_key", "ignore_weights", "own_load_state_dict"),
)
_OWN_LOAD = "own_load_state_dict"
_GOLDEN = 0.618033988749895  # successive hues land in the largest gap
_VIVIDNESS = ((0.55, 0.75), (0.9, 0.95), (1.0, 0.35), (0.4, 0.95), (0.95, 0.6))


@dataclass(frozen=True)
class Spec:
    """A spec file's content; see ``read_spec``.

    Attributes:
        inputs: By input name, any key of a manifest's ``inputs[]`` but ``name``,
            ``kind``, ``tensor``, ``channel`` and ``statistics``; objects are merged
            with the defaults. Of a text ``tokenizer`` is a file, and ``examples`` and
            ``dimension`` are texts to verify on and their number; of a sound ``mel``
            says how its window and filters are made, and ``examples`` are WAV files.
        outputs: By output name ``kind`` and ``path``, as in ``--output``, ``layout``,
            as with ``--layout``, and any key
            of a manifest's ``outputs[]`` of that kind but ``name`` and ``tensor``, of a
            segmentation ``classes``, ``ignore``, ``classes_from`` and ``background``;
            ``tokenizer`` is a file, ``vectors`` of an embedding and ``masks`` of a
            segmentation are paths.
        states: Objects with ``tensor``, ``output`` (where forward returns its next
            value), maybe ``shape``, and any other key of a manifest's ``states[]`` but
            ``next``.
        classes: Names, or objects as in a manifest's ``outputs[].classes[]``, 1 to
            255 of them.
        ignore: The label of no class, 0 to 255.
        split: Inputs that get a graph of their own, as with ``--split``.
        arguments: Of the factory, as with ``--arg``.
        call: How forward takes its inputs, as with ``--call``.
        constants: What forward takes beside them, as with ``--constant``.
        freeze_random: A seed, as with ``--freeze-random``.
        weights_key: Where in the checkpoint the weights are, as with ``--weights-key``.
        ignore_weights: Patterns of names, as with ``--ignore-weights``.
        own_load_state_dict: As with ``--own-load-state-dict``.
    """

    inputs: dict[str, Any] = field(default_factory=dict)
    outputs: dict[str, dict[str, Any]] = field(default_factory=dict)
    states: tuple[dict[str, Any], ...] = ()
    classes: tuple[Class, ...] | None = None
    ignore: int | None = None
    split: tuple[str, ...] | None = None
    arguments: dict[str, Any] = field(default_factory=dict)
    call: str | None = None
    constants: dict[str, Any] = field(default_factory=dict)
    freeze_random: int | None = None
    weights_key: str | None = None
    ignore_weights: tuple[str, ...] = ()
    own_load_state_dict: bool = False

    @property
    def is_called(self) -> bool:
        """Whether it says how the network or its factory is called."""
        said = self.arguments or self.call or self.constants
        return bool(said) or self.freeze_random is not None


def read_spec(path: Path) -> Spec:
    """Read a spec file.

    JSON with any of ``{"inputs": {NAME: {...}}, "outputs": {NAME: {...}}, "states":
    [{...}], "classes": [...], "ignore": 255, "split": [NAME], "arguments": {NAME: ...},
    "call": "dict", "constants": {NAME: ...}, "freeze_random": SEED, "weights_key": KEY,
    "ignore_weights": [PATTERN], "own_load_state_dict": true}``.
    An input takes any key of a manifest's input but name, kind, tensor and channel;
    classes are names, or objects with a name and a color.

    Raises:
        InputFileError: The file cannot be read or is not JSON.
        ArgumentError: A key is unknown or repeated, or a value has the wrong type.
    """
    return make_spec(f"--spec {path}", _read_json(path))


def make_spec(what: str, content: Any) -> Spec:
    """The content of a spec file, checked; see `read_spec`.

    Raises:
        ArgumentError: As for `read_spec`; the sentence starts with ``what``.
    """
    if not isinstance(content, dict):
        raise ArgumentError(f"{what} must hold a JSON object.")
    for key in content:
        if key not in _KEYS:
            raise ArgumentError(
                f"{what}: {key!r} is unknown; known are {', '.join(_KEYS)}."
            )
    inputs, ignore = content.get("inputs", {}), content.get("ignore")
    if not isinstance(inputs, dict):
        raise ArgumentError(f"{what}: inputs must be an object, by input name.")
    outputs, states = content.get("outputs", {}), content.get("states", [])
    if not isinstance(outputs, dict):
        raise ArgumentError(f"{what}: outputs must be an object, by output name.")
    if not isinstance(states, list):
        raise ArgumentError(f"{what}: states must be a list of objects.")
    if "ignore" in content and (type(ignore) is not int or not 0 <= ignore <= 255):
        raise ArgumentError(
            f"{what}: ignore must be a whole number from 0 to 255, got {ignore}."
        )
    classes = content.get("classes")
    if "classes" in content:
        classes = make_classes(f"{what}: classes", classes)
    split = content.get("split", [])
    if not isinstance(split, list) or not all(isinstance(name, str) for name in split):
        raise ArgumentError(f"{what}: split must be a list of inputs' names.")
    arguments, constants = content.get("arguments", {}), content.get("constants", {})
    for key, value in (("arguments", arguments), ("constants", constants)):
        if not isinstance(value, dict):
            raise ArgumentError(f"{what}: {key} must be an object, by name.")
    call = content.get("call")
    if "call" in content and call not in CALLS:
        raise ArgumentError(
            f"{what}: call must be one of {', '.join(CALLS)}, got {call!r}."
        )
    key, ignored = content.get("weights_key"), content.get("ignore_weights", [])
    if "weights_key" in content and not isinstance(key, str):
        raise ArgumentError(f"{what}: weights_key must be a text, got {key!r}.")
    if not isinstance(ignored, list) or not all(isinstance(p, str) for p in ignored):
        raise ArgumentError(f"{what}: ignore_weights must be a list of texts.")
    seed, own_load = content.get("freeze_random"), content.get(_OWN_LOAD, False)
    if "freeze_random" in content and (type(seed) is not int or seed < 0):
        raise ArgumentError(
            f"{what}: freeze_random must be a whole number from 0, got {seed!r}."
        )
    if not isinstance(own_load, bool):
        raise ArgumentError(
            f"{what}: {_OWN_LOAD} must be true or false, got {own_load!r}."
        )
    return Spec(
        inputs,
        outputs,
        tuple(states),
        classes,
        ignore,
        tuple(split),
        arguments,
        call,
        constants,
        seed,
        key,
        tuple(ignored),
        own_load,
    )


def merged(own: Spec, said: Spec) -> Spec:
    """A spec with what another one says in its place.

    Of inputs and outputs objects are merged key by key; states, classes and the split
    are taken whole.
    """
    return Spec(
        inputs=merged_keys(own.inputs, said.inputs),
        outputs=merged_keys(own.outputs, said.outputs),
        states=said.states or own.states,
        classes=own.classes if said.classes is None else said.classes,
        ignore=own.ignore if said.ignore is None else said.ignore,
        split=said.split or own.split,
        arguments={**own.arguments, **said.arguments},
        call=own.call if said.call is None else said.call,
        constants={**own.constants, **said.constants},
        freeze_random=own.freeze_random
        if said.freeze_random is None
        else said.freeze_random,
        weights_key=own.weights_key if said.weights_key is None else said.weights_key,
        ignore_weights=said.ignore_weights or own.ignore_weights,
        own_load_state_dict=said.own_load_state_dict or own.own_load_state_dict,
    )


def merged_keys(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, Any]:
    """``old`` with the keys of ``new``; objects in both are merged likewise."""
    made = dict(old)
    for key, value in new.items():
        both = isinstance(value, dict) and isinstance(old.get(key), dict)
        made[key] = merged_keys(old[key], value) if both else value
    if "then" not in new and new.get("policy", "hold") != "hold":
        made.pop("then", None)  # what follows hold goes with it
    return made


def parse_classes(word: str) -> tuple[Class, ...]:
    """Read ``--classes``: names joined by commas, or a file.

    A file holds a name a line, or JSON as in a spec file's ``classes``; a byte order
    mark at its start, which Windows' editors write, is skipped.

    Raises:
        InputFileError: The file cannot be read.
        ArgumentError: A name is empty or repeated, or the JSON is not of its form.
    """
    path = Path(word)
    if not path.is_file():
        if path.suffix or "/" in word:
            raise InputFileError(f"--classes {word}: there is no such file.")
        return make_classes("--classes", word.split(","))
    if path.suffix == ".json":
        return make_classes(f"--classes {path}", _read_json(path))
    return make_classes(f"--classes {path}", read_text(path).splitlines())


def default_classes(count: int, names: Sequence[str] = ()) -> tuple[Class, ...]:
    """Make ``count`` classes with colours that differ from each other.

    Args:
        count: How many, 1 to 255.
        names: Their names; ``class_0``, ``class_1``, ... if omitted.
    """
    named = names or [f"class_{i}" for i in range(count)]
    return tuple(Class(named[i], _color(i)) for i in range(count))


def _color(index: int) -> tuple[int, int, int]:
    saturation, value = _VIVIDNESS[index % len(_VIVIDNESS)]
    r, g, b = colorsys.hsv_to_rgb(index * _GOLDEN % 1, saturation, value)
    return round(r * 255), round(g * 255), round(b * 255)


def make_classes(what: str, entries: Any) -> tuple[Class, ...]:
    """Classes of names, or objects as in a manifest's ``outputs[].classes[]``.

    Raises:
        ArgumentError: They are none; the sentence starts with ``what``.
    """
    if not isinstance(entries, list) or not 1 <= len(entries) <= 255:
        raise ArgumentError(f"{what} must be a list of 1 to 255 classes.")
    named = [e.strip() if isinstance(e, str) else e for e in entries]
    names = [e.get("name") if isinstance(e, dict) else e for e in named]
    for i, name in enumerate(names):
        if not isinstance(name, str) or not name:
            raise ArgumentError(f"{what}: class {i} must have a name, got {name!r}.")
        if names.count(name) > 1:
            raise ArgumentError(f"{what} must be unique, got {name!r} twice.")
    try:
        colored = default_classes(len(names), [str(name) for name in names])
        return tuple(
            Class.from_json(e) if isinstance(e, dict) else colored[i]
            for i, e in enumerate(named)
        )
    except ManifestError as err:
        raise ArgumentError(f"{what}: {err}") from err


def _read_json(path: Path) -> Any:
    try:
        return json.loads(
            read_text(path),
            object_pairs_hook=_unique,
            parse_constant=_refuse_constant,
        )
    except (ValueError, RecursionError) as err:
        raise InputFileError(f"{path} must be JSON, but: {err}.") from err


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    keys = [key for key, _ in pairs]
    for key in keys:
        if keys.count(key) > 1:
            raise ValueError(f"the key {key!r} occurs twice")
    return dict(pairs)


def _refuse_constant(word: str) -> None:
    raise ValueError(f"{word} is not a number of JSON")

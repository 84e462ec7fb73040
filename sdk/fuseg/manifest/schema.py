"""Strict JSON to frozen dataclasses and back, driven by their type hints.

A `Record` checks itself whenever one is made, from JSON or from Python, so there
is one set of rules. Every sentence starts with the path of the value it is about,
as in ``inputs[1].resize.filter must be ...``.
"""

from __future__ import annotations

import types
from collections.abc import Callable, Iterable
from dataclasses import MISSING, Field, dataclass, fields, is_dataclass
from typing import (
    TYPE_CHECKING,
    Any,
    Literal,
    Union,
    get_args,
    get_origin,
    get_type_hints,
)

from ..errors import ManifestError

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = [
    "SIDE",
    "Range",
    "Record",
    "dump",
    "require",
    "require_unique",
    "spell",
    "within",
]

_WORDS = {
    str: "a string",
    int: "a whole number",
    float: "a number",
    bool: "true or false",
}
_HINTS: dict[type[Any], dict[str, Any]] = {}  # reading them is slow: kept by class
_LONGEST_TEXT = 1000
_LONGEST_SIDE = 16384
_LARGEST = 3.0e38  # every number ends up as a float32 or is far smaller


@dataclass(frozen=True)
class Record:
    """Base of every part of a manifest: fields are converted and checked.

    A field's metadata may hold ``key``, its name in JSON if that is not a Python
    name, and ``range``, see `within`. A field may be one of several records that are
    told apart by their ``kind``.
    """

    def __post_init__(self) -> None:
        hints = _hints(type(self))
        for field in fields(self):
            value, path = getattr(self, field.name), _key(field)
            value = _coerce(hints[field.name], value, path)
            if "range" in field.metadata:
                _require_within(field.metadata["range"], value, path)
            object.__setattr__(self, field.name, value)
        self._check()

    def _check(self) -> None:
        """Refuse what the types of the fields cannot express."""

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Self:
        """Make one from a JSON object; unknown and missing keys are refused."""
        known = {_key(field): field for field in fields(cls)}
        for key in value:
            if key not in known:
                raise ManifestError(
                    f"{_spell(key)} is not a key of the format; known here: "
                    f"{', '.join(known)}."
                )
        for key, field in known.items():
            needed = field.default is MISSING and field.default_factory is MISSING
            if needed and key not in value:
                wanted = _wanted(_hints(cls)[field.name])
                raise ManifestError(f"{key} is missing: it must be {wanted}.")
        return cls(**{known[key].name: entry for key, entry in value.items()})


@dataclass(frozen=True)
class Range:
    """What a field's numbers are from and to, both included; ``unit`` ends a sentence.

    Of a field that is a list, this holds for each entry; None is always allowed.
    """

    low: float
    high: float | None = None
    unit: str = ""

    @property
    def words(self) -> str:
        if self.high is not None:
            return f"{self.low} to {self.high}{self.unit}"
        return f"at least {self.low}{self.unit}"


def within(low: float, high: float | None = None, unit: str = "") -> dict[str, Range]:
    """The metadata of a field whose numbers must be in a range."""
    return {"range": Range(low, high, unit)}


SIDE = within(1, _LONGEST_SIDE, " pixels")


def require(fact: bool, sentence: str) -> None:
    """Raise ManifestError with ``sentence``, which starts with a key, unless true."""
    if not fact:
        raise ManifestError(sentence)


def require_unique(path: str, names: Iterable[str]) -> None:
    seen: set[str] = set()
    for name in names:
        require(name not in seen, f"{path} must be unique, got {name[:60]!a} twice.")
        seen.add(name)


def dump(value: Any) -> Any:
    """Turn a record into what `json.dumps` takes; absent optional keys stay absent."""
    if is_dataclass(value):
        pairs = ((field, getattr(value, field.name)) for field in fields(value))
        return {
            _key(field): dump(entry)
            for field, entry in pairs
            if entry not in (None, (), {}) or entry != _default(field)
        }
    if isinstance(value, dict):
        return {key: dump(value[key]) for key in sorted(value)}
    if isinstance(value, tuple):
        return [dump(entry) for entry in value]
    return value


def _default(field: Field[Any]) -> Any:
    made = field.default_factory
    return field.default if made is MISSING else made()


def _hints(cls: type[Any]) -> dict[str, Any]:
    if cls not in _HINTS:
        _HINTS[cls] = get_type_hints(cls)
    return _HINTS[cls]


def _key(field: Field[Any]) -> str:
    return str(field.metadata.get("key", field.name))


def _coerce(hint: Any, value: Any, path: str) -> Any:
    origin, args = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        if value is None and type(None) in args:
            return None
        options = [arg for arg in args if arg is not type(None)]
        if len(options) > 1 and all(map(is_dataclass, options)):
            return _coerce_kind(options, value, path)
        chosen = [arg for arg in options if _is_of(arg, value)] or options
        if len(chosen) > 1:
            raise _refusal(hint, value, path)
        return _coerce(chosen[0], value, path)
    if origin is Literal:
        if value in args:
            return value
    elif origin is tuple:
        if isinstance(value, (list, tuple)):
            return _coerce_items(args, value, path, hint)
    elif origin is dict:
        if isinstance(value, dict):
            return {
                _coerce(str, key, f"a key of {path}"): _coerce(
                    args[1], entry, f"{path}[{_spell(key, quoted=True)}]"
                )
                for key, entry in value.items()
            }
    elif is_dataclass(hint):
        return _coerce_record(hint, value, path)
    elif _SCALARS[hint](value):
        return hint(value)
    raise _refusal(hint, value, path)


def _is_of(hint: Any, value: Any) -> bool:
    if get_origin(hint) is tuple:
        return isinstance(value, (list, tuple))
    return type(value) is hint


def _coerce_items(args: Any, value: Any, path: str, hint: Any) -> tuple[Any, ...]:
    if args[-1] is Ellipsis:
        args = args[:1] * len(value)
    if len(args) != len(value):
        raise _refusal(hint, value, path)
    return tuple(
        _coerce(arg, entry, f"{path}[{index}]")
        for index, (arg, entry) in enumerate(zip(args, value, strict=True))
    )


def _coerce_kind(options: list[Any], value: Any, path: str) -> Any:
    """One of several records, which their ``kind`` tells apart."""
    if isinstance(value, tuple(options)):
        return value
    if not isinstance(value, dict):
        raise _refusal(options[0], value, path)
    records = {word: cls for cls in options for word in get_args(_hints(cls)["kind"])}
    wanted = f"{path}.kind must be one of {', '.join(map(repr, records))}"
    if "kind" not in value:
        raise ManifestError(f"{wanted}, but it is missing.")
    kind = value["kind"]
    if not isinstance(kind, str) or kind not in records:
        raise ManifestError(f"{wanted}, got {spell(kind)}.")
    return _coerce_record(records[kind], value, path)


def _coerce_record(hint: Any, value: Any, path: str) -> Any:
    if isinstance(value, hint):
        return value
    if not isinstance(value, dict):
        raise _refusal(hint, value, path)
    try:
        return hint.from_json(value)
    except ManifestError as err:
        raise ManifestError(f"{path}.{err}") from None


def _require_within(limits: Range, value: Any, path: str) -> None:
    if isinstance(value, tuple):
        for index, entry in enumerate(value):
            _require_within(limits, entry, f"{path}[{index}]")
    elif value is not None:
        high = limits.high
        inside = limits.low <= value and (high is None or value <= high)
        zero = limits.low == 0 and high is None
        words = "not be negative" if zero else f"be {limits.words}"
        require(inside, f"{path} must {words}, got {value}.")


def _is_number(value: Any) -> bool:
    whole = isinstance(value, int) and not isinstance(value, bool)
    return (whole or isinstance(value, float)) and -_LARGEST < value < _LARGEST


_SCALARS: dict[Any, Callable[[Any], bool]] = {
    bool: lambda value: isinstance(value, bool),
    int: lambda value: _is_number(value) and isinstance(value, int),
    float: _is_number,
    str: lambda value: (
        isinstance(value, str)
        and 0 < len(value) <= _LONGEST_TEXT
        and value.isprintable()
    ),
}


def _refusal(hint: Any, value: Any, path: str) -> ManifestError:
    return ManifestError(f"{path} must be {_wanted(hint)}, got {spell(value)}.")


def _wanted(hint: Any) -> str:
    """Say in words what a type hint asks for."""
    origin, args = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        return " or ".join(_wanted(arg) for arg in args if arg is not type(None))
    if origin is Literal:
        words = [repr(word) for word in args]
        return words[0] if len(words) == 1 else f"one of {', '.join(words)}"
    if origin is tuple and args[-1] is Ellipsis:
        return "a list of strings" if args[0] is str else "a list"
    if origin is tuple:
        return f"a list of {len(args)}"
    return _WORDS.get(hint, "an object")


def spell(value: Any) -> str:
    """Spell any value for the end of a sentence: short, in JSON's words."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, dict):
        return "an object"
    if isinstance(value, (list, tuple)):
        return f"a list of {len(value)}"
    return _spell(value, quoted=isinstance(value, str))


def _spell(value: Any, *, quoted: bool = False) -> str:
    """Spell a foreign value: short, and without what a terminal would obey."""
    if isinstance(value, int) and value.bit_length() > 1000:
        return "a number of hundreds of digits"
    text = str(value) if len(str(value)) <= 60 else f"{str(value)[:57]}..."
    plain = text.isprintable() and not quoted
    return text if plain else ascii(text)

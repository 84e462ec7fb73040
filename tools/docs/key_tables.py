"""The tables of docs/spec.md: every key, and the exporter's defaults."""

from __future__ import annotations

import json
import types
from collections.abc import Iterator
from dataclasses import is_dataclass
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from fuseg.manifest import Manifest
from fuseg_export.network.input_options import make_inputs
from fuseg_export.network.spec import Spec
from record_keys import REQUIRED, Key, about, keys, without_null

WORDS: dict[Any, tuple[str, str]] = {
    bool: ("boolean", "booleans"),
    int: ("whole number", "whole numbers"),
    float: ("number", "numbers"),
    str: ("string", "strings"),
    types.NoneType: ("`null`", "`null`"),
}
# What a spec file says of an input, in the order of the page's table.
DEFAULTS = (
    *("dtype", "channels", "unit", "invalid", "resize.filter", "resize.fit"),
    *("scale", "mean", "std", "fill"),
    *("missing.policy", "missing.max_age_ms", "missing.max_ahead_ms"),
)
SPEC_WORDS = {"classes": "list of strings or objects"}  # read as objects either way
KINDS = ("color", "depth", "thermal", "range", "plane")


def manifest() -> str:
    """A section for each object of a manifest."""
    parts = [about(Manifest), table(Manifest)]
    known: set[type] = set()
    for path, record in objects("", Manifest):
        if record not in known:
            parts += [f"### `{path}`{of_kind(record)}", about(record), table(record)]
            known.add(record)
    return "\n\n".join(parts)


def of_kind(record: type) -> str:
    """The kinds that are told apart by it, where a list holds several."""
    kinds = get_args(get_type_hints(record).get("kind"))
    return f" of kind {either([f'`{kind}`' for kind in kinds])}" if kinds else ""


def spec() -> str:
    """The keys of a spec file."""
    lines = head("key", "value", "meaning")
    for key in keys(Spec):
        words = SPEC_WORDS.get(key.name) or value(without_null(key.hint))
        lines.append(row(f"`{key.name}`", words, key.meaning))
    return "\n".join(lines)


def defaults() -> str:
    """What an input is unless its spec says otherwise, by kind."""
    inputs = [make_inputs([f"x={kind}:8x8"], [], {})[0] for kind in KINDS]
    lines = head("key", *(f"`{kind}`" for kind in KINDS))
    for key in DEFAULTS:
        cells = []
        for found in inputs:
            value: Any = found
            for part in key.split("."):
                value = getattr(value, part, None)
            cells.append("" if value is None else f"`{json.dumps(value)}`")
        lines.append(row(f"`{key}`", *cells))
    return "\n".join(lines)


def by_type() -> str:
    """What a type after the size of an input changes."""
    changed = ("unit", "invalid", "scale")
    lines = head("`--input`", *(f"`{key}`" for key in changed))
    for kind in ("depth", "range", "thermal"):
        for dtype in ("uint8", "uint16", "float32"):
            word = f"x={kind}:8x8:{dtype}"
            (found,) = make_inputs([word], [], {})
            values = (getattr(found, key) for key in changed)
            lines.append(row(f"`{word}`", *(f"`{json.dumps(v)}`" for v in values)))
    return "\n".join(lines)


def objects(path: str, record: type) -> Iterator[tuple[str, type]]:
    """Every object below a record, depth first: its path and its class."""
    for key in keys(record):
        for suffix, inner in nested(key.hint):
            below = f"{path}.{key.name}{suffix}".lstrip(".")
            yield below, inner
            yield from objects(below, inner)


def nested(hint: Any) -> Iterator[tuple[str, type]]:
    if is_dataclass(hint):
        yield "", hint
        return
    suffix = {tuple: "[]", dict: ".NAME"}.get(get_origin(hint), "")
    for arg in get_args(hint):
        yield from ((suffix + below, inner) for below, inner in nested(arg))


def table(record: type) -> str:
    lines = head("key", "value", "if absent", "meaning")
    for key in keys(record):
        hint = without_null(key.hint) if key.default is None else key.hint
        limits = f", {key.limits.words}" if key.limits else ""
        words = value(hint) + limits
        lines.append(row(f"`{key.name}`", words, absent(key), key.meaning))
    return "\n".join(lines)


def head(*columns: str) -> list[str]:
    return [row(*columns), "|" + "---|" * len(columns)]


def row(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"


def absent(key: Key) -> str:
    if key.default is REQUIRED:
        return "required"
    return "" if key.default is None else f"`{json.dumps(key.default)}`"


def value(hint: Any, many: bool = False) -> str:
    """A type hint in words, in the plural if of ``many``."""
    origin, args = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        wider = float if float in args else None  # a whole number is one, too
        shown = [arg for arg in args if arg is not int or wider is None]
        return either(list(dict.fromkeys(value(arg, many) for arg in shown)))
    if origin is Literal:
        return either([f"`{json.dumps(word)}`" for word in args])
    if origin is tuple:
        count = "" if args[-1] is Ellipsis else f"{len(args)} "
        return f"{'lists' if many else 'list'} of {count}{value(args[0], many=True)}"
    if origin is dict:
        return f"object of {value(args[1], many=True)}"
    return WORDS.get(hint, ("object", "objects"))[many]


def either(words: list[str]) -> str:
    *first, last = words
    return f"{', '.join(first)} or {last}" if first else last

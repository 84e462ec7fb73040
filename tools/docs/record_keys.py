"""The keys of a dataclass as JSON has them: hint, default, and what they mean."""

from __future__ import annotations

import inspect
import re
from dataclasses import MISSING, dataclass, fields
from typing import Any, Union, get_args, get_type_hints

from fuseg.manifest.schema import Range

REQUIRED = object()


@dataclass(frozen=True)
class Key:
    """One key; ``default`` is REQUIRED, or the value of an absent key."""

    name: str
    hint: Any
    default: Any
    meaning: str
    limits: Range | None


def keys(record: type) -> list[Key]:
    """The keys of a dataclass, in order.

    Raises:
        ValueError: The docstrings of it and of what it is derived from have other
            ``Attributes:`` than its fields.
    """
    hints, documented = get_type_hints(record), {}
    for cls in reversed(record.__mro__):
        documented |= meanings(cls)
    names = [field.name for field in fields(record)]
    if list(documented) != names:
        raise ValueError(
            f"Attributes of {record.__name__} must be {', '.join(names)}, got "
            f"{', '.join(documented)}."
        )
    return [
        Key(
            str(field.metadata.get("key", field.name)),
            hints[field.name],
            default_of(field),
            documented[field.name],
            field.metadata.get("range"),
        )
        for field in fields(record)
    ]


def without_null(hint: Any) -> Any:
    """A hint that is None where a key is absent, as JSON has the key: never null."""
    if type(None) not in get_args(hint):
        return hint
    rest = tuple(arg for arg in get_args(hint) if arg is not type(None))
    return Union[rest]  # noqa: UP007  of one, it is that one


def default_of(field: Any) -> Any:
    if field.name == "format":  # has one in Python; a file must say it
        return REQUIRED
    if field.default_factory is not MISSING:
        return field.default_factory()
    return REQUIRED if field.default is MISSING else field.default


def meanings(record: type) -> dict[str, str]:
    """What a docstring's ``Attributes:`` say, by field."""
    text = inspect.cleandoc(record.__doc__ or "")
    _, _, listed = text.partition("\nAttributes:\n")
    found = re.findall(r"^    (\w+): (.*(?:\n {8}.*)*)", listed, re.MULTILINE)
    return {name: " ".join(words.replace("``", "`").split()) for name, words in found}


def about(record: type) -> str:
    """What a docstring says before its ``Attributes:``."""
    text = inspect.getdoc(record) or ""
    return text.partition("\nAttributes:\n")[0].strip().replace("``", "`")

"""Output for people and for programs."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator
from typing import Any, TypeVar

from rich.console import Console
from rich.progress import track
from rich.table import Table

T = TypeVar("T")


def print_json(value: Any) -> None:
    """Print one JSON document. NaN has no JSON: give None."""
    print(json.dumps(value, indent=1, allow_nan=False), flush=True)


def console() -> Console:
    """Stdout for tables; in a file or pipe wide enough that little is wrapped."""
    width = None if sys.stdout.isatty() else 160
    return Console(width=width, highlight=False, markup=False)


def print_table(table: Table) -> None:
    console().print(table)


def warn(sentence: str) -> None:
    print(f"warning: {sentence}", file=sys.stderr)


def progress(items: Iterable[T], *, what: str, total: int) -> Iterator[T]:
    """The items, with a bar on stderr if that is a terminal."""
    if not sys.stderr.isatty():
        return iter(items)
    screen = Console(stderr=True)
    return iter(
        track(items, description=what, total=total, console=screen, transient=True)
    )


def plural(count: int, noun: str) -> str:
    return f"{count} {noun}" + ("" if count == 1 else "s")

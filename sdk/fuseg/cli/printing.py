"""Output for people and for programs."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from typing import IO, Any, Literal, TypeVar

from rich import box
from rich.cells import cell_len
from rich.console import Console
from rich.progress import track
from rich.table import Table
from rich.text import Text

T = TypeVar("T")

_PIPE_WIDTH = 160  # of a table that goes to a file or a pipe
_GAP = 2  # between two columns


class _Console(Console):
    def on_broken_pipe(self) -> None:
        """Rich would end the process with 1; the command line answers with 141."""
        raise BrokenPipeError


def print_json(value: Any) -> None:
    """Print one JSON document. NaN has no JSON: give None."""
    print(json.dumps(value, indent=1, allow_nan=False), flush=True)


def console() -> Console:
    """Stdout for tables; in a file or pipe wide enough that little is wrapped."""
    return _console(sys.stdout, _width(sys.stdout) or _PIPE_WIDTH)


def print_table(
    headings: Sequence[str],
    rows: Iterable[Sequence[str | Text]],
    *,
    right: Sequence[str] = (),
    title: str | None = None,
) -> None:
    """Print a table on stdout, at most as wide as that is.

    What is too wide is wrapped, and a word is split only where the longest words of
    all columns do not fit beside each other: Rich alone splits them earlier.

    Args:
        headings: Of the columns.
        rows: A cell for each heading; a `Text` carries its style.
        right: Headings of the columns that are aligned to the right.
        title: A line above.
    """
    texts = [[Text(c) if isinstance(c, str) else c for c in row] for row in rows]
    screen = console()
    table = Table(
        title=title,
        title_justify="left",
        box=box.SIMPLE_HEAD,
        show_edge=False,
        pad_edge=False,
        collapse_padding=True,
    )
    cells = [[h, *(row[i].plain for row in texts)] for i, h in enumerate(headings)]
    widths = _column_widths(cells, screen.width - _GAP * (len(headings) - 1))
    for heading, width in zip(headings, widths, strict=True):
        table.add_column(
            heading,
            justify="right" if heading in right else "left",
            width=width,
            overflow="fold",
        )
    for row in texts:
        table.add_row(*row)
    screen.print(table)


def say(text: str = "", *, style: str | None = None) -> None:
    """Print a sentence, wrapped at its words where the output has a width."""
    _say(text, sys.stdout, style)


def warn(sentence: str) -> None:
    _say(f"warning: {sentence}", sys.stderr)


def report(kind: Literal["error", "failed"], sentence: str) -> None:
    _say(f"{kind}: {sentence}", sys.stderr)


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


def _column_widths(cells: Sequence[Sequence[str]], width: int) -> list[int]:
    """Shrink the widest column again and again, but none below its longest word."""
    widths = [max(map(cell_len, column)) for column in cells]
    least = [
        max((cell_len(word) for text in column for word in text.split()), default=0)
        for column in cells
    ]
    while sum(widths) > width:
        shrinkable = [i for i, w in enumerate(widths) if w > least[i]]
        if not shrinkable:
            break
        widths[max(shrinkable, key=widths.__getitem__)] -= 1
    return widths


def _say(text: str, stream: IO[str], style: str | None = None) -> None:
    width = _width(stream)
    if width is None:
        print(text, file=stream)
    else:
        _console(stream, width).print(text, style=style)


def _console(stream: IO[str], width: int) -> Console:
    return _Console(file=stream, width=width, highlight=False, markup=False)


def _width(stream: IO[str]) -> int | None:
    """Columns of the terminal, or as COLUMNS says; None for a file or a pipe."""
    columns = os.environ.get("COLUMNS", "")
    if columns.isdigit() and int(columns) > 0:
        return int(columns)
    return os.get_terminal_size(stream.fileno()).columns if stream.isatty() else None

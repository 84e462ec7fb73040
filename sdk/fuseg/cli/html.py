"""Pages to be handed on: one file each, without scripts."""

from __future__ import annotations

import base64
import html
import os
from collections.abc import Iterable, Sequence
from datetime import datetime, timezone

from ..dataset.panes import Pane
from ..manifest import Class

__all__ = ["facts", "items", "legend", "page", "panes", "section", "swatch", "table"]

_STYLE = """
body{font:15px/1.45 system-ui,sans-serif;color:#1b1b1b;max-width:76em;margin:0 auto;
padding:1em 1.2em;overflow-wrap:anywhere}
h1{margin:.3em 0 0}h2{margin:1.6em 0 .4em;border-bottom:1px solid #ccc}
h3{margin:1em 0 .3em}.scroll{overflow-x:auto}
table{border-collapse:collapse;overflow-wrap:normal}
td,th{padding:.25em .8em .25em 0;text-align:left;vertical-align:top;
border-bottom:1px solid #eee}
dl{display:grid;grid-template-columns:max-content 1fr;gap:.1em 1em;margin:.6em 0}
dt{color:#666}dd{margin:0}
.panes{display:grid;gap:.6em;grid-template-columns:repeat(auto-fill,minmax(13em,1fr))}
figure{margin:0}img{display:block;width:100%;height:auto;border:1px solid #ccc}
figcaption{color:#444}.swatch{display:inline-block;width:.9em;height:.9em;
border:1px solid #444;margin-right:.35em;vertical-align:-.1em}
.legend{list-style:none;padding:0;display:flex;flex-wrap:wrap;gap:.2em 1.2em}
.bar{display:flex;width:16em;height:1.1em;border:1px solid #444}
"""


def page(title: str, what: str, body: Iterable[str]) -> str:
    """A page that needs no other file and runs no script.

    Args:
        title: Its heading, as text.
        what: Ends the heading of the browser's tab, and with the date the first line.
            ``SOURCE_DATE_EPOCH`` sets the date.
        body: HTML.
    """
    name = html.escape(title)
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width,initial-scale=1">\n'
        f"<title>{name}: fuseg {what}</title>\n<style>{_STYLE}</style>\n</head>\n"
        f"<body>\n<h1>{name}</h1>\n<p>{what} by fuseg on {_today()}</p>\n"
        f"{''.join(body)}</body>\n</html>\n"
    )


def facts(known: Iterable[tuple[str, str]]) -> str:
    """Names and what they are, as text."""
    lines = (
        f"<dt>{html.escape(key)}</dt><dd>{html.escape(value)}</dd>\n"
        for key, value in known
    )
    return f"<dl>\n{''.join(lines)}</dl>\n"


def section(title: str, content: str) -> str:
    """A heading, as text, above HTML."""
    return f"<h2>{html.escape(title)}</h2>\n{content}"


def items(title: str, sentences: Sequence[str]) -> str:
    """A section of sentences, as text; nothing if there are none."""
    lines = "".join(f"<li>{html.escape(sentence)}</li>\n" for sentence in sentences)
    return section(title, f"<ul>\n{lines}</ul>\n") if lines else ""


def table(
    headings: Sequence[str], rows: Iterable[Sequence[str]], *, escaped: bool = False
) -> str:
    """Cells as text, or, if they are ``escaped``, as HTML."""
    head = "".join(f"<th>{html.escape(heading)}</th>" for heading in headings)
    lines = []
    for row in rows:
        cells = row if escaped else map(html.escape, row)
        lines.append("<tr>" + "".join(f"<td>{cell}</td>" for cell in cells) + "</tr>\n")
    body = f"<tr>{head}</tr>\n{''.join(lines)}"
    return f'<div class="scroll"><table>\n{body}</table></div>\n'


def legend(classes: Iterable[Class]) -> str:
    """The colour and name of each."""
    lines = "".join(
        f"<li>{swatch(entry.color)}{html.escape(entry.name)}</li>\n"
        for entry in classes
    )
    return f'<ul class="legend">\n{lines}</ul>\n'


def swatch(color: Sequence[int]) -> str:
    """A small square of this colour."""
    red, green, blue = color
    style = f"background:rgb({red},{green},{blue})"
    return f'<span class="swatch" style="{style}"></span>'


def panes(shown: Iterable[Pane]) -> str:
    """Pictures side by side, each above its title."""
    return f'<div class="panes">\n{"".join(map(_pane, shown))}</div>\n'


def _pane(pane: Pane) -> str:
    data, title = base64.b64encode(pane.png).decode(), html.escape(pane.title)
    return (
        f'<figure><img alt="{title}" src="data:image/png;base64,{data}">'
        f"<figcaption>{title}</figcaption></figure>\n"
    )


def _today() -> str:
    epoch = os.environ.get("SOURCE_DATE_EPOCH", "")
    now = datetime.now(timezone.utc)
    if epoch.isdigit():
        now = datetime.fromtimestamp(int(epoch), timezone.utc)
    return f"{now:%Y-%m-%d}"

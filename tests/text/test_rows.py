"""Texts as rows: padded and cut as the library does it, on either side."""

from __future__ import annotations

import pytest
from text.trained import file_of, trained

from fuseg.text import TextRows


@pytest.mark.parametrize(("kind", "length"), [("clip", 16), ("bert", 12), ("words", 8)])
@pytest.mark.parametrize("words", [0, 1, 5, 8])
def test_a_row_is_the_library_s(kind, length, words):
    rows = TextRows(file_of(kind), length=length, too_long="truncate", empty="allow")
    text = " ".join(["red", "chair"] * words)[: 8 * words]
    library = trained(kind)
    if kind == "words":  # whose file says nothing of long texts
        text = " ".join(text.split()[:length])
    assert rows.row("prompt", text).tolist() == library.encode(text).ids

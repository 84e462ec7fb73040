"""Which characters the library `tokenizers` takes for letters, numbers and so on.

    python tests/text/character_tables.py

writes them to sdk/fuseg/text/characters.py. They are asked of the library, a character
at a time: its parts know different versions of Unicode.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from tokenizers import Regex, normalizers, pre_tokenizers

CHARACTERS = [chr(c) for c in range(0x110000) if not 0xD800 <= c < 0xE000]
FILE = Path(__file__).parents[2] / "sdk" / "fuseg" / "text" / "characters.py"
HEAD = '''\
"""Which characters are letters, numbers, spaces: tables, as `tokenizers` has them.

Written by tests/text/character_tables.py; read by `character_class`.
"""

from __future__ import annotations

__all__ = [
    "BERT_OTHER",
    "BERT_PUNCTUATION",
    "LETTER",
    "MARK_NONSPACING",
    "NUMBER",
    "SPACE",
    "WORD",
]

'''


def tables() -> dict[str, tuple[str, list[str]]]:
    """By name, what each table is and its characters."""
    split, bert = pre_tokenizers.Split, pre_tokenizers.BertPreTokenizer()
    word = pre_tokenizers.Whitespace()
    clean = normalizers.BertNormalizer(True, False, False, False)
    strip = normalizers.BertNormalizer(False, False, True, False)

    def matches(regex: str) -> Callable[[str], bool]:
        found = split(Regex(regex), "removed", invert=True)
        return lambda c: bool(found.pre_tokenize_str(c))

    return {
        "LETTER": (r"\p{L} of Split", select(matches(r"\p{L}"))),
        "NUMBER": (r"\p{N} of Split", select(matches(r"\p{N}"))),
        "SPACE": (r"\s of Split, and everywhere else", select(matches(r"\s"))),
        "WORD": (
            r"\w of Whitespace",
            select(lambda c: word.pre_tokenize_str("a" + c)[0][0] == "a" + c),
        ),
        "BERT_PUNCTUATION": (
            "what BertPreTokenizer makes words of",
            select(lambda c: len(bert.pre_tokenize_str(f"a{c}a")) == 3),
        ),
        "BERT_OTHER": (
            "what BertNormalizer removes as no text",
            select(lambda c: clean.normalize_str(f"a{c}a") == "aa"),
        ),
        "MARK_NONSPACING": (
            "what BertNormalizer removes as an accent",
            select(lambda c: strip.normalize_str(f"a{c}a") == "aa"),
        ),
    }


def select(holds: Callable[[str], bool]) -> list[str]:
    return [c for c in CHARACTERS if holds(c)]


def table(characters: list[str]) -> str:
    """See `fuseg.text.character_class`."""
    numbers: list[int] = []
    end = 0
    for c in map(ord, characters):
        if numbers and c == end:
            numbers[-1] += 1
        else:
            numbers += [c - end, 0]
        end = c + 1
    return " ".join(map(base36, numbers))


def base36(number: int) -> str:
    digits = "0123456789abcdefghijklmnopqrstuvwxyz"
    high, low = divmod(number, 36)
    return (base36(high) if high else "") + digits[low]


def written() -> str:
    """The whole file."""
    parts = []
    for name, (what, characters) in tables().items():
        lines, line = [], ""
        for word in table(characters).split():
            if len(line) + len(word) > 79:
                lines.append(line)
                line = ""
            line += f"{word} "
        quoted = [f'"{text}"' for text in [*lines, line]]
        body = "\n".join(f"    {text}" for text in quoted)
        value = f"(\n{body}\n)" if len(quoted) > 1 else quoted[0]
        parts.append(f"# {what[0].upper()}{what[1:]}.\n{name} = {value}\n")
    return HEAD + "\n".join(parts)


if __name__ == "__main__":
    FILE.write_text(written())

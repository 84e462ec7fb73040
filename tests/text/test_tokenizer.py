"""Token ids against the library `tokenizers`, which defines them."""

from __future__ import annotations

import copy
import functools
import json
import random
import re
import sys
import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from text import character_tables
from text.trained import MAKERS, WORDS, file_of, trained
from tokenizers import Tokenizer as Library
from tokenizers import normalizers

from fuseg.errors import ArgumentError, BundleError
from fuseg.text import Tokenizer

PHRASES = [
    *("", " ", "  \t\n ", "a chair", "A photo of a cat.", "it's 3 o'clock!!", "naïve"),
    *(
        "Straße",
        "椅子と机 table",
        "🙂🪑👍🏽",
        "e\u0301 x",
        "ﬁ ligature Ⅷ ½",
        "İstanbul ΑΣ ς",
    ),
    *("a\u00a0b\u2003c\tx", "\u200bzero", "\x1c\x1da\x85b", "'s't 're", "1" * 300),
    *("a <mask> chair-leg  x", "  <mask>", "<start>a<end>", "[CLS] a [MASK]", "</w>"),
    *("x" * 5000, "ab" * 3000, "chair" * 500, "a " * 2000, "\u0301" * 300),
]
EVERY = st.characters(exclude_categories=["Cs"])
WORD = st.sampled_from(sorted({w[:n] for w in WORDS.split() for n in (2, 4, 9)}))
TEXTS = st.one_of(
    st.text(EVERY, max_size=30),
    st.lists(WORD, max_size=12).map(" ".join),
    st.text(st.sampled_from("abc éÉß'st.,!12 \n椅щك🙂\u0301<>"), max_size=60),
)


@functools.cache
def of_another_unicode() -> frozenset[str]:
    """What this Python normalizes or makes small otherwise than the library does."""
    form, small = normalizers.NFKD(), normalizers.Lowercase()
    found = set()
    for c in character_tables.CHARACTERS:
        trivial = not unicodedata.combining(c) and not unicodedata.decomposition(c)
        text = c if trivial else f"a\u0315{c}\u0334"
        differs = form.normalize_str(text) != unicodedata.normalize("NFKD", text)
        if differs or small.normalize_str(c) != c.lower():
            found.add(c)
    return frozenset(found)


@functools.cache
def both(kind):
    """The library's, without truncation and padding, and ours."""
    library = Library.from_str(file_of(kind).decode())
    library.no_truncation()
    library.no_padding()
    return library, Tokenizer(file_of(kind))


def assert_alike(kind, text):
    library, ours = both(kind)
    wanted = library.encode(text)
    assert ours.encode(text) == wanted.ids, ascii(text)
    decoded = library.decode(wanted.ids)
    if kind == "clip":  # the library leaves in what ends a word
        decoded = decoded.replace("</w>", " ").rstrip(" ")
    assert ours.decode(wanted.ids) == decoded, ascii(text)


@pytest.mark.parametrize("kind", MAKERS)
def test_phrases_have_the_library_s_ids_and_words(kind):
    for text in PHRASES:
        if (kind, text) != ("clip", "</w>"):  # its end of a word, as a text
            assert_alike(kind, text)


@pytest.mark.parametrize("kind", MAKERS)
@settings(max_examples=250, deadline=None)
@given(text=TEXTS)
def test_any_text_has_the_library_s_ids_and_words(kind, text):
    text = "".join(c for c in text if c not in of_another_unicode())
    assert_alike(kind, text.replace("</w>", ""))


@pytest.mark.slow
@pytest.mark.parametrize("kind", MAKERS)
def test_every_character_has_the_library_s_ids(kind):
    source = random.Random(0)
    known = [c for c in character_tables.CHARACTERS if c not in of_another_unicode()]
    source.shuffle(known)
    for start in range(0, len(known), 40):
        assert_alike(kind, "".join(known[start : start + 40]))


def test_few_characters_and_no_old_one_depend_on_the_version_of_python():
    assert len(of_another_unicode()) < 400
    old = unicodedata.ucd_3_2_0
    assert [c for c in of_another_unicode() if old.category(c) != "Cn"] == []


@pytest.mark.slow
def test_the_tables_of_characters_are_the_library_s():
    assert character_tables.FILE.read_text() == character_tables.written()


@pytest.mark.parametrize("kind", ["clip", "bert"])
@pytest.mark.parametrize("words", [0, 3, 13, 14, 15, 80])
def test_a_long_text_is_cut_as_the_library_cuts_it(kind, words):
    ours, library = Tokenizer(file_of(kind)), trained(kind)
    text = " ".join(["red"] * words)
    ids = ours.truncate(ours.encode(text), ours.length)
    filled = ids + [ours.padding.id] * (ours.length - len(ids))
    assert filled == library.encode(text).ids


def test_half_a_surrogate_pair_is_refused():
    with pytest.raises(ArgumentError, match=r"whole characters, .* at position 2\.$"):
        both("clip")[1].encode("ab\ud800")


def test_ids_that_no_token_has_are_left_out_of_the_words():
    _, ours = both("words")
    assert ours.decode([*ours.encode("red chair"), 10**6, -1]) == "red chair"


def places(value, path=()):
    """Every place of a JSON value but those in vocabularies and lists of merges."""
    yield path
    if isinstance(value, dict) and "vocab" not in path:
        for key, entry in value.items():
            yield from places(entry, (*path, key))
    elif isinstance(value, list) and len(value) < 20:
        for index, entry in enumerate(value):
            yield from places(entry, (*path, index))


def changed(whole, path, value):
    whole = copy.deepcopy(whole)
    at = whole
    for key in path[:-1]:
        at = at[key]
    if value is KeyError:
        del at[path[-1]]
    else:
        at[path[-1]] = value
    return json.dumps(whole).encode()


def read(data):
    """Why it is refused, or what is read."""
    try:
        return None, Tokenizer(data)
    except BundleError as err:
        return str(err), None


def read_by_library(data):
    """None if it refuses more than we do."""
    try:
        library = Library.from_str(data.decode())
    except Exception:  # noqa: BLE001  it raises nothing narrower
        return None
    library.no_truncation()
    library.no_padding()
    return library


SLOW = ((), pytest.mark.slow)
OTHERS = [
    *(KeyError, None, True, False, -1, 0, 7, 10**400, 1.5, "", "x", [], ["a", 0], {}),
    {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True},
    {"type": "Lowercase"},
    {"type": "Sequence", "normalizers": []},
    "Left",
    "Isolated",
    "##",
]


@pytest.mark.parametrize(
    "kind", [pytest.param(k, marks=SLOW[k != "words"]) for k in MAKERS]
)
def test_what_is_changed_is_refused_or_means_what_the_library_takes_it_for(kind):
    whole = json.loads(file_of(kind))
    refused = taken = 0
    for path in places(whole):
        for value in OTHERS if path else ():
            data = changed(whole, path, value)
            sentence, ours = read(data)
            if ours is None:
                assert re.fullmatch(r"[\S ]{10,700}\.", sentence), (path, value)
                refused += 1
            elif library := read_by_library(data):
                taken += 1
                for text in ("A chaired  chair-leg!", "naïve <mask> 12", " "):
                    assert ours.encode(text) == library.encode(text).ids, (path, value)
    assert refused > 500
    assert taken > 30


def refusal(kind, path, value):
    with pytest.raises(BundleError) as caught:
        Tokenizer(changed(json.loads(file_of(kind)), path, value))
    return str(caught.value)


def test_refusals_say_what_is_read():
    assert refusal("clip", ("model", "dropout"), 0.1) == (
        "model.dropout must be null, got 0.1."
    )
    assert refusal("bert", ("model", "type"), "Unigram") == (
        'model.type must be one of "BPE", "WordPiece", "WordLevel", got "Unigram".'
    )
    assert refusal(
        "clip", ("normalizer", "normalizers", 1, "pattern"), {"Regex": "a+"}
    ) == ('normalizer.normalizers[1].pattern.Regex must be "\\\\s+", got "a+".')
    assert refusal("gpt2", ("pre_tokenizer", "chunk"), 3) == (
        "pre_tokenizer.chunk is not in the subset of tokenizer.json that is read; "
        "known here: add_prefix_space, trim_offsets, use_regex."
    )
    assert refusal("gpt2", ("model", "merges", 2), ["a", "<none>"]) == (
        "model.merges[2] must be two tokens of the vocabulary that make a third, got a "
        "list of 2."
    )
    assert refusal("words", ("model", "unk_token"), "none") == (
        'model.unk_token must be a token of the vocabulary, got "none".'
    )
    assert refusal("bert", ("padding", "strategy"), {"Fixed": 9}) == (
        "padding.strategy must be of the length of truncation, 12, got 9."
    )


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (b"\xff", "a tokenizer must be UTF-8 JSON, but: "),
        (b"[]", " must be an object, got a list of 0."),
        (b'{"a": 1, "a": 2}', 'the keys of an object must be unique, got "a" twice.'),
        (b'{"version": "2.0"}', 'version must be "1.0", got "2.0".'),
        (b"[" * 10**5, "a tokenizer must not nest this deeply."),
    ],
)
def test_what_is_no_tokenizer_is_refused(data, sentence):
    with pytest.raises(BundleError) as caught:
        Tokenizer(data)
    assert sentence in str(caught.value)


def test_parts_that_nest_deeply_are_refused():
    part = {"type": "Lowercase"}
    for _ in range(sys.getrecursionlimit() // 3):
        part = {"type": "Sequence", "normalizers": [part]}
    assert refusal("words", ("normalizer",), part) == (
        "a tokenizer must not nest this deeply."
    )

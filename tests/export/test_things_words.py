from __future__ import annotations

import json

import numpy as np
import pytest
import tokenizers

from fuseg.text import Tokenizer
from fuseg_export.scenes.things import COLORS, KINDS, render_many_things
from fuseg_export.scenes.things.words import (
    END,
    PAD,
    TOKENIZER,
    UNKNOWN,
    VOCABULARY,
    asked_for,
    caption,
    prompt,
)


@pytest.fixture(scope="module")
def frames():
    return render_many_things(range(40))


def test_the_tokenizer_has_the_vocabulary_and_is_the_librarys():
    data = TOKENIZER.read_bytes()
    own, library = Tokenizer(data), tokenizers.Tokenizer.from_str(data.decode())
    vocabulary = json.loads(data)["model"]["vocab"]
    assert vocabulary == {word: i for i, word in enumerate(VOCABULARY)}
    assert [VOCABULARY[i] for i in (PAD, UNKNOWN, END)] == ["-", "?", "."]
    for text in ("Find the RED ball", "blue", "красный шар", "a red, red post!", "赤"):
        ids = library.encode(text).ids
        assert len(ids) == 16
        assert ids[16 - len(own.encode(text)) :] == own.encode(text)
    assert own.encode("красный ball") == [UNKNOWN, VOCABULARY.index("ball")]


def test_every_word_of_prompts_and_captions_is_known(frames):
    rng, tokenizer = np.random.default_rng(0), Tokenizer(TOKENIZER.read_bytes())
    texts = [
        prompt(rng, color, kind)
        for color in (None, 0, 1, 2, 3)
        for kind in (None, 0, 1, 2, 3, 4)
        for _ in range(10)
    ]
    texts += [
        caption(i, a) for i, a in zip(frames.instances, frames.attributes, strict=True)
    ]
    assert len(set(texts)) > 100
    for text in texts:
        ids = tokenizer.encode(text)
        assert len(ids) <= 8
        assert UNKNOWN not in ids
        assert tokenizer.decode(ids) == text


def test_a_prompt_names_what_is_asked_for_and_nothing_else():
    for seed in range(40):
        words = prompt(np.random.default_rng(seed), 2, 3).split()
        assert set(words) & {*COLORS, *KINDS} == {"blue", "post"}
        words = prompt(np.random.default_rng(seed), None, 3).split()
        assert set(words) & {*COLORS, *KINDS} == {"post"}
        words = prompt(np.random.default_rng(seed), 2, None).split()
        assert set(words) & {*COLORS, *KINDS} == {"blue"}
        assert words[-1] in {"thing", "object"}


def test_what_is_asked_for_is_every_thing_of_the_kind_and_color(frames):
    for index in range(10):
        instances, attributes = frames.instances[index], frames.attributes[index]
        for color in (None, 0, 3):
            for kind in (None, 1, 4):
                wanted = np.zeros(instances.shape, np.bool_)
                for number, (own_kind, own_color, _) in enumerate(attributes, 1):
                    there = own_kind >= 0
                    if color is not None:
                        there = there and own_color == color
                    if kind is not None:
                        there = there and own_kind == kind
                    if there:
                        wanted |= instances == number
                found = asked_for(instances, attributes, color, kind)
                np.testing.assert_array_equal(found, wanted)


@pytest.mark.parametrize(
    ("left", "side"), [(0, "on the left"), (7, "in the middle"), (12, "on the right")]
)
def test_a_caption_is_of_the_largest_thing_and_its_third_of_the_picture(left, side):
    instances = np.zeros((16, 18), np.uint8)
    instances[0:5, 0:4] = 1
    instances[8:14, left : left + 5] = 2
    assert caption(instances, [(0, 1), (3, 2)]) == f"a blue post {side}"


def test_a_caption_of_an_empty_room_is_nothing():
    assert caption(np.zeros((16, 18), np.uint8), [(1, 1)]) == "nothing"
    specks = np.zeros((16, 18), np.uint8)
    specks[0, :19] = 1
    assert caption(specks, [(1, 1)]) == "nothing"

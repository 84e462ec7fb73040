"""Texts as an input: settings that stay, tokenized once, refused in one sentence."""

from __future__ import annotations

import json
import re
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from runtime.prompted import (
    LENGTH,
    MOST,
    TOKENIZER,
    counts,
    ids_of,
    prompted,
    scores_of,
)
from text.trained import trained
from typer.testing import CliRunner

import fuseg
from fuseg import bundle, manifest
from fuseg.cli import app
from fuseg.errors import (
    ArgumentError,
    BundleError,
    DTypeError,
    FusegError,
)
from fuseg.runtime.inputs.text import TextInputs

BLACK = np.zeros((6, 8, 3), np.uint8)


@pytest.fixture
def write(make_bundle, color_input, tmp_path):
    """``write(several=False, **text)``: the path of a bundle; see `prompted`."""

    def make(**keys):
        made, files = prompted(make_bundle, color_input, **keys)
        bundle.write(tmp_path / "prompted.fuseg", made, files)
        return tmp_path / "prompted.fuseg"

    return make


def frame(seed):
    rng = np.random.default_rng(seed)
    return rng.integers(0, 256, (6, 8, 3)).astype(np.uint8)


def labels_of(segmenter, rgb, text):
    """Of one text: the second class where its score is above 0."""
    return (scores_of(segmenter.preprocess(rgb=rgb), text)[0] > 0).astype(np.uint8)


@pytest.mark.parametrize("backend", ["onnxruntime", "openvino"])
def test_a_text_stays_until_another_is_given_and_its_graph_runs_once(write, backend):
    if backend == "openvino":
        pytest.importorskip("openvino")
    segmenter = fuseg.load(write(), backend=backend)
    texts = segmenter._session.loop.texts
    before, tokenized, text = counts(segmenter), texts.tokenized, "a chair"
    for number in range(100):
        rgb, changed = frame(number), {}
        if number == 40:
            text, changed = "the red table", {"prompt": "the red table"}
        if number == 70:
            text, changed = "A Chair", {"prompt": "A Chair"}
        wanted = labels_of(segmenter, rgb, text)
        result = segmenter(rgb=rgb, **changed)
        np.testing.assert_array_equal(result.labels, wanted)
        assert [*result.sources] == ["rgb"]
        assert not result.degraded
        segmenter(rgb=rgb, prompt=text)  # the same again: nothing is new
    ran = {name: count - before[name] for name, count in counts(segmenter).items()}
    assert ran == {"text": 3, "image": 200, "net": 200}
    assert texts.tokenized == tokenized + 2


def test_a_clone_has_the_texts_and_goes_its_own_way(write):
    segmenter = fuseg.load(write())
    segmenter.set_prompts("the table")
    twin = segmenter.clone()
    assert twin.texts == segmenter.texts == {"prompt": ("the table",)}
    twin.set_prompts("red")
    rgb = frame(0)
    for one, text in ((segmenter, "the table"), (twin, "red")):
        np.testing.assert_array_equal(one(rgb=rgb).labels, labels_of(one, rgb, text))


def test_a_refused_call_leaves_the_text_as_it_was(write):
    segmenter = fuseg.load(write())
    rgb = frame(1)
    for call in (
        lambda: segmenter(rgb=rgb, prompt=7),
        lambda: segmenter(rgb=rgb[0], prompt="red"),
        lambda: segmenter(rgb=rgb, prompt="red", size=(0, 1)),
        lambda: segmenter(rgb=rgb, prompt="red", nothing=1),
    ):
        with pytest.raises(FusegError):
            call()
        assert segmenter.texts == {"prompt": ("a chair",)}
    np.testing.assert_array_equal(
        segmenter(rgb=rgb).labels, labels_of(segmenter, rgb, "a chair")
    )


def test_calls_that_are_independent_leave_no_text(write):
    segmenter = fuseg.load(write(), hold=False)
    segmenter(rgb=BLACK, prompt="red")
    assert segmenter.texts == {"prompt": ("a chair",)}
    segmenter.set_prompts("red")
    assert segmenter.texts == {"prompt": ("red",)}


def test_preprocess_shows_the_tokens_and_remembers_nothing(write):
    segmenter = fuseg.load(write())
    tensors = segmenter.preprocess(rgb=BLACK, prompt="a red chair")
    assert tensors["words"].tolist() == [ids_of("a red chair")]
    assert tensors["words"].dtype == np.int64
    assert segmenter.preprocess(rgb=BLACK)["words"].tolist() == [ids_of("a chair")]


LONG = "red " * 30


def test_a_long_text_is_cut_before_its_end_token_or_refused(write):
    cut = fuseg.load(write(too_long="truncate"))
    found = cut.preprocess(rgb=BLACK, prompt=LONG)["words"][0].tolist()
    assert found == trained("bert").encode(LONG).ids
    assert len(found) == LENGTH
    refusing = fuseg.load(write())
    with pytest.raises(ArgumentError) as refused:
        refusing(rgb=BLACK, prompt=LONG)
    assert str(refused.value) == (
        "prompt must be at most 12 tokens, those that begin and end it included, got "
        "32: shorten 'red red red red red red red red red red red red red red r...'."
    )


TYPE = "prompt must be a string, or a list of them where there may be several, got "
PAIR = "prompt must be of whole characters, got half a surrogate pair at position 1."


@pytest.mark.parametrize(
    ("prompt", "error", "sentence"),
    [
        (7, DTypeError, f"{TYPE}int."),
        (["a", b"b"], DTypeError, f"{TYPE}bytes."),
        ("", ArgumentError, "prompt must have words, got ''."),
        (" \n", ArgumentError, "prompt must have words, got ' \\n'."),
        ("a\ud83d", ArgumentError, PAIR),
        ([], ArgumentError, "prompt must be one text, got 0."),
        (["a", "b"], ArgumentError, "prompt must be one text, got 2."),
    ],
)
def test_what_is_no_text_is_refused(write, prompt, error, sentence):
    segmenter = fuseg.load(write())
    with pytest.raises(error, match=f"^{re.escape(sentence)}$"):
        segmenter(rgb=BLACK, prompt=prompt)
    with pytest.raises(error, match=f"^{re.escape(sentence)}$"):
        segmenter.set_prompts(prompt)


def test_without_a_default_the_first_call_must_give_a_text(write):
    segmenter = fuseg.load(write(default=None))
    with pytest.raises(ArgumentError, match="prompt must be given once, as the bundle"):
        segmenter(rgb=BLACK)
    segmenter(rgb=BLACK, prompt="red")
    segmenter(rgb=BLACK)


def test_an_empty_text_is_taken_where_the_bundle_says_so(write):
    segmenter = fuseg.load(write(empty="allow"))
    tokens = segmenter.preprocess(rgb=BLACK, prompt="")["words"][0].tolist()
    assert tokens == trained("bert").encode("").ids


def test_set_prompts_names_the_input_where_there_are_several(write, rgbd):
    segmenter = fuseg.load(write())
    segmenter.set_prompts("red", name="prompt")
    with pytest.raises(ArgumentError, match="bundle, prompt, got 'rgb'"):
        segmenter.set_prompts("red", name="rgb")
    with pytest.raises(DTypeError, match=r"^prompts must be a string, .*, got None\.$"):
        segmenter.set_prompts(None)
    with pytest.raises(ArgumentError, match="which has none, got none"):
        fuseg.load(rgbd.path).set_prompts("red")


ANYTHING = st.recursive(
    st.one_of(
        st.text(max_size=40),
        st.none(),
        st.integers(),
        st.binary(max_size=9),
        st.floats(),
        st.just(np.array(["a", "b"])),
        st.just(np.str_("red")),
    ),
    lambda inner: st.lists(inner, max_size=10) | st.lists(inner, max_size=3).map(tuple),
    max_leaves=12,
)


def check_anything(inputs, value):
    """Texts are taken whole, and everything else refused in one sentence."""
    texts = list(value) if isinstance(value, (list, tuple)) else [value]
    fine = all(isinstance(t, str) for t in texts) and 1 <= len(texts) <= MOST
    try:
        found, others = inputs.take({"prompt": value, "rgb": 3})
    except (ArgumentError, DTypeError) as err:
        sentence = str(err)
        assert re.fullmatch(r"prompt must [ -~]{5,300}\.", sentence)
        assert (
            not fine
            or "tokens" in sentence
            or "words" in sentence
            or "pair" in sentence
        )
        return
    assert others == {"rgb": 3}
    if value is None:
        assert found == inputs.known
        return
    assert fine
    assert found["prompt"].texts == tuple(texts)
    assert found["prompt"].ids.tolist() == [ids_of(text) for text in texts]


@pytest.fixture(scope="module")
def inputs_of(tmp_path_factory):
    from conftest import color, write_linear

    made, files = prompted(
        lambda *given, **keys: write_linear(
            tmp_path_factory.mktemp("linear") / "linear.fuseg", *given, **keys
        ),
        color,
        several=True,
    )
    return TextInputs(made, files.__getitem__)


@settings(max_examples=300, deadline=None)
@given(value=ANYTHING)
def test_anything_is_a_text_or_refused_in_one_sentence(inputs_of, value):
    check_anything(inputs_of, value)


@pytest.mark.slow
@settings(
    max_examples=5000, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
@given(value=ANYTHING)
def test_anything_at_all_is_a_text_or_refused_in_one_sentence(inputs_of, value):
    check_anything(inputs_of, value)


def sentence_of(call):
    with pytest.raises(BundleError) as caught:
        call()
    return str(caught.value)


def test_manifests_of_texts_that_cannot_be_are_refused(make_bundle, color_input):
    made, _ = prompted(make_bundle, color_input, several=True)
    rgb, prompt = made.inputs
    words = manifest.Tensor(("prompts", 12), dtype="int64")
    floats = manifest.Tensor(("prompts", 12))

    def of(**changes):
        return sentence_of(lambda: replace(made, **changes))

    def of_text(**changes):
        return sentence_of(
            lambda: replace(made, inputs=(rgb, replace(prompt, **changes)))
        )

    assert of_text(default=("red",) * 9) == (
        "inputs[1].default must be 1 to 8 texts, got 9."
    )
    assert of_text(tokenizer="a.bin") == (
        "tokenizer must be a member's name that ends in .json, got 'a.bin'."
    )
    assert of_text(tensor="rgb") == (
        "inputs[1].tensor must be one of tensors that no other input fills, got 'rgb'."
    )
    assert of(tensors={**made.tensors, "words": floats}) == (
        "inputs[1].tensor must be int64 [texts, length], got float32 ['prompts', 12]."
    )
    assert of(inputs=(prompt,)) == "inputs must hold one that is no text."
    rows = {**made.tensors, "words": replace(words, shape=("lines", 12))}
    assert of(tensors=rows) == (
        "tensors.words.shape must name dimensions, prompts, got 'lines'."
    )
    more = {**made.dimensions, "lines": manifest.Dimension(1, 2, 1)}
    assert of(dimensions=more) == (
        "dimensions.lines must be the first axis of the tensor of one input of kind "
        "'text', got 0 of them."
    )
    assert sentence_of(lambda: manifest.Dimension(2, 8, 1)) == (
        "typical must be from min to max, 2 to 8, got 1."
    )
    integers = {**made.tensors, "rgb": replace(made.tensors["rgb"], dtype="int64")}
    assert of(tensors=integers) == (
        "tensors.rgb.dtype must be 'float32', as sensors fill it, got 'int64'."
    )
    sample = manifest.Sample({"rgb": "rgb.npy"}, {"scores": "scores.npy"})
    untold = (rgb, replace(prompt, default=None))
    assert of(inputs=untold, samples=(sample,)) == (
        "inputs[1].default is missing: samples are run with it."
    )


def test_a_tokenizer_that_does_not_fit_is_refused(make_bundle, color_input, tmp_path):
    made, files = prompted(make_bundle, color_input, several=True)
    path = tmp_path / "refused.fuseg"
    tokens = json.loads(TOKENIZER)

    def of(**changes):
        data = json.dumps({**tokens, **changes}).encode()
        return sentence_of(
            lambda: bundle.write(path, made, {**files, "tokens.json": data})
        ).removeprefix(f"{path}: member 'tokens.json': ")

    assert of(padding=None) == (
        "padding must say with which id texts are filled up: "
        "tokenizer.enable_padding(pad_id=..., length=12)."
    )
    fixed = {**tokens["padding"], "strategy": {"Fixed": 16}}
    assert of(padding=fixed, truncation=None) == (
        "truncation and padding must be to the tensor's 12 tokens, got 16."
    )
    assert of(normalizer={"type": "Precompiled"}).startswith(
        'normalizer.type must be one of "Sequence", "NFC", '
    )
    ends = {**tokens["post_processor"]}
    ends["single"] = ends["single"][:1] * 11 + ends["single"][1:]
    assert of(post_processor=ends) == (
        "post_processor must leave room in the tensor's 12 tokens, got 12 that begin "
        "and end a text."
    )
    long = replace(made.inputs[1], default=LONG)
    made = replace(made, inputs=(made.inputs[0], long))
    assert of().startswith("the default of prompt must be at most 12 tokens, ")


def test_inspect_shows_texts(write):
    done = CliRunner().invoke(app, ["inspect", str(write(several=True))])
    assert done.exit_code == 0
    shown = " ".join(done.output.split())
    assert "prompt text, too long: refuse by tokens.json into tensor" in shown
    assert "words promptsx12 until one is given: 'a chair'" in shown

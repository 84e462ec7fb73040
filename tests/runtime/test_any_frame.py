"""Whatever is given as a frame is labelled, or refused in a sentence and forgotten."""

from __future__ import annotations

import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from runtime.sounds import audio_input, write_hearing

import fuseg
from fuseg.errors import FusegError
from fuseg.manifest import Missing

HOLD = Missing("hold", 1000.0, then="refuse")
KINDS = ("color", "depth", "map", "maps", "int16", "float32")
MS = 1_000_000

DTYPES = st.sampled_from(
    [
        "u1",
        "u2",
        "f4",
        "i2",
        "i4",
        "f8",
        "f2",
        "?",
        ">u2",
        ">f4",
        "c8",
        "O",
        "U3",
        "M8[s]",
    ]
)
SHAPES = st.lists(st.integers(0, 9), max_size=4).map(tuple) | st.tuples(
    st.integers(1, 9), st.integers(1, 9), st.sampled_from([1, 2, 3, 4])
)


@st.composite
def any_array(draw, wanted):
    dtype = np.dtype(draw(DTYPES | st.just(wanted.dtype.str)))
    shape = draw(SHAPES | st.just(wanted.shape))
    if dtype.kind in "OUM":
        array = np.zeros(shape, dtype)
    else:
        seed = draw(st.integers(0, 9))
        with np.errstate(all="ignore"):
            array = np.asarray(np.random.default_rng(seed).random(shape) * 300, dtype)
    if array.dtype.kind == "f" and array.size:
        array.flat[draw(st.integers(0, array.size - 1))] = draw(
            st.sampled_from([np.nan, np.inf, -np.inf])
        )
    form = draw(
        st.sampled_from(["plain", "reversed", "steps", "F", "mask", "read-only"])
    )
    if form == "reversed":
        array = array[::-1] if array.ndim else array
    elif form == "steps":
        array = np.repeat(array, 2, -1)[..., ::2] if array.ndim else array
    elif form == "F":
        array = np.asfortranarray(array)
    elif form == "mask":
        array = np.ma.masked_array(array, draw(st.booleans()))
    elif form == "read-only":
        array.flags.writeable = False
    return array


def anything(wanted):
    return any_array(wanted) | st.sampled_from(
        [
            [],
            [[1]],
            "frame.png",
            b"frame",
            7,
            1.5,
            {},
            object(),
            np.float32(1),
            wanted.tolist(),
        ]
    )


@pytest.fixture
def bundle_of(color_input, plane_input, map_input, make_bundle, tmp_path):
    """A bundle of an input ``x`` that holds its last frame, a good frame, and what of a
    result to compare."""
    rng = np.random.default_rng(0)

    def make(kind):
        if kind in ("int16", "float32"):
            spec = audio_input(name="x", missing=HOLD, dtype=kind)
            good = (rng.standard_normal(1600) * 3000).astype(kind)
            path = write_hearing(tmp_path / "hearing.fuseg", spec).path
            return path, good, lambda result: result["felt"]
        spec, good = image(kind)
        return make_bundle(spec).path, good, lambda result: result.labels

    def image(kind):
        if kind == "color":
            return color_input("x", missing=HOLD), rng.integers(
                0, 256, (7, 9, 3), np.uint8
            )
        if kind == "depth":
            return plane_input("x", missing=HOLD), rng.integers(
                1, 9000, (7, 9), np.uint16
            )
        if kind == "map":
            spec = map_input("x", planes=1, missing=HOLD, dtype="float32")
            return spec, rng.random((7, 9), np.float32)
        return map_input("x", missing=HOLD), rng.integers(1, 256, (7, 9, 3), np.uint8)

    return make


@pytest.mark.parametrize("examples", [120, pytest.param(2500, marks=pytest.mark.slow)])
@pytest.mark.parametrize("kind", KINDS)
def test_a_frame_is_labelled_or_refused_in_one_sentence_and_forgotten(
    bundle_of, kind, examples
):
    path, good, made = bundle_of(kind)
    segmenter = fuseg.load(path)
    wanted = made(segmenter(x=fuseg.Frame(good, 0)))
    seen = {"labelled": 0, "refused": 0}

    # A few frames are the same in each run: there are always some of both kinds.
    @settings(
        max_examples=examples, deadline=None, database=None, derandomize=examples < 1000
    )
    @given(anything(good))
    def check(frame):
        segmenter(x=fuseg.Frame(good, 0))
        try:
            segmenter(x=fuseg.Frame(frame, 5 * MS))
        except FusegError as err:
            seen["refused"] += 1
            sentence = str(err)
            assert re.match(r"x\b", sentence), sentence
            assert sentence.endswith((".", "?"))
            assert "\n" not in sentence
            held = segmenter(x=None, stamp_ns=10 * MS)
            assert held.sources["x"] == fuseg.Source("held", 10.0, "absent")
            np.testing.assert_array_equal(made(held), wanted)
        else:
            seen["labelled"] += 1

    check()
    assert min(seen.values()) > examples // 60

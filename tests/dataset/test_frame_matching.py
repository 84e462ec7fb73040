from __future__ import annotations

import random
import re

import pytest

from fuseg.dataset.frame_matching import Stamps, match_frames
from fuseg.errors import ArgumentError, InputFileError


@pytest.fixture
def tree(tmp_path, monkeypatch):
    """``tree("rgb/1.png", ...)``: makes empty files under the current folder."""
    monkeypatch.chdir(tmp_path)

    def make(*names):
        for name in names:
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()

    return make


def spelled(matched):
    frames = {f.key: {n: str(p) for n, p in f.files.items()} for f in matched.frames}
    unmatched = {n: [str(p) for p in files] for n, files in matched.unmatched.items()}
    return frames, unmatched


def test_one_file_per_input_is_one_frame_whatever_the_names(tree):
    tree("left.png", "other/right.tif")
    assert spelled(match_frames({"rgb": "left.png", "depth": "other/right.tif"})) == (
        {"left": {"rgb": "left.png", "depth": "other/right.tif"}},
        {},
    )


def test_folders_match_by_stem_in_the_order_of_the_keys(tree):
    tree("rgb/b.jpg", "rgb/a.jpg", "depth/a.png", "depth/b.png")
    matched = match_frames({"rgb": "rgb", "depth": "depth/"})
    assert [frame.key for frame in matched.frames] == ["a", "b"]
    assert spelled(matched)[0]["b"] == {"rgb": "rgb/b.jpg", "depth": "depth/b.png"}


def test_patterns_match_by_what_the_star_stood_for(tree):
    tree("s/1_rgb.png", "s/2_rgb.png", "s/1_depth.png", "s/2_depth.png")
    assert spelled(match_frames({"rgb": "s/*_rgb.png", "depth": "s/*_depth.png"})) == (
        {
            "1": {"rgb": "s/1_rgb.png", "depth": "s/1_depth.png"},
            "2": {"rgb": "s/2_rgb.png", "depth": "s/2_depth.png"},
        },
        {},
    )


def test_the_star_may_stand_for_a_folder_but_never_crosses_one(tree):
    tree("run/7/rgb.png", "run/8/deep/rgb.png", "run/rgb.png")
    assert spelled(match_frames({"rgb": "run/*/rgb.png"})) == (
        {"7": {"rgb": "run/7/rgb.png"}},
        {},
    )


def test_brackets_and_question_marks_stand_for_themselves(tree):
    tree("[a]?1.png", "a1.png", "b1.png")
    assert spelled(match_frames({"rgb": "[a]?*.png"}))[0] == {"1": {"rgb": "[a]?1.png"}}


def test_the_two_sides_of_a_pattern_do_not_overlap(tree):
    tree("aba.png", "abXba.png")
    assert list(spelled(match_frames({"rgb": "ab*ba.png"}))[0]) == ["X"]


def test_the_star_stands_for_at_least_one_character(tree):
    tree("rgb_.png", "rgb_1.png")
    assert list(spelled(match_frames({"rgb": "rgb_*.png"}))[0]) == ["1"]


def test_a_folder_and_a_pattern_and_a_file_match_by_key(tree):
    tree("rgb/1.png", "rgb/2.png", "d1x.png", "t/1.tif")
    assert spelled(
        match_frames({"rgb": "rgb", "depth": "d*x.png", "thermal": "t/1.tif"})
    ) == (
        {"1": {"rgb": "rgb/1.png", "depth": "d1x.png", "thermal": "t/1.tif"}},
        {"rgb": ["rgb/2.png"]},
    )


def test_files_without_a_partner_are_told_for_every_sensor(tree):
    tree("rgb/1.png", "rgb/2.png", "depth/2.png", "depth/3.png", "depth/4.png")
    assert spelled(match_frames({"rgb": "rgb", "depth": "depth"})) == (
        {"2": {"rgb": "rgb/2.png", "depth": "depth/2.png"}},
        {"rgb": ["rgb/1.png"], "depth": ["depth/3.png", "depth/4.png"]},
    )


def test_nothing_that_matches_is_no_error(tree):
    tree("rgb/1.png", "depth/2.png")
    assert spelled(match_frames({"rgb": "rgb", "depth": "depth"})) == (
        {},
        {"rgb": ["rgb/1.png"], "depth": ["depth/2.png"]},
    )


def test_a_folder_with_one_file_still_matches_by_its_name(tree):
    tree("rgb/1.png", "2.png")
    assert not match_frames({"rgb": "rgb", "depth": "2.png"}).frames


def test_in_folders_only_images_count(tree):
    tree("rgb/1.PNG", "rgb/notes.txt", "rgb/.hidden.png", "rgb/sub.png/1.txt")
    assert spelled(match_frames({"rgb": "rgb"}))[0] == {"1": {"rgb": "rgb/1.PNG"}}


def test_hidden_files_match_only_a_pattern_that_names_them(tree):
    tree(".a.png", "b.png")
    assert list(spelled(match_frames({"rgb": "*.png"}))[0]) == ["b"]
    assert list(spelled(match_frames({"rgb": ".*.png"}))[0]) == ["a"]


def test_two_files_of_one_key_are_refused_by_name(tree):
    tree("rgb/a.png", "rgb/a.jpg")
    with pytest.raises(ArgumentError) as caught:
        match_frames({"rgb": "rgb"})
    assert str(caught.value) == (
        "rgb: rgb/a.jpg and rgb/a.png have the same key 'a': give a pattern that "
        "takes one of them."
    )


def test_several_stars_stand_for_a_key_of_several_parts(tree):
    tree("img/val/a/1_left.png", "img/val/b/1_left.png", "img/val/b/note.txt")
    tree("gt/a/1_ids.png", "gt/b/1_ids.png", "gt/b/1_color.png")
    matched = match_frames({"rgb": "img/val/*/*_left.png", "--truth": "gt/*/*_ids.png"})
    assert spelled(matched) == (
        {
            "a/1": {"rgb": "img/val/a/1_left.png", "--truth": "gt/a/1_ids.png"},
            "b/1": {"rgb": "img/val/b/1_left.png", "--truth": "gt/b/1_ids.png"},
        },
        {},
    )
    assert list(spelled(match_frames({"rgb": "img/val/a/*_l*t.png"}))[0]) == ["1/ef"]


def test_two_stars_together_stand_for_any_folders(tree):
    tree("x/1.png", "x/a/1.png", "x/a/b/2.png", "x/.git/3.png", "x/a/.4.png")
    assert spelled(match_frames({"rgb": "x/**/*.png"}))[0] == {
        "1": {"rgb": "x/1.png"},
        "a/1": {"rgb": "x/a/1.png"},
        "a/b/2": {"rgb": "x/a/b/2.png"},
    }
    assert list(spelled(match_frames({"rgb": "x/**"}))[0]) == [
        "1.png",
        "a/1.png",
        "a/b/2.png",
    ]


def test_a_folder_without_images_is_searched_below(tree):
    tree("rgb/a/1.png", "rgb/b/c/2.jpg", "rgb/README", "depth/a/1.png", "top/0.png")
    tree("top/sub/1.png")
    assert spelled(match_frames({"rgb": "rgb", "depth": "depth"})) == (
        {"a/1": {"rgb": "rgb/a/1.png", "depth": "depth/a/1.png"}},
        {"rgb": ["rgb/b/c/2.jpg"]},
    )
    assert list(spelled(match_frames({"rgb": "top"}))[0]) == ["0"]


TUM = {
    "rgb": ["1305031102.175304", "1305031102.211214", "1305031102.243211"],
    "depth": ["1305031102.160407", "1305031102.226738", "1305031102.262886"],
}


def test_stamps_match_with_the_nearest_and_each_file_once(tree):
    tree(*(f"{name}/{stem}.png" for name, stems in TUM.items() for stem in stems))
    frames, unmatched = spelled(
        match_frames({"rgb": "rgb", "depth": "depth"}, Stamps("20ms"))
    )
    # 14.897, 15.524 and 19.675 ms apart
    assert [files["depth"] for files in frames.values()] == [
        f"depth/{stem}.png" for stem in TUM["depth"]
    ]
    assert list(frames) == TUM["rgb"]
    assert unmatched == {}
    frames, unmatched = spelled(
        match_frames({"rgb": "rgb", "depth": "depth"}, Stamps("15ms"))
    )
    assert list(frames) == TUM["rgb"][:1]
    assert {name: len(left) for name, left in unmatched.items()} == {
        "rgb": 2,
        "depth": 2,
    }


def test_the_closest_match_is_made_first(tree):
    tree("a/1.00.png", "a/1.03.png", "b/1.02.png", "b/1.05.png")
    frames, _ = spelled(match_frames({"a": "a", "b": "b"}, Stamps("25ms")))
    assert frames == {"1.03": {"a": "a/1.03.png", "b": "b/1.02.png"}}


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("1700000000000000000", "1700000000010000000"),  # ns
        ("1700000000000000", "1700000000010000"),
        ("1700000000000", "1700000000010"),
        ("1700000000000", "1700000000.01"),  # ms and s
    ],
)
def test_whole_stamps_have_the_unit_that_their_length_says(tree, first, second):
    tree(f"a/{first}.png", f"b/{second}.png")
    sources = {"a": "a", "b": "b"}
    assert len(match_frames(sources, Stamps("10ms")).frames) == 1
    assert not match_frames(sources, Stamps("9.999ms")).frames


def test_slop_without_a_unit_counts_in_the_names_own(tree):
    tree("a/1000.png", "b/1007.png")
    assert len(match_frames({"a": "a", "b": "b"}, Stamps("7")).frames) == 1
    assert not match_frames({"a": "a", "b": "b"}, Stamps("6")).frames


def test_the_reference_gives_the_keys_and_may_be_named(tree):
    tree("a/1.00.png", "a/1.01.png", "b/1.012.png")
    frames, unmatched = spelled(match_frames({"a": "a", "b": "b"}, Stamps("20ms", "b")))
    assert frames == {"1.012": {"a": "a/1.01.png", "b": "b/1.012.png"}}
    assert unmatched == {"a": ["a/1.00.png"]}
    with pytest.raises(ArgumentError, match="--reference must be one of a, b, got c"):
        match_frames({"a": "a", "b": "b"}, Stamps("20ms", "c"))


def test_stamps_match_within_the_folders_that_stars_stand_for(tree):
    tree("x/1/1.00.png", "x/2/1.00.png", "y/2/1.01.png")
    frames, _ = spelled(match_frames({"a": "x/*/*.png", "b": "y/*/*.png"}, Stamps()))
    assert frames == {"2/1.00": {"a": "x/2/1.00.png", "b": "y/2/1.01.png"}}


def test_what_is_no_stamp_or_slop_is_refused(tree):
    tree("a/left.png", "b/1.png")
    with pytest.raises(ArgumentError, match=r"a: a/left\.png must have a time as its"):
        match_frames({"a": "a", "b": "b"}, Stamps())
    with pytest.raises(ArgumentError, match="--slop must be a time such as 20ms"):
        Stamps("soon")


def advised(hint):
    return dict(re.findall(r"(\S+)='([^']+)'", hint))


@pytest.mark.parametrize(
    ("sources", "names"),
    [
        ({"rgb": "x", "depth": "y"}, ["x/00_rgb.png", "y/00_depth.png"]),
        ({"rgb": "x", "depth": "y/"}, ["x/rgb-01.png", "x/rgb-02.png", "y/d-01.png"]),
        ({"rgb": "x/*.png", "depth": "x/*.tif"}, ["x/1_a.png", "x/1_b.tif"]),
        (
            {"rgb": "img", "--truth": "gt"},
            [
                *("img/a/a_01_left8bit.png", "img/b/b_02_left8bit.png"),
                *("gt/a/a_01_gt_color.png", "gt/a/a_01_gt_labelIds.png"),
                *("gt/b/b_02_gt_color.png", "gt/b/b_02_gt_labelIds.png"),
            ],
        ),
    ],
)
def test_where_nothing_matches_the_patterns_that_would_are_named(tree, sources, names):
    tree(*names)
    first = match_frames(sources)
    assert not first.frames
    assert first.hint.endswith(" would match them")
    patterns = advised(first.hint)
    assert list(patterns) == list(sources)
    assert match_frames(patterns).frames
    assert "color" not in first.hint


def test_where_nothing_matches_stamps_are_advised_with_a_slop_that_matches(tree):
    tree(*(f"{name}/{stem}.png" for name, stems in TUM.items() for stem in stems))
    hint = match_frames({"rgb": "rgb", "depth": "depth"}).hint
    assert hint == (
        "their names are times, 14.897 ms apart or more: --match stamp --slop 20ms "
        "would match at least half of them"
    )
    hint = match_frames({"rgb": "rgb", "depth": "depth"}, Stamps("1ms")).hint
    assert "--match stamp --slop 20ms" in hint


def test_where_nothing_matches_numbers_written_in_two_ways_are_seen(tree):
    tree("rgb/1.png", "rgb/2.png", "depth/0001.png", "depth/0002.png")
    sources = {"rgb": "rgb", "depth": "depth"}
    hint = match_frames(sources).hint
    assert hint.endswith("written in two ways: --match stamp --slop 0")
    frames, _ = spelled(match_frames(sources, Stamps("0")))
    assert frames["2"] == {"rgb": "rgb/2.png", "depth": "depth/0002.png"}


def test_where_nothing_is_in_common_the_form_is_named(tree):
    tree("x/cat.png", "y/dog.png", "m/1.png", "n/7.png")
    for sources in ({"rgb": "x", "depth": "y"}, {"rgb": "m", "depth": "n"}):
        hint = match_frames(sources).hint
        assert hint.endswith("in common, such as rgb='FOLDER/*_rgb.png'")


@pytest.mark.parametrize(
    ("source", "sentence"),
    [
        ("gone.png", "rgb: there is no file gone.png."),
        ("gone/*.png", "rgb: the folder gone cannot be read: No such file or direc"),
        ("x*.png", "rgb: no file matches x*.png."),
        ("empty", "rgb: the folder empty and the folders in it hold no image (.png"),
    ],
)
def test_what_is_not_there_is_named(tree, source, sentence):
    tree("empty/notes.txt")
    with pytest.raises(InputFileError) as caught:
        match_frames({"rgb": source})
    assert str(caught.value).startswith(sentence)


def test_an_empty_path_and_no_source_at_all_are_refused(tree):
    tree("a.png")  # else the empty path would be this folder
    with pytest.raises(ArgumentError, match=r"^rgb: the path must not be empty"):
        match_frames({"rgb": ""})
    with pytest.raises(ArgumentError, match=r"^sources must name at least one sensor"):
        match_frames({})


def test_keys_hold_no_separator(tree):
    tree("a/b/c.png", "a/d.png")
    keys = [f.key for f in match_frames({"rgb": "a/*"}).frames]
    assert keys == ["d.png"]


def test_random_stamps_match_as_by_trying_all(tree):
    rng = random.Random(7)
    names = {name: sorted(rng.sample(range(4000), 40)) for name in "ab"}
    tree(*(f"{n}/5.{ms:04d}.png" for n, stamps in names.items() for ms in stamps))
    left, expected = {name: set(stamps) for name, stamps in names.items()}, {}
    while True:  # the closest two of those left, again and again
        gaps = [(abs(i - j), i, j) for i in left["a"] for j in left["b"]]
        gap, i, j = min(gaps)
        if gap > 30:
            break
        expected[i] = j
        left["a"].remove(i)
        left["b"].remove(j)
    frames, unmatched = spelled(match_frames({"a": "a", "b": "b"}, Stamps("3ms")))
    found = {int(key[2:]): int(files["b"][4:8]) for key, files in frames.items()}
    assert list(found) == sorted(found)
    assert len(found) > 10
    gaps = sorted(abs(i - j) for i, j in found.items())
    assert gaps == sorted(abs(i - j) for i, j in expected.items())
    assert {name: len(files) for name, files in unmatched.items()} == {
        name: 40 - len(found) for name in "ab"
    }


@pytest.mark.parametrize("stamps", [None, Stamps("100ms")])
def test_a_frame_may_lack_an_optional_sensor(tree, stamps):
    tree("rgb/1.png", "rgb/2.png", "rgb/3.png", "depth/2.png", "depth/9.png")
    sources = {"rgb": "rgb", "depth": "depth"}
    frames, unmatched = spelled(match_frames(sources, stamps, optional=["depth"]))
    assert frames == {
        "1": {"rgb": "rgb/1.png"},
        "2": {"rgb": "rgb/2.png", "depth": "depth/2.png"},
        "3": {"rgb": "rgb/3.png"},
    }
    assert unmatched == {"depth": ["depth/9.png"]}
    assert list(spelled(match_frames(sources, stamps, optional=["rgb"]))[0]) == [
        "2"
    ] + (["9"] if stamps is None else [])

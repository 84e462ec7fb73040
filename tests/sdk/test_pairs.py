from __future__ import annotations

import pytest

from fuseg.errors import ArgumentError, InputFileError
from fuseg.pairs import pair


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


def told(pairs):
    frames = {f.key: {n: str(p) for n, p in f.files.items()} for f in pairs.frames}
    unpaired = {n: [str(p) for p in files] for n, files in pairs.unpaired.items()}
    return frames, unpaired


def test_one_file_per_input_is_one_frame_whatever_the_names(tree):
    tree("left.png", "other/right.tif")
    assert told(pair({"rgb": "left.png", "depth": "other/right.tif"})) == (
        {"left": {"rgb": "left.png", "depth": "other/right.tif"}},
        {},
    )


def test_folders_pair_by_stem_in_the_order_of_the_keys(tree):
    tree("rgb/b.jpg", "rgb/a.jpg", "depth/a.png", "depth/b.png")
    pairs = pair({"rgb": "rgb", "depth": "depth/"})
    assert [frame.key for frame in pairs.frames] == ["a", "b"]
    assert told(pairs)[0]["b"] == {"rgb": "rgb/b.jpg", "depth": "depth/b.png"}


def test_patterns_pair_by_what_the_star_stood_for(tree):
    tree("s/1_rgb.png", "s/2_rgb.png", "s/1_depth.png", "s/2_depth.png")
    assert told(pair({"rgb": "s/*_rgb.png", "depth": "s/*_depth.png"})) == (
        {
            "1": {"rgb": "s/1_rgb.png", "depth": "s/1_depth.png"},
            "2": {"rgb": "s/2_rgb.png", "depth": "s/2_depth.png"},
        },
        {},
    )


def test_the_star_may_stand_for_a_folder_but_never_crosses_one(tree):
    tree("run/7/rgb.png", "run/8/deep/rgb.png", "run/rgb.png")
    assert told(pair({"rgb": "run/*/rgb.png"})) == (
        {"7": {"rgb": "run/7/rgb.png"}},
        {},
    )


def test_brackets_and_question_marks_stand_for_themselves(tree):
    tree("[a]?1.png", "a1.png", "b1.png")
    assert told(pair({"rgb": "[a]?*.png"}))[0] == {"1": {"rgb": "[a]?1.png"}}


def test_the_two_sides_of_a_pattern_do_not_overlap(tree):
    tree("aba.png", "abXba.png")
    assert list(told(pair({"rgb": "ab*ba.png"}))[0]) == ["X"]


def test_the_star_stands_for_at_least_one_character(tree):
    tree("rgb_.png", "rgb_1.png")
    assert list(told(pair({"rgb": "rgb_*.png"}))[0]) == ["1"]


def test_a_folder_and_a_pattern_and_a_file_pair_by_key(tree):
    tree("rgb/1.png", "rgb/2.png", "d1x.png", "t/1.tif")
    assert told(pair({"rgb": "rgb", "depth": "d*x.png", "thermal": "t/1.tif"})) == (
        {"1": {"rgb": "rgb/1.png", "depth": "d1x.png", "thermal": "t/1.tif"}},
        {"rgb": ["rgb/2.png"]},
    )


def test_files_without_a_partner_are_told_for_every_sensor(tree):
    tree("rgb/1.png", "rgb/2.png", "depth/2.png", "depth/3.png", "depth/4.png")
    assert told(pair({"rgb": "rgb", "depth": "depth"})) == (
        {"2": {"rgb": "rgb/2.png", "depth": "depth/2.png"}},
        {"rgb": ["rgb/1.png"], "depth": ["depth/3.png", "depth/4.png"]},
    )


def test_nothing_that_pairs_is_no_error(tree):
    tree("rgb/1.png", "depth/2.png")
    assert told(pair({"rgb": "rgb", "depth": "depth"})) == (
        {},
        {"rgb": ["rgb/1.png"], "depth": ["depth/2.png"]},
    )


def test_a_folder_with_one_file_still_pairs_by_its_name(tree):
    tree("rgb/1.png", "2.png")
    assert not pair({"rgb": "rgb", "depth": "2.png"}).frames


def test_in_folders_only_images_count(tree):
    tree("rgb/1.PNG", "rgb/notes.txt", "rgb/.hidden.png", "rgb/sub.png/1.txt")
    assert told(pair({"rgb": "rgb"}))[0] == {"1": {"rgb": "rgb/1.PNG"}}


def test_hidden_files_match_only_a_pattern_that_names_them(tree):
    tree(".a.png", "b.png")
    assert list(told(pair({"rgb": "*.png"}))[0]) == ["b"]
    assert list(told(pair({"rgb": ".*.png"}))[0]) == ["a"]


def test_two_files_of_one_key_are_refused_by_name(tree):
    tree("rgb/a.png", "rgb/a.jpg")
    with pytest.raises(ArgumentError) as caught:
        pair({"rgb": "rgb"})
    assert str(caught.value) == (
        "rgb: rgb/a.jpg and rgb/a.png have the same key 'a': give a pattern that "
        "takes one of them."
    )


def test_a_pattern_with_two_stars_is_refused(tree):
    tree("a/1.png")
    with pytest.raises(ArgumentError, match=r"^rgb: a pattern must have one \*, got"):
        pair({"rgb": "*/*.png"})


@pytest.mark.parametrize(
    ("source", "sentence"),
    [
        ("gone.png", "rgb: there is no file gone.png."),
        ("gone/*.png", "rgb: the folder gone cannot be read: No such file or direc"),
        ("x*.png", "rgb: no file matches x*.png."),
        ("empty", "rgb: the folder empty holds no image (.png .jpg"),
    ],
)
def test_what_is_not_there_is_named(tree, source, sentence):
    tree("empty/notes.txt")
    with pytest.raises(InputFileError) as caught:
        pair({"rgb": source})
    assert str(caught.value).startswith(sentence)


def test_an_empty_path_and_no_source_at_all_are_refused(tree):
    tree("a.png")  # else the empty path would be this folder
    with pytest.raises(ArgumentError, match=r"^rgb: the path must not be empty"):
        pair({"rgb": ""})
    with pytest.raises(ArgumentError, match=r"^sources must name at least one sensor"):
        pair({})


def test_keys_hold_no_separator(tree):
    tree("a/b/c.png", "a/d.png")
    keys = [f.key for f in pair({"rgb": "a/*"}).frames]
    assert keys == ["d.png"]

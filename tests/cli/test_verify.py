from __future__ import annotations

import re

import numpy as np
import pytest

import fuseg as library

PIXELS = 60 * 80


def test_samples_that_replay_pass(fuseg, sampled):
    done = fuseg("verify", sampled())
    assert (done.code, done.stderr) == (0, "")
    assert done.stdout.splitlines() == [
        "fp32 on onnxruntime, sample 0: 1.000000 of the labels agree",
        "fp32 on onnxruntime, sample 1: 1.000000 of the labels agree",
    ]


@pytest.mark.parametrize(("wrong", "code"), [(2, 0), (3, 1)])
def test_the_bar_is_9995_of_10000_labels_in_every_sample(fuseg, sampled, wrong, code):
    done = fuseg("verify", sampled(wrong), "--json")
    assert done.code == code
    assert done.json["passed"] is (code == 0)
    assert [s["agreement"] for s in done.json["samples"]] == [
        1.0,
        (PIXELS - wrong) / PIXELS,
    ]
    assert done.json["truth"] is None


def test_a_failure_is_told_on_stderr(fuseg, sampled):
    done = fuseg("verify", sampled(48), "--min-agreement", "0.995")
    assert done.code == 1
    assert done.stderr == (
        "failed: fp32 on onnxruntime, sample 1: 0.990000 of the labels agree, at "
        "least 0.995 must.\n"
    )
    assert fuseg("verify", sampled(48), "--min-agreement", "0.99").code == 0


def test_a_bundle_without_samples_cannot_pass(fuseg, rgbd):
    done = fuseg("verify", rgbd.path)
    assert done.code == 1
    assert done.stderr.startswith("failed: nothing to verify: ")


@pytest.fixture
def scored(rgbd, frames, saved, tmp_path):
    """Words for two frames with truth: the bundle's labels, but for 8 pixels of the
    first (class + 1 instead) and 6 of the second (ignored)."""
    segmenter = library.load(rgbd.path)
    for index in (0, 1):
        arrays = frames(index)
        for name, array in arrays.items():
            saved(f"{name}/{index}.png", array)
        truth = segmenter(**arrays).labels
        if index == 0:
            truth[0] = (truth[0] + 1) % 4
        else:
            truth.ravel()[:6] = 255
        saved(f"truth/{index}.png", truth)
    return [
        *("verify", rgbd.path, "--input", f"rgb={tmp_path}/rgb"),
        *("--input", f"depth={tmp_path}/depth", "--truth", f"{tmp_path}/truth/*.png"),
    ]


def test_true_labels_give_iou_by_their_definition(fuseg, rgbd, scored, frames):
    done = fuseg(*scored, "--json")
    assert done.code == 0
    segmenter = library.load(rgbd.path)
    both = np.zeros(4)
    either = np.zeros(4)
    for index in (0, 1):
        given = segmenter(**frames(index)).labels.ravel().astype(int)
        true = given.copy()
        if index == 0:
            true[:8] = (true[:8] + 1) % 4
        else:
            given, true = given[6:], true[6:]
        for k in range(4):
            both[k] += ((given == k) & (true == k)).sum()
            either[k] += ((given == k) | (true == k)).sum()
    truth = done.json["truth"]
    iou = [truth["iou"][f"class{k}"] for k in range(4)]
    for k in range(4):
        expected = both[k] / either[k] if either[k] else None
        assert iou[k] == pytest.approx(expected)
    occurring = either > 0
    assert truth["miou"] == pytest.approx((both[occurring] / either[occurring]).mean())
    assert truth["pixels"] == 90
    assert truth["pixel_accuracy"] == pytest.approx(82 / 90)
    assert truth["frames"] == 2
    assert truth["ignored_pixels"] == 6
    assert truth["ignored_share"] == 6 / 96
    assert truth["miou_classes"] == occurring.sum()
    assert truth["unmatched"] == {}


def test_a_miou_below_its_bar_ends_with_1(fuseg, scored):
    miou = fuseg(*scored, "--json").json["truth"]["miou"]
    assert fuseg(*scored, "--min-miou", f"{miou - 0.001}").code == 0
    done = fuseg(*scored, "--min-miou", f"{miou + 0.001}")
    assert done.code == 1
    assert f"failed: mIoU is {miou:.4f}, it must be" in done.stderr
    assert f"mIoU {miou:.4f} over " in done.stdout
    assert "pixel accuracy 0.9111" in done.stdout
    assert "left out: 6.25% of the truth's pixels are ignore" in done.stdout


def test_where_loading_is_refused_the_samples_are_shown_and_nothing_is_scored(
    fuseg, scored, sampled, with_variants, rgbd, onnx_of
):
    wrong = onnx_of(rgbd, bias=rgbd.bias + np.float32([3, 0, 0, 0]))
    path = with_variants(sampled(), {"fp32": wrong})
    done = fuseg("verify", path, *scored[2:], "--json")
    assert done.code == 1
    assert (len(done.json["samples"]), done.json["truth"]) == (2, None)
    assert done.json["failures"][-1].startswith("nothing is scored, as loading is ref")


def test_missing_scores_the_frames_without_a_sensor(fuseg, rgbd, scored, frames):
    without = [*scored[:4], *scored[6:]]
    assert "--missing depth=substitute" in fuseg(*without).stderr
    done = fuseg(*without, "--missing", "depth=substitute", "--json")
    substitute = {"depth": {"policy": "substitute"}}
    segmenter = library.load(rgbd.path, missing=substitute)
    right = 0
    for index in (0, 1):
        true = library.load(rgbd.path)(**frames(index)).labels.ravel().astype(int)
        found = segmenter(rgb=frames(index)["rgb"]).labels.ravel()
        if index == 0:
            true[:8] = (true[:8] + 1) % 4
        right += (found == true)[0 if index == 0 else 6 :].sum()
    assert done.json["truth"]["pixel_accuracy"] == pytest.approx(right / 90)


def test_missing_without_frames_to_score_is_refused(fuseg, rgbd):
    done = fuseg("verify", rgbd.path, "--missing", "depth=substitute")
    assert done.code == 2
    assert done.stderr == (
        "error: --missing needs frames to score: --input and --truth or --against.\n"
    )


def test_truth_without_a_partner_is_listed(fuseg, scored, saved):
    extra = saved("truth/9.png", np.zeros((6, 8), np.uint8))
    done = fuseg(*scored, "--json")
    assert done.json["truth"]["unmatched"] == {"--truth": [str(extra)]}
    assert f"are skipped: 1 of --truth (the first: {extra})." in done.stderr


def test_truth_that_matches_with_nothing_ends_with_1(fuseg, scored, tmp_path):
    for index in (0, 1):
        (tmp_path / f"truth/{index}.png").rename(tmp_path / f"truth/x{index}.png")
    done = fuseg(*scored)
    assert done.code == 1
    line = re.search(r"failed: nothing to score: no frame has a file.*", done.stderr)
    advice = dict(re.findall(r"(\S+)='([^']+)'", line[0]))
    words = [str(word) for word in scored]
    for name in ("rgb", "depth"):
        words[words.index(f"{name}={tmp_path}/{name}")] = f"{name}={advice[name]}"
    words[words.index("--truth") + 1] = advice["--truth"]
    assert fuseg(*words).code == 0


def test_truth_without_a_labelled_pixel_ends_with_1(fuseg, scored, saved):
    for index in (0, 1):
        saved(f"truth/{index}.png", np.full((6, 8), 255, np.uint8))
    done = fuseg(*scored)
    assert done.code == 1
    assert "failed: nothing to score: no frame has a labelled pixel." in done.stderr


def test_truth_matches_by_stamp_too(fuseg, scored, tmp_path):
    for name in ("rgb", "depth", "truth"):
        for index in (0, 1):
            file = tmp_path / f"{name}/{index}.png"
            file.rename(tmp_path / f"{name}/{index}.{len(name)}.png")
    done = fuseg(*scored, "--json", "--match", "stamp", "--slop", "0.5s")
    assert (done.code, done.json["truth"]["frames"]) == (0, 2)


@pytest.mark.parametrize(
    ("truth", "words"),
    [
        (np.zeros((6, 9), np.uint8), "must have the camera's size (6, 8), got (6, 9)"),
        (np.full((6, 8), 4, np.uint8), "truth must be 0 to 3, or ignore (255), got 4"),
        (np.tile(np.uint8([1, 2, 3]), (6, 8, 1)), "must be a label map with one chan"),
    ],
)
def test_truth_that_cannot_be_is_refused_by_its_file(
    fuseg, scored, saved, truth, words
):
    path = saved("truth/1.png", truth)
    done = fuseg(*scored)
    assert done.code == 2
    assert done.stderr.startswith(f"error: {path}")
    assert words in done.stderr


def test_the_users_unit_is_for_the_files_and_not_for_the_samples(
    fuseg, sampled, frames, saved
):
    path, arrays = sampled(), frames(4)
    truth = library.load(path)(**arrays).labels
    done = fuseg(
        *("verify", path, "--unit", "depth=0.1mm", "--min-miou", "1"),
        *("--input", f"rgb={saved('c.png', arrays['rgb'])}"),
        *("--input", f"depth={saved('d.png', arrays['depth'] * np.uint16(10))}"),
        *("--truth", saved("t.png", truth), "--json"),
    )
    assert (done.code, done.json["truth"]["miou"]) == (0, 1.0)


def test_frames_and_truth_belong_together(fuseg, rgbd, pair_of_files):
    for words in (pair_of_files, ["--truth", "x.png"]):
        done = fuseg("verify", rgbd.path, *words)
        assert done.code == 2
        assert "error: --input and --truth must be given together" in done.stderr
    done = fuseg("verify", rgbd.path, "--min-miou", "0.5")
    assert done.code == 2
    assert "error: --min-miou needs frames to score" in done.stderr


def quoted(sentence):
    """The lines for a truth map that a sentence advises."""
    return "\n".join(re.findall(r"'([^']+ = [^']+)'", sentence))


@pytest.fixture
def mask_words(make_bundle, plane_input, frames, saved):
    """Words for one frame whose truth is a 0/255 mask, and the network's labels."""
    path = make_bundle(plane_input(), classes=2).path
    depth = frames()["depth"]
    labels = library.load(path)(depth=depth).labels
    truth = np.full(labels.shape, 255, np.uint8)
    truth[0, :4] = 0
    words = "--input", f"depth={saved('d.png', depth)}"
    return ["verify", path, *words, "--truth", saved("mask.png", truth)], labels


def test_a_0_255_mask_is_warned_about_and_the_advice_scores_it(
    fuseg, mask_words, tmp_path
):
    words, labels = mask_words
    done = fuseg(*words, "--json")
    assert done.code == 0
    assert done.json["truth"]["ignored_share"] == 44 / 48
    warning = done.json["truth"]["warnings"][0]
    assert warning.startswith("the truth looks like a 0/255 mask: 255 means ignore")
    assert f"warning: {warning}\n" in done.stderr
    (tmp_path / "map.txt").write_text(quoted(warning))
    done = fuseg(*words, "--truth-map", tmp_path / "map.txt", "--json")
    assert done.code == 0
    assert done.json["truth"]["ignored_share"] == 0
    assert "mask" not in done.stderr
    mask = np.ones((6, 8), int)
    mask[0, :4] = 0
    right = np.count_nonzero(mask == labels) / 48
    assert done.json["truth"]["pixel_accuracy"] == pytest.approx(right)


def test_labels_from_1_with_0_for_void_are_warned_about_and_the_advice_works(
    fuseg, scored, saved, rgbd, frames, tmp_path
):
    for index in (0, 1):
        labels = library.load(rgbd.path)(**frames(index)).labels.astype(np.uint16)
        saved(f"truth/{index}.png", np.where(labels == 3, 0, labels + 1).astype("u2"))
    done = fuseg(*scored, "--json")
    assert done.code == 0
    warning = done.json["truth"]["warnings"][0]
    assert warning.startswith("the truth's ids look one too high: ")
    (tmp_path / "map.txt").write_text(quoted(warning))
    done = fuseg(*scored, "--truth-map", tmp_path / "map.txt", "--json")
    assert (done.code, done.json["truth"]["miou"]) == (0, 1.0)


def test_labels_without_the_first_class_are_warned_about_and_the_advice_works(
    fuseg, scored, saved, rgbd, frames, tmp_path
):
    for index in (0, 1):
        labels = library.load(rgbd.path)(**frames(index)).labels.astype(np.int64)
        saved(f"truth/{index}.png", np.where(labels, labels - 1, 255).astype("u1"))
    done = fuseg(*scored, "--json")
    assert done.code == 0
    warning = done.json["truth"]["warnings"][0]
    assert warning.startswith("the truth's ids look one too low: 100.0% of the labels")
    (tmp_path / "map.txt").write_text(quoted(warning))
    done = fuseg(*scored, "--truth-map", tmp_path / "map.txt", "--json")
    assert (done.code, done.json["truth"]["miou"]) == (0, 1.0)


def test_a_truth_map_without_truth_is_refused(fuseg, rgbd, tmp_path):
    done = fuseg("verify", rgbd.path, "--truth-map", tmp_path / "map.txt")
    assert done.code == 2
    assert "error: --truth-map needs frames to score" in done.stderr
    ways = "--input and --truth or --against"
    for words in (["--unit", "depth=m"], ["--match", "stamp"], ["--plane", "rgb=RGB"]):
        done = fuseg("verify", rgbd.path, *words)
        assert (done.code, done.stderr) == (
            2,
            f"error: {words[0]} needs frames to score: {ways}.\n",
        )


def test_robustness_is_measured_on_the_frames_that_are_scored(fuseg, scored):
    done = fuseg(*scored, "--robustness", "--json")
    assert done.code == 0
    found = done.json["robustness"]
    whole, rgb, _ = found["subsets"]
    assert whole["sensors"] == ["rgb", "depth"]
    assert whole["miou"] == pytest.approx(done.json["truth"]["miou"], abs=1e-6)
    assert (rgb["miou"], rgb["refused"], rgb["refused_without"]) == (0, 2, ["depth"])
    assert found["frames"] == 2
    words = fuseg(*scored, "--robustness").stdout
    assert "rgb: all of 2 frames refused without depth, their mIoU is 0" in words
    assert re.search(r"(?m)^mean of these +0\.\d{4}  0\.\d{4} to 0\.\d{4}$", words)
    assert re.search(r"(?m)^75% of the pixels lost  mean with one whole +0\.\d", words)
    assert re.search(r"(?m)^noise high +rgb \+ depth +0\.\d", words)
    substituted = fuseg(*scored, "--robustness", "--missing", "depth=substitute")
    assert "rgb: all" not in substituted.stdout
    assert fuseg(*scored, "--json").json["robustness"] is None


def test_a_card_needs_true_labels_and_few_sensors(fuseg, make_bundle, plane_input):
    five = make_bundle(*(plane_input(name) for name in "abcde")).path
    done = fuseg("verify", five, "--robustness")
    assert done.stderr.startswith("error: --robustness needs frames to score: --input")
    done = fuseg("verify", five, "--robustness", "--input", "a=x", "--truth", "y")
    assert done.stderr == (
        "error: --robustness runs every set of sensors: the bundle must have 1 to 4, "
        "got 5.\n"
    )

from __future__ import annotations

import numpy as np
import pytest

from fuseg.dataset.metrics import (
    confusion,
    f1,
    iou,
    label_agreement,
    miou,
    pixel_accuracy,
    precision,
    recall,
)
from fuseg.dataset.scoring import score
from fuseg.errors import ArgumentError, DTypeError, ShapeError


def counted(truth, prediction, classes, ignore):
    """The definition, one pixel at a time."""
    counts = [[0] * classes for _ in range(classes)]
    for t, p in zip(truth.ravel().tolist(), prediction.ravel().tolist(), strict=True):
        if t != ignore:
            counts[t][p] += 1
    return counts


def set_iou(truth, prediction, label, ignore):
    """The definition on sets of pixels."""
    known = {i for i, t in enumerate(truth.ravel()) if t != ignore}
    true = {i for i in known if truth.ravel()[i] == label}
    said = {i for i in known if prediction.ravel()[i] == label}
    return len(true & said) / len(true | said) if true | said else None


@pytest.fixture
def labels():
    rng = np.random.default_rng(3)
    truth = rng.integers(0, 5, (17, 23)).astype(np.uint8)
    truth[rng.random(truth.shape) < 0.2] = 255
    return truth, rng.integers(0, 5, (17, 23)).astype(np.uint8)


def test_confusion_matches_the_definition(labels):
    counts = confusion(*labels, 6, 255)
    assert counts.dtype == np.int64
    assert counts.tolist() == counted(*labels, 6, 255)


def test_rows_of_the_confusion_are_the_truth():
    assert confusion(np.array([0]), np.array([1]), 2, 255).tolist() == [[0, 1], [0, 0]]


def test_a_class_may_be_the_ignored_one():
    truth, prediction = np.array([0, 0, 1]), np.array([1, 0, 1])
    assert confusion(truth, prediction, 2, 0).tolist() == [[0, 0], [0, 1]]


def test_a_prediction_where_the_truth_is_ignored_may_be_anything():
    truth, prediction = np.array([255, 1]), np.array([200, 1])
    assert confusion(truth, prediction, 2, 255).sum() == 1


def test_uint8_labels_do_not_overflow():
    full = np.full((3, 3), 254, np.uint8)
    assert confusion(full, full, 255, 255)[254, 254] == 9


def test_iou_matches_sets_of_pixels(labels):
    values = iou(confusion(*labels, 6, 255))
    for label in range(5):
        assert values[label] == pytest.approx(set_iou(*labels, label, 255), abs=1e-15)
    assert np.isnan(values[5])


def test_a_class_that_is_only_predicted_scores_zero_and_counts():
    counts = confusion(np.array([0, 0]), np.array([0, 1]), 3, 255)
    assert iou(counts)[:2].tolist() == [0.5, 0.0]
    assert miou(counts) == 0.25


def test_miou_of_the_truth_itself_is_one(labels):
    truth, _ = labels
    assert miou(confusion(truth, truth, 9, 255)) == 1.0


def test_miou_of_nothing_is_refused():
    with pytest.raises(ArgumentError, match="at least one pixel"):
        miou(np.zeros((3, 3), np.int64))


@pytest.mark.parametrize("shape", [(3,), (2, 3), (2, 2, 2)])
def test_a_confusion_that_is_not_square_is_refused(shape):
    with pytest.raises(ShapeError, match=r"must have shape \(C, C\)"):
        iou(np.ones(shape, np.int64))


def test_label_agreement_is_the_share_of_equal_pixels():
    assert label_agreement(np.array([1, 2, 3, 4]), np.array([1, 2, 3, 0])) == 0.75


def test_label_agreement_of_nothing_is_refused():
    empty = np.zeros((0, 4), np.uint8)
    with pytest.raises(ArgumentError, match="at least one pixel"):
        label_agreement(empty, empty)


@pytest.mark.parametrize(
    "measure", [lambda a, b: confusion(a, b, 9, 255), label_agreement]
)
def test_different_shapes_and_other_types_are_refused(measure):
    good = np.zeros((2, 3), np.uint8)
    with pytest.raises(ShapeError, match=r"must have shape \(2, 3\), got \(3, 2\)"):
        measure(good, good.T)
    for bad in (good.astype(np.float32), good.astype(bool)):
        with pytest.raises(DTypeError, match="must hold integers, got"):
            measure(good, bad)
        with pytest.raises(DTypeError, match="must hold integers, got"):
            measure(bad, good)
    with pytest.raises(DTypeError, match="must be a NumPy array, got list"):
        measure(good, [[0, 0, 0], [0, 0, 0]])


@pytest.mark.parametrize(
    ("truth", "prediction", "sentence"),
    [
        ([4], [0], r"^truth must be 0 to 2, or ignore \(255\), got 4\.$"),
        ([-1], [0], r"^truth must be 0 to 2, or ignore \(255\), got -1\.$"),
        (
            [0, 1],
            [0, 3],
            r"^prediction must be 0 to 2 where the truth counts, got 3\.$",
        ),
        ([0], [-2], r"^prediction must be 0 to 2 where the truth counts, got -2\.$"),
    ],
)
def test_labels_out_of_range_are_refused(truth, prediction, sentence):
    with pytest.raises(ArgumentError, match=sentence):
        confusion(np.array(truth), np.array(prediction), 3, 255)


def test_a_frame_without_any_truth_counts_nothing():
    ignored = np.full((2, 2), 255, np.uint8)
    assert confusion(ignored, ignored, 1, 255).tolist() == [[0]]


def test_fewer_than_one_class_is_refused():
    with pytest.raises(ArgumentError, match="classes must be at least 1, got 0"):
        confusion(np.array([0]), np.array([0]), 0, 255)


def scored(truth, prediction, names, **options):
    truth, prediction = np.array(truth), np.array(prediction)
    table = confusion(truth, prediction, len(names), 255)
    return score(table, int((truth == 255).sum()), names, 255, **options)


def test_a_score_says_what_it_leaves_out():
    found = scored([0, 0, 1, 255], [0, 1, 1, 2], ("far", "near", "sky"))
    assert (found.pixels, found.ignored_pixels) == (3, 1)
    assert found.ignored_share == 0.25
    assert found.iou == {"far": 0.5, "near": 0.5, "sky": None}
    assert (found.miou, found.miou_classes) == (0.5, 2)
    assert found.pixel_accuracy == pytest.approx(2 / 3)
    assert found.absent == ("sky",)
    assert found.warnings == ("1 of 3 classes never occur in the truth: sky.",)
    assert found.words == (
        "mIoU 0.5000 over the 2 of 3 classes that occur   pixel accuracy 0.6667",
        "left out: 25.00% of the truth's pixels are ignore",
    )


def test_a_full_score_warns_of_nothing():
    found = scored([0, 1], [0, 1], ("far", "near"))
    assert found.warnings == ()
    assert found.words[0].startswith("mIoU 1.0000 over all 2 classes ")


def test_a_0_255_mask_is_told_from_labels():
    mask = [0, 0, 255]
    first, second = scored(mask, [0, 0, 0], ("far", "near")).warnings
    assert first.startswith("the truth looks like a 0/255 mask: 255 means ignore here")
    assert "'0 = far' and '255 = near'" in first
    assert second == "1 of 2 classes never occur in the truth: near."
    assert not any("mask" in w for w in scored([0, 1, 255], [0, 0, 0], "ab").warnings)
    assert scored([0, 0, 1], [0, 0, 0], "ab", mapped=True).warnings == ()


def test_ids_that_start_at_one_are_told_by_the_labels():
    prediction = [0, 0, 1, 1, 2, 0]
    shifted = [1, 1, 2, 2, 0, 0]
    first, *_ = scored(shifted, prediction, "abc").warnings
    assert first.startswith(
        "the truth's ids look one too high: 66.7% of the labels are the id minus one, "
        "16.7% the id; "
    )
    assert "'0 = ignore' and '1-3 = 0-2'" in first


def test_ids_one_too_low_are_told_by_the_labels_where_a_map_can_mend_them():
    low = [0, 0, 1, 1, 1]
    first, *_ = scored(low, [1, 1, 2, 2, 1], "abc").warnings
    assert first.startswith(
        "the truth's ids look one too low: 80.0% of the labels are the id plus one, "
        "20.0% the id; if a has no id, "
    )
    assert "the line '0-1 = 1-2'" in first
    for truth, labels in (([0, 0, 1, 1, 2], [1, 1, 2, 2, 2]), ([0, 0, 0], [1, 1, 1])):
        warnings = scored(truth, labels, "abc").warnings
        assert not any("too low" in warning for warning in warnings)


def test_more_ignored_than_counted_is_a_warning():
    assert scored([0, 1, 255, 255, 255], [0, 1, 0, 0, 0], "ab").warnings == (
        "60.0% of the truth's pixels are ignore and count nowhere.",
    )


def test_nothing_counted_has_no_score():
    found = scored([255, 255], [0, 0], "ab")
    assert (found.miou, found.pixel_accuracy, found.words) == (None, None, ())
    assert found.ignored_share == 1.0


def test_precision_recall_and_f1_are_shares_of_sets_of_pixels(labels):
    truth, prediction = labels
    counts = confusion(truth, prediction, 6, 255)
    known = truth != 255
    for label in range(5):
        true, said = (truth == label) & known, (prediction == label) & known
        both = np.count_nonzero(true & said)
        assert precision(counts)[label] == both / np.count_nonzero(said)
        assert recall(counts)[label] == both / np.count_nonzero(true)
        dice = 2 * both / (np.count_nonzero(true) + np.count_nonzero(said))
        assert f1(counts)[label] == pytest.approx(dice)
    right = np.count_nonzero((truth == prediction) & known)
    assert pixel_accuracy(counts) == right / np.count_nonzero(known)
    for values in (precision(counts), recall(counts), f1(counts)):
        assert np.isnan(values[5])  # a class that occurs in neither


@pytest.mark.parametrize("metric", [precision, recall, f1, pixel_accuracy])
def test_metrics_of_counts_that_are_not_square_are_refused(metric):
    with pytest.raises(ShapeError, match=r"shape \(C, C\), got \(2, 3\)"):
        metric(np.zeros((2, 3), np.int64))


def test_accuracy_of_nothing_is_refused():
    with pytest.raises(ArgumentError, match="at least one pixel, got none"):
        pixel_accuracy(np.zeros((2, 2), np.int64))


@pytest.mark.slow
def test_torchmetrics_says_the_same(labels):
    torch = pytest.importorskip("torch")
    functional = pytest.importorskip("torchmetrics.functional.classification")
    prediction, truth = (torch.from_numpy(x.astype(np.int64)) for x in labels[::-1])
    counts = confusion(*labels, 5, 255)
    said = {"num_classes": 5, "ignore_index": 255}
    theirs = functional.multiclass_confusion_matrix(prediction, truth, **said)
    assert theirs.tolist() == counts.tolist()
    for ours, name in (
        (precision, "precision"),
        (recall, "recall"),
        (f1, "f1_score"),
        (iou, "jaccard_index"),
    ):
        theirs = getattr(functional, f"multiclass_{name}")
        found = theirs(prediction, truth, average="none", **said)
        np.testing.assert_allclose(ours(counts), found.numpy(), rtol=1e-6)
    accuracy = functional.multiclass_accuracy(
        prediction, truth, average="micro", **said
    )
    assert pixel_accuracy(counts) == pytest.approx(float(accuracy))

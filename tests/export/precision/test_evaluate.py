"""Comparisons against hand-made counts, and what of them is over a budget."""

from __future__ import annotations

import numpy as np
import pytest

from fuseg.errors import ArgumentError
from fuseg_export.frames.packing import PackedFrame
from fuseg_export.outputs.comparison import Comparison
from fuseg_export.outputs.label_task import LabelTask
from fuseg_export.precision.evaluate import evaluate
from fuseg_export.precision.options import Budget

TASK = LabelTask(("floor", "wall", "ball"), 255, (2, 4))


def scores(labels):
    """Scores (1, 3, 2, 4) that give these labels."""
    planes = np.eye(3, dtype=np.float32)[np.array(labels)].transpose(2, 0, 1)
    return np.ascontiguousarray(planes)[None]


FULL = scores([[0, 0, 1, 1], [2, 2, 1, 1]])
LESS = scores([[0, 1, 1, 1], [2, 2, 1, 1]])
TRUTH = np.array([[0, 0, 1, 1], [2, 2, 2, 255]], np.uint8)


def comparison(frames, less=LESS):
    variants = {"less": lambda _: {"logits": less}}
    found = evaluate(frames, lambda _: {"logits": FULL}, variants, {"labels": TASK})
    return found["labels"].comparisons["less"]


def test_agreement_miou_and_the_worst_class():
    found = comparison([PackedFrame({}, TRUTH)] * 3)
    assert (found.frames, found.agreement) == (3, 7 / 8)
    assert found.max_abs_logit_diff == 1
    full, less = (1 + 2 / 3 + 2 / 3) / 3, (1 / 2 + 2 / 4 + 2 / 3) / 3
    assert found.miou == pytest.approx(less)
    assert found.miou_drop == pytest.approx(full - less)
    assert (found.worst_class, found.worst_drop) == ("floor", 0.5)
    assert found.interval == pytest.approx((found.miou_drop,) * 2), "equal frames"
    assert found.worst_frames == (0, 1, 2)


def test_without_truth_only_labels_are_compared():
    found = comparison([PackedFrame({})])
    assert found.agreement == 7 / 8
    assert found.miou is found.interval is found.worst_class is None
    over = found.over(Budget())
    assert over is not None
    assert over.startswith("0.8750 of the labels agree with fp32's, fewer than 0.995")


def test_each_part_of_the_budget():
    found, blind = (comparison([PackedFrame({}, t)]) for t in (TRUTH, None))
    free = {"miou_drop": 1, "class_drop": 1, "agreement": 0}
    assert found.over(Budget(**free)) is None
    for part, words in [
        ("miou_drop", "mIoU falls by 0.2222, more than 0.2"),
        ("class_drop", "IoU of floor falls by 0.5000, more than 0.2"),
    ]:
        assert found.over(Budget(**{**free, part: 0.2})) == words
    assert "fewer than 0.9" in str(blind.over(Budget(**{**free, "agreement": 0.9})))


def test_labels_that_differ_are_no_loss_where_the_truth_is_known():
    """A pixel that was wrong before and is wrong in another way costs nothing."""
    truth = np.full((2, 4), 1, np.uint8)
    less = scores([[2, 2, 1, 1], [0, 0, 1, 1]])
    found = comparison([PackedFrame({}, truth)], less)
    assert (found.agreement, found.miou_drop) == (0.5, 0)
    assert found.over(Budget()) is None
    assert comparison([PackedFrame({})], less).over(Budget()) is not None


def test_a_number_that_rounds_to_its_limit_has_more_decimals():
    words = Comparison(8, 0.99986, 1.0).over(Budget(agreement=0.9999))
    assert words == "0.99986 of the labels agree with fp32's, fewer than 0.9999"


def test_a_budget_with_reserve():
    found = Budget(0.01, 0.02, 0.9).with_reserve()
    assert found == Budget(0.0075, 0.02, pytest.approx(0.925), share=0.75)


def test_scores_that_are_no_numbers_are_over_every_budget():
    broken = np.full_like(LESS, np.nan)
    found = comparison([PackedFrame({}, TRUTH)], broken)
    assert "NaN or infinite" in str(found.over(Budget(1, 1, 0)))


def test_the_interval_holds_the_drop_and_shrinks_with_the_frames():
    rng = np.random.default_rng(0)

    def interval(count):
        frames = [PackedFrame({"n": rng.integers(2)}, TRUTH) for _ in range(count)]
        found = evaluate(
            frames,
            lambda _: {"logits": FULL},
            {"": lambda tensors: {"logits": LESS if tensors["n"] else FULL}},
            {"labels": TASK},
        )["labels"].comparisons[""]
        low, high = found.interval
        assert low <= found.miou_drop <= high
        return high - low

    assert 0 < interval(400) < interval(25)


def test_no_frame():
    with pytest.raises(ArgumentError, match="at least one frame, got 0"):
        comparison([])

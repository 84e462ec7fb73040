"""Verdicts against hand-made counts; repair finds the layer that was broken."""

from __future__ import annotations

import numpy as np
import pytest

from fuseg.errors import ArgumentError
from fuseg_export.passes.cut_tail import Tail
from fuseg_export.precision.calibrate import calibrate
from fuseg_export.precision.evaluate import Budget, Case, judge, labels_of, scores_of
from fuseg_export.precision.mixed_precision_search import repair, sensitivity
from fuseg_export.precision.qdq_placement import CPU
from fuseg_export.precision.quantize import quantizable, quantize

TAIL = Tail(("Resize",), (2, 4), align_corners=False, kept=None)


def scores(labels):
    """Scores (1, 3, 2, 4) that give these labels."""
    planes = np.eye(3, dtype=np.float32)[np.array(labels)].transpose(2, 0, 1)
    return np.ascontiguousarray(planes)[None]


FULL = scores([[0, 0, 1, 1], [2, 2, 1, 1]])
LESS = scores([[0, 1, 1, 1], [2, 2, 1, 1]])
TRUTH = np.array([[0, 0, 1, 1], [2, 2, 2, 255]], np.uint8)


def verdict(cases, less=LESS):
    return judge(
        cases,
        lambda _: FULL,
        {"less": lambda _: less},
        TAIL,
        classes=("floor", "wall", "ball"),
        ignore=255,
    ).verdicts["less"]


def test_agreement_miou_and_the_worst_class():
    found = verdict([Case({}, TRUTH)] * 3)
    assert (found.frames, found.agreement) == (3, 7 / 8)
    assert found.max_abs_logit_diff == 1
    full, less = (1 + 2 / 3 + 2 / 3) / 3, (1 / 2 + 2 / 4 + 2 / 3) / 3
    assert found.miou == pytest.approx(less)
    assert found.miou_drop == pytest.approx(full - less)
    assert (found.worst_class, found.worst_drop) == ("floor", 0.5)
    assert found.interval == pytest.approx((found.miou_drop,) * 2), "equal frames"
    assert found.worst_frames == (0, 1, 2)


def test_without_truth_only_labels_are_compared():
    found = verdict([Case({})])
    assert found.agreement == 7 / 8
    assert found.miou is found.interval is found.worst_class is None
    over = found.over(Budget())
    assert over is not None
    assert over.startswith("0.8750 of the labels agree with fp32's, fewer than 0.995")


def test_each_part_of_the_budget():
    found = verdict([Case({}, TRUTH)])
    free = {"miou_drop": 1, "class_drop": 1, "agreement": 0}
    assert found.over(Budget(**free)) is None
    for part, words in [
        ("miou_drop", "mIoU falls by 0.2222, more than 0.2"),
        ("class_drop", "IoU of floor falls by 0.5000, more than 0.2"),
    ]:
        assert found.over(Budget(**{**free, part: 0.2})) == words
    assert "fewer than 0.9" in str(found.over(Budget(**{**free, "agreement": 0.9})))


def test_half_a_budget():
    assert Budget(0.01, 0.02, 0.9).halved() == Budget(0.005, 0.01, 0.95)


def test_scores_that_are_no_numbers_are_over_every_budget():
    broken = np.full_like(LESS, np.nan)
    found = verdict([Case({}, TRUTH)], broken)
    assert "NaN or infinite" in str(found.over(Budget(1, 1, 0)))


def test_the_interval_holds_the_drop_and_shrinks_with_the_frames():
    rng = np.random.default_rng(0)

    def interval(count):
        cases = [Case({"n": rng.integers(2)}, TRUTH) for _ in range(count)]
        found = judge(
            cases,
            lambda _: FULL,
            {"": lambda tensors: LESS if tensors["n"] else FULL},
            TAIL,
            classes=("floor", "wall", "ball"),
            ignore=255,
        ).verdicts[""]
        low, high = found.interval
        assert low <= found.miou_drop <= high
        return high - low

    assert 0 < interval(400) < interval(25)


def test_no_frame():
    with pytest.raises(ArgumentError, match="at least one frame, got none"):
        verdict([])


@pytest.fixture(scope="module")
def outlier(exported, frames):
    """A network of depthwise layers, one channel 300 times as loud as the others."""
    model, tail = exported("depthwise")
    given = [Case(tensors) for tensors in frames("depthwise", 6)]
    ranges = calibrate(model, (case.tensors for case in given))
    return model, tail, given, lambda keep: quantize(model, ranges, CPU, keep)


def test_a_planted_outlier_is_found_and_repaired(outlier):
    model, tail, given, make = outlier
    budget = Budget(agreement=0.97)
    found = repair(
        *(model, quantizable(model, CPU), make, scores_of, tail, given),
        budget=budget,
        classes=(),
        ignore=255,
    )
    assert found.naive.over(budget) is not None
    assert found.repaired.over(budget) is None
    assert 0 < len(found.kept) < len(found.sensitivity)
    assert "/network/deep.0/deep.0.0/Conv" in found.kept, "which reads the loud channel"
    own = scores_of(make(found.kept))
    full = scores_of(model)
    agree = [
        (labels_of(own(c.tensors), tail) == labels_of(full(c.tensors), tail)).mean()
        for c in given
    ]
    assert np.mean(agree) == pytest.approx(found.repaired.agreement)


def test_the_loud_channel_s_reader_is_the_most_sensitive(outlier):
    model, tail, given, make = outlier
    found = sensitivity(
        model, quantizable(model, CPU), make, scores_of, tail, given[:2]
    )
    first = next(iter(found))
    assert first in ("/network/enter/Conv", "/network/deep.0/deep.0.0/Conv")
    changes = list(found.values())
    assert changes == sorted(changes, reverse=True)
    assert changes[0] > 5 * changes[-1]


def test_nothing_is_repaired_that_is_good_enough(outlier):
    model, tail, given, make = outlier
    free = Budget(1, 1, 0)
    found = repair(
        *(model, quantizable(model, CPU), make, scores_of, tail, given),
        budget=free,
        classes=(),
        ignore=255,
    )
    assert found.kept == ()
    assert found.sensitivity == {}
    assert found.repaired is found.naive

"""Comparisons against hand-made counts; the search finds the layer that was broken."""

from __future__ import annotations

import numpy as np
import pytest

from fuseg.errors import ArgumentError
from fuseg_export.frames.packing import PackedFrame
from fuseg_export.outputs.label_task import LabelTask
from fuseg_export.precision.calibrate import calibrate
from fuseg_export.precision.evaluate import evaluate, network_function
from fuseg_export.precision.int8.qdq_placement import CPU
from fuseg_export.precision.int8.quantize import quantizable, quantize
from fuseg_export.precision.mixed_precision_search import search, sensitivity
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
    found = comparison([PackedFrame({}, TRUTH)])
    free = {"miou_drop": 1, "class_drop": 1, "agreement": 0}
    assert found.over(Budget(**free)) is None
    for part, words in [
        ("miou_drop", "mIoU falls by 0.2222, more than 0.2"),
        ("class_drop", "IoU of floor falls by 0.5000, more than 0.2"),
    ]:
        assert found.over(Budget(**{**free, part: 0.2})) == words
    assert "fewer than 0.9" in str(found.over(Budget(**{**free, "agreement": 0.9})))


def test_half_a_budget():
    assert Budget(0.01, 0.02, 0.9).halved() == Budget(0.005, 0.01, 0.95, share=0.5)


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


@pytest.fixture(scope="module")
def outlier(exported, frames):
    """A network of depthwise layers, one channel 300 times as loud as the others."""
    model, tail = exported("depthwise")
    given = [PackedFrame(tensors) for tensors in frames("depthwise", 6)]
    ranges = calibrate(model, (frame.tensors for frame in given))
    task = LabelTask((), 255, tail.size, tail.align_corners)
    return model, task, given, lambda keep: quantize(model, ranges, CPU, keep)


def test_a_planted_outlier_is_found_and_kept_in_float(outlier):
    model, task, given, make = outlier
    budget = Budget(agreement=0.97)
    found = search(
        model, quantizable(model, CPU), make, {"labels": task}, given, budget=budget
    )
    assert found.all_int8.over(budget) is not None
    assert found.mixed.over(budget) is None
    assert 0 < len(found.float_nodes) < len(found.sensitivity)
    assert "/network/deep.0/deep.0.0/Conv" in found.float_nodes, (
        "which reads the loud channel"
    )
    own = network_function(make(found.float_nodes))
    full = network_function(model)
    agree = [
        task.agreement(*(task.result(f(c.tensors)["logits"]) for f in (own, full)))
        for c in given
    ]
    assert np.mean(agree) == pytest.approx(found.mixed.agreement)


def test_the_loud_channel_s_reader_is_the_most_sensitive(outlier):
    model, task, given, make = outlier
    found = sensitivity(
        model, quantizable(model, CPU), make, {"labels": task}, given[:2]
    )
    first = next(iter(found))
    assert first in ("/network/enter/Conv", "/network/deep.0/deep.0.0/Conv")
    changes = list(found.values())
    assert changes == sorted(changes, reverse=True)
    assert changes[0] > 5 * changes[-1]


def test_nothing_stays_in_float_that_is_good_enough_in_int8(outlier):
    model, task, given, make = outlier
    free = Budget(1, 1, 0)
    found = search(
        model, quantizable(model, CPU), make, {"labels": task}, given, budget=free
    )
    assert found.float_nodes == ()
    assert found.sensitivity == {}
    assert found.mixed is found.all_int8

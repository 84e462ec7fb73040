"""The search finds the layer that was broken, and knows when to end.

Its rules are tried on networks whose loss is known: of pixels whose margins are spread
evenly over 0 to 1, each quantized layer turns the share that is its error.
"""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from fuseg_export.frames.packing import PackedFrame
from fuseg_export.outputs.label_task import LabelTask
from fuseg_export.precision.calibrate import calibrate
from fuseg_export.precision.evaluate import network_function
from fuseg_export.precision.int8.qdq_placement import CPU, TENSORRT
from fuseg_export.precision.int8.quantize import quantizable, quantize
from fuseg_export.precision.mixed_precision_search import (
    Judge,
    Placement,
    search,
    sensitivity,
)
from fuseg_export.precision.options import Budget

ERRORS = dict(zip("abcdefgh", (8, 7, 6, 5, 4, 3, 2, 1), strict=True))  # thousandths
SIZE = (10, 100)
TASKS = {"labels": LabelTask(("one", "other"), 255, SIZE)}


def shifted(thousandths):
    """A network that turns so many of a thousand pixels into class 0."""
    model = onnx.parser.parse_model(
        """<ir_version: 8, opset_import: ["" : 17]>
        g (float[1,2,10,100] x) => (float[1,2,10,100] logits) {
            logits = Add(x, shift)
        }"""
    )
    shift = np.array([thousandths / 1000, 0], np.float32).reshape(1, 2, 1, 1)
    model.graph.initializer.append(numpy_helper.from_array(shift, "shift"))
    return model


def with_errors(kept):
    return shifted(sum(error for node, error in ERRORS.items() if node not in kept))


def frame(margins):
    scores = np.zeros((1, 2, *SIZE), np.float32)
    scores[0, 1] = np.reshape(margins, SIZE)
    return PackedFrame({"x": scores})


EVEN = frame((np.arange(1000) + 0.5) / 1000)
SURE = frame(np.ones(1000))
PLACEMENT = Placement(
    shifted(0), tuple(ERRORS), with_errors, lambda node: shifted(ERRORS[node])
)


def judge(agreement, **changes):
    budget = Budget(agreement=agreement)
    return Judge(TASKS, **{"frames": [EVEN], "few": [EVEN], "budget": budget} | changes)


def test_the_fewest_layers_stay_in_float():
    """A reserve of a quarter leaves 15 thousandths: d to h."""
    found = search(PLACEMENT, judge(0.98))
    assert found.float_nodes == ("a", "b", "c")
    assert found.all_int8.agreement == pytest.approx(1 - 0.036)
    assert found.mixed.agreement == pytest.approx(1 - 0.015)
    assert found.stopped is None


def test_all_frames_decide_though_few_rank():
    found = search(PLACEMENT, judge(0.98, frames=[SURE, EVEN], few=[SURE]))
    assert found.all_int8.frames == 2
    assert found.all_int8.agreement == pytest.approx(1 - 0.018)
    assert found.float_nodes, "which the frames that layers are ranked on do not show"


def test_where_float_itself_is_over_the_budget_no_layer_is_tried():
    tried = []

    def alone(node):
        tried.append(node)
        return shifted(ERRORS[node])

    spoilt = Placement(shifted(0), tuple(ERRORS), lambda _: shifted(500), alone)
    found = search(spoilt, judge(0.98))
    assert tried == []
    assert found.float_nodes == ()
    assert "with every layer in float" in found.stopped


def paces(first, step):
    return lambda kept: first + step * len(kept)


def test_what_is_slower_than_float_is_not_taken_and_the_last_before_it_is_named():
    """The budget would need six layers in float; of five on it is not faster."""
    found = search(PLACEMENT, judge(0.996, speed=paces(0.5, 0.11)))
    assert found.float_nodes == ("a", "b", "c", "d")
    assert found.mixed.agreement == pytest.approx(1 - 0.010)
    assert found.stopped == (
        "with 6 of 8 layers in float it is within its budget but takes 1.16 of the "
        "time without INT8"
    )


def test_the_search_ends_where_it_became_too_slow():
    asked = []

    def speed(kept):
        asked.append(len(kept))
        return 0.9 + 0.1 * len(kept)

    found = search(PLACEMENT, judge(0.999, speed=speed))
    assert found.float_nodes == ("a",)
    assert "with 2 of 8 layers in float it is over it still and takes" in found.stopped
    assert max(asked) == 2


def test_a_reserve_gives_way_to_speed():
    """Within 16 thousandths are d to h, 12 are e to h: too slow."""
    fast = search(PLACEMENT, judge(0.984))
    assert fast.float_nodes == ("a", "b", "c", "d")
    found = search(PLACEMENT, judge(0.984, speed=paces(0.5, 0.15)))
    assert found.float_nodes == ("a", "b", "c")
    assert found.stopped is None


def test_speed_says_nothing_where_int8_throughout_is_slow_too():
    found = search(PLACEMENT, judge(0.98, speed=paces(1.1, 0.1)))
    assert found.float_nodes == ("a", "b", "c")


def test_everything_in_float_is_no_int8():
    found = search(PLACEMENT, judge(1.0))
    assert len(found.float_nodes) < len(ERRORS)
    assert found.stopped == "with all 8 layers in float nothing of it would be INT8"


@pytest.mark.parametrize("proven", [True, False])
def test_truth_of_other_frames_spares_the_search(proven):
    found = search(PLACEMENT, judge(0.98, proves=lambda _: proven))
    assert bool(found.float_nodes) is not proven


def test_nothing_stays_in_float_that_is_good_enough_in_int8():
    found = search(PLACEMENT, judge(0))
    assert (found.float_nodes, found.sensitivity) == ((), {})
    assert found.mixed is found.all_int8


@pytest.fixture(scope="module")
def outlier(exported, frames):
    """A network of depthwise layers, one channel 300 times as loud as the others."""
    model, tail = exported("depthwise")
    given = [PackedFrame(tensors) for tensors in frames("depthwise", 6)]
    ranges = calibrate(model, (one.tensors for one in given))
    task = LabelTask((), 255, tail.size, tail.align_corners)
    return placed(model, ranges, CPU), task, given


def placed(model, ranges, scheme):
    nodes = quantizable(model, scheme)
    anywhere = scheme.anywhere()
    return Placement(
        model,
        nodes,
        lambda kept: quantize(model, ranges, scheme, kept),
        lambda node: quantize(model, ranges, anywhere, {*nodes} - {node}),
    )


def test_a_planted_outlier_is_found_and_kept_in_float(outlier):
    placement, task, given = outlier
    budget = Budget(agreement=0.96)
    found = search(placement, Judge({"labels": task}, given, given, budget))
    assert found.all_int8.over(budget) is not None
    assert found.mixed.over(budget) is None
    assert 0 < len(found.float_nodes) < len(found.sensitivity)
    assert "/network/deep.0/deep.0.0/Conv" in found.float_nodes, (
        "which reads the loud channel"
    )
    own = network_function(placement.quantized(found.float_nodes))
    full = network_function(placement.network)
    agree = [
        task.agreement(*(task.result(f(c.tensors)["logits"]) for f in (own, full)))
        for c in given
    ]
    assert np.mean(agree) == pytest.approx(found.mixed.agreement)


def test_the_loud_channel_s_reader_is_the_most_sensitive(outlier):
    placement, task, given = outlier
    found = sensitivity(placement, {"labels": task}, given[:2])
    first = next(iter(found))
    assert first in ("/network/enter/Conv", "/network/deep.0/deep.0.0/Conv")
    changes = list(found.values())
    assert changes == sorted(changes, reverse=True)
    assert changes[0] > 5 * changes[-1]


@pytest.mark.parametrize("scheme", [CPU, TENSORRT], ids=["cpu", "tensorrt"])
@pytest.mark.parametrize("name", ["fusing", "transformer"])
def test_each_pair_is_ranked_by_itself(exported, frames, name, scheme):
    """Of an addition, a product or a pool, too: its pairs are there, no others."""
    model, _ = exported(name)
    placement = placed(model, calibrate(model, frames(name, 2)), scheme)
    kinds = {n.op_type for n in model.graph.node if n.name in placement.nodes}
    assert kinds > {*CPU.weighted} & kinds or scheme is TENSORRT
    owned = set()
    for node in placement.nodes:
        found = behind(placement.alone(node))
        assert found, node
        owned |= found
    moved = {v for n in model.graph.node if n.op_type in CPU.moves for v in n.output}
    assert behind(placement.quantized(())) - owned <= moved


def behind(model):
    """The values that have a pair."""
    return {n.input[0] for n in model.graph.node if n.op_type == "QuantizeLinear"}

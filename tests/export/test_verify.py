"""Stages are compared pixel by pixel, and what differs too much is refused."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from onnx import numpy_helper
from torch import nn
from torch.nn import functional as F

from fuseg.errors import ExportError
from fuseg.manifest import SegmentationOutput, Tail, Upsample
from fuseg_export.frames.packing import PackedFrame
from fuseg_export.network.outputs import SelectedOutputs, Source
from fuseg_export.network.spec import default_classes
from fuseg_export.outputs import OutputRequest
from fuseg_export.outputs.base import Prediction
from fuseg_export.outputs.segmentation import Segmentation
from fuseg_export.passes.cut_tail import CutTail, find_tail
from fuseg_export.stage_programs import onnx_program, torch_program
from fuseg_export.to_onnx import to_onnx
from fuseg_export.verify import compare

CLASSES = ("floor", "wall", "crate")
SIZE = (40, 60)


def scores(seed=0, scale=1.0):
    rng = np.random.default_rng(seed)
    return (scale * rng.standard_normal((3, *SIZE))).astype(np.float32)


def predict(values):
    return Prediction(values, values.argmax(0).astype(np.uint8))


def output_of(classes=CLASSES):
    """A segmentation with these classes, whose tail was cut."""
    request = OutputRequest("labels", "segmentation")
    record = SegmentationOutput(
        name="labels",
        tensor="logits",
        upsample=Upsample(align_corners=False),
        ignore=255,
        classes=default_classes(len(classes), classes),
        tail=Tail((), SIZE),
    )
    return Segmentation(request, record)


def compared(expected, got, labels=None, truth=None, frames=1):
    """Torch gives ``expected``, the graph ``got``, the runtime ``labels``."""
    labels = predict(expected).result if labels is None else labels
    programs = {
        "torch": lambda _: {"labels": predict(expected)},
        "onnx": lambda _: {"labels": predict(got)},
    }
    packed = [(PackedFrame({}, truth), {"labels": labels})] * frames
    return compare(packed, programs, [output_of()])


def near_tie(gap, scale=1.0):
    """Scores in which one pixel is undecided by ``gap``, and with the other label."""
    one = scores(scale=scale)
    one[:, 3, 5] = -scale, scale, scale + gap
    other = one.copy()
    other[:, 3, 5] = -scale, scale + gap, scale
    return one, other


def test_equal_stages_agree_completely():
    onnx, runtime = compared(scores(), scores(), frames=3)
    assert (onnx.stage, onnx.against, onnx.frames) == ("onnx", "torch", 3)
    assert (runtime.stage, runtime.against) == ("runtime", "torch")
    for result in (onnx, runtime):
        assert result.label_agreement == 1
        assert (result.max_abs_logit_diff, result.largest_gap) == (0, 0)
        assert result.miou is None


def test_the_numbers_are_those_of_the_definition():
    one, other = near_tie(5e-5)
    truth = predict(one).result.copy()
    truth[0, :30] = 255
    onnx, _ = compared(one, other, truth=truth)
    assert onnx.label_agreement == 1 - 1 / (SIZE[0] * SIZE[1])
    assert onnx.max_abs_logit_diff == np.abs(one - other).max()
    best = np.sort(one[:, 3, 5])
    assert onnx.largest_gap == pytest.approx(best[2] - best[1])
    ious = []
    for i in range(3):
        t, p = truth == i, (predict(other).result == i) & (truth != 255)
        ious.append((t & p).sum() / (t | p).sum())
    assert onnx.miou == pytest.approx(np.mean(ious))


def test_a_label_may_change_at_a_tie_but_not_beside_one():
    compared(*near_tie(0.9e-4, scale=0.2))
    with pytest.raises(ExportError, match=r"up to 0\.0003 apart \(at most 0\.0001\)"):
        compared(*near_tie(3e-4, scale=0.2))


def test_too_many_ties_are_too_many_labels():
    one = np.zeros((3, *SIZE), np.float32)
    other = one.copy()
    other[2, :, :2] = 1e-6
    agreement = 1 - 2 / SIZE[1]
    with pytest.raises(ExportError, match=f"{agreement:.6f} of the labels agree"):
        compared(one, other)


def test_ties_closer_than_rounding_count_as_no_other_label():
    one, other = scores(), scores()
    second, first = np.argsort(one[:, :, :4], 0)[-2:]
    columns = np.ix_(range(SIZE[0]), range(4))
    for index, (a, b) in enumerate(zip(second.flat, first.flat, strict=True)):
        y, x = (side.flat[index] for side in np.broadcast_arrays(*columns))
        one[a, y, x], other[b, y, x] = one[b, y, x] - 1e-6, one[b, y, x] - 2e-6
        other[a, y, x] = one[a, y, x]
    changed = predict(one).result != predict(other).result
    assert changed.sum() == 4 * SIZE[0], "0.17 of the labels"
    onnx, _ = compared(one, other)
    assert onnx.label_agreement == 1 - 4 / SIZE[1]


def test_the_budgets_grow_with_the_scores():
    one, other = near_tie(3e-3, scale=100)
    assert np.abs(one).max() > 100
    compared(one, other)


def test_a_stage_that_differs_names_itself_the_classes_and_the_numbers():
    wrong = scores()
    floor = wrong.argmax(0) == 0
    wrong[0][floor] -= 10
    lost = int(floor.sum())
    low, high = np.sort(scores()[:, floor], 0)[-2:]
    told_apart = np.count_nonzero(high - low >= 1e-4 * np.ptp(scores()))
    assert told_apart < lost, "a tie is among them"
    with pytest.raises(ExportError) as caught:
        compared(scores(), wrong, frames=2)
    sentence = str(caught.value)
    assert sentence.startswith("stage onnx computes something else than torch on 2 fra")
    assert f"{1 - told_apart / floor.size:.6f} of the labels agree" in sentence
    assert f"scores differ by up to {10:.2g} (at most" in sentence
    assert sentence.endswith(f"classes that lose most pixels: floor ({2 * lost}).")


def test_scores_that_drift_without_changing_a_label_are_refused():
    with pytest.raises(ExportError, match=r"most pixels: none\.$"):
        compared(scores(), scores() * 1.01)


def test_scores_that_turn_nan_are_refused():
    got = scores()
    got[1, 0, 0] = np.nan
    with pytest.raises(ExportError, match=r"stage onnx .* differ by up to nan"):
        compared(scores(), got)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_network_without_finite_scores_is_refused(value):
    expected = scores()
    expected[1, 0, 0] = value
    with pytest.raises(ExportError, match="scores that are NaN or infinite"):
        compared(expected, expected)


def test_labels_of_the_runtime_are_compared_with_torch():
    labels = predict(scores()).result.copy()
    labels[:4] = 2
    with pytest.raises(ExportError, match=r"stage runtime .* than torch"):
        compared(scores(), scores(), labels=labels)


def test_comparing_nothing_is_an_error():
    with pytest.raises(ExportError, match="stage onnx was compared on no frame at all"):
        compared(scores(), scores(), frames=0)


def test_one_class_that_looks_like_a_probability_is_refused():
    plain = np.full((1, *SIZE), 0.25, np.float32)
    one = Prediction(plain, np.zeros(SIZE, np.uint8))
    frames = [(PackedFrame({}), {"labels": one.result})]
    programs = {"torch": lambda _: {"labels": one}}
    with pytest.raises(ExportError, match="scores from 0 to 1 only"):
        compare(frames, programs, [output_of(("no", "yes"))])


class Net(nn.Module):
    def __init__(self, end, classes=3):
        super().__init__()
        torch.manual_seed(2)
        self.conv = nn.Conv2d(3, classes, 3, 4, 1)
        self.end = end

    def forward(self, x):
        x = self.conv(x)
        return self.end(F.interpolate(x, SIZE, mode="bilinear", align_corners=True))


ENDS = {
    "logits": (lambda x: x, 3),
    "probabilities": (lambda x: x.softmax(1), 3),
    "labels": (lambda x: x.argmax(1), 3),
    "bytes": (lambda x: x.softmax(1).max(1)[1].to(torch.uint8), 3),
    "labels and others": (lambda x: (x.argmax(1), (-x).argmax(1))[0], 3),
    "one class": (lambda x: x, 1),
    "one probability": (lambda x: x.sigmoid(), 1),
}


def programs_of(end, classes, spoil=None):
    network = SelectedOutputs(Net(end, classes).eval(), [Source()])
    model = to_onnx(network, {"x": torch.zeros(1, 3, *SIZE)}, 17).model
    cut, output = Segmentation(OutputRequest("labels", "segmentation")).cut(model, 0)
    output = output.followed([model, cut], 0)
    if spoil:
        spoil(cut)
    programs = {
        "torch": torch_program(network, ["x"], [output]),
        "onnx": onnx_program(model, [output]),
        "cut": onnx_program(cut, [output]),
    }
    return programs, output


def results_of(programs, tensors):
    """What the runtime would give: torch's."""
    return {n: p.result for n, p in programs["torch"](tensors).items()}


def feed(seed=0):
    rng = np.random.default_rng(seed)
    return {"x": rng.standard_normal((1, 3, *SIZE), np.float32)}


@pytest.mark.parametrize("name", ENDS)
def test_every_program_gives_what_the_network_gives(name):
    end, classes = ENDS[name]
    x = torch.from_numpy(feed()["x"])
    with torch.inference_mode():
        logits = Net(lambda x: x, classes).eval()(x)[0].numpy()
    labels = (logits[0] > 0) if classes == 1 else logits.argmax(0)
    programs, output = programs_of(end, classes)
    for program in programs.values():
        given = program(feed())["labels"]
        np.testing.assert_array_equal(given.result, labels)
        assert given.tensor.shape == (classes, *SIZE)
    frames = [(PackedFrame(feed(i)), results_of(programs, feed(i))) for i in (1, 2)]
    results = compare(frames, programs, [output])
    assert [r.stage for r in results] == ["onnx", "cut", "runtime"]
    assert [r.against for r in results] == ["torch", "onnx", "torch"]
    assert all(r.label_agreement == 1 for r in results)
    assert all(r.max_abs_logit_diff < 1e-5 for r in results)


class Tokens(Net):
    """The same by way of tokens, whose sizes onnx does not infer."""

    def forward(self, x):
        x = self.conv(x)
        x = x.flatten(2).unflatten(2, x.shape[2:])
        return self.end(F.interpolate(x, SIZE, mode="bilinear", align_corners=True))


def test_a_stage_whose_sizes_are_not_known_still_has_all_of_its_tail():
    end, _ = ENDS["probabilities"]
    networks = [SelectedOutputs(kind(end).eval(), [Source()]) for kind in (Tokens, Net)]
    x = {"x": torch.zeros(1, 3, *SIZE)}
    first, simplified = (to_onnx(network, x, 17).model for network in networks)
    assert find_tail(first)[1].removed == ()
    made = Segmentation(OutputRequest("labels", "segmentation"))
    cut, output = made.cut(simplified, 0)
    output = output.followed([first, simplified, cut], 0)
    wanted = torch_program(networks[0], ["x"], [output])(feed())["labels"].tensor
    for stage in (first, simplified, cut):
        found = onnx_program(stage, [output])(feed())["labels"].tensor
        np.testing.assert_allclose(found, wanted, atol=1e-5)


def test_a_spoilt_graph_is_caught_at_its_stage():
    def spoil(model):
        bias = next(i for i in model.graph.initializer if i.dims == [3])
        changed = numpy_helper.to_array(bias) + np.float32([0, 0, 0.05])
        bias.CopyFrom(numpy_helper.from_array(changed.astype(np.float32), bias.name))

    programs, output = programs_of(*ENDS["logits"], spoil)
    frames = [(PackedFrame(feed()), results_of(programs, feed()))]
    with pytest.raises(
        ExportError, match=r"^stage cut computes something else than on"
    ):
        compare(frames, programs, [output])


def test_labels_whose_scores_cannot_be_seen_are_refused():
    class Thresholds(nn.Module):
        def forward(self, x):
            return (x[:, 0] > x[:, 1]).long()

    tail = CutTail(("ArgMax",), SIZE, align_corners=False, kept=None)
    output = Segmentation(OutputRequest("labels", "segmentation"), whole=tail)
    network = SelectedOutputs(Thresholds(), [Source()])
    with pytest.raises(ExportError, match="cannot see the scores"):
        torch_program(network, ["x"], [output])(feed())


def test_a_program_does_not_change_its_tensors():
    given = feed()
    programs, _ = programs_of(lambda x: x.mul_(2), 3)
    for program in programs.values():
        program(given)
    np.testing.assert_array_equal(given["x"], feed()["x"])

"""One network, several outputs: each is exported, verified and judged by its kind."""

from __future__ import annotations

import json
import sys

import numpy as np
import onnx
import pytest
import torch
from typer.testing import CliRunner

import fuseg
from fuseg.bundle import Bundle
from fuseg.cli import app
from fuseg.errors import ArgumentError, ExportError
from fuseg.manifest import ClassesOutput, TensorOutput
from fuseg_export.frames import selection
from fuseg_export.frames.packing import PackedFrame
from fuseg_export.network.output_options import make_requests
from fuseg_export.network.outputs import find
from fuseg_export.outputs import KINDS, OutputRequest
from fuseg_export.outputs.base import Prediction
from fuseg_export.outputs.classes import Classes
from fuseg_export.outputs.comparison import over
from fuseg_export.outputs.tensor import Passed
from fuseg_export.precision.evaluate import evaluate
from fuseg_export.precision.options import Budget
from fuseg_export.reference import preprocess
from fuseg_export.verify import compare

SIZE = (48, 64)
MODULE = '''
import torch
from torch import nn
from torch.nn import functional as F

class Three(nn.Module):
    """Labels of pixels, boxes, a class of the picture, and features: one encoder."""
    def __init__(self):
        super().__init__()
        self.encoder = nn.Sequential(nn.Conv2d(3, 8, 3, 4, 1), nn.ReLU())
        self.head, self.scene = nn.Conv2d(8, 4, 1), nn.Linear(8, 3)
        self.detector = nn.Conv2d(8, 6, 1)
        y, x = torch.meshgrid(torch.arange(12), torch.arange(16), indexing="ij")
        self.register_buffer("centres", 4 * torch.stack([x, y]).flatten(1).T + 2.0)
    def detect(self, x):
        rows = self.detector(x).flatten(2).transpose(1, 2)
        half = 3 + 4 * rows[..., :2].sigmoid()
        corners = [self.centres - half, self.centres + half]
        return torch.cat([*corners, rows[..., 4:]], 2)
    def forward(self, rgb):
        x = self.encoder(rgb)
        large = F.interpolate(self.head(x), rgb.shape[2:], mode="bilinear")
        pooled = x.mean((2, 3))
        rest = self.scene(pooled), x, self.detect(x)
        return {"semantic": {"out": large.softmax(1)}, "rest": rest}
'''
OUTPUTS = (
    *(
        "--output",
        "scene=classes:rest.0",
        "--output",
        "labels=segmentation:semantic.out",
    ),
    *("--output", "objects=boxes:rest.2", "--output", "features=tensor:rest.1"),
)
BOXES = {"form": "xyxy", "score": "class", "activation": "sigmoid"}


@pytest.fixture
def three(tmp_path, monkeypatch, quick):
    """The network in a user's folder, with weights that tell pixels apart."""
    del quick
    (tmp_path / "three.py").write_text(MODULE)
    spec = {"outputs": {"scene": {"classes": ["hall", "yard", "shop"]}}}
    spec["outputs"]["objects"] = BOXES | {"classes": ["chair", "ball"]}
    (tmp_path / "spec.json").write_text(json.dumps(spec))
    scope = {}
    exec(MODULE, scope)  # noqa: S102 - our own words, above
    torch.manual_seed(5)
    network = scope["Three"]().eval()
    with torch.no_grad():
        for part in (network.head, network.scene, network.detector):
            part.weight -= part.weight.mean(1, keepdim=True)
            part.weight *= 6
    torch.save(network.state_dict(), tmp_path / "three.pth")
    monkeypatch.chdir(tmp_path)
    yield network
    sys.modules.pop("three", None)


def export(*words):
    given = ["export", "three:Three", "--checkpoint", "three.pth", "-o", "b.fuseg"]
    given += ["--input", "rgb=color:48x64", *words]
    return CliRunner().invoke(app, given)


def test_every_output_is_what_torch_gives_and_is_verified_by_itself(three, monkeypatch):
    monkeypatch.setattr(selection, "_CALIBRATION_ROOMS", range(1000, 1003))
    monkeypatch.setattr(selection, "_HELD_OUT_ROOMS", range(16, 19))
    done = export(*OUTPUTS, "--spec", "spec.json", "--precision", "fp16", "--json")
    assert done.exit_code == 0, done.output
    report = json.loads(done.stdout)
    names = ["scene", "labels", "objects", "features"]
    stages = [(s["stage"], s["output"]) for s in report["stages"]]
    wanted = [(s, n) for s in ("onnx", "simplified", "cut", "runtime") for n in names]
    assert stages == wanted
    fp16 = next(v for v in report["variants"] if v["name"] == "fp16")
    main, *others = fp16["outputs"]
    assert (main, set(others)) == ("labels", {*names} - {"labels"}), "of the truth"
    assert all(0 < o["max_abs_difference"] < 0.1 for o in fp16["outputs"].values())

    segmenter = fuseg.load("b.fuseg", threads=1)
    manifest = segmenter.manifest
    assert [(o.name, o.kind) for o in manifest.outputs] == [
        *(("scene", "classes"), ("labels", "segmentation")),
        *(("objects", "boxes"), ("features", "tensor")),
    ]
    (fp32,) = (v for v in manifest.variants if v.name == "fp32")
    assert [(v.stage, v.output) for v in fp32.verification] == wanted
    assert manifest.outputs[1].tail.removed == ("Resize", "Softmax")
    taken = ("rest.0", "semantic.out", "rest.2", "rest.1")
    assert manifest.provenance["output"] == taken
    frames, expected = segmenter.bundle.samples()[0]
    tensors = preprocess(manifest.inputs, frames)
    with torch.inference_mode():
        found = three(torch.from_numpy(tensors["rgb"].astype(np.float32)))
    result = segmenter(size=SIZE, **frames)
    labels = found["semantic"]["out"].argmax(1)[0].numpy()
    assert np.mean(result.labels == labels) > 0.999
    assert len(np.unique(labels)) > 1
    scene, features, rows = found["rest"]
    np.testing.assert_allclose(
        expected["scene"], scene.softmax(1)[0].numpy(), atol=1e-5
    )
    assert result["scene"].best == ("hall", "yard", "shop")[int(scene.argmax())]
    np.testing.assert_allclose(expected["features"], features.numpy(), atol=1e-4)
    best = rows[0, :, 4:].sigmoid().max(1)
    first = expected["objects"][0]
    assert len(expected["objects"]) > 1
    assert first[4] == pytest.approx(float(best.values.max()), abs=1e-5)
    edges = rows[0, int(best.values.argmax()), :4].numpy() * np.float32([10, 10] * 2)
    np.testing.assert_allclose(first[:4], edges.clip(0, [640, 480] * 2), atol=1e-2)


def test_bench_has_no_peer_for_a_bundle_with_several_outputs(three):
    del three
    assert export(*OUTPUTS, "--spec", "spec.json").exit_code == 0
    done = CliRunner().invoke(app, ["bench", "b.fuseg", "--rounds", "1", "--json"])
    assert done.exit_code == 0, done.output
    assert "makes labels, of a bundle without other outputs" in done.stdout


def test_int8_leaves_the_node_that_makes_each_output_in_float(three, monkeypatch):
    del three
    monkeypatch.setattr(selection, "_CALIBRATION_ROOMS", range(1000, 1003))
    monkeypatch.setattr(selection, "_HELD_OUT_ROOMS", range(16, 19))
    done = export(*OUTPUTS[:4], "--precision", "auto", "--json")
    assert done.exit_code == 0, done.output
    bundle = Bundle.open("b.fuseg")
    for variant in bundle.manifest.variants:
        model = onnx.load_model_from_string(bundle.read(bundle.network(variant).file))
        assert [o.name for o in model.graph.output] == ["scene", "logits"]
        assert {o.type.tensor_type.elem_type for o in model.graph.output} == {1}


REFUSED = [
    (
        ["--output", "scene=classes:rest.3"],
        "1 (1, 8, 12, 16), 2 (1, 192, 6), got 3",
    ),
    (
        ["--output", "scene=classes:rest"],
        "must lead to a tensor, got tuple: it holds 0",
    ),
    (["--output", "scene=kind:rest.0"], "the kind must be one of segmentation, embed"),
    (["--output", "a b=classes:rest.0"], "the name must be like a Python name"),
    ([*OUTPUTS, "--output", "rest"], "--output must be NAME=KIND:PATH, as in scene"),
    ([*OUTPUTS, *OUTPUTS[:2]], "must name every output once, got scene twice"),
    ([*OUTPUTS[2:4], "--spec", "spec.json"], "must name only labels, got scene"),
    (["--output", "x=classes:rest.1"], "output x: tensor must be [1, classes], got"),
    (
        ["--output", "x=segmentation:rest.0"],
        "must be class scores of shape (1, C, h, w)",
    ),
    ([*OUTPUTS[:2], "--classes", "a,b,c"], "--classes needs an output of kind segmen"),
    (["--output", "o=boxes:rest.2"], "output o: form is missing: it must be one of"),
    (
        ["--spec", "spec.json"],
        "outputs.scene: the kind must be one of segmentation, em",
    ),
]


@pytest.mark.parametrize(("words", "sentence"), REFUSED)
def test_outputs_that_are_none_are_one_sentence(three, words, sentence):
    del three
    done = export(*words)
    assert done.exit_code == 2
    (line,) = [s for s in done.stderr.splitlines() if s.startswith("error: ")]
    assert sentence in line


@pytest.mark.parametrize(
    ("said", "sentence"),
    [
        ({"kind": "classes", "path": []}, "outputs.scene.path must be a key or an ind"),
        (
            {"kind": "tensor", "tensor": "x"},
            "must not hold 'tensor', which is found in",
        ),
        ([], "outputs.scene must be an object"),
    ],
)
def test_a_spec_s_outputs_that_are_none(said, sentence):
    with pytest.raises(ArgumentError, match=sentence):
        make_requests([], {"scene": said}, classes=None, ignore=255)


def test_a_spec_s_outputs_need_no_option():
    said = {"scene": {"kind": "classes", "path": 1, "activation": "sigmoid"}}
    (request,) = make_requests([], said, classes=None, ignore=255)
    assert request == OutputRequest("scene", "classes", "1", {"activation": "sigmoid"})
    output = KINDS["classes"](request, torch.zeros(1, 2), {})
    assert output.record == ClassesOutput(
        name="scene",
        tensor="scene",
        activation="sigmoid",
        classes=("class_0", "class_1"),
    )


def test_a_path_prefers_the_longest_key_and_says_what_there_is():
    returned = {"a": {"b": torch.zeros(1)}, "a.b": torch.ones(1), "c": [torch.ones(2)]}
    assert find(returned, "a.b", "x") == ("a.b",)
    assert find(returned, "c.0", "x") == ("c", 0)
    with pytest.raises(
        ArgumentError, match=r"x must be one of .*a\.b \(1,\), c, got d"
    ):
        find(returned, "d", "x")


def scene_of(activation="softmax"):
    names = ("hall", "yard", "shop")
    return Classes(
        ClassesOutput("scene", "scene", activation=activation, classes=names)
    )


def passed():
    return Passed(TensorOutput("features", "features"))


def staged(output, expected, got):
    def program(values):
        array = np.float32(values)
        return lambda _: {output.name: Prediction(array, output.result(array))}

    programs = {"torch": program(expected), "onnx": program(got)}
    result = output.result(np.float32(expected))
    return compare([(PackedFrame({}), {output.name: result})], programs, [output])


def test_a_stage_that_changes_another_output_is_refused_by_its_name():
    staged(scene_of(), [[1, 2, 3]], [[1, 2, 3.0001]])
    with pytest.raises(ExportError, match=r"stage onnx .* of output scene 0\.0000"):
        staged(scene_of(), [[1, 2, 2.001]], [[1, 2.001, 2]])
    with pytest.raises(ExportError, match=r"output features .* differ by up to 0\.1"):
        staged(passed(), [[1, 2, 3]], [[1, 2, 3.1]])
    with pytest.raises(ExportError, match="NaN or infinite as its output features"):
        staged(passed(), [[1, 2, np.nan]], [[1, 2, 3]])


def test_classes_agree_by_the_best_one_or_by_sides_of_one_half():
    best, sides = scene_of(), scene_of("sigmoid")
    assert best.agreement(best.result(ROW), best.result(ROW[:, ::-1])) == 0
    assert best.agreement(best.result(ROW), best.result(2 * ROW)) == 1
    found = sides.agreement(sides.result(ROW), sides.result(-ROW))
    assert found == pytest.approx(1 / 3), "a score of 0 is on no side"
    np.testing.assert_allclose(best.result(ROW), np.exp(ROW[0]) / np.exp(ROW).sum())


ROW = np.float64([[-1, 0, 3]])


def boxes_of(**more):
    settings = BOXES | {"classes": ["chair", "ball"], "activation": "none"} | more
    request = OutputRequest("objects", "boxes", "2", settings)
    shape = (1, 5, 6 + (more.get("score") == "objectness"))
    return KINDS["boxes"](request, torch.zeros(shape), {"rgb": (1, 3, 48, 64)})


# x0, y0, x1, y1, chair, ball: the first two overlap by 0.6, the next is far away, the
# fourth is a ball in the first one's place, the last is not sure of anything.
ROWS = np.float32(
    [
        [0, 0, 10, 10, 0.8, 0.1],
        [0, 0, 10, 6, 0.9, 0.7],
        [30, 30, 90, 40, 0.8, 0.2],
        [0, 0, 10, 10, 0.1, 0.6],
        [5, 5, 9, 9, 0.2, 0.1],
    ]
)[None]


def test_boxes_are_thinned_out_class_by_class_as_the_manifest_says():
    found = boxes_of().result(ROWS)
    expected = [[0.9, 0], [0.8, 0], [0.6, 1]]
    np.testing.assert_allclose(found[:, 4:], expected, atol=1e-6)
    np.testing.assert_array_equal(found[1, :4], [30, 30, 64, 40], "clipped")
    assert len(boxes_of(iou_threshold=0.7).result(ROWS)) == 4
    assert len(boxes_of(iou_threshold=None).result(ROWS)) == 4
    both = boxes_of(labels="all").result(ROWS)
    np.testing.assert_allclose(both[:, 4], [0.9, 0.8, 0.7], atol=1e-6)
    assert boxes_of(max_boxes=1).result(ROWS).shape == (1, 6)
    assert len(boxes_of(max_candidates=2).result(ROWS)) == 1, "two chairs in one place"
    assert len(boxes_of(score_threshold=0.65).result(ROWS)) == 2
    sizes = ROWS.copy()
    sizes[..., 2:4] -= sizes[..., :2]
    np.testing.assert_allclose(boxes_of(form="xywh").result(sizes), found)
    sizes[..., :2] += sizes[..., 2:4] / 2
    np.testing.assert_allclose(boxes_of(form="cxcywh").result(sizes), found)
    shares = ROWS / np.float32([64, 48, 64, 48, 1, 1])
    fractions = boxes_of(unit="fractions").result(shares)
    np.testing.assert_allclose(fractions, found, atol=1e-5)
    sure = np.insert(ROWS, 4, 0.4, axis=2)
    halved = boxes_of(score="objectness").result(sure)
    np.testing.assert_allclose(halved[:, 4], [0.36, 0.32], atol=1e-6)


def test_boxes_agree_by_their_overlap():
    output, found = boxes_of(), boxes_of().result(ROWS)
    assert output.agreement(found, found) == 1
    assert output.agreement(found, found[:2]) == pytest.approx(2 / 3)
    assert output.agreement(found[:0], found[:0]) == 1
    other = found.copy()
    other[1, 5] = 1
    assert output.agreement(found, other) == pytest.approx(2 / 3), "of another class"
    moved = found.copy()
    moved[1, :4] += 1
    assert 0.9 < output.agreement(found, moved) < 1


def test_each_output_has_a_budget_of_its_own():
    tasks = {"scene": scene_of(), "features": passed()}
    own = {"scene": np.float32([[1, 2, 3]]), "features": np.ones((1, 100), np.float32)}
    rough = own | {"features": own["features"] * np.float32(1.04)}
    wrong = own | {"features": own["features"] * np.float32(1.06)}
    other = own | {"scene": own["scene"][:, ::-1]}
    variants = {
        n: (lambda _, found=found: found)
        for n, found in {"rough": rough, "wrong": wrong, "other": other}.items()
    }
    found = evaluate([PackedFrame({})] * 2, lambda _: own, variants, tasks)
    compared = {v: {n: e.comparisons[v] for n, e in found.items()} for v in variants}
    assert over(compared["rough"], Budget()) is None
    assert "features: " in over(compared["rough"], Budget().with_reserve())
    assert over(compared["wrong"], Budget()).startswith("features: 0.9400 of the norm")
    assert over(compared["other"], Budget()).startswith("scene: 0.0000 of the classes")

"""Networks and factories that are not called with one tensor after the other."""

from __future__ import annotations

import json
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch

import fuseg
from fuseg.bundle import Bundle
from fuseg.errors import ArgumentError, ExportError, InputFileError
from fuseg_export import reference
from fuseg_export.models import REFERENCE
from fuseg_export.network.call import Call, make_call, parse_values, spelled
from fuseg_export.network.checkpoint import load_checkpoint
from fuseg_export.peers import make_peers
from fuseg_export.sources.factory import build_network

needs_onnxscript = pytest.mark.skipif(
    find_spec("onnxscript") is None, reason="onnxscript is not installed"
)

MORE = '''

class InAList(TwoInputs):
    def forward(self, sensors):
        return super().forward(*sensors)

class InADict(TwoInputs):
    def forward(self, batch, training=False):
        return super().forward(batch["rgb"], batch["depth"] * batch["gain"])

class ByName(TwoInputs):
    def forward(self, *, depth, rgb, gains, name):
        assert name == "indoor"
        return super().forward(rgb * gains[:, None, None], depth)

class OnAGpu(TwoInputs):
    def forward(self, color, depth):
        return super().forward(color.cuda(), depth.cuda())["out"]

class Sized(TwoInputs):
    """With arguments, one of them needed."""
    def __init__(self, gain, *, labels="out", large=True):
        super().__init__()
        self.gain, self.labels, self.large = gain, labels, large
    def forward(self, color, depth):
        scores = super().forward(color, depth * self.gain)[self.labels]
        return scores if self.large else scores[:, :2]

def anything(**options):
    return Sized(**options)

class Settings:
    gain = 0.5

def configured(settings, kind):
    return kind(settings.gain)

class NoBatch(TwoInputs):
    def forward(self, color, depth):
        return super().forward(color, depth)["out"][0]

class InHalf(TwoInputs):
    def forward(self, color, depth):
        return super().forward(color, depth)["out"].half()

class ByQueries(TwoInputs):
    """Queries that tell classes, and masks of these."""
    def forward(self, color, depth):
        masks = F.avg_pool2d(super().forward(color, depth)["out"], 4)
        classes = torch.eye(5, 6)[None] * 9 + masks.mean() * 1e-3
        return {"classes": classes, "masks": masks * 0.2}

class Dreaming(TwoInputs):
    """Random numbers in every call."""
    def forward(self, color, depth):
        noise = torch.rand(1, 5, 1, 1) + torch.zeros(1, 5, 12, 16).uniform_(0, 0.1)
        aux = F.avg_pool2d(super().forward(color, depth)["out"], 4)
        wide = F.adaptive_avg_pool2d(aux, (7, 9)) if self.pooled else aux
        scores = aux + F.interpolate(wide, aux.shape[2:]) + noise.to("cpu") * 9
        return F.interpolate(scores, color.shape[2:], mode="bilinear")
    pooled = False

class DreamingPooled(Dreaming):
    pooled = True
'''
GAINS = np.array([1.0, 0.25, 2.0], np.float32)


@pytest.fixture
def labels_of(export_two, home):
    """``labels_of(target, **options)``: of the exported network's first sample."""
    path = home / "foreign.py"
    path.write_text(path.read_text() + MORE)
    np.save(home / "gains.npy", GAINS)

    def labels(target, **options):
        out = Path("out/two.fuseg")
        where = "" if target in REFERENCE else "foreign:"
        export_two(target=f"{where}{target}", **options)
        return Bundle.open(out).samples()[0][1]["labels"]

    return labels


def test_forward_takes_a_list_a_dict_or_names(labels_of, home):
    plain = labels_of("TwoInputs", outputs=["out"])
    listed = labels_of("InAList", call="list", outputs=["out"])
    np.testing.assert_array_equal(listed, plain)
    gained = labels_of("Sized", arguments=["gain=0.5"])
    one = labels_of("InADict", call="dict", constants=["gain=0.5"], outputs=["out"])
    np.testing.assert_array_equal(one, gained)
    assert (gained != plain).any()
    named = labels_of(
        "ByName",
        call="keywords",
        constants=["gains=@gains.npy", "name=indoor"],
        outputs=["out"],
    )
    assert (named != plain).any(), "the gains have a say"
    said = Bundle.open(home / "out" / "two.fuseg").manifest.provenance
    assert said["call"] == "keywords"
    assert said["constants"] == ("gains=torch.float32 (3,)", 'name="indoor"')
    spec = home / "spec.json"
    spec.write_text(
        '{"call": "keywords", "constants": {"gains": "@gains.npy", "name": "indoor"}}'
    )
    np.testing.assert_array_equal(
        labels_of("ByName", spec=spec, outputs=["out"]), named
    )


def test_arguments_of_a_factory_are_kept_for_its_peer(labels_of, home):
    labels = labels_of("anything", arguments=["gain=0.5", "labels=out", "large=false"])
    assert labels.max() == 1
    path = home / "out" / "two.fuseg"
    made = Bundle.open(path)
    assert made.manifest.provenance["arguments"] == (
        "gain=0.5",
        'labels="out"',
        "large=false",
    )
    *_, peer = make_peers(
        path, threads=1, torch_target="foreign:anything", checkpoint=home / "two.pth"
    )
    frames, expected = made.samples()[0]
    assert np.mean(peer.call(frames) == expected["labels"]) > 0.98


def test_its_peer_is_called_alike(labels_of, home):
    path, checkpoint = home / "out" / "two.fuseg", home / "two.pth"

    def peer(target):
        word = f"foreign:{target}"
        *_, found = make_peers(
            path, threads=1, torch_target=word, checkpoint=checkpoint
        )
        return found

    labels = labels_of("InAList", call="list", outputs=["out"])
    frames, _ = Bundle.open(path).samples()[0]
    assert np.mean(peer("InAList").call(frames) == labels) > 0.98
    labels_of("InADict", call="dict", constants=["gain=0.5"], outputs=["out"])
    assert "forward takes constants" in peer("InADict").unavailable
    labels_of("OnAGpu")
    assert "forward moves tensors to a GPU" in peer("OnAGpu").unavailable


def test_an_argument_may_be_an_object_of_a_module(labels_of, home):
    words = ["settings=@foreign:Settings", "kind=@foreign:Sized"]
    labels = labels_of("configured", arguments=words)
    plain = labels_of("Sized", arguments=["gain=0.5"])
    np.testing.assert_array_equal(labels, plain)
    labels_of("configured", arguments=words)
    said = Bundle.open(home / "out" / "two.fuseg").manifest.provenance
    assert said["arguments"][1] == 'kind="@foreign:Sized"'


def test_scores_of_other_layouts_and_types(labels_of):
    plain = labels_of("TwoInputs")
    np.testing.assert_array_equal(labels_of("ChannelsLast", layout="nhwc"), plain)
    with pytest.raises(ExportError, match="say --layout chw if there is no batch"):
        labels_of("NoBatch")
    found = labels_of("NoBatch", layout="chw")
    assert np.mean(found == plain) > 0.99, "what enlarges is not at the end"
    with pytest.raises(ExportError, match=r"must have 3 axes to be of layout chw, got"):
        labels_of("ChannelsLast", layout="chw")
    half = labels_of("InHalf")
    assert np.mean(half == plain) > 0.98, "only ties of float16 change"
    said = Bundle.open("out/two.fuseg").manifest.provenance
    assert "made float32 of output labels, which is float16" in said["adapted"]


def test_queries_and_masks_become_scores(labels_of, home):
    spec = {
        "outputs": {
            "labels": {"kind": "segmentation", "path": "classes", "masks": "masks"}
        }
    }
    (home / "masks.json").write_text(json.dumps(spec))
    found = labels_of("ByQueries", spec=home / "masks.json")
    path = home / "out" / "two.fuseg"
    frames, _ = Bundle.open(path).samples()[0]
    given = fuseg.load(path).preprocess(**frames)
    network = build_network("foreign:ByQueries")
    load_checkpoint(network, home / "two.pth")
    with torch.no_grad():
        made = network(*(torch.from_numpy(given[n]) for n in ("rgb", "depth")))
    classes, masks = (made[n][0].double().numpy() for n in ("classes", "masks"))
    odds = np.exp(classes) / np.exp(classes).sum(1, keepdims=True)
    scores = np.einsum("qc,qhw->chw", odds[:, :-1], 1 / (1 + np.exp(-masks)))
    expected = reference.labels(reference.upsample(scores, found.shape))
    assert len(np.unique(expected)) > 1
    assert np.mean(found == expected) > 0.999
    spec["outputs"]["labels"]["path"] = "masks"
    (home / "masks.json").write_text(json.dumps(spec))
    with pytest.raises(ExportError, match=r"classes of queries \(1, Q, C \+ 1\) and"):
        labels_of("ByQueries", spec=home / "masks.json")


@pytest.mark.parametrize(
    "target", ["Dreaming", pytest.param("DreamingPooled", marks=needs_onnxscript)]
)
def test_random_numbers_are_frozen_on_request(labels_of, home, target):
    with pytest.raises(ExportError, match="two results for one input"):
        labels_of(target)
    one, other = (labels_of(target, freeze_random=seed) for seed in (3, 4))
    assert (one != other).any()
    np.testing.assert_array_equal(labels_of(target, freeze_random=3), one)
    made = Bundle.open(home / "out" / "two.fuseg")
    said = made.manifest.provenance
    assert said["freeze_random"] == 3
    words = "draws random numbers, 2 times: they are constants now, those of seed 3"
    assert words in str(said["adapted"])
    graph = onnx.load_from_string(made.read(made.network(made.manifest.full).file))
    assert not [n for n in graph.graph.node if n.op_type.startswith("Random")]
    *_, peer = make_peers(
        home / "out" / "two.fuseg",
        threads=1,
        torch_target=f"foreign:{target}",
        checkpoint=home / "two.pth",
    )
    assert np.mean(peer.call(made.samples()[0][0]) == one) > 0.98


@pytest.mark.parametrize(
    ("target", "options", "sentence"),
    [
        (
            "configured",
            {"arguments": ["settings=@foreign:Nope", "kind=1"]},
            r"--arg @foreign:Nope must name an object of foreign, which has no su",
        ),
        (
            "configured",
            {"arguments": ["settings=@nowhere:Nope", "kind=1"]},
            r"--arg @nowhere:Nope names the module nowhere, which is neither installed",
        ),
        (
            "configured",
            {"arguments": ["settings=@foreign", "kind=1"]},
            r"--arg must name an object as @package\.module:name, got @foreign\.",
        ),
        ("TwoInputs", {"freeze_random": 1}, "draws none: leave it out"),
        ("TwoInputs", {"layout": "hwc"}, "--layout must be nchw, nhwc, chw, got hwc"),
        ("Sized", {}, r"--arg NAME=VALUE: missing a required argument: 'gain'\."),
        (
            "Sized",
            {"arguments": ["gian=1"]},
            r"foreign:Sized\(gain, labels='out', large=True\) must get",
        ),
        ("Sized", {"arguments": ["gain"]}, "--arg must be NAME=VALUE with a name of"),
        ("Sized", {"arguments": ["gain=1", "gain=2"]}, "every name once, got gain tw"),
        ("InAList", {"call": "tuple"}, "--call must be one of positional, list, dict"),
        ("ByName", {"constants": ["rgb=1"]}, "a name that no input has, got rgb"),
        (
            "gated-middle",
            {"call": "list", "inputs": ()},
            r"--layout and --freeze-random",
        ),
    ],
)
def test_what_is_not_taken(labels_of, target, options, sentence):
    with pytest.raises(ArgumentError, match=sentence):
        labels_of(target, **options)
    assert not Path("out/two.fuseg").exists()


def test_a_constant_s_file_must_be_an_array(tmp_path):
    with pytest.raises(InputFileError, match="cannot be read: No such file"):
        make_call(None, {"ids": f"@{tmp_path}/ids.npy"}, ())
    (tmp_path / "ids.npy").write_text("not one")
    with pytest.raises(InputFileError, match=r"must be a \.npy file of numbers"):
        make_call(None, {"ids": f"@{tmp_path}/ids.npy"}, ())


def test_values_are_read_as_they_are_spelled():
    words = ["a=9", "b=1e-3", "c=true", "d=null", "e=[1, 2]", 'f="9"', "g=x y=z", "h="]
    values = parse_values("--arg", words, {"a": 1, "z": {"k": 1}})
    assert values == {
        "a": 9,
        "z": {"k": 1},
        "b": 1e-3,
        "c": True,
        "d": None,
        "e": [1, 2],
        "f": "9",
        "g": "x y=z",
        "h": "",
    }
    assert parse_values("--arg", spelled(values), {}) == values


def test_each_way_to_call():
    one, two = torch.ones(1), torch.zeros(1)

    def network(*given, **named):
        return given, named

    for style, expected in {
        "positional": ((one, two), {"k": 3}),
        "list": (([one, two],), {"k": 3}),
        "dict": (({"a": one, "b": two, "k": 3},), {}),
        "keywords": ((), {"a": one, "b": two, "k": 3}),
    }.items():
        assert Call(style, ("a", "b"), {"k": 3})(network, [one, two]) == expected

"""The schema, on tests/data/manifest.json: three sensors and graphs, every key."""

from __future__ import annotations

import copy
import json
from dataclasses import FrozenInstanceError, replace
from pathlib import Path

import pytest
from docs.kinds_page import EXAMPLES, add
from hypothesis import given, settings
from hypothesis import strategies as st

from fuseg.errors import BundleError, ManifestError
from fuseg.manifest import Class, DepthInput, File, Manifest, Missing, Resize, Tensor

DATA = Path(__file__).parents[1] / "data"
TEXT = (DATA / "manifest.json").read_text()
GOOD = json.loads(TEXT)
OLD = json.loads((DATA / "manifest1.json").read_text())  # of format 1
# Of every kind of input and output.
KINDS = add(json.loads(Manifest.parse(json.dumps(OLD)).dump()), *EXAMPLES)
GONE = object()
SHA = "0123456789abcdef" * 4


def changed(path, value, good=GOOD):
    """A copy of the good JSON with the value at a path replaced, added, or GONE."""
    whole = copy.deepcopy(good)
    place = whole
    for step in path[:-1]:
        place = place[step]
    if value is GONE:
        del place[path[-1]]
    else:
        place[path[-1]] = value
    return whole


def parse(value):
    return Manifest.parse(json.dumps(value))


def rows():
    for line in (DATA / "manifest_refusals.txt").read_text("utf-8").splitlines():
        if not line or line.startswith("#"):
            continue
        path, value, sentence = line.split(" | ")
        steps = [int(step) if step.isdigit() else step for step in path.split("/")]
        yield steps, GONE if value == "GONE" else json.loads(value), sentence


def spelled(path):
    text = "".join(f"[{s}]" if isinstance(s, int) else f".{s}" for s in path)
    return text.removeprefix(".")


@pytest.mark.parametrize(("path", "value", "sentence"), list(rows()))
def test_one_wrong_value_is_refused_by_its_path(path, value, sentence):
    begin = sentence.replace("~", spelled(path))
    with pytest.raises(ManifestError) as refusal:
        parse(changed(path, value))
    text = str(refusal.value)
    assert text.startswith(begin)
    assert text.endswith(".")
    assert text.isprintable()


@pytest.mark.parametrize(
    ("path", "value", "sentence"),
    [
        (["a b\x1b[2J"], 1, r"'a b\x1b[2J' is not a key"),
        (["k" * 99], 1, "k" * 57 + "... is not a key"),
        (["name"], "x" * 1001, "name must be a string, got 'x"),
        (
            ["inputs", 0, "scale"],
            10**4000,
            "inputs[0].scale must be a number, got a nu",
        ),
        (
            ["inputs", 0, "mean", 0],
            -(10**39),
            "inputs[0].mean[0] must be a number, got",
        ),
        (
            ["outputs"],
            GOOD["outputs"] * 2,
            "outputs must be unique, got",
        ),
        (
            ["variants"],
            GOOD["variants"] * 2,
            "variants must be unique, got 'fp32' twic",
        ),
        (
            ["files", "a.so"],
            {"sha256": SHA, "bytes": 1},
            "files must list only what some",
        ),
        (
            ["files", "fp32.onnx", "sha256"],
            SHA.upper(),
            "files['fp32.onnx'].sha256 mus",
        ),
    ],
)
def test_what_is_too_long_for_the_table_is_refused_too(path, value, sentence):
    with pytest.raises(ManifestError) as refusal:
        parse(changed(path, value))
    assert str(refusal.value).startswith(sentence)
    assert len(str(refusal.value)) < 240


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "a manifest must be UTF-8 JSON, but: Expecting value"),
        ("{", "a manifest must be UTF-8 JSON, but: Expecting property name"),
        (b"\xff{}", "a manifest must be UTF-8 JSON, but: 'utf-8' codec"),
        (
            '{"format": 1}'.encode("utf-16"),
            "a manifest must be UTF-8 JSON, but: 'utf-8",
        ),
        ("[]", "a manifest must be a JSON object."),
        ("3", "a manifest must be a JSON object."),
        ('{"format": NaN}', "a number must be finite, got NaN."),
        ('{"format": -Infinity}', "a number must be finite, got -Infinity."),
        (
            '{"format": 1, "format": 1}',
            "the keys of an object must be unique, got 'for",
        ),
        (
            '{"a": {"b": 1, "b": 2}}',
            "the keys of an object must be unique, got 'b' twi",
        ),
        ("[" * 100_000, "a manifest must not nest this deeply."),
        ('{"format": 9e999}', "format must be 2 or 1, got inf."),
    ],
    ids=lambda part: str(part)[:40],
)
def test_what_is_no_strict_json_object_is_refused(text, sentence):
    with pytest.raises(ManifestError) as refusal:
        Manifest.parse(text)
    assert str(refusal.value).startswith(sentence)
    assert str(refusal.value).isprintable()


def test_dump_of_parse_is_the_same_json():
    assert json.loads(Manifest.parse(TEXT).dump()) == GOOD


def test_parse_of_dump_is_the_same_manifest():
    manifest = Manifest.parse(TEXT)
    assert Manifest.parse(manifest.dump()) == manifest
    assert Manifest.parse(manifest.dump().encode()) == manifest


def test_dump_is_the_same_text_in_whatever_order_mappings_were_filled():
    manifest = Manifest.parse(TEXT)
    turned = replace(manifest, files=dict(reversed(manifest.files.items())))
    assert turned.dump() == manifest.dump()
    assert manifest.dump().endswith("}\n")


def test_keys_with_a_default_may_be_left_out():
    depth = Manifest.parse(TEXT).inputs[2]
    for path in (["inputs", 2, "resize", "fit"], ["inputs", 2, "channel"]):
        assert parse(changed(path, GONE)).inputs[2] == depth
    d = Manifest.parse(TEXT).tensors["d"]
    assert parse(changed(["tensors", "d", "dtype"], GONE)).tensors["d"] == d
    for key in ("provenance", "files"):
        assert getattr(parse(changed([key], GONE)), key) == {}


def test_a_bundle_older_than_the_limits_gets_their_defaults():
    good = [i.missing for i in Manifest.parse(TEXT).inputs]
    limits = [(m.max_age_ms, m.max_ahead_ms) for m in good]
    assert limits == [(500.0, 100.0), (None, 0.0), (200.0, 50.0)]
    for index in range(3):
        policy = dict(GOOD["inputs"][index]["missing"])
        del policy["max_ahead_ms"], policy["max_age_ms"]
        old = parse(changed(["inputs", index, "missing"], policy))
        found = old.inputs[index].missing
        assert (found.max_age_ms, found.max_ahead_ms) == (500.0, 100.0)
        # They are written out, so what a bundle does can be read in it.
        written = json.loads(old.dump())["inputs"][index]["missing"]
        assert written == {**policy, "max_age_ms": 500.0, "max_ahead_ms": 100.0}


def test_values_arrive_as_the_declared_types():
    manifest = parse(changed(["inputs", 0, "fill"], 2))
    rgb, thermal, depth = manifest.inputs
    assert isinstance(rgb.fill, float)
    assert manifest.tensors[rgb.tensor].shape == (1, 4, 48, 64)
    assert [type(value) for value in depth.invalid] == [int, int]
    assert thermal.invalid == (-1.5,)
    assert (rgb.planes, thermal.planes, depth.planes) == (3, 1, 1)
    assert manifest.variants[0].targets == ("any",)
    assert manifest.files["fp32.onnx"] == File(SHA, 10)


def test_members_are_what_graphs_and_samples_name():
    assert Manifest.parse(TEXT).members() == tuple(sorted(GOOD["files"]))


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (["name"], "x" * 1000),
        (["inputs", 2, "invalid"], [0, 65535]),
        (["provenance"], {"a": "b", "c": 1, "d": 0.5, "e": True, "f": ["x", "y"]}),
        (["provenance"], {"layers": [f"stage.{i}.conv" for i in range(200)]}),
        (["inputs", 0, "missing", "max_age_ms"], None),
        (["inputs", 0, "missing", "max_age_ms"], 0),
        (["inputs", 2, "missing", "max_ahead_ms"], None),
        (["outputs", 0, "ignore"], 0),
        (["outputs", 0, "tail"], {"removed": [], "size": [12, 16]}),
        (["states", 0, "max_gap_ms"], GONE),
        (["states", 0, "max_gap_ms"], 0),
        (["graphs", 2, "writes"], ["memory.next", "logits"]),
        (["outputs", 0, "tail", "size"], [16384, 1]),
        (["outputs", 0, "tail", "size"], [8192, 8192]),
        (["tensors", "logits", "shape"], [1, 1, 16384, 16384]),
        (["outputs", 0, "classes", 0, "color"], [0, 255, 0]),
        (["outputs", 0, "classes", 0, "ids"], [7, 65535]),
        (["graphs", 1, "networks", "fp32", "opset"], 1),
        (["variants", 0, "verification"], []),
        (["variants", 0, "verification", 0, "frames"], 1),
        (["variants", 0, "verification", 0, "max_abs_logit_diff"], 0),
        (["variants", 0, "verification", 0, "miou"], GONE),
        (["variants", 0, "verification", 0, "miou"], 0),
        (["variants", 0, "verification", 0, "label_agreement"], 1),
        (["files", "fp32.onnx", "bytes"], 0),
    ],
)
def test_what_is_just_allowed_is_understood_and_kept(path, value):
    manifest = parse(changed(path, value))
    assert json.loads(manifest.dump()) == changed(path, value)


def test_255_classes_are_the_most():
    whole = changed(["tensors", "logits", "shape", 1], 255)
    names = [{"name": f"c{index}", "color": [0, 0, 0]} for index in range(255)]
    whole["outputs"][0]["classes"] = names
    assert len(parse(whole).outputs[0].classes) == 255


def test_one_channel_of_scores_means_two_classes():
    one = parse(changed(["tensors", "logits", "shape", 1], 1))
    assert len(one.outputs[0].classes) == 2


def test_a_record_made_in_python_is_checked_like_one_from_json():
    with pytest.raises(ManifestError, match=r"^height must be 1 to 16384 pixels"):
        Resize(0, 64, "nearest")
    with pytest.raises(ManifestError, match=r"^color must be a list of 3, got"):
        Class("floor", (1, 2))
    with pytest.raises(ManifestError, match=r"^format must be 2, the newest"):
        replace(Manifest.parse(TEXT), format=3)
    with pytest.raises(ManifestError, match=r"^format must be 2, got 1"):
        replace(Manifest.parse(TEXT), format=1)
    assert Tensor([1, 3, 4, 5]).shape == (1, 3, 4, 5)


def test_a_record_cannot_be_changed():
    with pytest.raises(FrozenInstanceError):
        Manifest.parse(TEXT).name = "other"


def test_a_manifest_error_is_a_bundle_error():
    assert issubclass(ManifestError, BundleError)


def paths(value, path=()):
    """Every path in a JSON value."""
    if path:
        yield path
    if isinstance(value, (dict, list)):
        inside = value.items() if isinstance(value, dict) else enumerate(value)
        for key, entry in inside:
            yield from paths(entry, (*path, key))


LEAVES = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9)
ANY_JSON = st.recursive(
    LEAVES,
    lambda part: (
        st.lists(part, max_size=4) | st.dictionaries(st.text(max_size=5), part)
    ),
    max_leaves=6,
)


PLACES = [(good, path) for good in (GOOD, OLD, KINDS) for path in paths(good)]


@pytest.mark.parametrize(
    "examples", [600, pytest.param(20_000, marks=pytest.mark.slow)]
)
def test_any_value_anywhere_is_understood_or_refused_in_one_sentence(examples):
    @settings(max_examples=examples, deadline=None)
    @given(place=st.sampled_from(PLACES), value=ANY_JSON)
    def check(place, value):
        understood_or_refused(*place, value)

    check()


def understood_or_refused(good, path, value):
    try:
        manifest = parse(changed(path, value, good))
    except ManifestError as err:
        refusal = str(err)
    else:
        refusal = ""
        assert Manifest.parse(manifest.dump()) == manifest
    assert not refusal or (refusal.isprintable() and refusal.endswith("."))


@settings(deadline=None)
@given(
    height=st.integers(1, 16384),
    width=st.integers(1, 16384),
    age=st.floats(1e-3, 1e9),
    fill=st.floats(-1e30, 1e30),
    std=st.floats(1e-30, 1e30),
)
def test_numbers_survive_dump_and_parse_to_the_last_bit(height, width, age, fill, std):
    entry = DepthInput(
        name="depth",
        kind="range",
        tensor="d",
        dtype="float32",
        resize=Resize(height, width, "nearest"),
        scale=std,
        mean=(fill,),
        std=(std,),
        fill=fill,
        missing=Missing("hold", age, "refuse"),
        unit="1",
    )
    good = Manifest.parse(TEXT)
    whole = replace(
        good,
        inputs=(*good.inputs[:2], entry),
        tensors={**good.tensors, "d": Tensor((1, 1, height, width))},
    )
    assert Manifest.parse(whole.dump()).inputs[2] == entry


INT8 = {
    "kind": "int8",
    "activations": "uint8",
    "rest": "float32",
    "calibration": "entropy",
    "frames": "64",
    "float_nodes": "3",
}


@pytest.mark.parametrize(
    ("name", "target", "precision", "fits"),
    [
        ("fp16", "any", {"kind": "fp16", "float32_nodes": "12"}, True),
        ("int8-cpu", "cpu", INT8, True),
        ("int8-trt", "tensorrt", {**INT8, "rest": "float16"}, False),
        ("int8-trt8", "tensorrt-8", {**INT8, "activations": "int8"}, False),
    ],
)
def test_every_variant_of_the_contract_is_read_as_written(
    name, target, precision, fits
):
    value = {**GOOD["variants"][0], "name": name}
    value |= {"for": [target], "precision": precision}
    whole = changed(["variants"], [GOOD["variants"][0], value])
    file = {"file": f"{name}.onnx", "opset": 19, "ir_version": 9}
    whole["graphs"][1]["networks"][name] = file
    manifest = parse({**whole, "files": {}})
    encoder, net, _ = manifest.graphs
    assert manifest.network(net, manifest.variants[1]).file == f"{name}.onnx"
    assert manifest.network(encoder, manifest.variants[1]).file.endswith("fp32.onnx")
    assert manifest.variants[1].precision == precision
    assert [v.fits_cpu for v in manifest.variants] == [True, fits]
    assert Manifest.parse(manifest.dump()) == manifest


@pytest.mark.parametrize(
    ("key", "value", "sentence"),
    [
        ("rest", "int4", "rest must be one of float32, float16, got 'int4'."),
        (
            "calibration",
            "mean",
            "calibration must be one of minmax, entropy",
        ),
        ("activations", "u8", "activations must be one of uint8, int8, got 'u8'."),
        ("frames", "-1", "frames must be a count in digits, got '-1'."),
        ("float_nodes", "few", "float_nodes must be a count in digits, got 'few'."),
    ],
)
def test_a_precision_of_other_words_is_refused(key, value, sentence):
    variant = {**GOOD["variants"][0], "name": "int8-cpu", "for": ["cpu"]}
    variant |= {"precision": {**INT8, key: value}}
    with pytest.raises(ManifestError) as refused:
        parse(changed(["variants", 0], variant))
    assert str(refused.value).startswith(f"variants[0].precision.{sentence}")

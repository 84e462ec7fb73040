"""The schema. Every refusal is tried on a manifest that is good but for one value."""

from __future__ import annotations

import copy
import json
from dataclasses import FrozenInstanceError, replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fuseg.errors import BundleError, ManifestError
from fuseg.manifest import Class, File, Input, InputTensor, Manifest, Missing, Resize

GONE = object()
SHA = "0123456789abcdef" * 4
# Two sensors share one 4-channel tensor, a third has its own; every key is there.
GOOD = {
    "format": 1,
    "name": "rgbt-small",
    "created_by": "fuseg 0.1.0",
    "inputs": [
        {
            "name": "rgb",
            "kind": "color",
            "dtype": "uint8",
            "resize": {
                "height": 48,
                "width": 64,
                "filter": "bilinear",
                "fit": "stretch",
            },
            "scale": 0.00392156862745098,
            "mean": [0.485, 0.456, 0.406],
            "std": [0.229, 0.224, 0.225],
            "fill": 0.0,
            "tensor": {
                "name": "x",
                "dtype": "float32",
                "shape": [1, 4, 48, 64],
                "channel": 0,
            },
            "missing": {"policy": "refuse"},
            "channels": "BGR",
        },
        {
            "name": "thermal",
            "kind": "thermal",
            "dtype": "float32",
            "resize": {
                "height": 48,
                "width": 64,
                "filter": "nearest-exact",
                "fit": "stretch",
            },
            "scale": 1.0,
            "mean": [300.0],
            "std": [20.0],
            "fill": -3.5,
            "tensor": {
                "name": "x",
                "dtype": "float32",
                "shape": [1, 4, 48, 64],
                "channel": 3,
            },
            "missing": {"policy": "substitute"},
            "unit": "K",
            "invalid": [-1.5],
        },
        {
            "name": "depth",
            "kind": "depth",
            "dtype": "uint16",
            "resize": {
                "height": 24,
                "width": 32,
                "filter": "nearest",
                "fit": "stretch",
            },
            "scale": 0.001,
            "mean": [2.0],
            "std": [1.0],
            "fill": 0.0,
            "tensor": {
                "name": "d",
                "dtype": "float32",
                "shape": [1, 1, 24, 32],
                "channel": 0,
            },
            "missing": {"policy": "hold", "max_age_ms": 200.0, "then": "substitute"},
            "unit": "mm",
            "invalid": [0, 65535],
        },
    ],
    "outputs": [
        {
            "name": "labels",
            "kind": "segmentation",
            "tensor": {"name": "logits", "dtype": "float32", "shape": [1, 2, 12, 16]},
            "upsample": {"filter": "bilinear", "align_corners": False, "to": "camera"},
            "ignore": 255,
            "classes": [
                {"name": "floor", "color": [128, 64, 128]},
                {"name": "wall", "color": [0, 0, 255]},
            ],
            "tail": {"removed": ["Resize", "ArgMax"], "size": [48, 64]},
        }
    ],
    "variants": [
        {
            "name": "fp32",
            "file": "fp32.onnx",
            "opset": 17,
            "ir_version": 8,
            "for": ["any"],
            "precision": {"kind": "fp32"},
            "verification": [
                {
                    "stage": "onnx",
                    "against": "torch",
                    "frames": 16,
                    "label_agreement": 1.0,
                    "max_abs_logit_diff": 1e-05,
                    "miou": 0.75,
                }
            ],
        }
    ],
    "samples": [
        {
            "frames": {"depth": "s/d.npy", "rgb": "s/r.npy", "thermal": "s/t.npy"},
            "labels": "s/l.npy",
        }
    ],
    "provenance": {"checkpoint_sha256": SHA, "steps": 1000, "torch": "2.13.0"},
    "files": {
        name: {"sha256": SHA, "bytes": 10}
        for name in ("fp32.onnx", "s/d.npy", "s/l.npy", "s/r.npy", "s/t.npy")
    },
}


def changed(*path_and_value):
    """A copy of GOOD with the value at a path replaced, added, or GONE."""
    *path, last, value = path_and_value
    whole = copy.deepcopy(GOOD)
    place = whole
    for step in path:
        place = place[step]
    if value is GONE:
        del place[last]
    else:
        place[last] = value
    return whole


def parse(value):
    return Manifest.parse(json.dumps(value))


def without_unset(value):
    return json.loads(json.dumps(value))


def test_dump_of_parse_is_the_same_json():
    assert json.loads(parse(GOOD).dump()) == GOOD


def test_parse_of_dump_is_the_same_manifest():
    manifest = parse(GOOD)
    assert Manifest.parse(manifest.dump()) == manifest
    assert Manifest.parse(manifest.dump().encode()) == manifest


def test_dump_is_the_same_text_in_whatever_order_mappings_were_filled():
    manifest = parse(GOOD)
    turned = replace(manifest, files=dict(reversed(manifest.files.items())))
    assert turned.dump() == manifest.dump()
    assert manifest.dump().endswith("}\n")


def test_keys_with_a_default_may_be_left_out():
    for key in ("samples", "provenance", "files"):
        assert parse(changed(key, GONE)).name == "rgbt-small"
    depth = GOOD["inputs"][2]
    for part, key in (("resize", "fit"), ("tensor", "dtype"), ("tensor", "channel")):
        whole = changed("inputs", 2, part, key, GONE)
        assert parse(whole).inputs[2] == parse(GOOD).inputs[2], depth


def test_values_arrive_as_the_declared_types():
    manifest = parse(changed("inputs", 0, "fill", 2))
    rgb, thermal, depth = manifest.inputs
    assert isinstance(rgb.fill, float)
    assert rgb.tensor.shape == (1, 4, 48, 64)
    assert [type(value) for value in depth.invalid] == [int, int]
    assert thermal.invalid == (-1.5,)
    assert rgb.planes == 3
    assert depth.planes == 1
    assert manifest.variants[0].targets == ("any",)
    assert manifest.files["fp32.onnx"] == File(SHA, 10)


def test_members_are_what_variants_and_samples_name():
    assert parse(GOOD).members() == tuple(sorted(GOOD["files"]))


def test_a_record_cannot_be_changed():
    with pytest.raises(FrozenInstanceError):
        parse(GOOD).name = "other"


def test_a_record_made_in_python_is_checked_like_one_from_json():
    with pytest.raises(ManifestError, match=r"^height must be 1 to 16384 pixels"):
        Resize(0, 64, "nearest")
    with pytest.raises(ManifestError, match=r"^color must be a list of 3, got"):
        Class("floor", (1, 2))
    assert InputTensor("x", [1, 3, 4, 5]).shape == (1, 3, 4, 5)


# One good manifest, one value changed, and how the sentence must begin.
MM = "must be one of 'bilinear', 'nearest', 'nearest-exact'"
REFUSED = [
    # the mechanism: unknown and missing keys, types
    (("extra", 1), "extra is not a key of the format; known here: format, name"),
    (("inputs", 1, "resize", "filtr", 1), "inputs[1].resize.filtr is not a key"),
    (("a b\x1b[2J", 1), r"'a b\x1b[2J' is not a key"),
    (("k" * 99, 1), "k" * 57 + "... is not a key"),
    (("name", GONE), "name is missing: it must be a text."),
    (("inputs", 0, "resize", "filter", GONE), "inputs[0].resize.filter is missing: it"),
    (("variants", 0, "for", GONE), "for is missing".replace("for", "variants[0].for")),
    (("variants", 0, "targets", ["any"]), "variants[0].targets is not a key"),
    (("name", ""), "name must be a text"),
    (("name", 3), "name must be a text, got 3."),
    (("name", None), "name must be a text, got null."),
    (("name", "a\x1b[2J"), r"name must be a text, got 'a\x1b[2J'."),
    (("name", "\ud800"), r"name must be a text, got '\ud800'."),
    (("name", "x" * 1001), "name must be a text, got 'x"),
    (("inputs", {}), "inputs must be a list, got an object."),
    (("inputs", 0, []), "inputs[0] must be an object, got a list of 0."),
    (("inputs", 0, "scale", True), "inputs[0].scale must be a number, got true."),
    (("inputs", 0, "scale", 1e39), "inputs[0].scale must be a number, got 1e+39."),
    (
        ("inputs", 0, "scale", 10**4000),
        "inputs[0].scale must be a number, got a number",
    ),
    (("inputs", 0, "mean", 1, "1"), "inputs[0].mean[1] must be a number, got '1'."),
    (
        ("inputs", 0, "tensor", "channel", 0.0),
        "inputs[0].tensor.channel must be a whole",
    ),
    (
        ("inputs", 0, "tensor", "channel", False),
        "inputs[0].tensor.channel must be a who",
    ),
    (
        ("inputs", 0, "tensor", "shape", [1, 4, 48]),
        "inputs[0].tensor.shape must be a l",
    ),
    (
        ("inputs", 2, "invalid", 0, True),
        "inputs[2].invalid[0] must be a whole number or",
    ),
    (
        ("outputs", 0, "upsample", "align_corners", 0),
        "outputs[0].upsample.align_corners",
    ),
    (
        ("provenance", "a", None),
        "provenance['a'] must be a text or a whole number or a",
    ),
    (
        ("provenance", "a", [1]),
        "provenance['a'] must be a text or a whole number or a n",
    ),
    (("provenance", "", 1), "a key of provenance must be a text"),
    (("files", "fp32.onnx", 3), "files['fp32.onnx'] must be an object, got 3."),
    # format
    (("format", GONE), "format is missing: it must be 1."),
    (
        ("format", 2),
        "format must be 1, the newest this fuseg understands: it was written",
    ),
    (("format", 0), "format must be 1, got '0'."),
    (("format", "1"), "format must be 1, got '1'."),
    (("format", 1.0), "format must be 1, got '1.0'."),
    (("format", True), "format must be 1, got 'True'."),
    # resize and tensor
    (
        ("inputs", 0, "resize", "filter", "cubic"),
        f"inputs[0].resize.filter {MM}, got 'c",
    ),
    (
        ("inputs", 0, "resize", "filter", "bilinear-antialias"),
        "inputs[0].resize.filter is 'bilinear-antialias', which this version of fuseg "
        f"does not support yet; it {MM}.",
    ),
    (
        ("inputs", 0, "resize", "fit", "letterbox"),
        "inputs[0].resize.fit is 'letterbox',",
    ),
    (
        ("inputs", 0, "resize", "height", 0),
        "inputs[0].resize.height must be 1 to 16384",
    ),
    (
        ("inputs", 0, "resize", "width", 16385),
        "inputs[0].resize.width must be 1 to 1638",
    ),
    (
        ("inputs", 0, "resize", "width", 65),
        "inputs[0].tensor.shape must end in the resi",
    ),
    (
        ("inputs", 0, "resize", "height", 47),
        "inputs[0].tensor.shape must end in the res",
    ),
    (
        ("inputs", 0, "tensor", "dtype", "float16"),
        "inputs[0].tensor.dtype must be 'flo",
    ),
    (
        ("inputs", 0, "tensor", "shape", 0, 2),
        "inputs[0].tensor.shape[0] must be 1, the",
    ),
    (
        ("inputs", 0, "tensor", "shape", 1, 0),
        "inputs[0].tensor.shape[1] must be at lea",
    ),
    (
        ("inputs", 0, "tensor", "shape", 2, 0),
        "inputs[0].tensor.shape[2] must be 1 to 1",
    ),
    (
        ("inputs", 0, "tensor", "shape", 3, -1),
        "inputs[0].tensor.shape[3] must be 1 to ",
    ),
    (
        ("inputs", 0, "tensor", "shape", 1, 1 << 20),
        "inputs[0].tensor.shape must hold at",
    ),
    (
        ("inputs", 0, "tensor", "channel", -1),
        "inputs[0].tensor.channel must be 0 to 3,",
    ),
    (
        ("inputs", 0, "tensor", "channel", 4),
        "inputs[0].tensor.channel must be 0 to 3, g",
    ),
    (
        ("inputs", 0, "tensor", "channel", 2),
        "inputs[0].tensor.channel must leave room f",
    ),
    # missing
    (
        ("inputs", 2, "missing", "policy", "drop"),
        "inputs[2].missing.policy must be one",
    ),
    (
        ("inputs", 2, "missing", "max_age_ms", 0),
        "inputs[2].missing.max_age_ms must be a",
    ),
    (
        ("inputs", 2, "missing", "max_age_ms", GONE),
        "inputs[2].missing.max_age_ms must b",
    ),
    (
        ("inputs", 2, "missing", "then", GONE),
        "inputs[2].missing.then is missing: it mus",
    ),
    (
        ("inputs", 2, "missing", "then", "hold"),
        "inputs[2].missing.then must be 'refuse'",
    ),
    (
        ("inputs", 0, "missing", "max_age_ms", 5),
        "inputs[0].missing.max_age_ms must be a",
    ),
    (
        ("inputs", 0, "missing", "then", "refuse"),
        "inputs[0].missing.then must be absent",
    ),
    # input
    (
        ("inputs", 0, "name", "out"),
        "inputs[0].name must not be 'out': that is an option",
    ),
    (("inputs", 0, "name", "stamp_ns"), "inputs[0].name must not be 'stamp_ns'"),
    (("inputs", 0, "name", "class"), "inputs[0].name must be a Python name"),
    (("inputs", 0, "name", "left rgb"), "inputs[0].name must be a Python name"),
    (("inputs", 0, "name", "größe"), "inputs[0].name must be a Python name"),
    (("inputs", 0, "name", "depth"), "inputs must be unique, got 'depth' twice."),
    (
        ("inputs", 0, "kind", "audio"),
        "inputs[0].kind is 'audio', which this version of",
    ),
    (("inputs", 0, "kind", "lidar"), "inputs[0].kind must be one of 'color', 'depth',"),
    (
        ("inputs", 0, "dtype", "uint16"),
        "inputs[0].dtype must be 'uint8', got 'uint16'.",
    ),
    (
        ("inputs", 0, "dtype", "int8"),
        "inputs[0].dtype must be one of 'uint8', 'uint16'",
    ),
    (("inputs", 0, "channels", GONE), "inputs[0].channels is missing: 'RGB' or 'BGR'."),
    (
        ("inputs", 0, "channels", "GBR"),
        "inputs[0].channels must be one of 'RGB', 'BGR'",
    ),
    (("inputs", 0, "unit", "1"), "inputs[0].unit must be absent"),
    (("inputs", 0, "invalid", [0]), "inputs[0].invalid must be absent"),
    (
        ("inputs", 1, "channels", "RGB"),
        "inputs[1].channels must be absent for kind 'ther",
    ),
    (
        ("inputs", 1, "unit", GONE),
        "inputs[1].unit is missing: kind 'thermal' needs one.",
    ),
    (("inputs", 1, "unit", "F"), "inputs[1].unit must be m, cm, mm, um, K or C"),
    (
        ("inputs", 1, "unit", "mm"),
        "inputs[1].unit must fit kind 'thermal', got 'mm', wh",
    ),
    (
        ("inputs", 2, "unit", "0.01K"),
        "inputs[2].unit must fit kind 'depth', got '0.01K'",
    ),
    (
        ("inputs", 2, "resize", "filter", "bilinear"),
        "inputs[2].resize.filter must be 'n",
    ),
    (
        ("inputs", 2, "invalid", 1, 65536),
        "inputs[2].invalid[1] must be a whole number f",
    ),
    (
        ("inputs", 2, "invalid", 0, -1),
        "inputs[2].invalid[0] must be a whole number from",
    ),
    (
        ("inputs", 2, "invalid", 0, 0.5),
        "inputs[2].invalid[0] must be a whole number fro",
    ),
    (("inputs", 0, "scale", 0), "inputs[0].scale must not be 0."),
    (
        ("inputs", 0, "mean", [0.5]),
        "inputs[0].mean must hold 3 numbers for kind 'color'",
    ),
    (
        ("inputs", 2, "std", [1, 1]),
        "inputs[2].std must hold 1 numbers for kind 'depth',",
    ),
    (("inputs", 0, "std", 2, 0.0), "inputs[0].std[2] must be above 0, got 0.0."),
    # output
    (
        ("outputs", 0, "kind", "detection"),
        "outputs[0].kind must be 'segmentation', got",
    ),
    (("outputs", 0, "ignore", 256), "outputs[0].ignore must be 0 to 255, got 256."),
    (("outputs", 0, "ignore", -1), "outputs[0].ignore must be 0 to 255, got -1."),
    (
        ("outputs", 0, "upsample", "filter", "nearest"),
        "outputs[0].upsample.filter must",
    ),
    (
        ("outputs", 0, "upsample", "to", "network"),
        "outputs[0].upsample.to must be 'came",
    ),
    (
        ("outputs", 0, "tensor", "shape", 1, 3),
        "outputs[0].classes must name the 3 class",
    ),
    (
        ("outputs", 0, "tensor", "shape", 1, 256),
        "outputs[0].tensor.shape[1] must be at m",
    ),
    (
        ("outputs", 0, "tensor", "shape", 2, 0),
        "outputs[0].tensor.shape[2] must be 1 to",
    ),
    (
        ("outputs", 0, "tensor", "name", "d"),
        "outputs[0].tensor.name must differ from th",
    ),
    (
        ("outputs", 0, "classes", 1, "name", "floor"),
        "outputs[0].classes must be unique,",
    ),
    (
        ("outputs", 0, "classes", 1, "color", 2, 256),
        "outputs[0].classes[1].color[2] mus",
    ),
    (
        ("outputs", 0, "classes", 1, "color", 0, -1),
        "outputs[0].classes[1].color[0] must",
    ),
    (
        ("outputs", 0, "tail", "removed", []),
        "outputs[0].tail.size must be the tensor's ",
    ),
    (
        ("outputs", 0, "tail", "removed", 0, "a/b"),
        "outputs[0].tail.removed[0] must be a",
    ),
    (
        ("outputs", 0, "tail", "size", 0, 0),
        "outputs[0].tail.size[0] must be 1 to 16384",
    ),
    (
        ("outputs", 0, "tail", "size", 1, 99999),
        "outputs[0].tail.size[1] must be 1 to 16",
    ),
    (("outputs", []), "outputs must be one output for this version of fuseg, got 0."),
    (
        ("outputs", GOOD["outputs"] * 2),
        "outputs must be one output for this version of",
    ),
    # variants, samples, files
    (("variants", []), "variants must name a network, got an empty list."),
    (("variants", GOOD["variants"] * 2), "variants must be unique, got 'fp32' twice."),
    (
        ("variants", 0, "file", "../fp32.onnx"),
        "variants[0].file must be a member's name",
    ),
    (
        ("variants", 0, "file", "fp32.bin"),
        "variants[0].file must be a member's name tha",
    ),
    (("variants", 0, "opset", 0), "variants[0].opset must be at least 1, got 0."),
    (
        ("variants", 0, "ir_version", 0),
        "variants[0].ir_version must be at least 1, got",
    ),
    (("variants", 0, "for", []), "variants[0].for must name a target, such as 'any'."),
    (
        ("variants", 0, "precision", "kind", "int8"),
        "variants[0].precision must be {'ki",
    ),
    (
        ("variants", 0, "precision", {}),
        "variants[0].precision must be {'kind': 'fp32'}",
    ),
    (
        ("variants", 0, "verification", 0, "frames", 0),
        "variants[0].verification[0].fra",
    ),
    (
        ("variants", 0, "verification", 0, "miou", 1.1),
        "variants[0].verification[0].mio",
    ),
    (
        ("variants", 0, "verification", 0, "label_agreement", -0.1),
        "variants[0].verification[0].label_agreement must be 0 to 1, got -0.1.",
    ),
    (
        ("variants", 0, "verification", 0, "max_abs_logit_diff", -1),
        "variants[0].verification[0].max_abs_logit_diff must not be negative, got -1.0.",
    ),
    (
        ("samples", 0, "labels", "/l.npy"),
        "samples[0].frames and labels must be members'",
    ),
    (
        ("samples", 0, "frames", "rgb", "a.png"),
        "samples[0].frames and labels must be m",
    ),
    (
        ("samples", 0, "frames", "rgb", GONE),
        "samples[0].frames must hold one frame for",
    ),
    (
        ("samples", 0, "frames", "ir", "i.npy"),
        "samples[0].frames must hold one frame f",
    ),
    (
        ("files", "fp32.onnx", GONE),
        "files must list 'fp32.onnx', which a variant or sam",
    ),
    (
        ("files", "a.so", {"sha256": SHA, "bytes": 1}),
        "files must list only what a varia",
    ),
    (
        ("files", "fp32.onnx", "bytes", -1),
        "files['fp32.onnx'].bytes must not be negativ",
    ),
    (
        ("files", "fp32.onnx", "sha256", "0"),
        "files['fp32.onnx'].sha256 must be 64 hexad",
    ),
    (
        ("files", "fp32.onnx", "sha256", SHA.upper()),
        "files['fp32.onnx'].sha256 must be",
    ),
    # tensors and their channels
    (("inputs", []), "inputs must name a sensor, got an empty list."),
    (
        ("inputs", 1, GONE),
        "inputs must fill each of the 4 channels of tensor 'x' once, ",
    ),
    (
        ("inputs", 1, "tensor", "channel", 2),
        "inputs must fill each of the 4 channels of",
    ),
    (
        ("inputs", 1, "tensor", "shape", 1, 5),
        "inputs[1].tensor.shape must be [1, 4, 48",
    ),
]


@pytest.mark.parametrize(
    ("change", "sentence"), REFUSED, ids=lambda part: str(part)[:70] if part else ""
)
def test_one_wrong_value_is_refused_by_its_path(change, sentence):
    with pytest.raises(ManifestError) as refusal:
        parse(changed(*change))
    text = str(refusal.value)
    assert text.startswith(sentence)
    assert text.endswith(".")
    assert text.isprintable()


def test_the_manifest_before_each_change_is_good():
    assert parse(GOOD).name == "rgbt-small"


def test_one_channel_of_scores_means_two_classes():
    assert (
        parse(changed("outputs", 0, "tensor", "shape", 1, 1)).outputs[0].tensor.shape[1]
        == 1
    )


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "a manifest must be UTF-8 JSON, but: Expecting value"),
        ("{", "a manifest must be UTF-8 JSON, but: Expecting property name"),
        (b"\xff{}", "a manifest must be UTF-8 JSON, but: 'utf-8' codec"),
        (
            '{"format": 1}'.encode("utf-16"),
            "a manifest must be UTF-8 JSON, but: 'utf-8'",
        ),
        ("[]", "a manifest must be a JSON object."),
        ("3", "a manifest must be a JSON object."),
        ('{"format": NaN}', "a number must be finite, got NaN."),
        ('{"format": -Infinity}', "a number must be finite, got -Infinity."),
        (
            '{"format": 1, "format": 1}',
            "the keys of an object must be unique, got 'form",
        ),
        (
            '{"a": {"b": 1, "b": 2}}',
            "the keys of an object must be unique, got 'b' twice",
        ),
        ("[" * 100_000, "a manifest must not nest this deeply."),
        (
            '{"format": ' + "9" * 5000 + "}",
            "a manifest must be UTF-8 JSON, but: Exceeds",
        ),
        ('{"format": 9e999}', "format must be 1, got 'inf'."),
    ],
    ids=lambda part: str(part)[:40],
)
def test_what_is_no_json_object_is_refused(text, sentence):
    with pytest.raises(ManifestError) as refusal:
        Manifest.parse(text)
    assert str(refusal.value).startswith(sentence)
    assert str(refusal.value).isprintable()


def test_a_manifest_error_is_a_bundle_error():
    assert issubclass(ManifestError, BundleError)


def places(value, path=()):
    """Every path in a JSON value."""
    if path:
        yield path
    inside = value.items() if isinstance(value, dict) else enumerate(value)
    for key, entry in inside if isinstance(value, (dict, list)) else ():
        yield from places(entry, (*path, key))


ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9),
    lambda part: (
        st.lists(part, max_size=4) | st.dictionaries(st.text(max_size=5), part)
    ),
    max_leaves=6,
)


@settings(max_examples=300, deadline=None)
@given(path=st.sampled_from(list(places(GOOD))), value=ANY_JSON)
def test_any_value_anywhere_is_understood_or_refused_in_one_sentence(path, value):
    try:
        manifest = Manifest.parse(json.dumps(changed(*path, value)))
    except ManifestError as refusal:
        assert str(refusal).isprintable()
        assert str(refusal).endswith(".")
    else:
        assert Manifest.parse(manifest.dump()) == manifest


@given(
    height=st.integers(1, 16384),
    width=st.integers(1, 4000),
    age=st.floats(1e-3, 1e9),
    fill=st.floats(-1e30, 1e30),
    std=st.floats(1e-30, 1e30),
)
def test_numbers_survive_dump_and_parse_to_the_last_bit(height, width, age, fill, std):
    entry = Input(
        "depth",
        "range",
        "float32",
        Resize(height, width, "nearest"),
        std,
        (fill,),
        (std,),
        fill,
        InputTensor("d", (1, 1, height, width)),
        Missing("hold", age, "refuse"),
        unit="1",
    )
    manifest = replace(parse(changed("samples", [])), inputs=(entry,), files={})
    assert Manifest.parse(manifest.dump()).inputs == (entry,)

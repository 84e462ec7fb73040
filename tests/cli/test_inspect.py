from __future__ import annotations

import hashlib

from fuseg.bundle import Bundle
from fuseg.manifest import Manifest, Missing


def test_json_is_the_manifest_and_the_digest_of_the_file(fuseg, sampled):
    path = sampled()
    told = fuseg("inspect", path, "--json").json
    assert list(told) == ["bundle", "digest", "bytes", "manifest"]
    assert told["digest"] == hashlib.sha256(path.read_bytes()).hexdigest()
    assert told["bytes"] == path.stat().st_size
    import json

    again = Manifest.parse(json.dumps(told["manifest"]))
    assert again == Bundle.open(path).manifest


def test_people_read_what_it_takes_and_gives(
    fuseg, make_bundle, color_input, plane_input
):
    held = Missing("hold", 200.0, "substitute")
    always = Missing("substitute", None, max_ahead_ms=None)
    inputs = color_input(), plane_input(missing=held), plane_input("ir", missing=always)
    path = make_bundle(*inputs).path
    done = fuseg("inspect", path)
    assert (done.code, done.stderr) == (0, "")
    for words in (
        "linear  (format 1, tests)",
        hashlib.sha256(path.read_bytes()).hexdigest(),
        "color, uint8, RGB",
        "depth, uint16, in mm, no reading: 0 65535",
        "6x8 nearest",
        "depth 1x1x6x8, channel 0",
        "refuse; late after 500 ms, early by 100 ms",
        "hold, then substitute; late after 200 ms, early by 100 ms",
        "substitute; never late, never early",
        "cut from the graph: Resize + ArgMax",
        "4 classes: 0 class0, 1 class1, 2 class2, 3 class3",
        "variant fp32: fp32.onnx",
        "opset 17, IR 8, for any",
        "0 sample frames",
    ):
        assert words in done.stdout, words


def test_a_damaged_bundle_is_refused(fuseg, rgbd):
    rgbd.path.write_bytes(rgbd.path.read_bytes()[:-5])
    done = fuseg("inspect", rgbd.path)
    assert done.code == 2
    assert done.stderr.startswith(f"error: {rgbd.path}: ")

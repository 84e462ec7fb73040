from __future__ import annotations

from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest
from PIL import Image

import fuseg as library
from fuseg import manifest
from fuseg.bundle import Bundle, write


class Page(HTMLParser):
    """Tags that are open, and what a page needs from elsewhere."""

    def __init__(self):
        super().__init__()
        self.open, self.pictures, self.foreign, self.text = [], [], [], []

    def handle_starttag(self, tag, attributes):
        given = dict(attributes)
        if tag not in ("meta", "img"):
            self.open.append(tag)
        if tag == "img":
            self.pictures.append(given["alt"])
            assert given["src"].startswith("data:image/png;base64,")
        if tag in ("script", "link", "iframe") or "href" in given:
            self.foreign.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text.append(data)


def read(path):
    page = Page()
    page.feed(path.read_text())
    assert (page.open, page.foreign) == ([], [])
    return page.pictures, " ".join(" ".join(page.text).split())


@pytest.fixture
def explained(rgbd, frames, saved, tmp_path):
    """Words for two frames; their labels as truth, too."""
    segmenter = library.load(rgbd.path)
    for index in (0, 1):
        arrays = frames(index, 12, 16)
        for name, array in arrays.items():
            saved(f"{name}/{index}.png", array)
        saved(f"truth/{index}.png", segmenter(**arrays).labels)
    words = [f"{name}={tmp_path}/{name}" for name in ("rgb", "depth")]
    inputs = [w for word in words for w in ("--input", word)]
    return [
        *("explain", rgbd.path, *inputs, "--out", tmp_path / "page.html"),
        *("--missing", "rgb=substitute", "--missing", "depth=substitute"),
    ]


def test_the_page_has_shares_frames_and_a_legend(fuseg, explained, tmp_path):
    done = fuseg(*explained)
    assert (done.code, done.stderr) == (0, "")
    assert done.stdout.splitlines()[-1] == f"page: {tmp_path}/page.html"
    pictures, text = read(tmp_path / "page.html")
    assert (
        pictures == ["rgb", "depth", "from rgb + depth", "from rgb", "from depth"] * 2
    )
    assert "linear explained by fuseg on" in text
    assert "labels compared with those made from all sensors" in text
    assert (
        "class share rgb depth IoU from rgb + depth IoU from rgb IoU from depth" in text
    )
    found = fuseg(*explained, "--json").json
    for name, one in found["classes"].items():
        assert name in done.stdout
        if one is not None:
            assert sum(one["shares"].values()) == pytest.approx(1)
            assert f"{one['shares']['rgb']:.1%}" in done.stdout
            assert f"{one['shares']['rgb']:.0%}" in text
            assert one["values"]["rgb + depth"] == 1


def test_refused_sets_and_true_labels_are_said(fuseg, explained, tmp_path):
    words = explained[:-4]
    done = fuseg(*words, "--truth", tmp_path / "truth")
    assert "rgb: 2 of 2 frames refused, worth 0" in done.stdout
    _, text = read(tmp_path / "page.html")
    assert "labels compared with the true ones" in text
    assert "depth: 2 of 2 frames refused, worth 0" in text
    found = fuseg(*words, "--truth", tmp_path / "truth", "--json").json
    assert (found["against"], found["refused"]) == ("truth", {"rgb": 2, "depth": 2})


def test_a_class_is_looked_for_in_the_first_frame_that_has_it(
    fuseg, explained, rgbd, frames, tmp_path
):
    segmenter = library.load(rgbd.path)
    labels = [segmenter(**frames(index, 12, 16)).labels for index in (0, 1)]
    label = next(c for c in range(4) if (labels[0] == c).any())
    done = fuseg(*explained, "--class", f"class{label}", "--json")
    found = done.json["occlusion"]
    assert (found["class"], found["frame"]) == (f"class{label}", "0")
    for name in ("rgb", "depth"):
        lost = np.array(found["lost"][name])
        assert lost.shape == (9, 12)
        assert 0 <= lost.min() < lost.max() <= 1
    pictures, text = read(tmp_path / "page.html")
    assert f"Where class{label} comes from In frame 0." in text
    most = max(np.max(lost) for lost in found["lost"].values())
    assert f"black is nothing lost, white {most:.0%} of it." in text
    assert pictures[0] == f"rgb: at most {np.max(found['lost']['rgb']):.0%} lost"


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (
            ("--class", "claas1"),
            "--class must be one of class0, class1, class2, class3, got 'claas1'.",
        ),
        (
            ("--truth-map", "x"),
            "--truth-map needs --truth, the labels that it explains.",
        ),
    ],
)
def test_options_in_vain_are_refused(fuseg, explained, words, sentence):
    done = fuseg(*explained, *words)
    assert (done.code, done.stderr) == (2, f"error: {sentence}\n")


def test_every_sensor_must_be_given_and_there_are_few(
    fuseg, explained, make_bundle, plane_input
):
    done = fuseg(*explained[:4], *explained[6:])
    assert done.stderr.startswith(
        "error: --input must be given for depth (the bundle's"
    )
    five = make_bundle(*(plane_input(name) for name in "abcde")).path
    done = fuseg("explain", five, "--input", "a=x")
    assert done.stderr == (
        "error: fuseg explain runs every set of sensors: the bundle must have 1 to 4, "
        "got 5.\n"
    )


def test_tensors_and_planes_of_the_network_are_drawn(fuseg, rgbd, explained, tmp_path):
    opened = Bundle.open(rgbd.path)
    scores = manifest.TensorOutput("gates", "scores")
    outputs = (*opened.manifest.outputs, scores)
    whole = replace(opened.manifest, outputs=outputs, files={})
    write(rgbd.path, whole, {"fp32.onnx": opened.read("fp32.onnx")})
    assert fuseg(*explained).code == 0
    pictures, _ = read(tmp_path / "page.html")
    assert [p.split(":")[0] for p in pictures[5:9]] == [f"gates[{n}]" for n in range(4)]
    values = library.load(rgbd.path)(
        rgb=np.asarray(Image.open(tmp_path / "rgb" / "0.png")),
        depth=np.asarray(Image.open(tmp_path / "depth" / "0.png")),
    )["gates"][0, 0]
    assert pictures[5] == f"gates[0]: {values.min():.3g} to {values.max():.3g}"

"""Every option of ``fuseg export`` changes what comes out, or is refused."""

from __future__ import annotations

import json
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
import typer.main
from PIL import Image
from typer.testing import CliRunner

import fuseg
from fuseg.bundle import Bundle
from fuseg.cli import app
from fuseg_export.cli import export_command
from fuseg_export.precision.options import Budget

INPUTS = ("--input", "rgb=color:48x64", "--input", "depth=depth:48x64")
FRAMES = ("--frames", "rgb=rgb", "--frames", "depth=depth")
BASE = ("foreign:TwoInputs", "--checkpoint", "two.pth", "-o", "out/two.fuseg", *INPUTS)
CLASSES = ["class_0", "class_1", "class_2", "class_3", "class_4"]


@pytest.fixture
def folder(home, quick):
    """Three frames of colour and depth at 48x64, and label maps of theirs."""
    del quick
    rng = np.random.default_rng(3)
    for name in ("rgb", "depth", "truth", "ids", "rgbt", "t_rgb", "t_depth"):
        (home / name).mkdir()
    for i in range(3):
        color = rng.integers(0, 256, (6, 8, 3), np.uint8).repeat(8, 0).repeat(8, 1)
        depth = rng.integers(500, 5000, (6, 8)).repeat(8, 0).repeat(8, 1)
        truth = rng.integers(0, 3, (6, 8), np.uint8).repeat(8, 0).repeat(8, 1)
        truth[: 4 * i] = 255
        Image.fromarray(color).save(home / "rgb" / f"{i}.png")
        Image.fromarray(depth.astype(np.uint16)).save(home / "depth" / f"{i}.png")
        Image.fromarray(truth).save(home / "truth" / f"{i}.png")
        Image.fromarray(np.where(truth == 255, 0, truth + 7).astype(np.uint8)).save(
            home / "ids" / f"{i}.png"
        )
        four = np.dstack([color, color[..., 0]])
        Image.fromarray(four).save(home / "rgbt" / f"{i}.png")
        Image.fromarray(color).save(home / "t_rgb" / f"{i}.000.png")
        Image.fromarray(depth.astype(np.uint16)).save(home / "t_depth" / f"{i}.025.png")
    (home / "ids.txt").write_text("0 = ignore\n7-9 = 0-2\n")
    (home / "names.txt").write_text("a\nb\nc\nd\ne\n")
    (home / "spec.json").write_text('{"ignore": 250}')
    return home


def run(*words):
    return CliRunner().invoke(app, ["export", *words])


def made(*words):
    done = run(*BASE, *words, "--json")
    assert done.exit_code == 0, done.stderr
    return json.loads(done.stdout), Bundle.open(Path("out/two.fuseg")).manifest


def expected_score(folder, truth):
    """mIoU, its classes and the ignored share, in NumPy alone."""
    segmenter = fuseg.load(folder / "out" / "two.fuseg", threads=1)
    both, either, ignored = np.zeros(5), np.zeros(5), 0
    for i in range(3):
        frames = {
            name: np.array(Image.open(folder / name / f"{i}.png"))
            for name in ("rgb", "depth")
        }
        labels = segmenter(**frames).labels
        known = np.array(Image.open(folder / truth / f"{i}.png"))
        counts = known != 255
        ignored += np.count_nonzero(~counts)
        for c in range(5):
            mine, theirs = (labels == c) & counts, (known == c) & counts
            both[c] += np.count_nonzero(mine & theirs)
            either[c] += np.count_nonzero(mine | theirs)
    occurring = either > 0
    iou = both[occurring] / either[occurring]
    return iou.mean(), int(occurring.sum()), ignored / (3 * 48 * 64)


def test_truth_scores_fp32_in_a_plain_export(folder):
    report, manifest = made(*FRAMES, "--truth", "truth")
    (fp32,) = report["variants"]
    miou, classes, ignored = expected_score(folder, "truth")
    assert fp32["miou"] == pytest.approx(miou, abs=1e-12)
    assert fp32["score"]["miou_classes"] == classes
    assert fp32["score"]["ignored_share"] == pytest.approx(ignored)
    assert fp32["score"]["absent"] == ["class_3", "class_4"]
    assert fp32["frames"] == 3, "all, though only two are compared stage by stage"
    own = manifest.variants[0].verification[-1]
    assert (own.stage, own.frames) == ("fp32", 3)
    assert own.miou == pytest.approx(miou, abs=1e-6)
    assert own.ignored_share == pytest.approx(ignored, abs=1e-6)
    assert own.absent == ("class_3", "class_4")

    done = run(*BASE, *FRAMES, "--truth", "truth", "--report", "out/page.html")
    assert done.exit_code == 0
    text = " ".join(done.stdout.split())
    assert f"fp32 on 3 frames, at 48 x 64: mIoU {miou:.4f} over " in text
    assert f"left out: {ignored:.2%} of the truth's pixels are ignore" in text
    assert "never in the truth: class_3, class_4" in text
    assert "2 of 5 classes never occur in the truth" in done.stderr
    page = (folder / "out" / "page.html").read_text()
    for words in (f"{miou:.4f}", f"{ignored:.2%}", "never in the truth: class_3"):
        assert words in page


def test_a_truth_map_says_what_ids_mean(folder):
    mapped, _ = made(*FRAMES, "--truth", "ids", "--truth-map", "ids.txt")
    miou, _, ignored = expected_score(folder, "truth")
    assert mapped["variants"][0]["miou"] == pytest.approx(miou, abs=1e-12)
    assert mapped["variants"][0]["score"]["ignored_share"] == pytest.approx(ignored)


def test_pixels_that_nobody_called_no_reading_are_counted(folder):
    for i in range(2):  # those that are compared
        depth = np.full((48, 64), 1500, np.uint16)
        depth[:12], depth[-1, 0] = 0, 65535
        Image.fromarray(depth).save(folder / "depth" / f"{i}.png")
    report, _ = made(*FRAMES)
    (note,) = (note for note in report["notes"] if "no reading" in note)
    assert note.startswith("depth: pixels that are 0 (25.0%) or 65535 (less than 0.1%)")
    told = note[note.index("write {") + 6 : note.index(" in a file, --spec FILE")]
    (folder / "told.json").write_text(told)
    report, manifest = made(*FRAMES, "--spec", "told.json")
    assert manifest.inputs[1].invalid == ()
    assert "no reading" not in str(report["notes"])
    own = {"inputs": {"depth": {"invalid": [0]}}}
    (folder / "told.json").write_text(json.dumps(own))
    assert "no reading" not in str(made(*FRAMES, "--spec", "told.json")[0]["notes"])


def test_a_mask_of_0_and_255_is_warned_about(folder):
    for i in range(3):
        mask = np.zeros((48, 64), np.uint8)
        mask[:, 5:] = 255
        Image.fromarray(mask).save(folder / "truth" / f"{i}.png")
    done = run(*BASE, *FRAMES, "--truth", "truth")
    assert done.exit_code == 0
    assert "looks like a 0/255 mask" in done.stderr
    assert f"left out: {59 / 64:.2%}" in done.stdout


STAMPED = ("--frames", "rgb=t_rgb", "--frames", "depth=t_depth", "--match", "stamp")


def has_three_frames(of):
    return "the first 2 of 3" in str(of.report["notes"])


PLAIN = {
    "--classes": (["--classes", "names.txt"], lambda of: of.names == [*"abcde"]),
    "--spec": (["--spec", "spec.json"], lambda of: of.output.ignore == 250),
    "--frames": ([*FRAMES], has_three_frames),
    "--match": ([*STAMPED, "--slop", "30ms"], has_three_frames),
    "--slop": ([*STAMPED, "--slop", "30ms"], has_three_frames),
    "--plane": (
        ["--frames", "rgb=rgbt", *FRAMES[2:], "--plane", "rgb=RGB"],
        has_three_frames,
    ),
    "--split": (
        ["--split", "depth"],
        lambda of: [graph.name for graph in of.graphs] == ["depth-encoder", "net"],
    ),
    "--opset": (["--opset", "18"], lambda of: of.variants == [("fp32", 18)]),
    "--exporter": (["--exporter", "dynamo"], lambda of: of.variants == [("fp32", 18)]),
    "--output": (["--output", "out"], lambda of: "and dropped" not in str(of.report)),
    "--output NAME": (
        ["--output", "seen=segmentation:out", "--output", "aux=tensor:aux"],
        lambda of: [o.name for o in of.outputs] == ["seen", "aux"],
    ),
    "--robustness": (
        [*FRAMES, "--truth", "truth", "--robustness", "2"],
        lambda of: of.robustness is not None and of.robustness.frames == 2,
    ),
    "--precision": (["--precision", "fp16"], lambda of: len(of.variants) == 2),
}


class Outcome:
    def __init__(self, report, manifest):
        self.report, self.outputs = report, manifest.outputs
        self.output = self.outputs[0]
        self.names = [entry.name for entry in self.output.classes]
        self.graphs, self.robustness = manifest.graphs, manifest.robustness
        networks = self.graphs[-1].networks
        self.variants = [(name, n.opset) for name, n in networks.items()]


@pytest.mark.usefixtures("folder")
def test_without_options_none_of_these_facts_hold():
    outcome = Outcome(*made())
    assert outcome.names == CLASSES
    assert not any(fact(outcome) for _, fact in PLAIN.values())


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize("name", PLAIN)
def test_an_option_of_a_plain_export_has_its_effect(name):
    words, fact = PLAIN[name]
    assert fact(Outcome(*made(*words)))


def test_the_calibration_s_options_have_their_effect(folder):
    words = [*FRAMES, "--precision", "fp16", "--calibration", "rgb=rgb/0.png"]
    words += ["--calibration", "depth=depth/0.png", "--calibration-cache", "out/c.json"]
    words += ["--calibration-method", "percentile"]
    report, _ = made(*words)
    assert not any("same frames" in sentence for sentence in report["warnings"])
    kept = json.loads((folder / "out" / "c.json").read_text())
    assert (kept["method"], kept["frames"]) == ("percentile", 1)


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize(
    ("words", "budget"),
    [
        ((), Budget(0.005, 0.02, 0.995)),
        (("--max-miou-drop", "0"), Budget(0, 0.02)),
        (("--max-miou-drop", "0.01"), Budget(0.01, 0.04)),
        (("--min-agreement", "0.9"), Budget(agreement=0.9)),
    ],
)
def test_the_budget_is_what_the_user_says(monkeypatch, words, budget):
    seen = []
    monkeypatch.setattr(
        export_command, "export_bundle", lambda *_, **given: seen.append(given)
    )
    run(*BASE, *FRAMES, "--precision", "fp16", "--truth", "truth", *words)
    assert seen[0]["precision"].budget == budget


ALONE = "needs --precision fp16, int8 or auto"
REFUSED = [
    ("--truth", ["--truth", "truth"], "--truth needs --frames"),
    ("--robustness", ["--robustness", "4"], "--robustness needs true labels"),
    ("--truth", [*FRAMES, "--truth", "nope"], "--truth: there is no file nope"),
    ("--truth", [*FRAMES, "--truth", "ids"], "--truth-map FILE"),
    ("--truth-map", [*FRAMES, "--truth-map", "ids.txt"], "--truth-map needs --truth"),
    (
        "--truth-map",
        [*FRAMES, "--truth", "truth", "--truth-map", "nope.txt"],
        "nope.txt cannot be read",
    ),
    ("--frames", ["--frames", "rgb=rgb"], "for each of rgb, depth, got rgb"),
    (
        "--frames",
        ["--frames", "rgb=nope", "--frames", "depth=depth"],
        "--frames rgb: there is no file nope",
    ),
    ("--frames", ["--frames", "rgb=rgbt", *FRAMES[2:]], "--plane rgb=RGB"),
    ("--frames", STAMPED[:4], "each input: their names are times, 25 ms apart or more"),
    ("--slop", STAMPED, "--match stamp --slop 25ms would match at least half of them."),
    ("--slop", [*FRAMES, "--slop", "1s"], "--slop needs --match stamp"),
    ("--match", ["--match", "stamp"], "--match needs --frames or --calibration"),
    ("--plane", ["--plane", "rgb=RGB"], "--plane needs --frames or --calibration"),
    ("--plane", [*FRAMES, "--plane", "x=A"], "--plane must name one of rgb, depth"),
    (
        "--reference",
        [*STAMPED, "--reference", "x"],
        "--reference must name one of rgb, depth, got x",
    ),
    ("--calibration", ["--calibration", "rgb=nope"], ALONE),
    ("--calibration-method", ["--calibration-method", "minmax"], ALONE),
    ("--calibration-cache", ["--calibration-cache", "out/c.json"], ALONE),
    ("--max-miou-drop", ["--max-miou-drop", "0.005"], ALONE),
    ("--min-agreement", ["--min-agreement", "0.9"], ALONE),
    (
        "--max-miou-drop",
        ["--precision", "int8", "--max-miou-drop", "0.1"],
        "--max-miou-drop needs true labels",
    ),
    (
        "--calibration",
        [
            "--precision",
            "int8",
            "--calibration",
            "rgb=nope",
            "--calibration",
            "depth=x",
        ],
        "--calibration rgb: there is no file nope",
    ),
    ("--classes", ["--classes", ""], "--classes: class 0 must have a name"),
    ("--precision", ["--precision", ""], "--precision must be auto, or of"),
    ("--output", ["--output", ""], "--output must lead to a tensor, got dict: it"),
    ("--layout", ["--layout", "x"], "--layout must be nchw, nhwc, chw, got x"),
    ("--freeze-random", ["--freeze-random", "1"], "this one draws none: leave it out"),
    ("--own-load-state-dict", ["--own-load-state-dict"], "has none: leave it out"),
    (
        "--output",
        ["--output", "a=segmentation:out", "--output", "aux"],
        "--output must be NAME=KIND:PATH, as in scene=classes:1, got 'aux'",
    ),
    ("--state", ["--state", "x"], "--state must be NAME=PATH or NAME=PATH:CxHxW"),
    ("--stack", ["--stack", "rgb"], "--stack must be two or more of the inputs"),
    ("--arg", ["--arg", "x"], "--arg must be NAME=VALUE with a name of Python, got x"),
    ("--call", ["--call", "x"], "--call must be one of positional, list, dict, key"),
    ("--constant", ["--constant", "rgb=1"], "--constant must have a name that no in"),
    (
        "--weights-key",
        ["--weights-key", "x"],
        "--weights-key must lead to the",
    ),
    (
        "--ignore-weights",
        ["--ignore-weights", "x"],
        "--ignore-weights must fit a",
    ),
    ("--split", ["--split", "x"], "--split must name some of the network's tensors"),
    ("--opset", ["--opset", "12"], "--opset must be 13 to 20"),
    ("--input", ["--input", "rgb=color:48x64"], "every input once, got rgb twice"),
    ("--input", ["--input", "prompt=text:x"], "--input must be NAME=text:LENGTH, as"),
    (
        "--input",
        ["--input", "s=audio:x"],
        "--input must be NAME=audio:BANDSxFRAMES, as",
    ),
    (
        "--report",
        ["--report", "out/two.fuseg"],
        "--out must be another file than --rep",
    ),
    ("--report", ["--report", "two.pth"], "--report must be another file than --check"),
    ("--spec", ["--spec", "nope.json"], "nope.json cannot be read"),
    ("--checkpoint", ["--checkpoint", "nope.pth"], "nope.pth cannot be read"),
    ("--out", ["--out", "two.pth"], "--out must be another file than --checkpoint"),
]


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize(("name", "words", "sentence"), REFUSED)
def test_an_option_without_effect_is_refused(name, words, sentence):
    before = Path("two.pth").read_bytes()
    done = run(*BASE, *words)
    assert done.exit_code == 2, (name, done.output)
    last = done.stderr.splitlines()[-1]
    assert last.startswith("error: ")
    assert sentence in last
    assert Path("two.pth").read_bytes() == before
    assert not list(Path("out").iterdir())


def test_a_letterbox_is_verified_on_frames_that_it_puts_no_bars_around(folder):
    boxed = {name: {"resize": {"fit": "letterbox"}} for name in ("rgb", "depth")}
    (folder / "boxed.json").write_text(json.dumps({"inputs": boxed}))
    words = ["--spec", "boxed.json", *FRAMES]
    square = [word.replace("48x64", "64x64") for word in BASE]
    done = run(*square, *words)
    assert done.exit_code == 2
    assert (
        "--frames rgb must have the proportions of the network, 64 x 64, to verify it "
        "with resize.fit 'letterbox', got 48 x 64"
    ) in done.stderr
    made(*words)  # 48 x 64
    segmenter = fuseg.load(folder / "out" / "two.fuseg", threads=1)
    tall = np.zeros((64, 48, 3), np.uint8), np.ones((64, 48), np.uint16)
    assert segmenter(rgb=tall[0], depth=tall[1]).labels.shape == (64, 48)


def test_all_ignored_is_no_score(folder):
    for path in (folder / "truth").iterdir():
        Image.fromarray(np.full((48, 64), 255, np.uint8)).save(path)
    done = run(*BASE, *FRAMES, "--truth", "truth")
    assert done.exit_code == 2
    assert "--truth must label a pixel that counts, but all of them are" in done.stderr


def test_labels_of_another_size_are_named(folder):
    Image.fromarray(np.zeros((24, 32), np.uint8)).save(folder / "truth" / "1.png")
    done = run(*BASE, *FRAMES, "--truth", "truth")
    assert done.exit_code == 2
    assert (
        "1.png must have the size of rgb's frame, (48, 64), got (24, 32)" in done.stderr
    )


def test_no_option_is_left_out_of_these_tables():
    command = typer.main.get_command(_alone(export_command.export))
    known = {option for p in command.params for option in p.opts if option[:2] == "--"}
    covered = {*PLAIN, *(name for name, _, _ in REFUSED), "--json", "--help"}
    covered.add("--check-tensorrt")  # precision/test_tensorrt_check.py
    assert known <= covered


def _alone(function):
    alone = typer.Typer(add_completion=False)
    alone.command()(function)
    return alone


class Page(HTMLParser):
    """Text, tags, and whether every tag that is opened is closed."""

    VOID = ("meta", "img")

    def __init__(self, source):
        super().__init__()
        self.open, self.tags, self.text = [], [], []
        self.feed(source)
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text.append(data)

    def of(self, tag):
        return [attrs for name, attrs in self.tags if name == tag]


def test_the_page_of_a_plain_export_tells_all_of_it(folder, monkeypatch):
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "86400")
    words = [*FRAMES, "--truth", "truth", "--report", "out/page.html"]
    report, manifest = made(*words, "--classes", "floor,<b>,c,d,e")
    source = (folder / "out" / "page.html").read_text()
    page = Page(source)
    text = " ".join(page.text)
    assert "1970-01-02" in text
    for fact in (
        *("TwoInputs", "two.fuseg", report["digest"], manifest.created_by),
        *(manifest.provenance["torch"], manifest.provenance["checkpoint_sha256"]),
        *("onnx", "cut", "runtime", "floor", "<b>", f"{report['bytes']:,} bytes"),
        *(f"{report['variants'][0]['miou']:.4f}", "never in the truth: d, e"),
    ):
        assert fact in text
    titles = [attrs["alt"].partition(": ")[0] for attrs in page.of("img")]
    assert titles == ["rgb", "depth", "truth", "fp32", "fp32"] * 3
    assert len({attrs["style"] for attrs in page.of("span")}) == 5, "colours of classes"
    assert not {"script", "link", "iframe"} & {tag for tag, _ in page.tags}
    sources = [attrs["src"] for attrs in page.of("img")]
    assert all(s.startswith("data:image/png;base64,") for s in sources)
    assert "http" not in source
    made(*words, "--classes", "floor,<b>,c,d,e")
    assert (folder / "out" / "page.html").read_text() == source, "the same again"


@pytest.mark.usefixtures("folder")
def test_a_page_shows_no_zero_with_a_minus_and_only_what_differs():
    run(*BASE, *FRAMES, "--truth", "truth", "--precision", "fp16", "--report", "p.html")
    page = Page(Path("p.html").read_text())
    assert "-0.0000" not in " ".join(page.text)
    shown = [attrs["alt"] for attrs in page.of("img")]
    assert shown == [], "FP16 labels like fp32 here, to the pixel or nearly so"
